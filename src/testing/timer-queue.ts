import type { Timer } from '../contracts/clock.js'

/** A timer that is due, taken out of the queue. */
export interface DueTimer {
  readonly atMs: number
  readonly callback: () => void
}

interface Entry extends DueTimer {
  /** Counts up: what was set earlier runs earlier among equals. */
  readonly order: number
  state: 'set' | 'cancelled' | 'taken'
}

/** Timers by due time, and by the order in which they were set where that is equal: a binary heap. */
export class TimerQueue {
  readonly #heap: Entry[] = []
  #nextOrder = 0
  #size = 0

  /** Timers that were neither taken nor cancelled. */
  get size(): number {
    return this.#size
  }

  get nextAtMs(): number | undefined {
    return this.#first()?.atMs
  }

  add(atMs: number, callback: () => void): Timer {
    const entry: Entry = { atMs, callback, order: this.#nextOrder++, state: 'set' }
    this.#size += 1
    this.#insert(entry)
    return {
      cancel: () => {
        if (entry.state !== 'set') return
        entry.state = 'cancelled'
        this.#size -= 1
      },
    }
  }

  /** Takes the first timer that is due at `untilMs` or earlier. */
  takeDue(untilMs: number): DueTimer | undefined {
    const entry = this.#first()
    if (entry === undefined || entry.atMs > untilMs) return undefined
    this.#removeFirst()
    entry.state = 'taken'
    this.#size -= 1
    return entry
  }

  /** Cancelled timers stay in the heap until they come to its top. */
  #first(): Entry | undefined {
    while (this.#heap[0]?.state === 'cancelled') this.#removeFirst()
    return this.#heap[0]
  }

  #insert(entry: Entry): void {
    const heap = this.#heap
    let index = heap.length
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || isBefore(parent, entry)) break
      heap[index] = parent
      index = above
    }
    heap[index] = entry
  }

  #removeFirst(): void {
    const heap = this.#heap
    const entry = heap.pop()
    if (entry === undefined || heap.length === 0) return
    let index = 0
    for (;;) {
      const child = this.#lesserChild(index)
      const below = heap[child]
      if (below === undefined || isBefore(entry, below)) break
      heap[index] = below
      index = child
    }
    heap[index] = entry
  }

  #lesserChild(index: number): number {
    const left = 2 * index + 1
    const [a, b] = [this.#heap[left], this.#heap[left + 1]]
    return a !== undefined && b !== undefined && isBefore(b, a) ? left + 1 : left
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs
}
