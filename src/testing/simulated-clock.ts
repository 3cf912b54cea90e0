import type { Clock, Timer } from '../contracts/clock.js'
import { ProcessClock } from './process-clock.js'
import { TimerQueue } from './timer-queue.js'

/** When a simulated time begins. */
export interface SimulatedClockOptions {
  /** What `unixMs()` says at the start. Default: 2025-01-01T00:00:00Z. */
  readonly unixMs?: number
}

/** More timers than this at one instant are a loop that never lets time pass. */
const maxTimersPerInstant = 100_000

/** How far `runUntilIdle` and `runUntil` go unless told otherwise: one year. */
const defaultMaxMs = 365 * 24 * 3_600_000

/**
 * Virtual time: stands still until it is advanced, and then goes from timer to timer without waiting.
 *
 * Timers run in the order in which they fall due, and in the order they were set where that is equal.
 * Between any two of them everything that promises have to do is done, as in a real event loop, so code
 * that awaits behaves as it does in production. Two runs of the same program give the same order.
 *
 * What a timer throws comes out of the `advance` that ran it, and the clock can go on from there.
 * Advancing from inside a timer, or twice at once, is an error.
 */
export class SimulatedClock implements Clock {
  readonly #timers = new TimerQueue()
  #nowMs = 0
  #unixOffsetMs: number
  #isRunning = false
  #timersAtInstant = 0

  constructor(options: SimulatedClockOptions = {}) {
    this.#unixOffsetMs = options.unixMs ?? Date.UTC(2025, 0, 1)
  }

  now(): number {
    return this.#nowMs
  }

  unixMs(): number {
    return this.#unixOffsetMs + this.#nowMs
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    assertDuration('delayMs', delayMs)
    return this.#timers.add(this.#nowMs + delayMs, callback)
  }

  /** Timers that are set and have neither fired nor been cancelled. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  /** When the next timer is due, or undefined when none is set. */
  get nextTimerAtMs(): number | undefined {
    return this.#timers.nextAtMs
  }

  /** Lets `ms` milliseconds pass and runs what falls due, with promise work done in between. */
  async advance(ms: number): Promise<void> {
    assertDuration('ms', ms)
    const untilMs = this.#nowMs + ms
    await this.#running(async () => {
      await settlePromises()
      while (this.#fireNext(untilMs)) await settlePromises()
      this.#moveTo(untilMs)
    })
  }

  /** As `advance`, without doing promise work: for code that is synchronous from timer to timer. */
  advanceSync(ms: number): void {
    assertDuration('ms', ms)
    const untilMs = this.#nowMs + ms
    this.#enter()
    try {
      while (this.#fireNext(untilMs));
      this.#moveTo(untilMs)
    } finally {
      this.#isRunning = false
    }
  }

  /**
   * Advances from timer to timer until none is left. Throws when some still are after `maxMs`: a program
   * with a repeating timer is never idle.
   */
  async runUntilIdle({ maxMs = defaultMaxMs }: { readonly maxMs?: number } = {}): Promise<void> {
    const isIdle = await this.#runUntil(() => this.#timers.size === 0, maxMs)
    if (!isIdle) throw new Error(`${this.#timers.size} timers are still set after ${maxMs} ms`)
  }

  /** Advances from timer to timer until `condition` holds. False when `maxMs` passed before it did. */
  async runUntil(
    condition: () => boolean,
    { maxMs = defaultMaxMs }: { readonly maxMs?: number } = {},
  ): Promise<boolean> {
    return this.#runUntil(condition, maxMs)
  }

  /**
   * Lets `ms` milliseconds pass in which nothing runs, as when a machine sleeps or a process is stopped.
   * Timers that fell due meanwhile fire late, in order, on the next `advance`.
   */
  jump(ms: number): void {
    assertDuration('ms', ms)
    this.#moveTo(this.#nowMs + ms)
  }

  /** Moves the wall clock alone, in either direction: `unixMs()` changes, `now()` and timers do not. */
  shiftUnixMs(ms: number): void {
    this.#unixOffsetMs += ms
  }

  /** The same time as one process sees it, which can be frozen while the others go on. */
  process(): ProcessClock {
    return new ProcessClock(this)
  }

  async #runUntil(condition: () => boolean, maxMs: number): Promise<boolean> {
    assertDuration('maxMs', maxMs)
    const untilMs = this.#nowMs + maxMs
    return this.#running(async () => {
      await settlePromises()
      while (!condition()) {
        if (!this.#fireNext(untilMs)) {
          if (this.#timers.size > 0) this.#moveTo(untilMs)
          return false
        }
        await settlePromises()
      }
      return true
    })
  }

  async #running<Result>(body: () => Promise<Result>): Promise<Result> {
    this.#enter()
    try {
      return await body()
    } finally {
      this.#isRunning = false
    }
  }

  #enter(): void {
    if (this.#isRunning) throw new Error('the clock is being advanced already')
    this.#isRunning = true
  }

  #fireNext(untilMs: number): boolean {
    const timer = this.#timers.takeDue(untilMs)
    if (timer === undefined) return false
    this.#moveTo(timer.atMs)
    this.#timersAtInstant += 1
    if (this.#timersAtInstant > maxTimersPerInstant) {
      throw new Error(`more than ${maxTimersPerInstant} timers fired at ${this.#nowMs} ms`)
    }
    timer.callback()
    return true
  }

  #moveTo(ms: number): void {
    if (ms <= this.#nowMs) return
    this.#nowMs = ms
    this.#timersAtInstant = 0
  }
}

function assertDuration(name: string, ms: number): void {
  if (!(ms >= 0 && Number.isFinite(ms))) {
    throw new RangeError(`${name} must be finite and at least 0, not ${ms}`)
  }
}

/** A turn of the real event loop: promise chains of any length are done when it comes back. */
function settlePromises(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
