interface Entry<Item> {
  readonly item: Item
  readonly priority: number
}

/**
 * Items by a number, the lowest first: for instance the time at which each is due, so that one timer
 * serves any number of them. A binary heap; an item that is set again leaves its old place behind, which
 * is passed over when it comes up.
 */
export class PriorityQueue<Item> {
  readonly #heap: Entry<Item>[] = []
  readonly #current = new Map<Item, Entry<Item>>()

  get size(): number {
    return this.#current.size
  }

  /** The lowest number; undefined when there is no item. */
  get lowest(): number | undefined {
    return this.first?.priority
  }

  /** The item with the lowest number. */
  get first(): Entry<Item> | undefined {
    this.#dropStale()
    return this.#heap[0]
  }

  priorityOf(item: Item): number | undefined {
    return this.#current.get(item)?.priority
  }

  /** Gives an item its number, in place of the one that it had before. */
  set(item: Item, priority: number): void {
    const entry = { item, priority }
    this.#current.set(item, entry)
    this.#heap.push(entry)
    this.#up(this.#heap.length - 1)
    // Places left behind never outnumber the items by much.
    if (this.#heap.length > 2 * this.#current.size + 64) this.#rebuild()
  }

  delete(item: Item): void {
    this.#current.delete(item)
  }

  clear(): void {
    this.#current.clear()
    this.#heap.length = 0
  }

  /** Takes the item with the lowest number, unless that is above `limit`. */
  takeUpTo(limit: number): Item | undefined {
    const { first } = this
    if (first === undefined || first.priority > limit) return undefined
    this.#removeFirst()
    this.#current.delete(first.item)
    return first.item
  }

  #dropStale(): void {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (this.#current.get(first.item) === first) return
      this.#removeFirst()
    }
  }

  #rebuild(): void {
    this.#heap.length = 0
    for (const entry of this.#current.values()) this.#heap.push(entry)
    this.#heap.sort((a, b) => a.priority - b.priority)
  }

  #removeFirst(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#down(0)
  }

  #up(start: number): void {
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#isBefore(index, parent)) return
      this.#swap(index, parent)
      index = parent
    }
  }

  #down(start: number): void {
    let index = start
    for (;;) {
      const left = 2 * index + 1
      let first = index
      if (this.#isBefore(left, first)) first = left
      if (this.#isBefore(left + 1, first)) first = left + 1
      if (first === index) return
      this.#swap(index, first)
      index = first
    }
  }

  #isBefore(a: number, b: number): boolean {
    const first = this.#heap[a]
    const second = this.#heap[b]
    return first !== undefined && second !== undefined && first.priority < second.priority
  }

  #swap(a: number, b: number): void {
    const first = this.#heap[a]
    const second = this.#heap[b]
    if (first === undefined || second === undefined) return
    this.#heap[a] = second
    this.#heap[b] = first
  }
}
