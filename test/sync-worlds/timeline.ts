interface Planned {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** Virtual time: what is planned for the same moment runs in the order in which it was planned. */
export class Timeline {
  now = 0
  /** A binary heap: the earliest is first. */
  readonly #planned: Planned[] = []
  #order = 0

  after(delayMs: number, run: () => void): void {
    this.at(this.now + Math.max(0, delayMs), run)
  }

  at(atMs: number, run: () => void): void {
    const heap = this.#planned
    const item = { atMs: Math.max(this.now, atMs), order: this.#order++, run }
    let index = heap.length
    heap.push(item)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent]
      if (above === undefined || isBefore(above, item)) break
      heap[index] = above
      index = parent
    }
    heap[index] = item
  }

  get nextAtMs(): number {
    return this.#planned[0]?.atMs ?? Infinity
  }

  /** Runs what is planned next, and moves time there. */
  runNext(): void {
    const [next] = this.#planned
    if (next === undefined) return
    const last = this.#planned.pop()
    if (last !== undefined && last !== next) this.#sink(last)
    this.now = next.atMs
    next.run()
  }

  #sink(item: Planned): void {
    const heap = this.#planned
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      let below = heap[child]
      if (below === undefined) break
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, below)) {
        child += 1
        below = right
      }
      if (isBefore(item, below)) break
      heap[index] = below
      index = child
    }
    heap[index] = item
  }
}

const isBefore = (a: Planned, b: Planned): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
