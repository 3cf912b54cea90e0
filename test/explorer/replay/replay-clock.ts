import { TimerTable } from '../../../src/connection/timer-table.js'
import type { Clock, Timer } from '../../../src/contracts/clock.js'

/** The name of the timer that is being set, where it has one. */
let nameOfTimer: string | undefined

const setTimer = TimerTable.prototype.set

/** The clocks below hear what the library calls its timers. */
TimerTable.prototype.set = function (name, delayMs, callback) {
  nameOfTimer = name
  try {
    setTimer.call(this, name, delayMs, callback)
  } finally {
    nameOfTimer = undefined
  }
}

/**
 * A clock that stands still: time is what its owner says, by firing the timers that he likes, in any
 * order. The library's own clock takes a timer that fires more than a millisecond before its time for
 * rounding, and sets it again; so whoever wants to fire a timer at any time has it last no longer.
 */
export class ReplayClock implements Clock {
  readonly #timers = new Map<Timer, { readonly name: string; readonly callback: () => void }>()
  /** The name that was set last. */
  lastName = ''

  now(): number {
    return 0
  }

  unixMs(): number {
    return 0
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const name = nameOfTimer ?? `timer of ${delayMs} ms`
    this.lastName = name
    const timer = { cancel: () => void this.#timers.delete(timer) }
    this.#timers.set(timer, { name, callback })
    return timer
  }

  get names(): string[] {
    return Array.from(this.#timers.values(), ({ name }) => name)
  }

  isSet(name: string): boolean {
    return this.names.includes(name)
  }

  /** Fires the timer of this name; false when there is none. */
  fire(name: string): boolean {
    for (const [timer, set] of this.#timers) {
      if (set.name !== name) continue
      this.#timers.delete(timer)
      set.callback()
      return true
    }
    return false
  }
}
