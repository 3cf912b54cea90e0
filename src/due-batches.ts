import { PriorityQueue } from './priority-queue.js'

/** What is due at one time. */
export interface Batch<Item> {
  readonly items: Item[]
  /** Those of `items` that are due then; the others were moved or deleted. */
  waiting: number
}

/** An item of `DueBatches`, which alone writes this. */
export interface Batched<Item> {
  batch: Batch<Item> | undefined
}

/**
 * Items by the time at which each is due, for very many of them that are due at few different times: all
 * that it costs to move one is to write it into another list, however many others there are.
 */
export class DueBatches<Item extends Batched<Item>> {
  readonly #batches = new Map<number, Batch<Item>>()
  readonly #times = new PriorityQueue<Batch<Item>>()

  /** When the first item is due; undefined when there is none. */
  get firstMs(): number | undefined {
    return this.#times.lowest
  }

  set(item: Item, dueMs: number): void {
    this.delete(item)
    let batch = this.#batches.get(dueMs)
    if (batch === undefined) {
      batch = { items: [], waiting: 0 }
      this.#batches.set(dueMs, batch)
      this.#times.set(batch, dueMs)
    }
    batch.items.push(item)
    batch.waiting += 1
    item.batch = batch
  }

  delete(item: Item): void {
    const { batch } = item
    if (batch === undefined) return
    item.batch = undefined
    batch.waiting -= 1
    if (batch.waiting === 0) this.#drop(batch)
  }

  /** Takes one of those that are due at `nowMs` or before. */
  takeUpTo(nowMs: number): Item | undefined {
    const { lowest } = this.#times
    const batch = lowest === undefined || lowest > nowMs ? undefined : this.#times.first
    for (let item = batch?.items.pop(); item !== undefined; item = batch?.items.pop()) {
      if (item.batch !== batch) continue
      this.delete(item)
      return item
    }
    return undefined
  }

  #drop(batch: Batch<Item>): void {
    const dueMs = this.#times.priorityOf(batch)
    if (dueMs !== undefined) this.#batches.delete(dueMs)
    this.#times.delete(batch)
  }
}
