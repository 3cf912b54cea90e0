import type { Effort } from './effort.js'
import type { Figure, Samples } from './samples.js'
import { WorkerProcess } from './worker-process.js'

/** About a hundredth of what loopback brings. */
const slowBytesPerSecond = 2_500_000
const blockBytes = 16 * 1_024

const figures = [
  {
    name: 'sync: peak memory over the idle process, LevelDB',
    unit: 'MiB',
    better: 'less',
    order: {},
  },
  {
    name: 'sync: peak memory over the idle process, a store a hundred times slower than the network',
    unit: 'MiB',
    better: 'less',
    order: { storeBytesPerSecond: slowBytesPerSecond, atMostMs: 8_000 },
  },
] as const satisfies readonly (Figure & { readonly order: object })[]

/**
 * What a node needs that syncs a chain which is larger than its window. Each time in a new process:
 * what one sync took once, the next one finds. On disk, for a chain in memory is what is wanted there.
 */
export async function measureSyncMemory(
  effort: Effort,
  samples: Samples,
  isWanted: (figure: Figure) => boolean,
  measured: (figure: Figure) => void,
): Promise<void> {
  for (const figure of figures.filter(isWanted)) {
    const server = new WorkerProcess(process.execPath)
    try {
      const count = Math.round(effort.memoryBytes / blockBytes)
      const chain = { contestant: 'holdfast', blockBytes, count, store: 'level' } as const
      const addresses = await server.ask('serveChain', { ...chain, peers: 4 })
      for (let round = 0; round < effort.syncRounds; round += 1) {
        const driver = new WorkerProcess(process.execPath)
        try {
          const order = { ...chain, ...figure.order, addresses }
          const { peakBytes, peakOwnBytes } = await driver.ask('sync', order)
          samples.add(figure, 'holdfast', peakOwnBytes / 2 ** 20)
          samples.add(withFiles(figure), 'holdfast', peakBytes / 2 ** 20)
        } finally {
          await driver.stop()
        }
      }
    } finally {
      await server.stop()
    }
    measured(figure)
    measured(withFiles(figure))
  }
}

/** The tables that the database maps are counted as well. */
const withFiles = ({ name, unit, better }: Figure): Figure => ({
  name: `${name}, with mapped files`,
  unit,
  better,
})
