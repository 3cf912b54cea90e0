import { canServe, topOf } from './claims.js'
import { blocksIn, hedgeAtMs, spanBytesOf } from './pace.js'
import { peersAhead } from './phase.js'
import { askForBlocks, loadOf } from './requests.js'
import { linkOf, planEnd, splitSpan } from './spans.js'
import { isCoolingDown, restUntilMs, standingOf } from './standing.js'
import {
  createSpan,
  frontOf,
  isComplete,
  isOpen,
  nextOf,
  type Request,
  type Span,
  type SyncPeer,
  type SyncState,
  type Turn,
} from './state.js'
import { grantCost, windowUse } from './window.js'

/**
 * Gives every free peer a piece of what is missing: holes from the front upwards, then new spans above
 * the plan, as far as the window goes. The front span is always admitted, or a full window would wait
 * for itself.
 */
export function assign(turn: Turn): void {
  const { state, now } = turn
  if (!state.isTipKnown || isWaitingForOurselves(state, now)) return
  trimPlan(state)
  const free = freePeers(turn)
  if (free.size > 0) {
    let used = windowUse(state)
    used += fillHoles(turn, free, used)
    if (free.size > 0) used += extendPlan(turn, free, used)
    if (free.size > 0) hedge(turn, free, used)
  }
  askLeastBad(turn)
}

/** What nobody owes us at the end of the plan is planned anew, by what peers claim now. */
function trimPlan(state: SyncState): void {
  const owed = new Set<Span>()
  for (const { purpose } of state.requests.values()) {
    if (purpose.kind === 'span') owed.add(purpose.span)
  }
  for (let span = state.spans.at(-1); span !== undefined; span = state.spans.at(-1)) {
    if (span.held.length > 0 || owed.has(span)) return
    state.spans.pop()
  }
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

export const isFree = (state: SyncState, peer: SyncPeer, now: number): boolean =>
  peer.busyUntilMs <= now && !isCoolingDown(state, peer.key, now) && loadOf(peer) < peer.maxRequests

/** The fastest of the free peers that can serve the height; proved ones before the others. */
function pick(turn: Turn, free: Iterable<SyncPeer>, height: number): SyncPeer | undefined {
  let best: SyncPeer | undefined
  for (const peer of free) {
    if (!canServe(turn.state, peer, height, turn.now)) continue
    if (best === undefined || (peer.rate ?? 0) > (best.rate ?? 0)) best = peer
  }
  return best
}

function fillHoles(turn: Turn, free: Set<SyncPeer>, used: number): number {
  const { state } = turn
  let added = 0
  for (let index = 0; index < state.spans.length && free.size > 0; index++) {
    const span = state.spans[index]
    if (span === undefined || isComplete(span)) continue
    if (span.requests.size > 0) continue
    const peer = pick(turn, free, nextOf(span))
    if (peer === undefined) continue
    const size = sizeFor(state, peer, nextOf(span), span.to)
    if (index > 0 && used + added + size.cost > state.config.limits.windowBytes) break
    splitSpan(state, index, nextOf(span) + size.count - 1)
    ask(turn, peer, index, size.maxBytes)
    added += size.cost
    settle(turn, free, peer)
  }
  return added
}

function extendPlan(turn: Turn, free: Set<SyncPeer>, used: number): number {
  const { state } = turn
  let added = 0
  while (free.size > 0) {
    const from = planEnd(state)
    const peer = pick(turn, free, from)
    if (peer === undefined) break
    const size = sizeFor(state, peer, from, Infinity)
    const isFront = state.spans.length === 0
    if (!isFront && used + added + size.cost > state.config.limits.windowBytes) break
    const span = createSpan(from, from + size.count - 1)
    state.spans.push(span)
    ask(turn, peer, state.spans.length - 1, size.maxBytes)
    added += size.cost
    settle(turn, free, peer)
  }
  return added
}

interface Size {
  readonly count: number
  readonly maxBytes: number
  readonly cost: number
}

function sizeFor(state: SyncState, peer: SyncPeer, from: number, to: number): Size {
  const maxBytes = spanBytesOf(state, peer)
  const count = Math.min(blocksIn(state, maxBytes), to - from + 1, topOf(peer) - from + 1)
  return { count, maxBytes, cost: grantCost(state, count, maxBytes) }
}

function ask(turn: Turn, peer: SyncPeer, index: number, maxBytes: number): void {
  const span = turn.state.spans[index]
  if (span === undefined) return
  const from = nextOf(span)
  const afterHash = linkOf(turn.state, index).after
  const count = Math.min(span.to, topOf(peer)) - from + 1
  askForBlocks(turn, peer, { kind: 'span', span }, { from, count, maxBytes, afterHash })
}

function settle(turn: Turn, free: Set<SyncPeer>, peer: SyncPeer): void {
  if (!isFree(turn.state, peer, turn.now)) free.delete(peer)
}

/**
 * Asks a second peer for the front, or for what is left at the tail, when the first one is slow. What
 * comes first is taken, and nobody is blamed for having been slower.
 */
function hedge(turn: Turn, free: Set<SyncPeer>, used: number): void {
  const { state, now } = turn
  let total = used
  for (const [span, request] of hedgeable(state)) {
    const owner = state.peers.get(request.connection)
    if (owner === undefined || hedgeAtMs(state, request, owner) > now) continue
    free.delete(owner)
    const peer = pick(turn, free, nextOf(span))
    if (peer === undefined) continue
    const index = state.spans.indexOf(span)
    const size = sizeFor(state, peer, nextOf(span), span.to)
    if (index > 0 && total + size.cost > state.config.limits.windowBytes) continue
    total += size.cost
    ask(turn, peer, index, size.maxBytes)
    settle(turn, free, peer)
  }
}

/** Spans with exactly one request under way that hold everything else up: the front, and the tail. */
export function hedgeable(state: SyncState): [Span, Request][] {
  const found: [Span, Request][] = []
  const last = isTail(state) ? state.spans.length : 1
  for (const span of state.spans.slice(0, last)) {
    const [request, second] = span.requests
    if (request === undefined || second !== undefined || isComplete(span)) continue
    if (isOpen(request)) found.push([span, request])
  }
  return found
}

/** Whether the plan reaches as far as anybody who can be asked goes. */
function isTail(state: SyncState): boolean {
  const end = planEnd(state)
  for (const peer of state.peers.values()) {
    if (canServe(state, peer, end, state.nowMs)) return false
  }
  return true
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
