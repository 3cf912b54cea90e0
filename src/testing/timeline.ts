/** Something that happened at a moment of virtual time. */
export interface TimelineEvent {
  readonly atMs: number
  readonly text: string
}

/** What happened in a run, in words: the first thing to read when a simulation fails. */
export class Timeline {
  readonly #now: () => number
  readonly #maxEvents: number
  #events: TimelineEvent[] = []
  #dropped = 0

  /** Above `maxEvents` the older half is dropped, and the report says how many are missing. */
  constructor(now: () => number, maxEvents: number) {
    this.#now = now
    this.#maxEvents = maxEvents
  }

  /** What was noted so far, in order. */
  get events(): readonly TimelineEvent[] {
    return this.#events
  }

  /** Adds a line at the present time. */
  note(text: string): void {
    this.#events.push({ atMs: this.#now(), text })
    if (this.#events.length <= this.#maxEvents) return
    const kept = this.#events.slice(-Math.ceil(this.#maxEvents / 2))
    this.#dropped += this.#events.length - kept.length
    this.#events = kept
  }

  /** One line for each event, or for the `last` of them. */
  report(last = Infinity): string {
    const shown = this.#events.slice(-Math.min(last, this.#events.length))
    const missing = this.#dropped + this.#events.length - shown.length
    const lines = shown.map(
      ({ atMs, text }) => `${(atMs / 1000).toFixed(3).padStart(12)}s  ${text}`,
    )
    return [...(missing > 0 ? [`(${missing} earlier events left out)`] : []), ...lines].join('\n')
  }
}
