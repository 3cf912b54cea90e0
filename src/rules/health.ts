/**
 * How a node stands with the network, for those who watch over it:
 *
 * - `stopped`, `starting`, `stopping`: it does not run, or not yet, or no more;
 * - `connected`: at least one connection is established;
 * - `no-peers`: none is, and nobody is wanted: it knows no peer that it would dial;
 * - `connecting`: none is yet, or not for long; dials are under way or will be;
 * - `isolated`: peers are wanted, and none was connected for longer than `isolatedAfterMs`.
 *
 * Only `isolated` is worth an alarm, and a restart cures none of them.
 */
export type Health =
  'stopped' | 'starting' | 'stopping' | 'no-peers' | 'connecting' | 'connected' | 'isolated'

export interface HealthFacts {
  readonly state: 'stopped' | 'starting' | 'running' | 'stopping'
  /** Established connections. */
  readonly connected: number
  /** Whether there is a peer, not connected, that would be dialled sooner or later. */
  readonly isAnyWanted: boolean
  /** Whether dials are under way or wait for their turn. */
  readonly isDialing: boolean
  /** Since when no connection is established: since the start, or the end of the last one. */
  readonly aloneMs: number
}

/** A pure function of state: nothing has to be told that anything changed. */
export function judgeHealth(facts: HealthFacts, isolatedAfterMs: number): Health {
  if (facts.state !== 'running') return facts.state
  if (facts.connected > 0) return 'connected'
  if (facts.isAnyWanted && facts.aloneMs >= isolatedAfterMs) return 'isolated'
  return facts.isAnyWanted || facts.isDialing ? 'connecting' : 'no-peers'
}
