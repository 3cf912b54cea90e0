import type { CloseReason } from './contracts/close-reason.js'
import type { ServicePeer } from './contracts/peer-service.js'
import { PriorityQueue } from './priority-queue.js'
import { HoldfastError } from './errors.js'
import { describeReason } from './rules/close-reasons.js'

interface PongWaiter {
  readonly peer: ServicePeer
  readonly nonce: bigint
  readonly timeoutMs: number
  readonly resolve: (roundTripMs: number) => void
  readonly reject: (error: unknown) => void
  /** Lets go of the caller's signal. */
  readonly release: () => void
}

/**
 * The callers of `ping()`, by the ping whose pong they await. Each settles once: by its pong, its
 * deadline, its signal, or the end of the connection. Deadlines are looked at from outside, so that
 * they need no timers of their own.
 */
export class PongWaiters {
  readonly #waiters = new Map<ServicePeer, Map<bigint, PongWaiter>>()
  readonly #due = new PriorityQueue<PongWaiter>()

  /** When the next deadline is; undefined when nobody waits. */
  get nextDueMs(): number | undefined {
    return this.#due.lowest
  }

  wait(
    peer: ServicePeer,
    nonce: bigint,
    options: {
      readonly signal: AbortSignal | undefined
      readonly timeoutMs: number
      readonly nowMs: number
    },
  ): Promise<number> {
    const { signal, timeoutMs, nowMs } = options
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#remove(waiter)
        reject(signal?.reason as Error)
      }
      const release = (): void => {
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter: PongWaiter = { peer, nonce, timeoutMs, resolve, reject, release }
      signal?.addEventListener('abort', onAbort, { once: true })
      const waiters = this.#waiters.get(peer) ?? new Map<bigint, PongWaiter>()
      this.#waiters.set(peer, waiters.set(nonce, waiter))
      this.#due.set(waiter, nowMs + timeoutMs)
    })
  }

  pongReceived(peer: ServicePeer, nonce: bigint, roundTripMs: number): void {
    const waiter = this.#waiters.get(peer)?.get(nonce)
    if (waiter === undefined) return
    this.#remove(waiter)
    waiter.resolve(roundTripMs)
  }

  /** Rejects those whose deadline has passed. */
  expire(nowMs: number): void {
    for (let waiter = this.#due.takeUpTo(nowMs); waiter; waiter = this.#due.takeUpTo(nowMs)) {
      this.#remove(waiter)
      const text = `no pong from ${waiter.peer.key} within ${waiter.timeoutMs} ms`
      waiter.reject(new HoldfastError('PING_TIMEOUT', text))
    }
  }

  /** The connection is over: whoever waits for its pongs is told so. */
  ended(peer: ServicePeer, reason: CloseReason): void {
    for (const waiter of [...(this.#waiters.get(peer)?.values() ?? [])]) {
      this.#remove(waiter)
      const text = `the connection ended before the pong: ${describeReason(reason)}`
      waiter.reject(new HoldfastError('CONNECTION_CLOSED', text, { reason }))
    }
  }

  #remove(waiter: PongWaiter): void {
    const waiters = this.#waiters.get(waiter.peer)
    waiters?.delete(waiter.nonce)
    if (waiters?.size === 0) this.#waiters.delete(waiter.peer)
    this.#due.delete(waiter)
    waiter.release()
  }
}
