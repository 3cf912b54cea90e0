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

/**
 * Who makes room when the registry is full: the lowest by `compareForEviction` among those that may go.
 * Kept and connected peers never go. A newcomer that is only hearsay displaces nothing but hearsay that
 * was dialled in vain: however much is told, it costs no peer that was ever met.
 */
export function chooseEvicted<Peer extends KnownPeer>(
  peers: Iterable<Peer>,
  newcomer: { readonly isHearsay: boolean },
): Peer | undefined {
  let lowest: Peer | undefined
  for (const peer of peers) {
    if (peer.isKept || peer.isOpen) continue
    if (newcomer.isHearsay && (standingOf(peer) !== 'told' || peer.failures === 0)) continue
    if (lowest === undefined || compareForEviction(peer, lowest) < 0) lowest = peer
  }
  return lowest
}

/**
 * Negative when `a` is the first to go: hearsay that never connected before peers that a user named or
 * that came by themselves, these before peers that were connected once, banned ones last, for they are
 * to be remembered (the ban itself does not depend on it). Among equals the most failures first, then
 * the one that was seen least recently.
 */
export function compareForEviction(a: KnownPeer, b: KnownPeer): number {
  return (
    standings.indexOf(standingOf(a)) - standings.indexOf(standingOf(b)) ||
    b.failures - a.failures ||
    a.seenUnixMs - b.seenUnixMs
  )
}

const standings = ['told', 'named', 'met', 'banned'] as const

function standingOf(peer: KnownPeer): (typeof standings)[number] {
  if (peer.isBanned) return 'banned'
  if (peer.timesConnected > 0) return 'met'
  return peer.isHearsay ? 'told' : 'named'
}
