import type { Clock } from '../contracts/clock.js'

/** Hearsay brings a peer back after this time at the earliest. */
const restMs = 3_600_000

/**
 * Who made room for others a short while ago, so that hearsay does not bring them straight back. At most
 * so many are remembered as peers may be known: the first goes first.
 */
export class Departed {
  readonly #clock: Clock
  readonly #max: number
  readonly #sinceMs = new Map<string, number>()

  constructor(clock: Clock, max: number) {
    this.#clock = clock
    this.#max = max
  }

  add(key: string): void {
    this.#sinceMs.delete(key)
    this.#sinceMs.set(key, this.#clock.now())
    const first = this.#sinceMs.keys().next()
    if (this.#sinceMs.size > this.#max && !first.done) this.#sinceMs.delete(first.value)
  }

  has(key: string): boolean {
    const sinceMs = this.#sinceMs.get(key)
    return sinceMs !== undefined && this.#clock.now() - sinceMs < restMs
  }
}
