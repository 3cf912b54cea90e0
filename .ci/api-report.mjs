// The whole public surface of each entry, as text: a change of it shows in review. Reads dist, so build first.
//
//   node .ci/api-report.mjs            fails when docs/api-report is not what dist says
//   node .ci/api-report.mjs --write    brings it up to date
import { mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'

const root = fileURLToPath(new URL('..', import.meta.url))
const reports = join(root, 'docs', 'api-report')
const writes = process.argv.includes('--write')
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const entries = Object.values(exports)
  .filter((conditions) => typeof conditions === 'object')
  .map((conditions) => conditions.import.types)

const work = mkdtempSync(join(tmpdir(), 'holdfast-api-'))
const stale = []
try {
  mkdirSync(reports, { recursive: true })
  for (const types of entries) {
    const name = types.replace(/^\.\/dist\/(.*)\.d\.ts$/, '$1.api.md')
    const now = withoutChunkNames(extract(join(root, types), name))
    const path = join(reports, name)
    const before = existsSync(path) ? readFileSync(path, 'utf8').replaceAll('\r\n', '\n') : ''
    if (now === before) continue
    stale.push(name)
    if (writes) writeFileSync(path, now)
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
if (stale.length === 0) console.log(`docs/api-report is in step: ${entries.length} entries`)
else if (writes) console.log(`written: ${stale.join(', ')}`)
else {
  console.error(`The public surface changed: ${stale.join(', ')}. If that is meant, run`)
  console.error('  npm run docs:report')
  console.error('and commit what it writes to docs/api-report; say it in CHANGELOG.md too.')
  process.exitCode = 1
}

function extract(types, reportFileName) {
  const quiet = { default: { logLevel: 'none' } }
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    skipLibCheck: true,
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
  }
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: types,
      newlineKind: 'lf',
      compiler: { overrideTsconfig: { compilerOptions, files: [types] } },
      apiReport: {
        enabled: true,
        reportFileName,
        reportFolder: work,
        reportTempFolder: join(work, 'temp'),
        includeForgottenExports: true,
      },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: quiet,
        tsdocMessageReporting: quiet,
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
  })
  mkdirSync(join(work, 'temp'), { recursive: true })
  const { succeeded } = Extractor.invoke(config, {
    localBuild: true,
    messageCallback: (message) => {
      // It says which TypeScript it brings along, on every run.
      if (message.category === 'console' && message.logLevel !== 'error') message.handled = true
    },
  })
  if (!succeeded) throw new Error(`api-extractor cannot read ${types}`)
  return readFileSync(join(work, reportFileName), 'utf8')
}

/** Where a declaration lies in dist is no part of the surface, and changes with every build. */
function withoutChunkNames(report) {
  return report.replaceAll(/-[A-Za-z0-9_-]{8}\.d\.ts/g, '.d.ts')
}
