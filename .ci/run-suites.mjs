// Runs transportSuite and blockStoreSuite under node:test, vitest, mocha and jest, as their users would:
// each must pass all tests of plugs that are right, and must fail one of a transport that is not, with the
// sentence of the contract in what it prints. Uses dist, so build first.
//
//   npm run suites                 jest only where it is installed: it is no dependency of this project
//   npm run suites -- --install    installs jest into a temporary folder; needs the registry
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const checkout = realpathSync(fileURLToPath(new URL('..', import.meta.url)))
const work = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-suites-')))
const modules = join(work, 'node_modules')
const broken = 'a dial rejects once the listener is closed'

const runners = {
  'node:test': {
    arguments: ['--test', '--test-reporter=tap', 'node-test.mjs'],
    passed: /^# pass (\d+)$/m,
    failed: /^# fail (\d+)$/m,
  },
  vitest: {
    program: 'vitest/vitest.mjs',
    arguments: ['run', '--root', '.', 'vitest.test.mjs'],
    passed: /Tests .*?(\d+) passed/,
    failed: /Tests .*?(\d+) failed/,
  },
  mocha: {
    program: 'mocha/bin/mocha.js',
    arguments: ['mocha.mjs'],
    passed: /^\s*(\d+) passing/m,
    failed: /^\s*(\d+) failing/m,
  },
  jest: {
    program: 'jest/bin/jest.js',
    arguments: ['--rootDir', '.', '--testMatch', '**/jest.test.cjs'],
    passed: /^Tests: .*?(\d+) passed/m,
    failed: /^Tests: .*?(\d+) failed/m,
  },
}

try {
  cpSync(join(checkout, '.ci', 'suites'), work, { recursive: true })
  writeFileSync(join(work, 'package.json'), '{ "private": true }')
  if (process.argv.includes('--install')) install('jest')
  mkdirSync(modules, { recursive: true })
  symlinkSync(checkout, join(modules, 'holdfast'), 'junction')
  const counts = new Map()
  for (const [name, runner] of Object.entries(runners)) {
    const program = runner.program === undefined ? [] : [find(runner.program)]
    if (program.includes(undefined)) {
      console.log(`skip  ${name}: not installed; npm run suites -- --install`)
      continue
    }
    const right = run(runner, program, {})
    counts.set(name, right.passed)
    check(name, right.passed > 50 && right.failed === 0, `passes ${right.passed} tests`, right)
    const wrong = run(runner, program, { HOLDFAST_DEAF: '1' })
    const says = wrong.output.includes(broken)
    check(name, wrong.failed > 0 && says, 'says what a wrong transport breaks', wrong)
  }
  const same = new Set(counts.values()).size === 1
  check('all', same, `run the same tests: ${JSON.stringify(Object.fromEntries(counts))}`)
} finally {
  rmSync(work, { recursive: true, force: true })
}

function install(name) {
  const options = { cwd: work, stdio: 'inherit', shell: process.platform === 'win32' }
  const { status } = spawnSync('npm', ['install', '--no-save', '--no-audit', name], options)
  if (status !== 0) throw new Error(`npm install ${name}: status ${status}`)
}

function find(program) {
  const [name] = program.split('/')
  for (const folder of [modules, join(checkout, 'node_modules')]) {
    const path = join(folder, program)
    if (!existsSync(path)) continue
    // So that what the tests import is found beside them.
    if (!existsSync(join(modules, name))) {
      symlinkSync(join(checkout, 'node_modules', name), join(modules, name), 'junction')
    }
    return path
  }
  return undefined
}

function run(runner, program, extra) {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...inherited } = process.env
  const result = spawnSync(process.execPath, [...program, ...runner.arguments], {
    cwd: work,
    env: { ...inherited, NO_COLOR: '1', FORCE_COLOR: '0', ...extra },
    encoding: 'utf8',
    timeout: 120_000,
  })
  const output = `${result.stdout}${result.stderr}`
  const count = (pattern) => Number(pattern.exec(output)?.[1] ?? 0)
  return { output, passed: count(runner.passed), failed: count(runner.failed) }
}

function check(name, holds, what, ran) {
  console.log(`${holds ? 'ok  ' : 'FAIL'}  ${name}: ${what}`)
  if (holds) return
  if (ran !== undefined) console.log(ran.output.slice(-4_000))
  process.exitCode = 1
}
