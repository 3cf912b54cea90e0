import { bytesLeft } from './pace.js'
import { delayOf, expectedMs, rateOf, sendingMs } from './speed.js'
import type { Request, SyncPeer, SyncState } from './state.js'
import { grantCost } from './window.js'

/** A chunk that a server sends at once. */
const chunkBytes = 256 * 1024

/** Deadlines for the first byte and for progress do not grow beyond this: a lost reply costs that much. */
const maxShortPatience = 8

/** A peer that was not measured is given time for this many bytes per millisecond. */
const guessedRate = 64

/**
 * A peer may take eight times as long as it should, but not so long for that, unless it should take half of
 * it: how slow a peer was with a few bytes says little, and who was slow and is silent now holds nobody up.
 */
const maxScaledMs = 120_000

const scaled = (ms: number): number => Math.min(8 * ms, Math.max(maxScaledMs, 2 * ms))

/**
 * When the request fails, as far as is known now: the earliest of its three deadlines, for the first
 * byte, for progress, and for the whole. While blocks of any request come from the same peer, this one
 * waits its turn. A block can be large, so bytes that are no whole message yet are progress too.
 * While reading is paused by us, deadlines stand still.
 */
export function deadlineOf(state: SyncState, request: Request, peer: SyncPeer): number {
  const { firstByteMs, progressMs, wholeMs } = state.config.limits
  const { reading, lastMessageAtMs, lastBlocksAtMs } = peer
  const short = Math.min(state.patience, maxShortPatience)
  const partAtMs = reading.lastReceivedAtMs > lastMessageAtMs ? reading.lastReceivedAtMs : -Infinity
  const movedAtMs = Math.max(request.progressAtMs, lastBlocksAtMs, partAtMs)
  const isMoving = request.stage === 'streaming' || partAtMs > request.sentAtMs
  const firstMs = Math.max(firstByteMs, 4 * (delayOf(peer) ?? 0))
  const bytes = grantCost(state, request.count, request.maxBytes)
  const stepBytes = Math.min(chunkBytes, request.aheadBytes + bytes)
  const stepMs = isMoving
    ? Math.max(progressMs, firstMs, scaled(timeFor(peer, stepBytes)))
    : firstMs
  const wholeBytes = request.aheadBytes + bytes
  const whole =
    request.sentAtMs + state.patience * Math.max(wholeMs, scaled(timeFor(peer, wholeBytes)))
  const next = movedAtMs + short * stepMs
  return Math.min(next, whole) + Math.max(0, reading.readPausedMs - request.readPausedMs)
}

const timeFor = (peer: SyncPeer, bytes: number): number =>
  (delayOf(peer) ?? 0) + bytes / Math.max(1, rateOf(peer) ?? guessedRate)

/**
 * When the request is late, so that somebody faster may be asked for the same; and when it is so late
 * that nothing more is expected of it, so that anybody may. A span is what its peer delivers in `spanMs`:
 * a peer that is too slow or too far away for that is late, however little was expected of it.
 */
export function latenessOf(
  state: SyncState,
  request: Request,
  peer: SyncPeer,
): { readonly lateAtMs: number; readonly hopelessAtMs: number } {
  const { hedgeMs, spanMinBytes, spanMs } = state.config.limits
  const short = Math.min(state.patience, maxShortPatience)
  const bytes = request.aheadBytes + request.receivedBytes + bytesLeft(state, request)
  const fitMs = Math.min(spanMs, delayOf(peer) ?? 0) + sendingMs(peer, bytes, spanMinBytes / spanMs)
  // The first block comes even where it is larger than what was asked for.
  const ownMs = expectedMs(peer, Math.max(bytes, state.largestBytes))
  return {
    lateAtMs: request.sentAtMs + short * Math.max(hedgeMs, 2 * fitMs),
    hopelessAtMs: request.sentAtMs + short * Math.max(hedgeMs, 2 * ownMs),
  }
}

/** When the rest of it should be here. */
export function expectedAtMs(
  state: SyncState,
  request: Request,
  peer: SyncPeer,
  now: number,
): number {
  const { sentAtMs, aheadBytes, receivedBytes } = request
  const startsAtMs = sentAtMs + expectedMs(peer, aheadBytes + receivedBytes)
  return Math.max(now, startsAtMs) + sendingMs(peer, bytesLeft(state, request))
}

/** A request ended in time: deadlines shrink back to what they are. */
export function learnFromReply(state: SyncState, request: Request, now: number): void {
  if ((now - request.sentAtMs) * 2 < state.patience * state.config.limits.wholeMs) {
    state.patience = Math.max(1, state.patience / 2)
  }
}

/**
 * A request missed a deadline. When most of our peers have, with no good block between, the trouble is
 * on our side or the deadlines are too short: they grow together, until blocks come again.
 */
export function learnFromMiss(state: SyncState, peer: SyncPeer, answeredPeers: number): void {
  state.missed.add(peer.key)
  if (state.missed.size * 2 <= answeredPeers) return
  state.missed.clear()
  state.patience = Math.min(state.config.limits.maxPatience, state.patience * 2)
}
