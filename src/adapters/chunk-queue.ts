/** In place of a chunk that was taken, so that it is not kept alive. */
const nothing = new Uint8Array(0)

/** Bytes in order, taken out in other pieces than they were put in. Copies nothing. */
export class ChunkQueue {
  #chunks: Uint8Array[] = []
  /** Of `#chunks`, those before it are taken: shifting an array costs its length. */
  #first = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Puts `chunk` at the end; an empty one is left out. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /** Takes the first chunk as it was put in, or its first `maxBytes` bytes. */
  takeChunk(maxBytes: number): Uint8Array | undefined {
    const chunk = this.#chunks[this.#first]
    if (chunk === undefined || maxBytes <= 0) return undefined
    const isWhole = chunk.length <= maxBytes
    const taken = isWhole ? chunk : chunk.subarray(0, maxBytes)
    if (isWhole) this.#dropFirst()
    else this.#chunks[this.#first] = chunk.subarray(maxBytes)
    this.#bytes -= taken.length
    return taken
  }

  /** Takes as many chunks as fit into `maxBytes`, the last one cut. */
  take(maxBytes: number): Uint8Array[] {
    const taken: Uint8Array[] = []
    for (let left = maxBytes; left > 0;) {
      const chunk = this.takeChunk(left)
      if (chunk === undefined) break
      taken.push(chunk)
      left -= chunk.length
    }
    return taken
  }

  clear(): void {
    this.#chunks = []
    this.#first = 0
    this.#bytes = 0
  }

  #dropFirst(): void {
    this.#chunks[this.#first] = nothing
    this.#first += 1
    if (this.#first < 1_024 && this.#first < this.#chunks.length) return
    this.#chunks = this.#chunks.slice(this.#first)
    this.#first = 0
  }
}

/** `chunks` one after another in fresh memory. */
export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    joined.set(chunk, offset)
    offset += chunk.length
  }
  return joined
}
