import { fileURLToPath } from 'node:url'
import { defineConfig } from 'tsup'

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** One bundle of the library and the benchmark, as a program would run it: no loader in between. */
export default defineConfig({
  entry: { main: file('main.ts'), worker: file('worker.ts') },
  outDir: file('dist'),
  format: 'esm',
  target: 'es2022',
  platform: 'node',
  tsconfig: file('../tsconfig.json'),
  removeNodeProtocol: false,
  sourcemap: true,
  splitting: true,
  clean: true,
  dts: false,
  silent: true,
})
