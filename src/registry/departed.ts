import type { Clock } from '../contracts/clock.js'
import { RecentMap } from '../recent-map.js'

/** Hearsay brings a peer back after this time at the earliest. */
const restMs = 3_600_000

/**
 * Who made room for others a short while ago, so that hearsay does not bring them straight back. At most
 * so many are remembered as peers may be known: the first goes first.
 */
export class Departed {
  readonly #clock: Clock
  readonly #sinceMs: RecentMap<string, number>

  constructor(clock: Clock, max: number) {
    this.#clock = clock
    this.#sinceMs = new RecentMap(max)
  }

  add(key: string): void {
    this.#sinceMs.set(key, this.#clock.now())
  }

  has(key: string): boolean {
    const sinceMs = this.#sinceMs.get(key)
    return sinceMs !== undefined && this.#clock.now() - sinceMs < restMs
  }
}
