import type { Clock, Timer } from './contracts/clock.js'

/** A timer that fires later than this shows that the process stood still. */
const maxLatenessMs = 1_000

/**
 * A clock that stands still while the process did: frozen, suspended, or busy for long. When a timer
 * fires more than a second late, that lateness is taken out of the time, so that every deadline of the
 * node moves by it, and what arrived meanwhile is read before anything is judged.
 */
class PatientClock implements Clock {
  readonly #clock: Clock
  #lostMs = 0
  #latestMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    this.#latestMs = Math.max(this.#latestMs, this.#clock.now() - this.#lostMs)
    return this.#latestMs
  }

  unixMs(): number {
    return this.#clock.unixMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const dueMs = this.#clock.now() - this.#lostMs + delayMs
    let timer: Timer
    const fire = (): void => {
      const lateMs = this.#clock.now() - this.#lostMs - dueMs
      if (lateMs > maxLatenessMs) {
        this.#lostMs += lateMs
        timer = this.#clock.setTimer(0, fire)
      } else if (lateMs < -1) {
        timer = this.#clock.setTimer(-lateMs, fire)
      } else {
        callback()
      }
    }
    timer = this.#clock.setTimer(delayMs, fire)
    return {
      cancel: () => {
        timer.cancel()
      },
    }
  }
}

const wrapped = new WeakMap<Clock, PatientClock>()

/** The patient form of a clock; the same one for the same clock, so that a node's parts share it. */
export function patientClock(clock: Clock): Clock {
  if (clock instanceof PatientClock) return clock
  let patient = wrapped.get(clock)
  if (patient === undefined) {
    patient = new PatientClock(clock)
    wrapped.set(clock, patient)
  }
  return patient
}
