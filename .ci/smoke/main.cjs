const { exercise } = require('./exercise.cjs')

exercise(require('holdfast'), {
  ...require('holdfast/level'),
  ...require('holdfast/memory'),
  ...require('holdfast/tcp'),
  testing: require('holdfast/testing'),
}).catch((error) => {
  console.error(error)
  process.exitCode = 1
})
