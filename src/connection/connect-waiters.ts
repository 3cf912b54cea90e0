import type { Peer } from '../contracts/peer-service.js'
import type { PeerEntry } from '../peer-registry.js'

interface Waiter {
  readonly resolve: (peer: Peer) => void
  readonly reject: (error: unknown) => void
}

/** The callers of `connect()`, by the peer that they wait for. */
export class ConnectWaiters {
  readonly #waiters = new Map<PeerEntry, Set<Waiter>>()

  get entries(): PeerEntry[] {
    return [...this.#waiters.keys()]
  }

  has(entry: PeerEntry): boolean {
    return this.#waiters.has(entry)
  }

  /** Resolves with the connection. `onAbandoned` is called when the last caller's signal aborted. */
  wait(entry: PeerEntry, signal: AbortSignal | undefined, onAbandoned: () => void): Promise<Peer> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(entry) ?? new Set()
      this.#waiters.set(entry, waiters)
      const release = (): void => {
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        resolve: (peer) => {
          release()
          resolve(peer)
        },
        reject: (error) => {
          release()
          reject(error)
        },
      }
      const onAbort = (): void => {
        reject(signal?.reason as Error)
        waiters.delete(waiter)
        if (waiters.size > 0 || this.#waiters.get(entry) !== waiters) return
        this.#waiters.delete(entry)
        onAbandoned()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      waiters.add(waiter)
    })
  }

  resolve(entry: PeerEntry, peer: Peer): void {
    for (const waiter of this.#take(entry)) waiter.resolve(peer)
  }

  reject(entry: PeerEntry, error: unknown): void {
    for (const waiter of this.#take(entry)) waiter.reject(error)
  }

  #take(entry: PeerEntry): Iterable<Waiter> {
    const waiters = this.#waiters.get(entry) ?? []
    this.#waiters.delete(entry)
    return waiters
  }
}
