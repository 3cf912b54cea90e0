import { canServe, topOf } from './claims.js'
import { ask, isFree, isWilling, sizeFor } from './grant.js'
import { hedge } from './hedge.js'
import { isProven } from './pace.js'
import { peersAhead } from './phase.js'
import { loadOf } from './requests.js'
import { rateOf } from './speed.js'
import { planEnd, splitSpan } from './spans.js'
import { isCoolingDown, restUntilMs, standingOf } from './standing.js'
import {
  createSpan,
  frontOf,
  isComplete,
  nextOf,
  type Span,
  type SyncPeer,
  type SyncState,
  type Turn,
} from './state.js'
import { isStarved, windowUse } from './window.js'

/**
 * Gives every free peer a piece of what is missing: holes from the front upwards, then new spans above
 * the plan, as far as the window goes; what is late is asked for twice.
 */
export function assign(turn: Turn): void {
  const { state, now } = turn
  if (!state.isTipKnown || isWaitingForOurselves(state, now)) return
  trimPlan(state)
  const free = freePeers(turn)
  let used = windowUse(state)
  if (free.size > 0) used += fillHoles(turn, free, used)
  // What was split off and not given to anybody may be for peers that get no holes.
  trimPlan(state)
  if (free.size > 0) used += extendPlan(turn, free, used)
  hedge(turn, free, used)
  askLeastBad(turn)
}

/** What nobody owes us at the end of the plan is planned anew, by what peers claim now. */
function trimPlan(state: SyncState): void {
  for (let span = state.spans.at(-1); span !== undefined; span = state.spans.at(-1)) {
    if (span.held.length > 0 || isOwed(state, span)) return
    state.spans.pop()
  }
}

/** Also by a request that was cancelled: what it still brings is taken. */
function isOwed(state: SyncState, span: Span): boolean {
  for (const { purpose } of state.requests.values()) {
    if (purpose.kind === 'span' && purpose.span === span) return true
  }
  return false
}

/** While our own checks fail, more blocks are of no use. */
const isWaitingForOurselves = (state: SyncState, now: number): boolean =>
  state.trouble?.where === 'check' && state.trouble.retryAtMs > now

function freePeers(turn: Turn): Set<SyncPeer> {
  const { state, now } = turn
  const front = frontOf(state).height
  const free = new Set<SyncPeer>()
  for (const peer of state.peers.values()) {
    if (!isFree(state, peer, now) || topOf(peer) < front) continue
    if (canServe(state, peer, Math.max(front, peer.claim?.base ?? 0), now)) free.add(peer)
  }
  return free
}

/** The fastest of the free peers that can serve the height; proven ones before the others. */
function pick(turn: Turn, free: Iterable<SyncPeer>, height: number): SyncPeer | undefined {
  let best: SyncPeer | undefined
  for (const peer of free) {
    if (!canServe(turn.state, peer, height, turn.now)) continue
    if (best === undefined || rankOf(turn.state, peer) > rankOf(turn.state, best)) best = peer
  }
  return best
}

const rankOf = (state: SyncState, peer: SyncPeer): number =>
  isProven(state, peer) ? 1 + (rateOf(peer) ?? 0) : 0

function fillHoles(turn: Turn, free: Set<SyncPeer>, used: number): number {
  const { state } = turn
  let added = 0
  for (let index = 0; index < state.spans.length && free.size > 0; index++) {
    const span = state.spans[index]
    if (span === undefined || isComplete(span) || span.requests.size > 0) continue
    const peer = pick(turn, free, nextOf(span))
    if (peer === undefined || isForSomebodyProven(turn, peer, nextOf(span))) continue
    const size = sizeFor(state, peer, nextOf(span), span.to)
    const isUrgent = index === 0 && isStarved(state)
    if (!isUrgent && used + added + size.cost > state.config.limits.windowBytes) break
    splitSpan(state, index, nextOf(span) + size.count - 1)
    ask(turn, peer, index, size.maxBytes)
    added += size.cost
    settle(turn, free, peer)
  }
  return added
}

/** A hole is near the front: who has not shown that it delivers gets new spans, far from it. */
function isForSomebodyProven({ state, now }: Turn, peer: SyncPeer, height: number): boolean {
  if (isProven(state, peer)) return false
  for (const other of state.peers.values()) {
    if (!isProven(state, other) || !isWilling(state, other, now)) continue
    if (canServe(state, other, height, now)) return true
  }
  return false
}

function extendPlan(turn: Turn, free: Set<SyncPeer>, used: number): number {
  const { state } = turn
  let added = 0
  while (free.size > 0) {
    const from = planEnd(state)
    const peer = pick(turn, free, from)
    if (peer === undefined) break
    const size = sizeFor(state, peer, from, Infinity)
    const isUrgent = state.spans.length === 0 && isStarved(state)
    if (!isUrgent && used + added + size.cost > state.config.limits.windowBytes) break
    const span = createSpan(from, from + size.count - 1)
    state.spans.push(span)
    ask(turn, peer, state.spans.length - 1, size.maxBytes)
    added += size.cost
    settle(turn, free, peer)
  }
  return added
}

function settle(turn: Turn, free: Set<SyncPeer>, peer: SyncPeer): void {
  if (!isFree(turn.state, peer, turn.now)) free.delete(peer)
}

/** When everybody who could serve the front cools down, the least bad of them is asked all the same. */
function askLeastBad(turn: Turn): void {
  const { state, now } = turn
  const [span] = state.spans
  if (span !== undefined) {
    if (isComplete(span) || span.requests.size > 0) return
  }
  const next = span === undefined ? frontOf(state).height : nextOf(span)
  let best: SyncPeer | undefined
  // A claim that is not believed can wait until its cooldown is over.
  for (const peer of peersAhead(state)) {
    if (!canServe(state, peer, next, now)) continue
    // Somebody better is there: working, or asking us to wait.
    if (!isCoolingDown(state, peer.key, now)) return
    if (best === undefined || failuresOf(state, peer) < failuresOf(state, best)) best = peer
  }
  if (best === undefined || best.busyUntilMs > now || restUntilMs(state, best.key) > now) return
  if (loadOf(best) > 0) return
  const size = sizeFor(state, best, next, span?.to ?? Infinity)
  if (span === undefined) {
    state.spans.push(createSpan(next, next + size.count - 1))
  } else splitSpan(state, 0, next + size.count - 1)
  ask(turn, best, 0, size.maxBytes)
}

const failuresOf = (state: SyncState, peer: SyncPeer): number =>
  standingOf(state, peer.key).failures
