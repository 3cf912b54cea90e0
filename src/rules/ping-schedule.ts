/**
 * When a connection is pinged and when it is given up. Pure: times come in, and are those of a
 * monotonic clock that stands still while the process was frozen.
 *
 * Every connection is pinged once per interval, the first time at a random point of the first one. A
 * ping is missed when its pong has not come by its deadline; `missedPongsMax` missed in a row end the
 * connection, whoever the peer is. Any pong of a ping of this connection ends the row.
 */
export interface PingLimits {
  readonly pingIntervalMs: number
  readonly pongTimeoutMs: number
  readonly missedPongsMax: number
}

interface AwaitedPing {
  readonly sentMs: number
  /** How long reading had been paused by us when it was sent. */
  readonly readPausedMs: number
}

export interface PingSchedule {
  readonly nextPingMs: number
  /** Oldest first. */
  readonly awaited: readonly AwaitedPing[]
  /** Missed in a row. */
  readonly missed: number
}

/** What is seen of the connection at the time of a step. */
export interface PingFacts {
  readonly nowMs: number
  readonly lastReceivedMs: number
  /** How long reading was paused by us, in all. */
  readonly readPausedMs: number
}

export type PingAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'ping' }
  | { readonly kind: 'giveUp'; readonly missed: number }

/** Other bytes than the pong move a deadline to at most so many times its length. */
const maxStretch = 10

/** The largest number of pings that may await their pongs at once. */
const maxAwaited = 32

/** `dice` is in [0, 1). */
export function startPings(nowMs: number, dice: number, limits: PingLimits): PingSchedule {
  return { nextPingMs: nowMs + dice * limits.pingIntervalMs, awaited: [], missed: 0 }
}

/** Judges what is due, and says what to do now and when to look again. */
export function stepPings(
  schedule: PingSchedule,
  facts: PingFacts,
  limits: PingLimits,
): { readonly schedule: PingSchedule; readonly action: PingAction; readonly nextCheckMs: number } {
  const awaited = schedule.awaited.filter((ping) => deadlineOf(ping, facts, limits) > facts.nowMs)
  const missed = schedule.missed + schedule.awaited.length - awaited.length
  if (missed >= limits.missedPongsMax) {
    const action = { kind: 'giveUp', missed } as const
    return { schedule: { ...schedule, awaited, missed }, action, nextCheckMs: Infinity }
  }
  if (schedule.nextPingMs > facts.nowMs || awaited.length >= maxAwaited) {
    const rested = { ...schedule, awaited, missed }
    return {
      schedule: rested,
      action: { kind: 'none' },
      nextCheckMs: nextCheck(rested, facts, limits),
    }
  }
  // After a pause of any length one ping follows, not one for each interval that went by.
  const isLate = facts.nowMs - schedule.nextPingMs >= limits.pingIntervalMs
  const nextPingMs = (isLate ? facts.nowMs : schedule.nextPingMs) + limits.pingIntervalMs
  const sent = { sentMs: facts.nowMs, readPausedMs: facts.readPausedMs }
  const pinged = { nextPingMs, awaited: [...awaited, sent], missed }
  return {
    schedule: pinged,
    action: { kind: 'ping' },
    nextCheckMs: nextCheck(pinged, facts, limits),
  }
}

/** A pong of a ping of this connection came, early or late. */
export function afterPong(schedule: PingSchedule, pingSentMs: number): PingSchedule {
  const awaited = schedule.awaited.filter((ping) => ping.sentMs > pingSentMs)
  return { ...schedule, awaited, missed: 0 }
}

function deadlineOf(ping: AwaitedPing, facts: PingFacts, limits: PingLimits): number {
  const heardMs = Math.max(ping.sentMs, facts.lastReceivedMs)
  const stretchedMs = Math.min(heardMs, ping.sentMs + (maxStretch - 1) * limits.pongTimeoutMs)
  return stretchedMs + limits.pongTimeoutMs + (facts.readPausedMs - ping.readPausedMs)
}

function nextCheck(schedule: PingSchedule, facts: PingFacts, limits: PingLimits): number {
  const deadlines = schedule.awaited.map((ping) => deadlineOf(ping, facts, limits))
  const pingMs = schedule.awaited.length >= maxAwaited ? Infinity : schedule.nextPingMs
  return Math.min(pingMs, ...deadlines)
}
