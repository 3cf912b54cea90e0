const chunkStates = 1 << 16

/** All states that were met, each once, in the order in which they were met. */
export class StateStore {
  readonly #size: number
  readonly #chunks: Int32Array[] = []
  readonly #parents: Int32Array[] = []
  #count = 0
  /** Open addressing: number of a state + 1, or 0. */
  #buckets = new Int32Array(1 << 16)

  constructor(wordsPerState: number) {
    this.#size = wordsPerState
  }

  get count(): number {
    return this.#count
  }

  /** Copies a state to `words`. */
  load(state: number, words: Int32Array): void {
    const chunk = this.#chunks[state >>> 16]!
    const start = (state & (chunkStates - 1)) * this.#size
    for (let i = 0; i < this.#size; i++) words[i] = chunk[start + i]!
  }

  parentOf(state: number): number {
    return this.#parents[state >>> 16]![state & (chunkStates - 1)]!
  }

  /** Adds a state unless it is known; its number. */
  add(words: Int32Array, parent: number): number {
    const mask = this.#buckets.length - 1
    let bucket = hash(words) & mask
    for (let entry = this.#buckets[bucket]!; entry !== 0; entry = this.#buckets[bucket]!) {
      if (this.#equals(entry - 1, words)) return entry - 1
      bucket = (bucket + 1) & mask
    }
    this.#append(words, parent)
    this.#buckets[bucket] = this.#count
    if (this.#count * 2 > this.#buckets.length) this.#grow()
    return this.#count - 1
  }

  #append(words: Int32Array, parent: number): void {
    const index = this.#count & (chunkStates - 1)
    if (index === 0) {
      this.#chunks.push(new Int32Array(chunkStates * this.#size))
      this.#parents.push(new Int32Array(chunkStates))
    }
    this.#chunks.at(-1)!.set(words, index * this.#size)
    this.#parents.at(-1)![index] = parent
    this.#count++
  }

  #equals(state: number, words: Int32Array): boolean {
    const chunk = this.#chunks[state >>> 16]!
    const start = (state & (chunkStates - 1)) * this.#size
    for (let i = 0; i < this.#size; i++) if (chunk[start + i] !== words[i]) return false
    return true
  }

  #grow(): void {
    const buckets = new Int32Array(this.#buckets.length * 2)
    const mask = buckets.length - 1
    const words = new Int32Array(this.#size)
    for (let state = 0; state < this.#count; state++) {
      this.load(state, words)
      let bucket = hash(words) & mask
      while (buckets[bucket] !== 0) bucket = (bucket + 1) & mask
      buckets[bucket] = state + 1
    }
    this.#buckets = buckets
  }
}

function hash(words: Int32Array): number {
  let h = 0x9e3779b9
  for (const word of words) {
    h = Math.imul(h ^ word, 0x85ebca6b)
    h ^= h >>> 15
  }
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
