import type { Clock, Timer } from '../contracts/clock.js'
import type { SendQueue } from './send-queue.js'

/** What a drain watch needs of its connection. */
export interface DrainWatchHost {
  /** The queue is at or below its high-water mark again. */
  queueDrained(): void
  /** The peer reads nothing. */
  peerStopped(): void
}

interface DrainWaiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const nobody: DrainWaiter[] = []

/**
 * Whether a send queue is above its high-water mark, who waits until it is not, and whether the peer
 * reads at all: one that drains nothing for `slowPeerMs` meanwhile is reported as slow.
 */
export class DrainWatch {
  readonly #queue: SendQueue
  readonly #clock: Clock
  readonly #limits: { readonly sendHighWaterBytes: number; readonly slowPeerMs: number }
  readonly #host: DrainWatchHost
  #isAboveHighWater = false
  #waiters = nobody
  #timer: Timer | undefined

  constructor(options: {
    readonly queue: SendQueue
    readonly clock: Clock
    readonly limits: { readonly sendHighWaterBytes: number; readonly slowPeerMs: number }
    readonly host: DrainWatchHost
  }) {
    this.#queue = options.queue
    this.#clock = options.clock
    this.#limits = options.limits
    this.#host = options.host
  }

  get isAboveHighWater(): boolean {
    return this.#isAboveHighWater
  }

  /** Something was added to the queue. */
  added(): void {
    if (this.#isAboveHighWater || !this.#isFull()) return
    this.#isAboveHighWater = true
    this.#arm()
  }

  /** The transport took something. */
  taken(): void {
    if (!this.#isAboveHighWater || this.#isFull()) return
    this.#isAboveHighWater = false
    this.#timer?.cancel()
    for (const waiter of this.#takeWaiters()) waiter.resolve()
    this.#host.queueDrained()
  }

  /** Resolves when the queue is at or below its high-water mark. */
  wait(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#isAboveHighWater) return Promise.resolve()
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        reject(signal?.reason as Error)
      }
      const waiter: DrainWaiter = {
        resolve: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
        reject: (error) => {
          signal?.removeEventListener('abort', onAbort)
          reject(error)
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      if (this.#waiters === nobody) this.#waiters = [waiter]
      else this.#waiters.push(waiter)
    })
  }

  /** The connection is over: whoever waits is told so. */
  end(error: unknown): void {
    this.#timer?.cancel()
    for (const waiter of this.#takeWaiters()) waiter.reject(error)
  }

  #takeWaiters(): readonly DrainWaiter[] {
    const waiters = this.#waiters
    this.#waiters = nobody
    return waiters
  }

  #isFull(): boolean {
    return this.#queue.queuedBytes > this.#limits.sendHighWaterBytes
  }

  #arm(): void {
    const drainedBytes = this.#queue.drainedBytes
    this.#timer = this.#clock.setTimer(this.#limits.slowPeerMs, () => {
      this.taken()
      if (!this.#isAboveHighWater) return
      if (this.#queue.drainedBytes > drainedBytes) this.#arm()
      else this.#host.peerStopped()
    })
  }
}
