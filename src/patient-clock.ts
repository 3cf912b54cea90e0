import type { Clock, Timer } from './contracts/clock.js'
import { PriorityQueue } from './priority-queue.js'

/** A timer that fires later than this shows that the process stood still. */
const maxLatenessMs = 1_000

/** Timers of the system fire up to this much before their time. */
const maxRoundingMs = 1

/**
 * A clock that stands still while the process did: frozen, suspended, or busy for long. When a timer
 * is more than a second late, that lateness is taken out of the time, so that every deadline of the
 * node moves by it, and what arrived meanwhile is read before anything is judged. The lateness is found
 * by whoever looks first, the timer itself or input that reads the clock.
 *
 * Where the clock under it jumps back, against its contract, this one goes on from where it was.
 */
class PatientClock implements Clock {
  readonly #clock: Clock
  /** Timers that are set, by the time at which they are due. */
  readonly #pending = new PriorityQueue<Timer>()
  /** How long the process stood still, in all. */
  #lostMs = 0
  #latestMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#latestMs = clock.now()
  }

  now(): number {
    const readMs = this.#clock.now()
    const dueMs = this.#pending.lowest ?? Infinity
    const lateMs = readMs - this.#lostMs - dueMs
    if (lateMs > maxLatenessMs) this.#lostMs += lateMs
    const backMs = this.#latestMs - (readMs - this.#lostMs)
    if (backMs > maxLatenessMs) this.#lostMs -= backMs
    this.#latestMs = Math.max(this.#latestMs, readMs - this.#lostMs)
    return this.#latestMs
  }

  unixMs(): number {
    return this.#clock.unixMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const dueMs = this.now() + delayMs
    const fire = (): void => {
      const lostMs = this.#lostMs
      let earlyMs = dueMs - this.now()
      if (this.#lostMs < lostMs && earlyMs > 0) {
        // The clock jumped back; that the timer fires says how much time went by in truth.
        this.#lostMs -= earlyMs
        earlyMs = 0
      }
      if (this.#lostMs > lostMs) {
        timer = this.#clock.setTimer(0, fire)
      } else if (earlyMs > maxRoundingMs) {
        timer = this.#clock.setTimer(earlyMs, fire)
      } else {
        this.#pending.delete(handle)
        // Whoever asked for this time sees it, or rounding would make him ask for it again and again.
        this.#latestMs = Math.max(this.#latestMs, dueMs)
        callback()
      }
    }
    let timer = this.#clock.setTimer(delayMs, fire)
    const handle = {
      cancel: () => {
        this.#pending.delete(handle)
        timer.cancel()
      },
    }
    this.#pending.set(handle, dueMs)
    return handle
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
