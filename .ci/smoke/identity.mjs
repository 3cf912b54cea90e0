import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

for (const entry of ['', '/tcp', '/tls', '/memory', '/files', '/level', '/testing']) {
  const imported = await import(`holdfast${entry}`)
  const required = require(`holdfast${entry}`)
  assert.deepEqual(Object.keys(imported).sort(), Object.keys(required).sort())
  for (const name of Object.keys(imported)) {
    assert.equal(imported[name], required[name], `two copies of ${name} of holdfast${entry}`)
  }
}
