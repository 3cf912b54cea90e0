import { readU32 } from './binary.js'

/** Length of the body (4 bytes, big-endian), then the kind (1 byte). */
export const frameHeaderBytes = 5

export interface Frame {
  readonly kindNumber: number
  /** A view of received bytes: stable, and it pins the chunk that it lies in. */
  readonly body: Uint8Array
}

export type FrameResult =
  | { readonly kind: 'frame'; readonly frame: Frame }
  /** More bytes are needed. */
  | { readonly kind: 'incomplete' }
  /** The next frame is longer than allowed. The reader stays there: the stream cannot go on. */
  | {
      readonly kind: 'too-long'
      readonly kindNumber: number
      readonly length: number
      readonly max: number
    }

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
    if (this.#available < frameHeaderBytes) return { kind: 'incomplete' }
    const { bytes, offset } = this.#peekHeader()
    const length = readU32(bytes, offset)
    const kindNumber = bytes[offset + 4] ?? 0
    const max = this.#maxBody(kindNumber)
    if (length > max) return { kind: 'too-long', kindNumber, length, max }
    if (this.#available < frameHeaderBytes + length) return { kind: 'incomplete' }
    this.#skip(frameHeaderBytes)
    return { kind: 'frame', frame: { kindNumber, body: this.#take(length) } }
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

  /** Where the next header lies: nearly always whole in the first chunk. */
  #peekHeader(): { readonly bytes: Uint8Array; readonly offset: number } {
    const first = this.#chunks[0]
    if (first !== undefined && first.length - this.#offset >= frameHeaderBytes) {
      return { bytes: first, offset: this.#offset }
    }
    const header = new Uint8Array(frameHeaderBytes)
    this.#copy(header)
    return { bytes: header, offset: 0 }
  }

  #take(length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0)
    const first = this.#chunks[0]
    let body: Uint8Array
    if (first !== undefined && first.length - this.#offset >= length) {
      body = first.subarray(this.#offset, this.#offset + length)
    } else {
      body = new Uint8Array(length)
      this.#copy(body)
    }
    this.#skip(length)
    return body
  }

  /** Fills `target` from the front of what is buffered, without taking it. */
  #copy(target: Uint8Array): void {
    let offset = this.#offset
    let filled = 0
    for (const chunk of this.#chunks) {
      const part = chunk.subarray(offset, offset + target.length - filled)
      target.set(part, filled)
      filled += part.length
      offset = 0
      if (filled === target.length) return
    }
  }

  #skip(length: number): void {
    this.#available -= length
    let end = this.#offset + length
    let passed = 0
    for (const chunk of this.#chunks) {
      if (end < chunk.length) break
      end -= chunk.length
      passed += 1
    }
    if (passed > 0) this.#chunks.splice(0, passed)
    this.#smallChunks = Math.min(this.#smallChunks, this.#chunks.length)
    this.#offset = end
  }
}
