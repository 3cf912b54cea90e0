/** What decides whether a known peer makes room for another one. */
export interface KnownPeer {
  readonly isKept: boolean
  /** It has a connection, or something is on its way to one. */
  readonly isOpen: boolean
  readonly isBanned: boolean
  /** Other peers told of it; nobody else did, and it has not come by itself. */
  readonly isHearsay: boolean
  readonly timesConnected: number
  /** Dials in a row that failed. */
  readonly failures: number
  /** When it was last connected, or first heard of. */
  readonly seenUnixMs: number
}

/** More failures than this are as bad as this. */
const maxFailures = 63
/** Milliseconds of a wall clock until the year 2109 fit below it. */
const timeRange = 2 ** 42

/**
 * Who makes room when the registry is full: whoever has the lowest number. Hearsay that never connected
 * goes before peers that a user named or that came by themselves, these before peers that were connected
 * once, banned ones last, for they are to be remembered (the ban itself does not depend on it). Among
 * equals the most failures first, then the one that was seen least recently. A kept or connected peer
 * never goes: `neverGoes`.
 */
export function evictionRank(peer: KnownPeer): number {
  if (peer.isKept || peer.isOpen) return neverGoes
  const standing = standings.indexOf(standingOf(peer))
  const failures = maxFailures - Math.min(maxFailures, peer.failures)
  const seen = Math.min(timeRange - 1, Math.max(0, Math.floor(peer.seenUnixMs)))
  return (standing * (maxFailures + 1) + failures) * timeRange + seen
}

export const neverGoes = Infinity

/**
 * A newcomer that is only hearsay displaces nothing but hearsay that was dialled in vain: however much is
 * told, it costs no peer that was ever met.
 */
export const mayDisplace = (newcomer: { readonly isHearsay: boolean }, rank: number): boolean =>
  rank < (newcomer.isHearsay ? rankOfUntried : neverGoes)

const standings = ['told', 'named', 'met', 'banned'] as const

/** The lowest number of those that never failed. */
const rankOfUntried = maxFailures * timeRange

function standingOf(peer: KnownPeer): (typeof standings)[number] {
  if (peer.isBanned) return 'banned'
  if (peer.timesConnected > 0) return 'met'
  return peer.isHearsay ? 'told' : 'named'
}
