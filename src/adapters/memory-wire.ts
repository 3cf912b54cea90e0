import type { Clock, Timer } from '../contracts/clock.js'

/** What lies between two ends, in one direction. */
export interface WireRoute {
  /** The clock of the receiving end: while that process stands still, nothing is delivered to it. */
  readonly clock: Clock

  /** Milliseconds that `bytes` bytes leaving now take. */
  delayMs(bytes: number): number

  /** Whether what arrives now gets through. */
  passes(): boolean
}

export interface WireReceiver<Item> {
  receive(item: Item): void
  /** Everything that arrived at this moment was received. */
  received(): void
}

interface Parcel<Item> {
  readonly atMs: number
  readonly item: Item
}

/**
 * One direction of a connection: first in, first out, each item after the delay that the route gave it
 * and never before the one ahead of it. An item that does not pass when it arrives is held, and
 * everything behind it, until `release`: as with TCP, nothing is lost from the middle of a stream.
 */
export class MemoryWire<Item> {
  readonly #route: WireRoute
  readonly #receiver: WireReceiver<Item>
  #parcels: Parcel<Item>[] = []
  #lastAtMs = -Infinity
  #timer: Timer | undefined
  #isHeld = false

  constructor(route: WireRoute, receiver: WireReceiver<Item>) {
    this.#route = route
    this.#receiver = receiver
  }

  send(item: Item, bytes: number): void {
    const atMs = this.#route.clock.now() + this.#route.delayMs(bytes)
    this.#lastAtMs = Math.max(this.#lastAtMs, atMs)
    this.#parcels.push({ atMs: this.#lastAtMs, item })
    this.#arm()
  }

  /** Sends what was held on its way again. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    const fromMs = this.#route.clock.now() + this.#route.delayMs(0)
    this.#parcels = this.#parcels.map(({ atMs, item }) => ({ atMs: Math.max(atMs, fromMs), item }))
    this.#lastAtMs = Math.max(this.#lastAtMs, fromMs)
    this.#arm()
  }

  /** Loses everything that is on its way. */
  clear(): void {
    this.#parcels = []
    this.#isHeld = false
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(): void {
    const [next] = this.#parcels
    if (next === undefined || this.#isHeld || this.#timer !== undefined) return
    const { clock } = this.#route
    this.#timer = clock.setTimer(Math.max(0, next.atMs - clock.now()), () => {
      this.#timer = undefined
      try {
        this.#deliver()
      } finally {
        this.#arm()
      }
    })
  }

  #deliver(): void {
    const nowMs = this.#route.clock.now()
    for (;;) {
      const [next] = this.#parcels
      if (next === undefined || next.atMs > nowMs) break
      this.#isHeld = !this.#route.passes()
      if (this.#isHeld) break
      this.#parcels.shift()
      this.#receiver.receive(next.item)
    }
    this.#receiver.received()
  }
}
