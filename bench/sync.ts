import type { Effort } from './effort.js'
import type { Entrant } from './pair.js'
import type { Figure, Samples } from './samples.js'
import { WorkerProcess } from './worker-process.js'

interface SyncCase {
  readonly blockBytes: number
  readonly store: 'memory' | 'level'
  readonly peers: number
}

const kibibyte = 1024
const cases: readonly SyncCase[] = [300, kibibyte, 16 * kibibyte, 256 * kibibyte].flatMap(
  (blockBytes) =>
    (['memory', 'level'] as const).flatMap((store) => [
      { blockBytes, store, peers: 1 },
      { blockBytes, store, peers: 4 },
    ]),
)

const maxBlocks = 60_000

/** A whole chain from one or four nodes into an empty store, beside a socket that streams its blocks. */
export async function measureSync(
  entrants: readonly Entrant[],
  effort: Effort,
  samples: Samples,
  isWanted: (figure: Figure) => boolean,
  measured: (figure: Figure) => void,
): Promise<void> {
  const taking = entrants.filter(({ contestant }) => ['raw', 'holdfast'].includes(contestant))
  for (const which of cases) {
    const figures = figuresOf(which)
    if (!figures.all.some(isWanted)) continue
    for (let round = 0; round < effort.syncRounds; round += 1) {
      for (const entrant of taking) await measureOne(entrant, which, effort, samples)
    }
    for (const figure of figures.all) measured(figure)
  }
}

async function measureOne(
  { contestant, node }: Entrant,
  which: SyncCase,
  effort: Effort,
  samples: Samples,
): Promise<void> {
  if (contestant !== 'raw' && contestant !== 'holdfast') return
  const { blockBytes, store, peers } = which
  const count = Math.max(8, Math.min(maxBlocks, Math.round(effort.syncBytes / blockBytes)))
  const figures = figuresOf(which)
  const workers = [new WorkerProcess(node), new WorkerProcess(node)] as const
  const [server, driver] = workers
  try {
    const chain = { contestant, blockBytes, count }
    const addresses = await server.ask('serveChain', { ...chain, peers })
    // Once for what is compiled late.
    await driver.ask('sync', { ...chain, addresses, store })
    const found = await driver.ask('sync', { ...chain, addresses, store })
    const megabytes = (count * blockBytes) / 1e6
    samples.add(figures.rate, contestant, megabytes / found.seconds)
    samples.add(figures.cpu, contestant, (100 * found.cpuSeconds) / megabytes)
    samples.add(figures.loop, contestant, found.loopP99Ms)
    if (contestant === 'holdfast') samples.add(figures.ping, contestant, found.pingP99Ms)
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()))
  }
}

function figuresOf({ blockBytes, store, peers }: SyncCase) {
  const size = blockBytes < kibibyte ? `${blockBytes} B` : `${blockBytes / kibibyte} KiB`
  const name = `sync, ${size} blocks, ${store}, ${peers} ${peers === 1 ? 'peer' : 'peers'}`
  const figure = (what: string, unit: string, better: Figure['better']): Figure => ({
    name: `${name}${what}`,
    unit,
    better,
  })
  const rate = figure('', 'MB/s', 'more')
  const cpu = figure(': CPU per 100 MB', 's', 'less')
  const ping = figure(': ping round trip, p99', 'ms', 'less')
  const loop = figure(': event loop delay, p99', 'ms', 'less')
  return { rate, cpu, ping, loop, all: [rate, cpu, ping, loop] }
}
