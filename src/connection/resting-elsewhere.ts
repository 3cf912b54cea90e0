import type { PeerEntry } from '../peer-registry.js'

/**
 * Peers that rest because the machine behind them is connected already, under another of its addresses:
 * it refuses every dial to this one as a duplicate, so another dial would only be refused again. They
 * rest as long as that connection lives.
 */
export class RestingElsewhere {
  /** By the entry of the connection. */
  readonly #resting = new Map<PeerEntry, Set<PeerEntry>>()

  /** `entry` rests until the connection under `connected` ends. */
  rest(entry: PeerEntry, connected: PeerEntry): void {
    const resting = this.#resting.get(connected) ?? new Set()
    this.#resting.set(connected, resting.add(entry))
  }

  isResting(entry: PeerEntry): boolean {
    for (const resting of this.#resting.values()) if (resting.has(entry)) return true
    return false
  }

  /** The connection under `connected` ended. Returns who rested for its sake. */
  release(connected: PeerEntry): readonly PeerEntry[] {
    const resting = this.#resting.get(connected)
    this.#resting.delete(connected)
    return resting === undefined ? [] : [...resting]
  }

  clear(): void {
    this.#resting.clear()
  }
}
