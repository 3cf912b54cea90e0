import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { defineConfig, type Options } from 'tsup'

const entries = {
  index: 'src/index.ts',
  tcp: 'src/adapters/tcp.ts',
  tls: 'src/adapters/tls.ts',
  memory: 'src/adapters/memory.ts',
  files: 'src/adapters/files.ts',
  level: 'src/adapters/level-block-store.ts',
  testing: 'src/testing/index.ts',
}

/**
 * Nobody can import these by name: they cut index.js into files, so that a bundler leaves out the ones
 * that a program does not use, together with the packages that only they need.
 */
const parts = {
  'parts/errors': 'src/errors.ts',
  'parts/registry': 'src/peer-registry.ts',
  'parts/pings': 'src/ping-monitor.ts',
  'parts/connections': 'src/connection-manager.ts',
  'parts/sync': 'src/sync-coordinator.ts',
  'parts/exchange': 'src/peer-exchange.ts',
  'parts/memory': 'src/peer-memory.ts',
  'parts/node': 'src/node.ts',
  'parts/store': 'src/adapters/memory-block-store.ts',
  'parts/store-checks': 'src/adapters/block-store-checks.ts',
}

const shared: Options = {
  entry: entries,
  target: 'es2022',
  sourcemap: true,
  // One copy of every class, whichever entries a program loads.
  splitting: true,
  removeNodeProtocol: false,
  // typed-emitter would bring rxjs along as a dependency, and its types break ESM consumers.
  dts: { entry: entries, resolve: ['typed-emitter'] },
}

// `npm run build` empties dist first: with `clean` here, one build would delete the other's files.
export default defineConfig([
  { ...shared, entry: { ...entries, ...parts }, format: 'esm' },
  {
    ...shared,
    format: 'cjs',
    // These are ESM-only: left external, a plain require of them fails.
    noExternal: ['p-queue', 'cborg'],
    // Rollup writes the split chunks as CommonJS. Without it sucrase does, which rewrites every `?.`
    // into a chain of closures and puts this machine's paths into the source maps.
    treeshake: true,
    onSuccess: () => {
      writeFileSync('dist/third-party-licenses.txt', licensesOfBundledPackages())
      return Promise.resolve()
    },
  },
])

/** Read off the source maps, so that the list cannot go stale. */
function licensesOfBundledPackages(): string {
  const maps = readdirSync('dist').filter((name) => name.endsWith('.cjs.map'))
  const text = maps.map((name) => readFileSync(`dist/${name}`, 'utf8')).join('\n')
  const sources = text.matchAll(/"\.\.\/node_modules\/((?:@[^/"]+\/)?[^/"]+)\//g)
  const names = new Set(['typed-emitter', ...Array.from(sources, ([, name]) => name ?? '')])
  return [...names].sort().map(licenseOf).join('\n')
}

function licenseOf(name: string): string {
  const folder = `node_modules/${name}`
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  if (file === undefined) throw new Error(`${name} is bundled and has no licence file`)
  return `${name}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`
}
