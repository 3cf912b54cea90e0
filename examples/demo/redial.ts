import { duration } from './report.js'
import type { Report } from './report.js'
import type { ConnectionEvent, Member, Swarm } from './swarm.js'
import { waitUntil } from './wait.js'

const redialTimeoutMs = 10_000

export interface RedialFacts {
  readonly pair: readonly [string, string]
  readonly connectedAgainAfterMs: number
  /** What the two nodes saw of the connection's end: a fault, and ours. */
  readonly ends: readonly ConnectionEvent[]
}

/** Destroys the one socket between two nodes under their feet, and waits until they have another. */
export async function dropAndRedial(
  swarm: Swarm,
  [a, b]: readonly [Member, Member],
  report: Report,
  signal: AbortSignal,
): Promise<RedialFacts> {
  const eventsBefore = swarm.events.length
  const between = (kind: ConnectionEvent['kind']): ConnectionEvent[] =>
    swarm.events
      .slice(eventsBefore)
      .filter(
        (event) =>
          event.kind === kind &&
          [event.ip, event.peerIp].sort().join() === [a.ip, b.ip].sort().join(),
      )
  const droppedMs = performance.now()
  const destroyed = swarm.ledger.destroyBetween(a.ip, b.ip)
  const isBack = await waitUntil(() => between('connected').length >= 2 && swarm.isSettled, {
    timeoutMs: redialTimeoutMs,
    signal,
  })
  const ends = between('ended')
  const returns = between('connected')
  const connectedAgainAfterMs = Math.max(0, ...returns.map(({ atMs }) => atMs - droppedMs))

  for (const { ip, peerIp, atMs, reason } of ends) {
    report.line(
      `  ${ip} lost ${peerIp} after ${duration(atMs - droppedMs)} (${reason?.kind ?? 'no reason'}).`,
    )
  }
  for (const { ip, peerIp, atMs } of returns) {
    report.line(`  ${ip} has ${peerIp} again after ${duration(atMs - droppedMs)}.`)
  }
  report.expect(
    'there was one socket to drop, and both ends saw its end',
    destroyed === 1 && ends.length === 2,
    `${destroyed} were destroyed, ${ends.length} ends were seen`,
  )
  report.expect(
    'the dropped pair is connected again, once at each end',
    isBack && returns.length === 2,
    `${returns.length} establishments within ${duration(redialTimeoutMs)}`,
  )
  return { pair: [a.ip, b.ip], connectedAgainAfterMs, ends }
}
