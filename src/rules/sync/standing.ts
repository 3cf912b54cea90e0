import type { Standing, SyncState } from './state.js'

const clean: Standing = {
  failures: 0,
  failedAtMs: -Infinity,
  cooldownUntilMs: -Infinity,
  faults: 0,
  setAsideUntilMs: -Infinity,
  rejectedHash: undefined,
  forkTriedAtMs: -Infinity,
}

/** What is remembered of the peer; a peer without a record has a clean one. Not to be written into. */
export const standingOf = (state: SyncState, key: string): Readonly<Standing> =>
  state.standings.get(key) ?? clean

/** The record of the peer, made when there is none. */
export function recordOf(state: SyncState, key: string): Standing {
  const known = state.standings.get(key)
  if (known !== undefined) return known
  makeRoom(state)
  const fresh = { ...clean }
  state.standings.set(key, fresh)
  return fresh
}

/**
 * The peer failed: it is not asked for a while, twice as long each time in a row. It keeps its
 * connection, and when everybody cools down the least bad is asked all the same.
 */
export function coolDown(state: SyncState, key: string, now: number): void {
  const { cooldownMinMs, cooldownMaxMs } = state.config.limits
  const record = recordOf(state, key)
  record.failures += 1
  record.failedAtMs = now
  record.cooldownUntilMs = now + backoff(cooldownMinMs, cooldownMaxMs, record.failures, state)
}

/** The peer is proved wrong: it is not asked for long, not even as the least bad. */
export function setAside(state: SyncState, key: string, now: number): void {
  const { faultCooldownMinMs, faultCooldownMaxMs } = state.config.limits
  const record = recordOf(state, key)
  record.faults += 1
  record.setAsideUntilMs =
    now + backoff(faultCooldownMinMs, faultCooldownMaxMs, record.faults, state)
}

/** The peer delivered. */
export function recover(state: SyncState, key: string): void {
  const record = state.standings.get(key)
  if (record === undefined) return
  record.failures = 0
  record.cooldownUntilMs = -Infinity
}

export const isCoolingDown = (state: SyncState, key: string, now: number): boolean =>
  standingOf(state, key).cooldownUntilMs > now

/** When the peer may be asked if there is nobody better. */
export function restUntilMs(state: SyncState, key: string): number {
  const { cooldownUntilMs, failedAtMs, setAsideUntilMs } = standingOf(state, key)
  const rest = Math.min(cooldownUntilMs, failedAtMs + state.config.limits.leastBadMs)
  return Math.max(rest, setAsideUntilMs)
}

export const isSetAside = (state: SyncState, key: string, now: number): boolean =>
  standingOf(state, key).setAsideUntilMs > now

/** Half of the jitter on either side: peers that failed together do not come back together. */
function backoff(minMs: number, maxMs: number, count: number, state: SyncState): number {
  const plainMs = Math.min(maxMs, minMs * 2 ** Math.min(count - 1, 30))
  return Math.min(maxMs, plainMs * (0.8 + 0.4 * state.config.dice()))
}

/** Forgets the peers that are not connected, those whose cooldown ended first. */
function makeRoom(state: SyncState): void {
  if (state.standings.size < state.config.limits.maxStandings) return
  const connected = new Set([...state.peers.values()].map(({ key }) => key))
  const gone = [...state.standings]
    .filter(([key]) => !connected.has(key))
    .sort(([, a], [, b]) => recordEndMs(a) - recordEndMs(b))
  for (const [key] of gone.slice(0, Math.ceil(gone.length / 8))) state.standings.delete(key)
}

const recordEndMs = (standing: Standing): number =>
  Math.max(standing.cooldownUntilMs, standing.setAsideUntilMs)
