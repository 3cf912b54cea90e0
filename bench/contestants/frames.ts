/** Bytes of the length before each frame, big-endian. */
export const lengthBytes = 4

/**
 * Cuts frames of a length (4 bytes, big-endian) and a body out of a stream. Of a frame inside one chunk
 * it tells where it lies, so nothing is copied and nothing allocated; one that spans chunks is joined.
 */
export class FrameParser {
  readonly #frame: (chunk: Buffer, start: number, end: number) => void
  #rest: Buffer[] = []
  #restBytes = 0
  /** Bytes without which the frame that began in the rest is not whole. */
  #wanted = 0

  constructor(frame: (chunk: Buffer, start: number, end: number) => void) {
    this.#frame = frame
  }

  push(chunk: Buffer): void {
    let whole = chunk
    if (this.#restBytes > 0) {
      this.#rest.push(chunk)
      this.#restBytes += chunk.length
      if (this.#restBytes < this.#wanted) return
      whole = Buffer.concat(this.#rest)
      this.#rest = []
      this.#restBytes = 0
    }
    let start = 0
    while (whole.length - start >= lengthBytes) {
      const end = start + lengthBytes + whole.readUInt32BE(start)
      if (end > whole.length) break
      this.#frame(whole, start + lengthBytes, end)
      start = end
    }
    const left = whole.length - start
    if (left === 0) return
    this.#rest.push(whole.subarray(start))
    this.#restBytes = left
    this.#wanted = lengthBytes + (left >= lengthBytes ? whole.readUInt32BE(start) : 0)
  }
}

/** A frame in memory of its own. */
export function frameOf(body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(lengthBytes + body.length)
  frame.writeUInt32BE(body.length)
  frame.set(body, lengthBytes)
  return frame
}
