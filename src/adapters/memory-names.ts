import type { Clock, Timer } from '../contracts/clock.js'
import { canonicalHost } from './dial-address.js'

interface Name {
  readonly addresses: readonly string[]
  readonly delayMs: number
}

/** The host names of a network in memory. */
export class MemoryNames {
  readonly #names = new Map<string, Name>()

  /** See MemoryNetwork.setName. */
  set(name: string, addresses: readonly string[], delayMs: number): void {
    for (const address of addresses) {
      if (canonicalHost(address) === undefined) {
        throw new TypeError(`a name stands for IP literals, not ${JSON.stringify(address)}`)
      }
    }
    this.#names.set(name.toLowerCase(), { addresses: [...addresses], delayMs })
  }

  /** As a system does: an IP literal stands for itself; rejects with code ENOTFOUND for nobody. */
  async resolve(
    host: string,
    clock: Clock,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly string[]> {
    signal.throwIfAborted()
    const delayMs = this.#names.get(host.toLowerCase())?.delayMs ?? 0
    if (delayMs > 0) await sleep(clock, delayMs, signal)
    // What it stands for when the answer comes.
    const literal = canonicalHost(host)
    const found = literal === undefined ? this.#names.get(host.toLowerCase())?.addresses : [literal]
    if (found === undefined || found.length === 0) {
      const error = new Error(`getaddrinfo ENOTFOUND ${host}`)
      throw Object.assign(error, { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: host })
    }
    return found
  }
}

function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel()
      reject(signal.reason as Error)
    }
    const timer: Timer = clock.setTimer(ms, () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
