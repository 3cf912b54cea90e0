const assert = require('node:assert/strict')
const { exercise } = require('./exercise.cjs')

// Where require can load ES modules it shares their one copy; elsewhere the CommonJS build runs.
const built = process.features.require_module ? /index\.js$/ : /index\.cjs$/
assert.match(require.resolve('holdfast'), built)

exercise(require('holdfast'), {
  ...require('holdfast/level'),
  ...require('holdfast/memory'),
  ...require('holdfast/tcp'),
  ...require('holdfast/tls'),
  testing: require('holdfast/testing'),
}).catch((error) => {
  console.error(error)
  process.exitCode = 1
})
