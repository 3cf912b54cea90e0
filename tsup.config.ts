import { defineConfig, type Options } from 'tsup'

const shared: Options = {
  entry: {
    index: 'src/index.ts',
    tcp: 'src/adapters/tcp.ts',
    memory: 'src/adapters/memory.ts',
    level: 'src/adapters/level-block-store.ts',
    testing: 'src/testing/index.ts',
  },
  target: 'es2022',
  sourcemap: true,
  // One copy of every class, whichever entries a program loads.
  splitting: true,
  removeNodeProtocol: false,
  // typed-emitter would bring rxjs along as a dependency, and its types break ESM consumers.
  dts: { resolve: ['typed-emitter'] },
}

// `npm run build` empties dist first: with `clean` here, one build would delete the other's files.
export default defineConfig([
  { ...shared, format: 'esm' },
  // These are ESM-only: left external, a plain require of them fails.
  { ...shared, format: 'cjs', noExternal: ['p-queue', 'cborg'] },
])
