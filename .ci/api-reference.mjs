// The reference in docs/api is what the docstrings say, and every public symbol has one.
//
//   node .ci/api-reference.mjs    fails when it is not; `npm run docs:api` brings it up to date
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const typedoc = join(root, 'node_modules', 'typedoc', 'bin', 'typedoc')
const work = mkdtempSync(join(tmpdir(), 'holdfast-reference-'))
try {
  execFileSync(process.execPath, [typedoc, '--out', work], { cwd: root, stdio: 'inherit' })
  const [now, before] = [filesOf(work), filesOf(join(root, 'docs', 'api'))]
  const names = [...new Set([...now.keys(), ...before.keys()])].sort()
  const stale = names.filter((name) => now.get(name) !== before.get(name))
  if (stale.length === 0) console.log(`docs/api is in step: ${names.length} pages`)
  else {
    console.error(`docs/api is not what the docstrings say: ${stale.join(', ')}. Run`)
    console.error('  npm run docs:api')
    process.exitCode = 1
  }
} catch {
  // It has said why on stderr.
  process.exitCode = 1
} finally {
  rmSync(work, { recursive: true, force: true })
}

function filesOf(folder) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.md'))
  const text = (name) => readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n')
  return new Map(names.map((name) => [name.replaceAll('\\', '/'), text(name)]))
}
