/** Children of a node of the heap: they lie side by side, so that many of them are one look into memory. */
const arity = 4

/**
 * Items by a number, the lowest first: for instance the time at which each is due, so that one timer
 * serves any number of them. A heap; an item that is set again leaves its old place behind, which is
 * passed over when it comes up.
 */
export class PriorityQueue<Item> {
  /** The heap: what is at one place in both belongs together. */
  readonly #priorities: number[] = []
  readonly #items: Item[] = []
  /** A place with another number than this one is left behind. */
  readonly #current = new Map<Item, number>()

  get size(): number {
    return this.#current.size
  }

  /** The lowest number; undefined when there is no item. */
  get lowest(): number | undefined {
    this.#dropStale()
    return this.#priorities[0]
  }

  /** The item with the lowest number; undefined when there is none. */
  get first(): Item | undefined {
    this.#dropStale()
    return this.#items[0]
  }

  priorityOf(item: Item): number | undefined {
    return this.#current.get(item)
  }

  /** Gives an item its number, in place of the one that it had before. */
  set(item: Item, priority: number): void {
    if (this.#current.get(item) === priority) return
    this.#current.set(item, priority)
    this.#priorities.push(priority)
    this.#items.push(item)
    this.#up(this.#items.length - 1)
    // Places left behind never outnumber the items by much.
    if (this.#items.length > 2 * this.#current.size + 64) this.#rebuild()
  }

  delete(item: Item): void {
    this.#current.delete(item)
  }

  clear(): void {
    this.#current.clear()
    this.#priorities.length = 0
    this.#items.length = 0
  }

  /** Takes the item with the lowest number, unless that is above `limit`. */
  takeUpTo(limit: number): Item | undefined {
    const { lowest } = this
    if (lowest === undefined || lowest > limit) return undefined
    const item = this.#items[0]
    this.#removeFirst()
    if (item !== undefined) this.#current.delete(item)
    return item
  }

  #dropStale(): void {
    for (let first = this.#items[0]; first !== undefined; first = this.#items[0]) {
      if (this.#current.get(first) === this.#priorities[0]) return
      this.#removeFirst()
    }
  }

  #rebuild(): void {
    const sorted = [...this.#current].sort(([, a], [, b]) => a - b)
    this.#priorities.length = 0
    this.#items.length = 0
    for (const [item, priority] of sorted) {
      this.#priorities.push(priority)
      this.#items.push(item)
    }
  }

  #removeFirst(): void {
    const item = this.#items.pop()
    const priority = this.#priorities.pop()
    if (item === undefined || priority === undefined || this.#items.length === 0) return
    this.#down(item, priority)
  }

  /** Moves what is at `index` up to where it belongs. */
  #up(start: number): void {
    const [priorities, items] = [this.#priorities, this.#items]
    const item = items[start] as Item
    const priority = priorities[start] as number
    let index = start
    while (index > 0) {
      const parent = Math.floor((index - 1) / arity)
      const above = priorities[parent] as number
      if (!(priority < above)) break
      priorities[index] = above
      items[index] = items[parent] as Item
      index = parent
    }
    priorities[index] = priority
    items[index] = item
  }

  /** Puts an item in place of the first one, and down to where it belongs. */
  #down(item: Item, priority: number): void {
    const [priorities, items] = [this.#priorities, this.#items]
    const { length } = items
    let index = 0
    for (;;) {
      const firstChild = arity * index + 1
      let least = index
      let leastPriority = priority
      for (let child = firstChild; child < Math.min(firstChild + arity, length); child += 1) {
        const childPriority = priorities[child] as number
        if (childPriority < leastPriority) {
          least = child
          leastPriority = childPriority
        }
      }
      if (least === index) break
      priorities[index] = leastPriority
      items[index] = items[least] as Item
      index = least
    }
    priorities[index] = priority
    items[index] = item
  }
}
