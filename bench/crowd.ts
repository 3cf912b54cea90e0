import { setTimeout as sleep } from 'node:timers/promises'
import type { Effort } from './effort.js'
import { withPairs, type Entrant, type Pair } from './pair.js'
import type { Figure, Samples } from './samples.js'
import { inTurn } from './streams.js'

/** Connections of a crowd that are on their way at the same time. */
const atOnce = 64

const setUp: Figure = { name: 'connections set up', unit: 'connections/s', better: 'more' }
const heap: Figure = { name: 'heap per idle connection', unit: 'KiB', better: 'less' }
const external: Figure = { name: 'external per idle connection', unit: 'KiB', better: 'less' }
const pings: Figure = {
  name: 'CPU of a node that pings each connection once a second',
  unit: '% of a core',
  better: 'less',
}

export const crowdFigures = [setUp, heap, external, pings] as const

export const largeCrowdFigure: Figure = {
  name: 'CPU of a node that pings each of 2,000 connections once a second',
  unit: '% of a core',
  better: 'less',
}

/** Many connections to one node, each from an address of its own; fresh processes in each round. */
export async function measureCrowd(
  entrants: readonly Entrant[],
  effort: Effort,
  samples: Samples,
): Promise<void> {
  for (let round = 0; round < effort.rounds; round += 1) {
    for (const entrant of inTurn(entrants, round)) {
      await withPairs([entrant], ([pair]) => measureOne(pair, effort, samples))
    }
  }
}

async function measureOne(pair: Pair | undefined, effort: Effort, samples: Samples): Promise<void> {
  if (pair === undefined) return
  const { contestant, server, driver, address } = pair
  await driver.ask('prepare', { contestant, count: effort.crowdBefore + effort.crowd })
  await driver.ask('dial', { address, count: effort.crowdBefore, atOnce })
  const before = await server.ask('memory', null)
  const seconds = await driver.ask('dial', { address, count: effort.crowd, atOnce })
  samples.add(setUp, contestant, effort.crowd / seconds)
  // What only the handshake needed is let go first.
  await sleep(100)
  const after = await server.ask('memory', null)
  const kibibytes = (bytes: number): number => bytes / effort.crowd / 1_024
  samples.add(heap, contestant, kibibytes(after.heapBytes - before.heapBytes))
  samples.add(external, contestant, kibibytes(after.externalBytes - before.externalBytes))
  samples.add(pings, contestant, await pingingOf(pair, effort))
}

/** Nothing but pings, on so many connections that work for each of them would show. */
export async function measureLargeCrowd(
  entrants: readonly Entrant[],
  effort: Effort,
  samples: Samples,
): Promise<void> {
  const limitAndOurs = entrants.filter(({ contestant }) => isLimitOrOurs(contestant))
  for (let round = 0; round < effort.rounds; round += 1) {
    for (const entrant of inTurn(limitAndOurs, round)) {
      await withPairs([entrant], async ([pair]) => {
        if (pair === undefined) return
        const { contestant, driver, address } = pair
        await driver.ask('prepare', { contestant, count: effort.largeCrowd })
        await driver.ask('dial', { address, count: effort.largeCrowd, atOnce })
        samples.add(largeCrowdFigure, contestant, await pingingOf(pair, effort))
      })
    }
  }
}

const isLimitOrOurs = (contestant: string): boolean =>
  contestant === 'raw' || contestant === 'holdfast'

/** Per cent of a core that the server takes while it pings all its connections. */
async function pingingOf({ server }: Pair, { pingMs }: Effort): Promise<number> {
  await server.ask('startPings', null)
  await sleep(Math.min(1_000, pingMs))
  const startedCpuMs = await server.ask('cpu', null)
  await sleep(pingMs)
  const cpuMs = (await server.ask('cpu', null)) - startedCpuMs
  return (100 * cpuMs) / pingMs
}
