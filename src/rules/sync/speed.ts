import type { Block } from '../../contracts/block-store.js'
import type { Request, SyncPeer } from './state.js'

/** How fast a peer delivers, measured on its connection. */
export interface Speed {
  /** What came, and the time that it took to come, without waits for our requests. Older ones fade. */
  bytes: number
  ms: number
  /** When the last chunk came, and how long reading had been paused by us until then. */
  lastChunkAtMs: number
  readPausedMs: number
  /** The shortest time from a request to its first chunk with nothing else under way. */
  answerMs: number | undefined
}

export const createSpeed = (): Speed => ({
  bytes: 0,
  ms: 0,
  lastChunkAtMs: -Infinity,
  readPausedMs: 0,
  answerMs: undefined,
})

/** Time constant of the rate: a few spans, so that one burst does not decide, and a change soon shows. */
const memoryMs = 1_000

/** Less than this says more about timers than about speed. */
const minSampleMs = 20

/** Bytes per millisecond; undefined until there is enough to go by. */
export const rateOf = ({ speed }: SyncPeer): number | undefined =>
  speed.ms < minSampleMs ? undefined : speed.bytes / speed.ms

/** A peer can make its delay look as long as it likes, and is not given more time for it than this. */
const maxDelayMs = 3_000

/**
 * What passes before the first byte of an answer at least. Pings tell it, but the first one may be half
 * a minute away; the first answer tells it too, with what its first chunk took.
 */
export function delayOf({ speed, reading }: SyncPeer): number | undefined {
  if (speed.answerMs === undefined && reading.roundTripMs === undefined) return undefined
  return Math.min(speed.answerMs ?? Infinity, reading.roundTripMs ?? Infinity, maxDelayMs)
}

/** What passes before the first chunk of an answer at least, with what the peer takes before it sends. */
export function answerMsOf(peer: SyncPeer): number | undefined {
  const delayMs = delayOf(peer)
  return delayMs === undefined ? undefined : Math.max(delayMs, peer.speed.answerMs ?? 0)
}

/** A chunk came for the request. */
export function learnChunk(
  peer: SyncPeer,
  request: Request,
  blocks: readonly Block[],
  now: number,
): void {
  const { speed, reading } = peer
  const isFirstInLine = request.receivedBlocks === 0 && request.aheadBytes === 0
  const delayMs = delayOf(peer)
  if (isFirstInLine) speed.answerMs = Math.min(speed.answerMs ?? Infinity, now - request.sentAtMs)
  // It could not come before its request was answered, nor before what came last.
  const since = Math.max(speed.lastChunkAtMs, request.sentAtMs + (delayMs ?? 0))
  const pausedMs = Math.max(0, reading.readPausedMs - speed.readPausedMs)
  const takenMs = Math.max(0, now - since - pausedMs)
  speed.lastChunkAtMs = now
  speed.readPausedMs = reading.readPausedMs
  // Of the first answer nobody knows how much was delay.
  if (isFirstInLine && (delayMs === undefined || takenMs === 0)) return
  const faded = Math.exp(-takenMs / memoryMs)
  speed.bytes = speed.bytes * faded + blocks.reduce((sum, { payload }) => sum + payload.length, 0)
  speed.ms = speed.ms * faded + takenMs
}

/** How long the peer should need to answer with so many bytes; what is not known counts as nothing. */
export const expectedMs = (peer: SyncPeer, bytes: number): number =>
  (delayOf(peer) ?? 0) + sendingMs(peer, bytes)

/** The same without the delay, if the peer sends at least at `leastRate`. */
export function sendingMs(peer: SyncPeer, bytes: number, leastRate = minRate): number {
  const rate = rateOf(peer)
  return rate === undefined ? 0 : bytes / Math.max(rate, leastRate)
}

/** Bytes per millisecond. Who is slower than a modem is late whatever is expected of it. */
const minRate = 1
