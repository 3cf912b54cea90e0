import type { CloseReasonKind } from '../../src/contracts/close-reason.js'
import { defaultPingLimits } from '../../src/ping-monitor.js'
import { Mesh, detectionMs, settlingMs } from './mesh.js'
import { RandomFaults, type FaultName } from './random-faults.js'

const dayMs = 24 * 3_600_000
const { pingIntervalMs } = defaultPingLimits

export interface WeeksOptions {
  readonly nodes: number
  readonly days: number
  readonly seed: number
  /** How long things break at the beginning. Default: a day. */
  readonly faultMs?: number
  readonly onDay?: (day: number) => void
}

export interface WeeksReport {
  readonly nodes: number
  readonly days: number
  readonly seed: number
  readonly connections: number
  readonly faults: Partial<Record<FaultName, number>>
  /** Ends of established connections while things broke, by reason. */
  readonly closes: Partial<Record<CloseReasonKind, number>>
  /** Of them, those that became known after the last fault, and how long after it the last one. */
  readonly closesAfterLastFault: number
  readonly latestCloseAfterMs: number
  readonly detectionMs: number
  /** Since then. */
  readonly quietCloses: number
  readonly quietDials: number
  readonly quietPings: number
  /** Timers that were set at the quietest and at the busiest moment of each quiet day. */
  readonly timers: readonly { readonly min: number; readonly max: number }[]
}

/**
 * A full mesh of kept peers whose network and processes fail at random for a day and never again.
 * Throws, with the timeline, unless afterwards
 *
 * - no connection ends, except those that the last faults broke, and these within `detectionMs`;
 * - after `settlingMs` each pair has one connection, the same at both ends, and keeps it to the end;
 * - each end of each connection sends exactly one ping for each interval;
 * - every node has exactly one timer whenever nothing is on its way, and none after `stop`.
 */
export async function quietWeeks(options: WeeksOptions): Promise<WeeksReport> {
  const { nodes, days, seed, faultMs = dayMs, onDay = () => undefined } = options
  const mesh = new Mesh(nodes, seed)
  await mesh.start()
  const faults = new RandomFaults(mesh)
  await faults.run(faultMs)
  const { clock } = mesh.network
  await clock.advance(settlingMs)
  const closesSettled = sum(mesh.closes)
  const first = mesh.view()
  const firstMs = mesh.nowMs
  const dialsBefore = mesh.dials
  const timers: { readonly min: number; readonly max: number }[] = []
  const endMs = days * dayMs
  for (let day = Math.ceil(firstMs / dayMs); day <= days; day += 1) {
    onDay(day)
    // A whole number of intervals after the first look.
    const restMs = Math.min(day * dayMs, endMs) - mesh.nowMs
    const set = await mesh.pass(restMs - ((mesh.nowMs + restMs - firstMs) % pingIntervalMs))
    if (set.min !== nodes) mesh.fail(`${set.min} timers of ${nodes} quiet nodes`)
    timers.push(set)
    mesh.compare(first, mesh.view(), mesh.nowMs - firstMs)
  }
  const last = mesh.view()
  const quietCloses = sum(mesh.closes) - closesSettled
  const quietDials = mesh.dials - dialsBefore
  if (quietCloses > 0) mesh.fail(`${quietCloses} connections ended in quiet time`)
  if (quietDials > 0) mesh.fail(`${quietDials} dials left in quiet time`)
  mesh.throwIfFailed()
  await mesh.stop()
  return {
    nodes,
    days,
    seed,
    connections: first.size / 2,
    faults: faults.counts,
    closes: mesh.closes,
    closesAfterLastFault: mesh.closesAfterLastFault,
    latestCloseAfterMs: Math.round(mesh.latestCloseAfterMs),
    detectionMs,
    quietCloses,
    quietDials,
    quietPings: pingsIn(last) - pingsIn(first),
    timers,
  }
}

function pingsIn(view: ReadonlyMap<string, { readonly pingsSent: number }>): number {
  return sum(Object.fromEntries(Array.from(view, ([key, { pingsSent }]) => [key, pingsSent])))
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
