import type { Random } from '../contracts/random.js'
import { joinChunks, type ChunkQueue } from './chunk-queue.js'

/** Where a stream of bytes is cut. */
export interface Cutting {
  /** The most bytes that the next piece of a stream takes along, at least 1. */
  segmentBytes(): number

  /** Takes the next chunk to deliver out of what arrived, which is not empty. */
  nextChunk(arrived: ChunkQueue): Uint8Array
}

/** The largest piece that travels as one. */
const maxSegmentBytes = 65_536

/** Delivers chunks as they were written, without copying, as long as they are not larger than a piece. */
export const asWritten: Cutting = {
  segmentBytes: () => maxSegmentBytes,
  nextChunk: (arrived) => taken(arrived.takeChunk(maxSegmentBytes)),
}

/**
 * Cuts anywhere, as TCP may: a frame comes in several pieces that arrive one after another, several
 * frames come in one chunk. What is delivered is a copy.
 */
export function atRandom(random: Random): Cutting {
  const upTo = (max: number): number => 1 + Math.floor(random.next() * max)
  return {
    segmentBytes: () => upTo(random.next() < 0.25 ? 16 : maxSegmentBytes),
    nextChunk: (arrived) =>
      joinChunks(arrived.take(random.next() < 0.5 ? arrived.bytes : upTo(arrived.bytes))),
  }
}

function taken(chunk: Uint8Array | undefined): Uint8Array {
  if (chunk === undefined) throw new Error('nothing has arrived')
  return chunk
}
