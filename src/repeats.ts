import type { Clock, Timer } from './contracts/clock.js'

interface Repeated<Event> {
  /** What came since the last time it was told: the newest of it, and how many. */
  latest: Event | undefined
  count: number
  timer: Timer
}

/**
 * Tells of a condition at once when it begins, and of its repetitions at most once per interval, with
 * how many there were. So a flood of something is a handful of events, and none of it is lost. The
 * conditions are few and named by the caller.
 */
export class Repeats<Event> {
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #tell: (event: Event, count: number) => void
  readonly #repeated = new Map<string, Repeated<Event>>()

  constructor(options: {
    readonly clock: Clock
    readonly intervalMs: number
    /** `count` is at least 1: how many times it happened, of which `event` is the last. */
    readonly tell: (event: Event, count: number) => void
  }) {
    this.#clock = options.clock
    this.#intervalMs = options.intervalMs
    this.#tell = options.tell
  }

  note(condition: string, event: Event): void {
    const repeated = this.#repeated.get(condition)
    if (repeated === undefined) {
      this.#repeated.set(condition, {
        latest: undefined,
        count: 0,
        timer: this.#wait(condition),
      })
      this.#tell(event, 1)
    } else {
      repeated.latest = event
      repeated.count += 1
    }
  }

  /** Tells what was not told yet, and waits for nothing more. */
  flush(): void {
    for (const [condition, { latest, count, timer }] of [...this.#repeated]) {
      timer.cancel()
      this.#repeated.delete(condition)
      if (latest !== undefined) this.#tell(latest, count)
    }
  }

  #wait(condition: string): Timer {
    return this.#clock.setTimer(this.#intervalMs, () => {
      const repeated = this.#repeated.get(condition)
      if (repeated?.latest === undefined) {
        this.#repeated.delete(condition)
        return
      }
      const { latest, count } = repeated
      this.#repeated.set(condition, {
        latest: undefined,
        count: 0,
        timer: this.#wait(condition),
      })
      this.#tell(latest, count)
    })
  }
}
