interface Waiter {
  readonly isMet: () => boolean
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** Promises that wait for a condition, and end with their signal or when nothing will come any more. */
export class SyncWaiters {
  readonly #waiters = new Set<Waiter>()

  wait(isMet: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      if (isMet()) return resolve()
      const onAbort = (): void => waiter.reject(signal?.reason)
      const done = (): void => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        isMet,
        resolve: () => {
          done()
          resolve()
        },
        reject: (reason) => {
          done()
          reject(reason)
        },
      }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Resolves those whose condition holds now. */
  settle(): void {
    for (const waiter of [...this.#waiters]) if (waiter.isMet()) waiter.resolve()
  }

  rejectAll(reason: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.reject(reason)
  }
}
