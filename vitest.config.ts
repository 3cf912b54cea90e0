import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^holdfast$/, replacement: source('index.ts') },
      { find: /^holdfast\/tcp$/, replacement: source('adapters/tcp.ts') },
      { find: /^holdfast\/tls$/, replacement: source('adapters/tls.ts') },
      { find: /^holdfast\/memory$/, replacement: source('adapters/memory.ts') },
      { find: /^holdfast\/files$/, replacement: source('adapters/files.ts') },
      { find: /^holdfast\/level$/, replacement: source('adapters/level-block-store.ts') },
      { find: /^holdfast\/testing$/, replacement: source('testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // Explorations and simulations are long on a machine of two cores; none is allowed to hang.
    testTimeout: 60_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // Left to itself, vitest keeps one of two cores free.
    maxWorkers: 2,
  },
})
