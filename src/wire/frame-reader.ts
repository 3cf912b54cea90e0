import { readU16, readU32 } from './binary.js'

/** Length of the body (4 bytes, big-endian), then the kind (1 byte). */
export const frameHeaderBytes = 5

/** A frame where it lies: a view of its body is made when it is asked for, because that is what costs. */
export class Frame {
  readonly kind = 'frame'
  readonly kindNumber: number
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #end: number

  constructor(kindNumber: number, bytes: Uint8Array, start: number, end: number) {
    this.kindNumber = kindNumber
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** Length of the body. */
  get length(): number {
    return this.#end - this.#start
  }

  /** A view of received bytes: stable, and it pins the chunk that it lies in. */
  get body(): Uint8Array {
    return this.bodyFrom(0)
  }

  /** A view of the body without its first `offset` bytes, which must be there. */
  bodyFrom(offset: number): Uint8Array {
    const { buffer, byteOffset } = this.#bytes
    const start = this.#start + offset
    return new Uint8Array(buffer, byteOffset + start, this.#end - start)
  }

  /** The number of 16 bits at `offset` of the body, which must be there. */
  u16(offset: number): number {
    return readU16(this.#bytes, this.#start + offset)
  }

  /** The number of 32 bits at `offset` of the body, which must be there. */
  u32(offset: number): number {
    return readU32(this.#bytes, this.#start + offset)
  }
}

export type FrameResult =
  | Frame
  /** More bytes are needed. */
  | { readonly kind: 'incomplete' }
  /** The next frame is longer than allowed. The reader stays there: the stream cannot go on. */
  | {
      readonly kind: 'too-long'
      readonly kindNumber: number
      readonly length: number
      readonly max: number
    }

const nothing = new Uint8Array(0)
const incomplete: FrameResult = { kind: 'incomplete' }

/** Chunks shorter than this cost more memory than the bytes in them. */
const smallChunkBytes = 256

/** As many small chunks in a row become one: a peer that sends byte by byte costs what it sends. */
const maxSmallChunks = 1_024

/**
 * Cuts a stream of bytes into frames, whatever chunks it arrives in. Pull `next()` until it is
 * `incomplete`; the limit is asked for each frame anew, as soon as its header is there, before any
 * memory is taken for it. A frame inside one chunk is a view, one that spans chunks is copied once.
 */
export class FrameReader {
  readonly #maxBody: (kindNumber: number) => number
  #chunks: Uint8Array[] = []
  /** Where the next frame begins in the first chunk. */
  #offset = 0
  #available = 0
  /** Small chunks at the end that were not joined. */
  #smallChunks = 0

  constructor(maxBody: (kindNumber: number) => number) {
    this.#maxBody = maxBody
  }

  /** Bytes that belong to a frame which is not complete yet. */
  get bufferedBytes(): number {
    return this.#available
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#available += chunk.length
    this.#smallChunks = chunk.length < smallChunkBytes ? this.#smallChunks + 1 : 0
    if (this.#smallChunks >= maxSmallChunks) this.#joinSmallChunks()
  }

  next(): FrameResult {
    if (this.#available < frameHeaderBytes) return incomplete
    const first = this.#chunks[0] ?? nothing
    const isInFirst = first.length - this.#offset >= frameHeaderBytes
    const bytes = isInFirst ? first : this.#joined(0, frameHeaderBytes)
    const offset = isInFirst ? this.#offset : 0
    const length = readU32(bytes, offset)
    const kindNumber = bytes[offset + 4] ?? 0
    const max = this.#maxBody(kindNumber)
    if (length > max) return { kind: 'too-long', kindNumber, length, max }
    const frameBytes = frameHeaderBytes + length
    if (this.#available < frameBytes) return incomplete
    const start = this.#offset + frameHeaderBytes
    const frame =
      first.length >= start + length
        ? new Frame(kindNumber, first, start, start + length)
        : new Frame(kindNumber, this.#joined(frameHeaderBytes, length), 0, length)
    this.#skip(frameBytes)
    return frame
  }

  /** Forgets what is buffered. */
  clear(): void {
    this.#chunks = []
    this.#offset = 0
    this.#available = 0
    this.#smallChunks = 0
  }

  #joinSmallChunks(): void {
    const small = this.#chunks.splice(-this.#smallChunks)
    const joined = new Uint8Array(small.reduce((sum, chunk) => sum + chunk.length, 0))
    let length = 0
    for (const chunk of small) {
      joined.set(chunk, length)
      length += chunk.length
    }
    this.#chunks.push(joined)
    this.#smallChunks = 0
  }

  /** `length` buffered bytes from `skipped` on, in memory of their own; they are not taken. */
  #joined(skipped: number, length: number): Uint8Array {
    const joined = new Uint8Array(length)
    let passed = this.#offset + skipped
    let filled = 0
    for (const chunk of this.#chunks) {
      const part = chunk.subarray(passed, passed + length - filled)
      passed = Math.max(0, passed - chunk.length)
      joined.set(part, filled)
      filled += part.length
      if (filled === length) break
    }
    return joined
  }

  #skip(length: number): void {
    this.#available -= length
    let end = this.#offset + length
    if (end < (this.#chunks[0]?.length ?? 0)) {
      this.#offset = end
      return
    }
    let passed = 0
    for (const chunk of this.#chunks) {
      if (end < chunk.length) break
      end -= chunk.length
      passed += 1
    }
    if (passed === this.#chunks.length) this.#chunks = []
    else if (passed > 0) this.#chunks.splice(0, passed)
    this.#smallChunks = Math.min(this.#smallChunks, this.#chunks.length)
    this.#offset = end
  }
}
