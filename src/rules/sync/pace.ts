import { answerMsOf, delayOf, rateOf } from './speed.js'
import { isOpen, type Request, type SyncPeer, type SyncState } from './state.js'

/** Bandwidth-delay products under way besides a span: one on its way here, one asked for meanwhile. */
const productsUnderWay = 2

/** How many times longer a request for a part of a branch takes than the wait for its answer. */
const answersPerRequest = 8

/** A span of a peer that is near. */
const shortSpanMs = 50

/** How much a new block changes the estimate of what a block takes. */
const blockWeight = 1 / 16

/** How fast the largest block that was seen is forgotten. */
const largestWeight = 1 / 1_024

/** How many bytes the peer is asked for in one request: what it delivers in about `spanMs`. */
export function spanBytesOf(state: SyncState, peer: SyncPeer): number {
  const { spanMinBytes, spanMaxBytes } = state.config.limits
  const rate = rateOf(peer)
  const timed = rate === undefined ? Infinity : rate * spanMsOf(state, peer)
  const bytes = Math.min(peer.windowBytes / 2, timed)
  return Math.floor(Math.min(spanMaxBytes, Math.max(spanMinBytes, bytes)))
}

/**
 * Long beside a round trip and beside what the peer takes before it sends, as from a slow disk, or most
 * of the time would go into waiting; and otherwise short: what was asked for waits in the buffers of the
 * system, and whatever else the peer says, a pong for one, waits behind it.
 */
function spanMsOf({ config }: SyncState, peer: SyncPeer): number {
  const { spanMs } = config.limits
  const [delayMs, answerMs] = [delayOf(peer), answerMsOf(peer)]
  if (delayMs === undefined || answerMs === undefined) return spanMs
  const waitMs = Math.min(answerMs - delayMs, spanMs)
  return Math.max(2 * waitMs, Math.min(spanMs, Math.max(shortSpanMs, 4 * answerMs)))
}

/** The same for a branch, of which one request is under way at a time: waits are a small part of it. */
export function branchBytesOf(state: SyncState, peer: SyncPeer): number {
  const bytes = answersPerRequest * (answerMsOf(peer) ?? 0) * (rateOf(peer) ?? 0)
  const mostBytes = Math.min(state.config.limits.spanMaxBytes, peer.windowBytes / 2)
  return Math.floor(Math.max(spanBytesOf(state, peer), Math.min(mostBytes, bytes)))
}

/**
 * How many bytes the peer may be asked for beyond what is under way. Its window grows from one small
 * span by more than what it delivers, so it triples in a round trip, until the line is full: then a span
 * waits at the peer whenever one ends, and two bandwidth-delay products where the way
 * is longer than a span.
 */
export function roomOf(state: SyncState, peer: SyncPeer): number {
  const rate = rateOf(peer)
  const span = spanBytesOf(state, peer)
  const way = rate === undefined ? Infinity : productsUnderWay * rate * (delayOf(peer) ?? 0)
  return Math.min(peer.windowBytes, span + Math.max(span, way)) - underWayAt(state, peer)
}

/** What is still to come from the peer. */
export function underWayAt(state: SyncState, peer: SyncPeer): number {
  let bytes = 0
  for (const request of peer.requests) if (isOpen(request)) bytes += bytesLeft(state, request)
  return bytes
}

/** What is still to come for the request, by what blocks have been like. */
export function bytesLeft(state: SyncState, request: Request): number {
  const { maxBytes, count, receivedBytes, receivedBlocks } = request
  return Math.max(
    0,
    Math.min(maxBytes - receivedBytes, (count - receivedBlocks) * state.blockBytes),
  )
}

/** How much more a peer may be asked for after each byte that it brought, in slow start. */
const growth = 2

/** The peer brought a block that we could use, of so many bytes with its overhead. */
export function take(state: SyncState, peer: SyncPeer, request: Request, bytes: number): void {
  const { spanMaxBytes, requestsPerPeer } = state.config.limits
  learnBlockBytes(state, bytes)
  request.delivered += 1
  peer.windowBytes = Math.min(spanMaxBytes * requestsPerPeer, peer.windowBytes + growth * bytes)
}

/** The peer missed a deadline, or is busy: it begins anew with one small span. */
export function narrow(state: SyncState, peer: SyncPeer): void {
  peer.windowBytes = state.config.limits.spanMinBytes
}

/** Whether the peer has brought a block of use on this connection. */
export const isProven = (state: SyncState, peer: SyncPeer): boolean =>
  peer.windowBytes > state.config.limits.spanMinBytes

/** Blocks of an ordinary size that fit into `bytes`. */
export function blocksIn(state: SyncState, bytes: number): number {
  const { spanMaxBlocks, blockOverheadBytes } = state.config.limits
  const each = Math.max(state.blockBytes, blockOverheadBytes)
  return Math.min(spanMaxBlocks, Math.max(1, Math.floor(bytes / each)))
}

/** What the blocks that come take, each with its overhead: the mean of late, and the largest of late. */
export function learnBlockBytes(state: SyncState, bytes: number): void {
  state.blockBytes += (bytes - state.blockBytes) * blockWeight
  const faded = state.largestBytes + (state.blockBytes - state.largestBytes) * largestWeight
  state.largestBytes = Math.max(bytes, faded)
}
