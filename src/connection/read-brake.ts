import type { Clock } from '../contracts/clock.js'

/**
 * Pauses reading while handlers hold too much of what was read: above the limit it pauses, at half of
 * it reading goes on. It remembers for how long, because deadlines on the peer stand still meanwhile.
 */
export class ReadBrake {
  readonly #clock: Clock
  readonly #maxHeldBytes: number
  readonly #onPaused: () => void
  readonly #onReleased: () => void
  #heldBytes = 0
  #pausedSinceMs: number | undefined
  #pausedBeforeMs = 0

  constructor(options: {
    readonly clock: Clock
    readonly maxHeldBytes: number
    readonly onPaused: () => void
    readonly onReleased: () => void
  }) {
    this.#clock = options.clock
    this.#maxHeldBytes = options.maxHeldBytes
    this.#onPaused = options.onPaused
    this.#onReleased = options.onReleased
  }

  get isPaused(): boolean {
    return this.#pausedSinceMs !== undefined
  }

  /** How long reading was paused, in all, up to now. */
  get pausedMs(): number {
    if (this.#pausedSinceMs === undefined) return this.#pausedBeforeMs
    return this.#pausedBeforeMs + this.#clock.now() - this.#pausedSinceMs
  }

  /** A handler got `bytes` bytes. */
  hold(bytes: number): void {
    this.#heldBytes += bytes
    if (this.isPaused || this.#heldBytes <= this.#maxHeldBytes) return
    this.#pausedSinceMs = this.#clock.now()
    this.#onPaused()
  }

  /** A handler is done with `bytes` bytes. */
  release(bytes: number): void {
    this.#heldBytes -= bytes
    if (!this.isPaused || this.#heldBytes > this.#maxHeldBytes / 2) return
    this.#pausedBeforeMs = this.pausedMs
    this.#pausedSinceMs = undefined
    this.#onReleased()
  }
}
