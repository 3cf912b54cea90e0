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

/** What a budget needs of its connection. */
export interface TrafficBudgetHost {
  /** Nothing more is to be read for so long. */
  overBudget(waitMs: number): void
  flooded(): void
}

/**
 * A bucket with its limits. It asks for the time only when it is empty, because that is dearer than the
 * frame; so after a rest it may be emptied twice.
 */
class Bucket implements BudgetLimits {
  readonly perSecond: number
  readonly burst: number
  #level: number
  #atMs: number

  constructor(perSecond: number, forMs: number, nowMs: number) {
    this.perSecond = perSecond
    this.burst = Math.max(1, (perSecond * forMs) / 1_000)
    this.#level = fullBudget(this, nowMs).level
    this.#atMs = nowMs
  }

  /** Takes `cost` out, and returns how long to wait for it. */
  take(cost: number, clock: Clock): number {
    this.#level -= cost
    if (this.#level >= 0) return 0
    const budget = refilled({ level: this.#level, atMs: this.#atMs }, this, clock.now())
    this.#level = budget.level
    this.#atMs = budget.atMs
    return waitMs(budget, this)
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
  readonly #limits: TrafficLimits
  readonly #host: TrafficBudgetHost
  // Made when they are first used: most connections are idle.
  #messages: Bucket | undefined
  #bytes: Bucket | undefined
  #pointless: Bucket | undefined
  #pings: Bucket | undefined

  constructor(options: {
    readonly clock: Clock
    readonly limits: TrafficLimits
    readonly host: TrafficBudgetHost
  }) {
    this.#clock = options.clock
    this.#limits = options.limits
    this.#host = options.host
  }

  /** The peer sent a frame that nobody asked for. */
  unasked(frameBytes: number): void {
    const { maxMessagesPerSecond, maxBytesPerSecond } = this.#limits
    this.#messages ??= this.#bucket(maxMessagesPerSecond, burstMs)
    this.#bytes ??= this.#bucket(maxBytesPerSecond, burstMs)
    const wait = Math.max(
      this.#messages.take(1, this.#clock),
      this.#bytes.take(frameBytes, this.#clock),
    )
    if (wait > 0) this.#host.overBudget(wait)
  }

  pinged(): void {
    this.#pings ??= this.#bucket(maxPingsPerSecond, pointlessBurstMs)
    const wait = this.#pings.take(1, this.#clock)
    if (wait > 0) this.#host.overBudget(wait)
  }

  /** The peer sent a frame that makes no sense. */
  pointless(frameBytes: number): void {
    this.#pointless ??= this.#bucket(this.#limits.maxPointlessPerSecond, pointlessBurstMs)
    if (this.#pointless.take(1, this.#clock) > 0) this.#host.flooded()
    else this.unasked(frameBytes)
  }

  #bucket(perSecond: number, burst: number): Bucket {
    return new Bucket(perSecond, burst, this.#clock.now())
  }
}
