/**
 * Runs inputs one at a time, each to completion.
 *
 * An input stores its new state and queues its effects; effects run in order, and what they cause is
 * appended. Users' code comes last, when everything is consistent, in the order of the events that it
 * hears of. So no rule ever sees a state that is half changed, and no listener can come between a
 * decision and its effect.
 */
export class TurnQueue {
  readonly #inputs: (() => void)[] = []
  readonly #reports: (() => void)[] = []
  #isRunning = false
  #isReporting = false

  /** Runs `input`, and all that follows from it, before it returns; inside another input, after that one. */
  run(input: () => void): void {
    if (this.#isRunning || this.#inputs.length > 0) {
      this.#inputs.push(input)
      if (this.#isRunning) return
    }
    this.#isRunning = true
    try {
      if (this.#inputs.length === 0) input()
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) next()
    } finally {
      this.#isRunning = false
    }
    this.#runReports()
  }

  /** Runs `report`, which may call users' code and must not throw, when all inputs have run. */
  report(report: () => void): void {
    this.#reports.push(report)
    if (!this.#isRunning) this.#runReports()
  }

  #runReports(): void {
    if (this.#isReporting) return
    this.#isReporting = true
    try {
      for (let next = this.#reports.shift(); next !== undefined; next = this.#reports.shift())
        next()
    } finally {
      this.#isReporting = false
    }
  }
}
