const { runSuites } = require('./subjects.cjs')

runSuites(globalThis.test)
