/**
 * When a connection is pinged and when it is given up. Pure: times come in, and are those of a
 * monotonic clock that stands still while the process was frozen.
 *
 * Every connection is pinged once per interval, the first time at a random point of the first one. A
 * ping is missed when its pong has not come by its deadline; `missedPongsMax` missed in a row end the
 * connection, whoever the peer is. Any pong of a ping of this connection ends the row.
 *
 * Of a peer that falls silent, with pings at p, p + interval and so on, the third pong is due at
 * p + 2 × interval + timeout: then it is given up, not before and not later.
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
  /** When the peer was last seen to take bulk of ours, at a time at which the pong was due. */
  readonly takenMs: number
  /** What had been sent by then. */
  readonly bytesSent: number
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
  /** What we sent and the transport got rid of, in all. */
  readonly bytesSent: number
}

export type PingAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'ping' }
  | { readonly kind: 'giveUp'; readonly missed: number }

/** Bulk in either direction moves a deadline to at most so many times its length. */
const maxStretch = 10

/** So much that left within one deadline is bulk behind which a ping may be stuck: no small talk. */
const bulkBytes = 16 * 1024

/** The largest number of pings that may await their pongs at once. */
const maxAwaited = 32

/**
 * Pings fall on a grid of so many milliseconds, with so many points at least in an interval: those of
 * many connections are spread over it, and yet the process wakes up for several of them at a time.
 */
const maxGridMs = 20
const leastPoints = 50

/** The longest timeout, in intervals: with a longer one pings that await their pongs would pile up. */
const maxTimeoutIntervals = 30

const maxLimitMs = 24 * 3_600_000

/** Throws RangeError that names what makes no sense, and both where two do not go together. */
export function checkPingLimits(limits: PingLimits): void {
  for (const name of ['pingIntervalMs', 'pongTimeoutMs'] as const) {
    if (!(limits[name] >= 1 && limits[name] <= maxLimitMs)) {
      throw new RangeError(`${name} must be from 1 to ${maxLimitMs}, not ${limits[name]}`)
    }
  }
  const { pingIntervalMs, pongTimeoutMs, missedPongsMax } = limits
  if (!Number.isSafeInteger(missedPongsMax) || missedPongsMax < 1 || missedPongsMax > 30) {
    throw new RangeError(
      `missedPongsMax must be a whole number from 1 to 30, not ${missedPongsMax}`,
    )
  }
  if (pongTimeoutMs > maxTimeoutIntervals * pingIntervalMs) {
    throw new RangeError(
      `pongTimeoutMs (${pongTimeoutMs}) must be at most ${maxTimeoutIntervals} × pingIntervalMs ` +
        `(${pingIntervalMs}): more pings would await their pongs than are kept`,
    )
  }
}

/** `dice` is in [0, 1). */
export function startPings(nowMs: number, dice: number, limits: PingLimits): PingSchedule {
  const { pingIntervalMs } = limits
  const gridMs = Math.min(maxGridMs, pingIntervalMs / leastPoints)
  const drawnMs = nowMs + dice * pingIntervalMs
  const nextPingMs = Math.max(nowMs, Math.floor(drawnMs / gridMs) * gridMs)
  return { nextPingMs, awaited: [], missed: 0 }
}

/** Judges what is due, and says what to do now and when to look again. */
export function stepPings(
  schedule: PingSchedule,
  facts: PingFacts,
  limits: PingLimits,
): { readonly schedule: PingSchedule; readonly action: PingAction; readonly nextCheckMs: number } {
  const awaited = schedule.awaited
    .map((ping) => afterBulk(ping, facts, limits))
    .filter((ping) => deadlineOf(ping, facts, limits) > facts.nowMs)
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
  const { nowMs, readPausedMs, bytesSent } = facts
  const sent = { sentMs: nowMs, readPausedMs, takenMs: nowMs, bytesSent }
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
  return { nextPingMs: schedule.nextPingMs, awaited, missed: 0 }
}

/** A ping that is due, but whose peer took bulk of ours meanwhile, has waited behind that. */
function afterBulk(ping: AwaitedPing, facts: PingFacts, limits: PingLimits): AwaitedPing {
  const { nowMs, bytesSent } = facts
  if (bytesSent - ping.bytesSent < bulkBytes) return ping
  return deadlineOf(ping, facts, limits) > nowMs ? ping : { ...ping, takenMs: nowMs, bytesSent }
}

function deadlineOf(ping: AwaitedPing, facts: PingFacts, limits: PingLimits): number {
  const heardMs = Math.max(ping.takenMs, facts.lastReceivedMs)
  const stretchedMs = Math.min(heardMs, ping.sentMs + (maxStretch - 1) * limits.pongTimeoutMs)
  return stretchedMs + limits.pongTimeoutMs + (facts.readPausedMs - ping.readPausedMs)
}

function nextCheck(schedule: PingSchedule, facts: PingFacts, limits: PingLimits): number {
  const deadlines = schedule.awaited.map((ping) => deadlineOf(ping, facts, limits))
  const pingMs = schedule.awaited.length >= maxAwaited ? Infinity : schedule.nextPingMs
  return Math.min(pingMs, ...deadlines)
}
