/**
 * A map of at most `maxSize` entries: when there is one more, the entry that was set longest ago goes.
 * Its cost does not grow with its size: the one iterator goes on where it is, where a new one would first
 * pass over all that was deleted before.
 */
export class RecentMap<Key, Value> {
  readonly #maxSize: number
  readonly #entries = new Map<Key, Value>()
  #oldest: Iterator<Key> = this.#entries.keys()

  constructor(maxSize: number) {
    this.#maxSize = maxSize
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  /** Sets the value; its entry is now the last one to go. */
  set(key: Key, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size > this.#maxSize) this.#dropOldest()
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key)
  }

  #dropOldest(): void {
    let oldest = this.#oldest.next()
    if (oldest.done === true) {
      // It had come to the end once, when the map was empty.
      this.#oldest = this.#entries.keys()
      oldest = this.#oldest.next()
    }
    if (oldest.done !== true) this.#entries.delete(oldest.value)
  }
}
