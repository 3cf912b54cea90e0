import type { Request, SyncPeer, SyncState } from './state.js'

/** What a peer is taken to deliver before it was measured, in bytes per millisecond. */
const guessedRate = 64

/** A reply smaller than this says more about round trips than about speed. */
const minSampleBytes = 16 * 1024

/** A chunk that a server sends at once. */
const chunkBytes = 256 * 1024

/** How much of a new sample goes into the rate. */
const sampleWeight = 0.3

/** Deadlines for the first byte and for progress do not grow beyond this: a lost reply costs that much. */
const maxShortPatience = 8

/** How many bytes the peer may be asked for at once: what it delivers in `spanMs`, in slow start. */
export function spanBytesOf(state: SyncState, peer: SyncPeer): number {
  const { spanMinBytes, spanMaxBytes, spanMs } = state.config.limits
  const measured = peer.rate === undefined ? spanMinBytes : peer.rate * spanMs
  const bytes = Math.min(measured, peer.spanCapBytes, spanMaxBytes)
  return Math.floor(Math.max(spanMinBytes, bytes))
}

/** How long the peer should need for so many bytes. */
export const expectedMs = (peer: SyncPeer, bytes: number): number =>
  (peer.reading.roundTripMs ?? 0) + bytes / (peer.rate ?? guessedRate)

/**
 * When the request fails, as far as is known now: the earliest of its three deadlines. A block can be
 * large, so bytes that arrive on the connection count as progress; the whole deadline bounds that.
 * While reading is paused by us, deadlines stand still.
 */
export function deadlineOf(state: SyncState, request: Request, peer: SyncPeer): number {
  const { firstByteMs, progressMs, wholeMs } = state.config.limits
  const { lastReceivedAtMs, readPausedMs, roundTripMs } = peer.reading
  const short = Math.min(state.patience, maxShortPatience)
  const expectedBytes = Math.max(request.maxBytes, state.blockBytes)
  const whole =
    request.sentAtMs + state.patience * Math.max(wholeMs, 8 * expectedMs(peer, expectedBytes))
  const isMoving = request.stage === 'streaming' || lastReceivedAtMs > request.sentAtMs
  const first = request.sentAtMs + short * Math.max(firstByteMs, 4 * (roundTripMs ?? 0))
  const step =
    short * Math.max(progressMs, 8 * expectedMs(peer, Math.min(chunkBytes, expectedBytes)))
  const next = isMoving
    ? Math.max(first, Math.max(lastReceivedAtMs, request.progressAtMs) + step)
    : first
  return Math.min(next, whole) + Math.max(0, readPausedMs - request.readPausedMs)
}

/** From when on a second peer may be asked for the same. */
export const hedgeAtMs = (state: SyncState, request: Request, peer: SyncPeer): number =>
  request.sentAtMs + Math.max(state.config.limits.hedgeMs, 2 * expectedMs(peer, request.maxBytes))

/** A request ended with its terminal reply and brought blocks. */
export function learnFromReply(
  state: SyncState,
  peer: SyncPeer,
  request: Request,
  now: number,
): void {
  const elapsed = Math.max(1, now - Math.max(request.sentAtMs, peer.lastTerminalAtMs))
  const sample = request.receivedBytes / elapsed
  if (peer.rate === undefined) peer.rate = Math.max(sample, 1)
  else if (request.receivedBytes >= minSampleBytes || sample > peer.rate) {
    peer.rate += sampleWeight * (sample - peer.rate)
  }
  const { spanMaxBytes, requestsPerPeer } = state.config.limits
  peer.spanCapBytes = Math.min(spanMaxBytes, peer.spanCapBytes * 2)
  if (peer.busyInARow === 0) peer.maxRequests = requestsPerPeer
  if (elapsed * 2 < state.patience * state.config.limits.wholeMs) {
    state.patience = Math.max(1, state.patience / 2)
  }
}

/**
 * A request missed a deadline. When most of our peers have, the trouble is on our side
 * or the deadlines are too short: they grow, until blocks come again.
 */
export function learnFromMiss(state: SyncState, peer: SyncPeer, answeredPeers: number): void {
  peer.spanCapBytes = Math.max(state.config.limits.spanMinBytes, peer.spanCapBytes / 2)
  state.missed.add(peer.key)
  if (state.missed.size * 2 <= answeredPeers) return
  state.missed.clear()
  state.patience = Math.min(state.config.limits.maxPatience, state.patience * 2)
}

/** Blocks of an ordinary size that fit into `bytes`. */
export function blocksIn(state: SyncState, bytes: number): number {
  const { spanMaxBlocks, blockOverheadBytes } = state.config.limits
  const each = Math.max(1, Math.max(state.blockBytes, blockOverheadBytes))
  return Math.min(spanMaxBlocks, Math.max(1, Math.floor(bytes / each)))
}

export function learnBlockBytes(state: SyncState, bytes: number): void {
  state.blockBytes += (bytes - state.blockBytes) / 16
}
