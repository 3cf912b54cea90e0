import { canServe } from './claims.js'
import { expectedAtMs, latenessOf } from './deadline.js'
import { ask, hasPlace, isFree, isWilling, sizeFor } from './grant.js'
import { isProven, underWayAt } from './pace.js'
import { expectedMs } from './speed.js'
import {
  isComplete,
  isOpen,
  nextOf,
  type Span,
  type SyncPeer,
  type SyncState,
  type Turn,
} from './state.js'
import { isThrifty } from './thrift.js'
import { isStarved } from './window.js'

/** Requests for one span at a time: who is asked third is not asked because of a fourth. */
const maxRequestsPerSpan = 3

/** A late request is left alone unless somebody else should have delivered in this part of its time. */
const muchSooner = 2

/**
 * Asks a second peer for what is late. The front may go to any proven peer, beyond its window and ours,
 * for everything else waits for it; the rest to peers that have nothing else to do, as they have at the
 * end of a sync. What comes first is taken, and nobody is blamed for having been slower.
 */
export function hedge(turn: Turn, free: Set<SyncPeer>, used: number): void {
  const { state, now } = turn
  let total = used
  for (const { span, index, isFront } of waitingSpans(state)) {
    if (!isFront && free.size === 0) return
    if (span.requests.size >= maxRequestsPerSpan) continue
    const owed = owedFor(state, span, now)
    if (owed.lateAtMs > now) continue
    const withinMs = (owed.expectedAtMs - now) / muchSooner
    const peer = soonest(turn, isFront ? urgentPeers(turn, free) : free, span, withinMs)
    if (peer === undefined) continue
    const size = sizeFor(state, peer, nextOf(span), span.to)
    const isUrgent = index === 0 && isStarved(state)
    if (!isUrgent && total + size.cost > state.config.limits.windowBytes) continue
    total += size.cost
    ask(turn, peer, index, size.maxBytes)
    if (!isFree(state, peer, now)) free.delete(peer)
  }
}

/** When the next span that waits for a reply is to be asked for twice, if somebody can be asked. */
export function nextHedgeAtMs(state: SyncState, now: number): number {
  let next = Infinity
  for (const { span } of waitingSpans(state)) {
    if (span.requests.size >= maxRequestsPerSpan) continue
    const { lateAtMs, nextHopelessAtMs } = owedFor(state, span, now)
    next = Math.min(next, lateAtMs > now ? lateAtMs : nextHopelessAtMs)
  }
  return next
}

interface WaitingSpan {
  readonly span: Span
  readonly index: number
  readonly isFront: boolean
}

/** Spans that wait for replies alone. */
function* waitingSpans(state: SyncState): Generator<WaitingSpan> {
  let isFront = true
  for (const [index, span] of state.spans.entries()) {
    if (isComplete(span)) continue
    const requests = [...span.requests]
    if (requests.length > 0 && requests.every(isOpen)) yield { span, index, isFront }
    isFront = false
  }
}

interface Owed {
  /** When all who were asked for the span are late. */
  readonly lateAtMs: number
  /** When nothing is expected any longer of one of whom something is. */
  readonly nextHopelessAtMs: number
  /** When the first of them should have delivered it. */
  readonly expectedAtMs: number
}

function owedFor(state: SyncState, span: Span, now: number): Owed {
  let owed: Owed = { lateAtMs: -Infinity, nextHopelessAtMs: Infinity, expectedAtMs: Infinity }
  for (const request of span.requests) {
    const peer = state.peers.get(request.connection)
    if (peer === undefined) continue
    const { lateAtMs, hopelessAtMs } = latenessOf(state, request, peer)
    const isLateAtMs = isThrifty(state) ? Math.max(lateAtMs, hopelessAtMs) : lateAtMs
    const isHopeless = hopelessAtMs <= now
    const atMs = isHopeless ? Infinity : expectedAtMs(state, request, peer, now)
    owed = {
      lateAtMs: Math.max(owed.lateAtMs, isLateAtMs),
      nextHopelessAtMs: isHopeless
        ? owed.nextHopelessAtMs
        : Math.min(owed.nextHopelessAtMs, hopelessAtMs),
      expectedAtMs: Math.min(owed.expectedAtMs, atMs),
    }
  }
  return owed
}

/** Those who are free, and those who have shown that they deliver and are kept a place for this. */
function urgentPeers({ state, now }: Turn, free: ReadonlySet<SyncPeer>): Set<SyncPeer> {
  const urgent = new Set(free)
  for (const peer of state.peers.values()) {
    if (!isProven(state, peer) || !isWilling(state, peer, now)) continue
    if (hasPlace(state, peer, now)) urgent.add(peer)
  }
  return urgent
}

/** Who of them should have delivered the span first. */
function soonest(
  { state, now }: Turn,
  peers: Iterable<SyncPeer>,
  span: Span,
  withinMs: number,
): SyncPeer | undefined {
  let best: SyncPeer | undefined
  let bestMs = Infinity
  const bytes = (span.to - nextOf(span) + 1) * state.blockBytes
  for (const peer of peers) {
    if (isAsked(span, peer) || !canServe(state, peer, nextOf(span), now)) continue
    const ms = expectedMs(peer, underWayAt(state, peer) + bytes)
    if (ms > withinMs) continue
    const isBetter = best === undefined || isProven(state, peer) !== isProven(state, best)
    if (isBetter ? best === undefined || isProven(state, peer) : ms < bestMs) {
      best = peer
      bestMs = ms
    }
  }
  return best
}

function isAsked(span: Span, { connection }: SyncPeer): boolean {
  for (const request of span.requests) if (request.connection === connection) return true
  return false
}
