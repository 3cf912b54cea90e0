import { topOf } from './claims.js'
import { blocksIn, roomOf, spanBytesOf } from './pace.js'
import { askForBlocks, loadOf, owedBy } from './requests.js'
import { linkOf } from './spans.js'
import { isCoolingDown } from './standing.js'
import { nextOf, type SyncPeer, type SyncState, type Turn } from './state.js'
import { grantCost } from './window.js'

/** Whether the peer may be asked for more now. One with nothing under way always has room for a span. */
export function isFree(state: SyncState, peer: SyncPeer, now: number): boolean {
  if (!isWilling(state, peer, now)) return false
  if (loadOf(peer) === 0) return true
  // The last place is kept for what is urgent.
  const isFull = owedBy(peer) >= Math.max(1, state.config.limits.requestsPerPeer - 1)
  if (!hasPlace(state, peer, now)) return false
  return !isFull && roomOf(state, peer) >= spanBytesOf(state, peer)
}

/** Whether one more request is within what the peer may be asked at once, by our limits and by its own. */
export const hasPlace = (state: SyncState, peer: SyncPeer, now: number): boolean =>
  owedBy(peer) < state.config.limits.requestsPerPeer &&
  (peer.admits === undefined || peer.admits.untilMs <= now || owedBy(peer) < peer.admits.count)

/** Whether nothing speaks against asking the peer, however much it has to do already. */
export const isWilling = (state: SyncState, peer: SyncPeer, now: number): boolean =>
  peer.busyUntilMs <= now && !isCoolingDown(state, peer.key, now)

export interface Grant {
  readonly count: number
  readonly maxBytes: number
  readonly cost: number
}

export function sizeFor(state: SyncState, peer: SyncPeer, from: number, to: number): Grant {
  const maxBytes = spanBytesOf(state, peer)
  const count = Math.min(blocksIn(state, maxBytes), to - from + 1, topOf(peer) - from + 1)
  return { count, maxBytes, cost: grantCost(state, count, maxBytes) }
}

/** Asks for what is missing of the span, as far as the peer has it. */
export function ask(turn: Turn, peer: SyncPeer, index: number, maxBytes: number): void {
  const span = turn.state.spans[index]
  if (span === undefined) return
  const from = nextOf(span)
  const afterHash = linkOf(turn.state, index).after
  const count = Math.min(span.to, topOf(peer)) - from + 1
  askForBlocks(turn, peer, { kind: 'span', span }, { from, count, maxBytes, afterHash })
}
