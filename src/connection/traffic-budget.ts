import type { Clock } from '../contracts/clock.js'
import { fullBudget, refilled, waitMs, type BudgetLimits } from '../rules/budget.js'

/** The limits of what a peer may send unasked. */
export interface TrafficLimits {
  readonly maxMessagesPerSecond: number
  readonly maxBytesPerSecond: number
  readonly maxPointlessPerSecond: number
}

/** A peer may send so much at once, in milliseconds of its rate. */
const burstMs = 2_000
const pointlessBurstMs = 10_000

/** More than any interval of whole milliseconds brings; a burst is what piled up while nobody read. */
const maxPingsPerSecond = 2_000

/**
 * A bucket with its limits. It asks for the time only when it is empty, because that is dearer than the
 * frame; so after a rest it may be emptied twice.
 */
class Bucket {
  readonly #limits: BudgetLimits
  #level: number
  #atMs: number

  constructor(perSecond: number, forMs: number, nowMs: number) {
    this.#limits = { perSecond, burst: Math.max(1, (perSecond * forMs) / 1_000) }
    this.#level = fullBudget(this.#limits, nowMs).level
    this.#atMs = nowMs
  }

  /** Takes `cost` out, and returns how long to wait for it. */
  take(cost: number, now: () => number): number {
    this.#level -= cost
    if (this.#level >= 0) return 0
    const budget = refilled({ level: this.#level, atMs: this.#atMs }, this.#limits, now())
    this.#level = budget.level
    this.#atMs = budget.atMs
    return waitMs(budget, this.#limits)
  }
}

/**
 * What a peer may still send on one connection. Only what this node did not ask for counts: messages
 * and requests of the application, announcements, requests of sync. So sync at full rate, answers, pongs
 * and the handshake are never slowed, whatever the limits are. Pings have a bucket of their own, which
 * no legal interval empties.
 *
 * A peer that is over its budget is not read until the budget has refilled; that holds it, however long
 * it goes on, and is no offence. What pausing does not cure is a peer that sends what no peer sends:
 * more answers than requests, frames of kinds that nobody knows. It may send a few; a flood of them
 * ends the connection.
 */
export class TrafficBudget {
  readonly #clock: Clock
  readonly #messages: Bucket
  readonly #bytes: Bucket
  readonly #pointless: Bucket
  readonly #pings: Bucket
  readonly #now = (): number => this.#clock.now()
  readonly #onOver: (waitMs: number) => void
  readonly #onFlood: () => void

  constructor(options: {
    readonly clock: Clock
    readonly limits: TrafficLimits
    /** Nothing more is to be read for so long. */
    readonly onOver: (waitMs: number) => void
    readonly onFlood: () => void
  }) {
    const { clock, limits } = options
    const nowMs = clock.now()
    this.#clock = clock
    this.#messages = new Bucket(limits.maxMessagesPerSecond, burstMs, nowMs)
    this.#bytes = new Bucket(limits.maxBytesPerSecond, burstMs, nowMs)
    this.#pointless = new Bucket(limits.maxPointlessPerSecond, pointlessBurstMs, nowMs)
    this.#pings = new Bucket(maxPingsPerSecond, pointlessBurstMs, nowMs)
    this.#onOver = options.onOver
    this.#onFlood = options.onFlood
  }

  /** The peer sent a frame that nobody asked for. */
  unasked(frameBytes: number): void {
    const wait = Math.max(
      this.#messages.take(1, this.#now),
      this.#bytes.take(frameBytes, this.#now),
    )
    if (wait > 0) this.#onOver(wait)
  }

  pinged(): void {
    const wait = this.#pings.take(1, this.#now)
    if (wait > 0) this.#onOver(wait)
  }

  /** The peer sent a frame that makes no sense. */
  pointless(frameBytes: number): void {
    if (this.#pointless.take(1, this.#now) > 0) this.#onFlood()
    else this.unasked(frameBytes)
  }
}
