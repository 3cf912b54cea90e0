import type { Clock, Timer } from '../contracts/clock.js'

/** Timers by name: setting one replaces the one of the same name, and all can be cancelled together. */
export class TimerTable {
  readonly #clock: Clock
  readonly #timers = new Map<string, Timer>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  set(name: string, delayMs: number, callback: () => void): void {
    this.cancel(name)
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#timers.delete(name)
      callback()
    })
    this.#timers.set(name, timer)
  }

  cancel(name: string): void {
    this.#timers.get(name)?.cancel()
    this.#timers.delete(name)
  }

  cancelAll(): void {
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  get size(): number {
    return this.#timers.size
  }
}
