import { spawn, type ChildProcess } from 'node:child_process'
import { cpus } from 'node:os'
import type { Effort } from './effort.js'
import type { Figure, Samples } from './samples.js'
import { WorkerProcess } from './worker-process.js'

/** From the order to the dial: long enough for it to reach both processes. */
const leadMs = 20

/** Two nodes dial each other in the same millisecond, again and again. */
export async function measureRaces(
  effort: Effort,
  samples: Samples,
  isWanted: (figure: Figure) => boolean,
  measured: (figure: Figure) => void,
): Promise<void> {
  for (const place of ['idle', 'loaded'] as const) {
    const figures = figuresOf(place)
    if (!Object.values(figures).some(isWanted)) continue
    const load = place === 'loaded' ? cpus().map(() => spin()) : []
    try {
      await race(effort.races, figures, samples)
    } finally {
      for (const busy of load) busy.kill('SIGKILL')
    }
    for (const figure of Object.values(figures)) measured(figure)
  }
}

async function race(
  times: number,
  figures: ReturnType<typeof figuresOf>,
  samples: Samples,
): Promise<void> {
  const workers = [
    new WorkerProcess(process.execPath),
    new WorkerProcess(process.execPath),
  ] as const
  const [low, high] = workers
  try {
    const addresses = [
      await low.ask('raceNode', { ip: '127.0.4.1' }),
      await high.ask('raceNode', { ip: '127.0.4.2' }),
    ] as const
    for (let round = -5; round < times; round += 1) {
      const atMs = Date.now() + leadMs
      const ends = await Promise.all([
        low.ask('race', { address: addresses[1], atMs }),
        high.ask('race', { address: addresses[0], atMs }),
      ])
      const [one, other] = ends
      const isOne = one.local === other.remote && one.remote === other.local
      const isTold = ends.every(({ events }) => events === 1)
      // The first ones are for what is compiled late.
      if (round >= 0) {
        samples.add(figures.same, 'holdfast', isOne && isTold ? 100 : 0)
        samples.add(figures.settled, 'holdfast', Math.max(one.settledMs, other.settledMs))
      }
      await Promise.all(workers.map((worker) => worker.ask('raceOver', null)))
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()))
  }
}

/** Keeps a core busy. */
function spin(): ChildProcess {
  return spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
}

function figuresOf(place: 'idle' | 'loaded') {
  const name = `two nodes dial each other at once, ${place}`
  const same: Figure = {
    name: `${name}: one connection, the same, told once`,
    unit: '% of races',
    better: 'more',
  }
  const settled: Figure = { name: `${name}: settled after`, unit: 'ms', better: 'less' }
  return { same, settled }
}
