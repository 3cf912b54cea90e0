// Runs a command under each Node.js of the CI matrix, one after the other. npx fetches each Node.js from
// the registry, once. The last lines say which passed.
//
//   npm run node-matrix                      the tests, under all of them
//   npm run node-matrix -- 24 26             under these
//   npm run node-matrix -- 22 -- .ci/run     the whole gate, as CI runs it
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

const given = process.argv.slice(2)
const end = given.includes('--') ? given.indexOf('--') : given.length
const versions = end > 0 ? given.slice(0, end) : versionsOfCi()
const command = given.slice(end + 1)
if (command.length === 0) command.push('npm', 'test')

const wrong = versions.filter((version) => !/^\d+(\.\d+){0,2}$/.test(version))
if (wrong.length > 0) {
  console.error(`not a version of Node.js: ${wrong.join(', ')}`)
  process.exit(2)
}

const results = versions.map((version) => {
  console.log(`\nNode.js ${version}: ${command.join(' ')}`)
  const startedMs = performance.now()
  const npx = ['--yes', '--package', `node@${version}`, '--', ...command]
  const { status, signal } = spawnSync('npx', npx, {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  const seconds = Math.round((performance.now() - startedMs) / 1_000)
  return { version, passed: status === 0, how: `${signal ?? `status ${status}`}, ${seconds} s` }
})

console.log()
for (const { version, passed, how } of results) {
  console.log(`${passed ? 'ok  ' : 'FAIL'}  Node.js ${version} (${how})`)
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1

/** The matrix is written once: in the workflow. */
function versionsOfCi() {
  const workflow = readFileSync(new URL('../.github/workflows/ci.yml', import.meta.url), 'utf8')
  const list = /node: \[([^\]]*)\]/.exec(workflow)?.[1] ?? ''
  return Array.from(list.matchAll(/'([^']+)'/g), ([, version]) => version)
}
