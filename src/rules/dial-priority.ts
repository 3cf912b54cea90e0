/** Why a dial waits for its turn: a user called `connect`, keeps the peer, or it is merely known. */
export type DialWish = 'user' | 'kept' | 'known'

/** Times after it count as this one: in the year 2286. */
const latestUnixMs = 1e13

/**
 * Whose dial leaves first when there are more than may be on their way: the user's, then those of kept
 * peers and of peers that somebody is in a hurry for, then of peers that were connected, the latest
 * first, then all others. A larger number goes first; equal ones go in the order in which they came.
 */
export function dialPriority(facts: {
  readonly wish: DialWish
  readonly isHurried: boolean
  /** When a connection to it was last established or ended. */
  readonly lastSeenUnixMs: number | undefined
}): number {
  // Below 1, so that it orders only within a band.
  const recency = Math.min(0.999, Math.max(0, facts.lastSeenUnixMs ?? 0) / latestUnixMs)
  if (facts.wish === 'user') return 4
  if (facts.wish === 'kept') return 2 + recency
  return (facts.isHurried ? 2 : 0) + recency
}
