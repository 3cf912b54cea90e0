import { isEligible } from './claims.js'
import { isCoolingDown, isSetAside } from './standing.js'
import type { SyncPeer, SyncState } from './state.js'

/** In the order in which they are looked at: the first that fits is the state of the peer. */
export const syncPeerStates = [
  /** Its chain is another one. */
  'otherChain',
  /** Proved wrong lately: not asked, whoever else there is. */
  'setAside',
  /** Failed lately: asked only when there is nobody better. */
  'coolingDown',
  /** Asked us to wait. */
  'busy',
  /** Requests are under way. */
  'asked',
  /** Has not said what it has. */
  'unknown',
  /** Has nothing better than we have. */
  'level',
  /** Has a better chain that does not grow out of ours: being looked into, or beyond our limits. */
  'otherBranch',
  /** Has what we need, and may be asked now. */
  'free',
] as const

/** What a peer is to sync at a moment. */
export type SyncPeerState = (typeof syncPeerStates)[number]

/** What a peer is to sync at `now`. For display: nothing is decided on it. */
export function peerStateOf(state: SyncState, peer: SyncPeer, now: number): SyncPeerState {
  const { key, chain, claim, branch } = peer
  if (chain === 'other') return 'otherChain'
  if (isSetAside(state, key, now)) return 'setAside'
  if (isCoolingDown(state, key, now)) return 'coolingDown'
  if (peer.busyUntilMs > now) return 'busy'
  if (peer.requests.size > 0) return 'asked'
  if (claim === undefined) return 'unknown'
  if (!isEligible(state, peer)) return 'level'
  return branch.kind === 'ours' ? 'free' : 'otherBranch'
}

/** How many of the connected peers are in each state; the sum is how many are connected. */
export function countPeerStates(
  state: SyncState,
  now: number,
): Readonly<Record<SyncPeerState, number>> {
  const counts = Object.fromEntries(syncPeerStates.map((name) => [name, 0])) as Record<
    SyncPeerState,
    number
  >
  for (const peer of state.peers.values()) counts[peerStateOf(state, peer, now)] += 1
  return counts
}
