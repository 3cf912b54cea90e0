// Packs the package and uses it as its users would: from an ES module, from CommonJS with and without
// require(esm), and from TypeScript. Needs no network: the runtime dependencies come from this
// checkout's node_modules, and nothing else of it can be seen by the packed package.
//
//   npm run smoke                            types under the TypeScript of this checkout
//   npm run smoke -- --typescript 5.9,6,7    and under these; installs them, needs the registry
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const checkout = realpathSync(fileURLToPath(new URL('..', import.meta.url)))
const programs = join(checkout, '.ci', 'smoke')
const work = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-smoke-')))

try {
  const packed = pack()
  step('the tarball holds what it should', () => {
    checkContents(packed)
  })

  const esm = project('esm', packed, { type: 'module' }, [
    'main.mjs',
    'identity.mjs',
    'exercise.cjs',
  ])
  step('ES modules: two nodes talk', () => run(esm, ['main.mjs']))
  step('import and require give one copy of everything', () => run(esm, ['identity.mjs']))

  const commonjs = project('commonjs', packed, {}, ['main.cjs', 'exercise.cjs'])
  step('CommonJS: two nodes talk', () => run(commonjs, ['main.cjs']))
  step('CommonJS without require(esm): two nodes talk', () => {
    run(commonjs, [withoutRequireEsm(), 'main.cjs'].flat())
  })

  const types = typescriptProject(packed)
  for (const { version, compiler } of compilers()) {
    for (const resolution of ['node16', 'nodenext', 'bundler']) {
      step(`TypeScript ${version}: moduleResolution ${resolution}`, () => {
        run(types, [compiler, '--project', `tsconfig.${resolution}.json`])
      })
    }
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  rmSync(work, { recursive: true, force: true })
}

function step(name, body) {
  try {
    body()
  } catch (error) {
    console.log(`FAIL  ${name}`)
    throw error
  }
  console.log(`ok    ${name}`)
}

/** Builds and packs; returns the folder in which the tarball lies unpacked. */
function pack() {
  execute(checkout, 'npm', ['run', 'build'])
  execute(checkout, 'npm', ['pack', '--ignore-scripts', '--pack-destination', work])
  const tarball = readdirSync(work).find((name) => name.endsWith('.tgz'))
  assert(tarball !== undefined, 'npm pack wrote no tarball')
  execute(work, 'tar', ['-xzf', tarball])
  return join(work, 'package')
}

function checkContents(packed) {
  const files = filesBelow(packed)
  const unexpected = files.filter(
    (name) =>
      !/^(dist\/(parts\/)?[^/]+|package\.json|README\.md|CHANGELOG\.md|LICENSE)$/.test(name),
  )
  assert.deepEqual(unexpected, [], 'the tarball holds more than dist and the documents')
  for (const name of [
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'dist/index.js',
    'dist/index.d.cts',
  ]) {
    assert(files.includes(name), `the tarball lacks ${name}`)
  }
  for (const name of files.filter((file) => file.startsWith('dist/'))) {
    const text = readFileSync(join(packed, name), 'utf8')
    assert(!text.includes(checkout), `${name} names a folder of the machine that built it`)
  }
}

/** The paths of all files below a folder, with forward slashes. */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
}

/** A fresh project that has the packed package and its runtime dependencies, and nothing else. */
function project(name, packed, manifest, files) {
  const folder = join(work, name)
  const modules = join(folder, 'node_modules')
  mkdirSync(modules, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true, ...manifest }))
  cpSync(packed, join(modules, 'holdfast'), { recursive: true })
  const { dependencies } = JSON.parse(readFileSync(join(packed, 'package.json'), 'utf8'))
  for (const dependency of Object.keys(dependencies)) link(modules, dependency)
  for (const file of files) cpSync(join(programs, file), join(folder, file))
  return folder
}

function typescriptProject(packed) {
  const folder = project('typescript', packed, { type: 'module' }, [])
  link(join(folder, 'node_modules'), '@types/node')
  for (const extension of ['mts', 'cts', 'ts']) {
    cpSync(join(programs, 'consumer.ts'), join(folder, `consumer.${extension}`))
  }
  const strict = { strict: true, noEmit: true, target: 'es2022', lib: ['es2022'], types: ['node'] }
  const configure = (resolution, options, files) => {
    const config = { compilerOptions: { ...strict, ...options }, files }
    writeFileSync(join(folder, `tsconfig.${resolution}.json`), JSON.stringify(config))
  }
  configure('node16', { module: 'node16' }, ['consumer.mts', 'consumer.cts'])
  configure('nodenext', { module: 'nodenext' }, ['consumer.mts', 'consumer.cts'])
  configure('bundler', { module: 'esnext', moduleResolution: 'bundler' }, ['consumer.ts'])
  return folder
}

/** The compilers to try: this checkout's, and each asked for on the command line, installed beside. */
function compilers() {
  const asked = process.argv[process.argv.indexOf('--typescript') + 1]
  const wanted = process.argv.includes('--typescript') ? (asked ?? '').split(',') : []
  const installed = wanted.map((version) => {
    if (!/^\d+(\.\d+){0,2}$/.test(version)) throw new Error(`no version of TypeScript: ${version}`)
    const prefix = join(work, `typescript-${version}`)
    execute(work, 'npm', [
      'install',
      '--no-audit',
      '--no-fund',
      '--prefix',
      prefix,
      `typescript@${version}`,
    ])
    return prefix
  })
  return [checkout, ...installed].map((folder) => {
    const typescript = join(folder, 'node_modules', 'typescript')
    const { version } = JSON.parse(readFileSync(join(typescript, 'package.json'), 'utf8'))
    return { version, compiler: join(typescript, 'bin', 'tsc') }
  })
}

function link(modules, dependency) {
  const path = join(modules, dependency)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(checkout, 'node_modules', dependency), path, 'junction')
}

/** The flag that makes `require` refuse ES modules, where this Node has one. */
function withoutRequireEsm() {
  const flags = ['--no-experimental-require-module', '--no-require-module']
  return flags
    .filter((flag) => spawnSync(process.execPath, [flag, '-e', '']).status === 0)
    .slice(0, 1)
}

function run(folder, programAndArguments) {
  execute(folder, process.execPath, programAndArguments)
}

function execute(folder, command, commandArguments) {
  const result = spawnSync(command, commandArguments, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
    shell: process.platform === 'win32',
  })
  if (result.status === 0) return
  const how = result.error?.message ?? `status ${result.status ?? result.signal}`
  const text = `${command} ${commandArguments.join(' ')}: ${how}\n${result.stdout}${result.stderr}`
  throw new Error(text)
}
