import type { Clock, Timer } from '../contracts/clock.js'

/** What a brake needs of its connection. */
export interface ReadBrakeHost {
  pauseReading(): void
  resumeReading(): void
}

/**
 * Pauses reading: while handlers hold too much of what was read (above the limit it pauses, at half of
 * it reading goes on), and while the peer is over its budget or had its turn. It remembers for how long, because
 * deadlines on the peer stand still meanwhile.
 */
export class ReadBrake {
  readonly #clock: Clock
  readonly #maxHeldBytes: number
  readonly #host: ReadBrakeHost
  #heldBytes = 0
  #isHoldingTooMuch = false
  /** Runs while the peer is over its budget. */
  #wait: Timer | undefined
  #pausedSinceMs: number | undefined
  #pausedBeforeMs = 0

  constructor(options: {
    readonly clock: Clock
    readonly maxHeldBytes: number
    readonly host: ReadBrakeHost
  }) {
    this.#clock = options.clock
    this.#maxHeldBytes = options.maxHeldBytes
    this.#host = options.host
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
    if (this.#heldBytes > this.#maxHeldBytes) this.#isHoldingTooMuch = true
    this.#update()
  }

  /** A handler is done with `bytes` bytes. */
  release(bytes: number): void {
    this.#heldBytes -= bytes
    if (this.#heldBytes <= this.#maxHeldBytes / 2) this.#isHoldingTooMuch = false
    this.#update()
  }

  /** The peer is over its budget, or had its turn: nothing more is read for so long. */
  pauseFor(waitMs: number): void {
    this.#wait?.cancel()
    this.#wait = this.#clock.setTimer(waitMs, () => {
      this.#wait = undefined
      this.#update()
    })
    this.#update()
  }

  /** The connection is over. */
  end(): void {
    this.#wait?.cancel()
  }

  #update(): void {
    const mustPause = this.#isHoldingTooMuch || this.#wait !== undefined
    if (mustPause === this.isPaused) return
    if (mustPause) {
      this.#pausedSinceMs = this.#clock.now()
      this.#host.pauseReading()
    } else {
      this.#pausedBeforeMs = this.pausedMs
      this.#pausedSinceMs = undefined
      this.#host.resumeReading()
    }
  }
}
