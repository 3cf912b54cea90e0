import { createServer } from 'node:net'
import type { SeededRandom } from 'holdfast/testing'
import { Crew, type Place } from './crew.js'
import { killOne } from './kill.js'
import type { NodeSettings } from './protocol.js'
import type { RoundPlan } from './round.js'
import { runSeries, type SeriesResult } from './series.js'

export const memberCount = 8

const ips = Array.from({ length: memberCount }, (_, index) => `127.0.0.${index + 1}`)
const place: Place = { name: 'loopback', ips, prefix: () => [] }

/** Why there is no loopback address for each member, or undefined: not every system has them all. */
export async function whyNoLoopback(): Promise<string | undefined> {
  const server = createServer()
  try {
    await new Promise((resolve, reject) => {
      server.once('error', reject).listen({ host: ips.at(-1), port: 0 }, () => resolve(undefined))
    })
    return undefined
  } catch {
    return `this machine does not answer on ${ips.at(-1) ?? ''}`
  } finally {
    server.close()
  }
}

/** Races on loopback; one in ten kills a process. */
export async function onLoopback(
  options: { readonly rounds: number; readonly dice: SeededRandom; readonly network: string },
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<SeriesResult[]> {
  const crew = await Crew.start(place, signal)
  try {
    return [await runSeries('loopback', crew, racePlans('loopback', place, options), say, signal)]
  } finally {
    await crew.close()
  }
}

/** Plans for races at a place without faults of the network; every tenth kills a process. */
export function racePlans(
  name: string,
  { ips: members }: Place,
  options: { readonly rounds: number; readonly dice: SeededRandom; readonly network: string },
): RoundPlan[] {
  return Array.from({ length: options.rounds }, (_, index) => {
    const dice = options.dice.fork()
    const isKill = (index + 1) % 10 === 0
    return {
      name: `${name} round ${index + 1}`,
      dice,
      node: nodeOptions(options.network),
      settleTimeoutMs: 15_000,
      watchMs: 100,
      mayDialsFail: false,
      ...(isKill && { disturbance: killOne(Math.floor(index / 10), members, dice) }),
    }
  })
}

/**
 * Nobody waits for the other end to dial first: that makes the race. Redials come soon, so that a mesh
 * heals in seconds. All else is as it comes.
 */
export const nodeOptions = (network: string): NodeSettings => ({
  network,
  patienceMs: 0,
  backoffMaxMs: 2_000,
})
