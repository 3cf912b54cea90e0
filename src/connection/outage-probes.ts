import type { Clock, Timer } from '../contracts/clock.js'
import type { Random } from '../contracts/random.js'
import type { PeerEntry } from '../peer-registry.js'
import type { DialQueue, DialTurn } from './dial-queue.js'

/**
 * Finds out whether our own network is back: while it is down, dials one at a time of those that wait,
 * `outageProbeMs` after the last one ended.
 *
 * In turn the most important peer and any other, of those that were not yet tried in this round: when
 * it is not our network but all peers of one kind that are gone, those of another kind are soon found.
 */
export class OutageProbes {
  readonly #queue: DialQueue
  readonly #clock: Clock
  readonly #random: Random
  readonly #outageProbeMs: number
  readonly #dial: (turn: DialTurn) => Promise<void>
  readonly #tried = new Set<PeerEntry>()
  #isActive = false
  #isDialing = false
  #timer: Timer | undefined

  /** `dial` dials one that was taken out of the queue, as one input, and resolves when that is over. */
  constructor(options: {
    readonly queue: DialQueue
    readonly clock: Clock
    readonly random: Random
    readonly outageProbeMs: number
    readonly dial: (turn: DialTurn) => Promise<void>
  }) {
    this.#queue = options.queue
    this.#clock = options.clock
    this.#random = options.random
    this.#outageProbeMs = options.outageProbeMs
    this.#dial = options.dial
  }

  start(): void {
    this.#isActive = true
    this.queued()
  }

  stop(): void {
    this.#isActive = false
    this.#timer?.cancel()
    this.#timer = undefined
    this.#tried.clear()
  }

  /** Something waits to be dialled: without that there is nothing to try. */
  queued(): void {
    if (!this.#isActive || this.#isDialing || this.#timer !== undefined) return
    if (this.#queue.size === 0) return
    this.#timer = this.#clock.setTimer(this.#outageProbeMs, () => {
      this.#timer = undefined
      void this.#probe()
    })
  }

  async #probe(): Promise<void> {
    const turn = this.#next()
    if (turn === undefined) return
    this.#tried.add(turn.entry)
    this.#queue.remove(turn.entry)
    this.#isDialing = true
    await this.#dial(turn)
    this.#isDialing = false
    this.queued()
  }

  #next(): DialTurn | undefined {
    const waiting = this.#queue.inOrder
    let fresh = waiting.filter(({ entry }) => !this.#tried.has(entry))
    if (fresh.length === 0) {
      this.#tried.clear()
      fresh = waiting
    }
    const isForAny = this.#tried.size % 2 === 1
    return fresh[isForAny ? Math.floor(this.#random.next() * fresh.length) : 0]
  }
}
