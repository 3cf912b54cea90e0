import type { Clock, Timer } from '../contracts/clock.js'

interface LateTimer {
  readonly callback: () => void
  isCancelled: boolean
}

/**
 * A clock as one process sees it: the time of the clock behind it, and timers that fire late while the
 * process is frozen (a stopped container, a long pause of the garbage collector), late and in order.
 * Give one to a simulated node and to its transport, and both stand still together.
 */
export class ProcessClock implements Clock {
  readonly #clock: Clock
  readonly #late: LateTimer[] = []
  #frozenUntilMs = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  unixMs(): number {
    return this.#clock.unixMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const late: LateTimer = { callback, isCancelled: false }
    const timer = this.#clock.setTimer(delayMs, () => {
      if (this.#isFrozen || this.#late.length > 0) this.#postpone(late)
      else callback()
    })
    return {
      cancel: () => {
        timer.cancel()
        late.isCancelled = true
      },
    }
  }

  /** For `ms` milliseconds from now no timer fires; those that fall due fire afterwards. */
  freeze(ms: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.now() + ms)
  }

  get #isFrozen(): boolean {
    return this.now() < this.#frozenUntilMs
  }

  #postpone(late: LateTimer): void {
    this.#late.push(late)
    if (this.#late.length === 1) this.#fireLater()
  }

  /** One at a time, so that promise work is done in between as it is in a real event loop. */
  #fireLater(): void {
    this.#clock.setTimer(Math.max(0, this.#frozenUntilMs - this.now()), () => {
      if (this.#isFrozen) {
        this.#fireLater()
        return
      }
      const late = this.#late.shift()
      if (this.#late.length > 0) this.#fireLater()
      if (late?.isCancelled === false) late.callback()
    })
  }
}
