import type { Clock } from '../contracts/clock.js'
import type { Transport } from '../contracts/transport.js'
import { HoldfastError } from '../errors.js'
import { orAborted } from '../lifecycle.js'
import type { HostName } from '../rules/host-name.js'
import { tryParsePeerAddress, type PeerAddress } from '../rules/peer-ip.js'

/** Of what a name stands for no more than this is used: the first ones. */
export const maxAddressesPerName = 64

/** Finds out what a host name stands for, now: through the transport, with a deadline. */
export class HostLookup {
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #underWay = new Set<AbortController>()

  constructor(options: {
    readonly transport: Transport
    readonly clock: Clock
    readonly timeoutMs: number
  }) {
    this.#transport = options.transport
    this.#clock = options.clock
    this.#timeoutMs = options.timeoutMs
  }

  /** Throws HoldfastError INVALID_ADDRESS where the transport knows no names. */
  check(name: HostName): void {
    if (this.#transport.resolve !== undefined) return
    const text = `'${this.#transport.name}' resolves no host names, only IP addresses are accepted`
    throw new HoldfastError(
      'INVALID_ADDRESS',
      `the transport ${text}: ${JSON.stringify(name.text)}`,
    )
  }

  /**
   * The addresses, each once, in the transport's order. Rejects with RESOLVE_FAILED, its cause attached,
   * with NOT_RUNNING when the node stops, and with `signal.reason` when the signal aborts.
   */
  async lookup(name: HostName, signal?: AbortSignal): Promise<readonly PeerAddress[]> {
    this.check(name)
    signal?.throwIfAborted()
    const controller = new AbortController()
    const onAbort = (): void => {
      controller.abort(signal?.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    const timer = this.#clock.setTimer(this.#timeoutMs, () => {
      controller.abort(failed(name, `no answer within ${this.#timeoutMs} ms`))
    })
    this.#underWay.add(controller)
    try {
      return readAddresses(name, await this.#resolve(name, controller.signal))
    } finally {
      this.#underWay.delete(controller)
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Ends all lookups. */
  stop(): void {
    for (const controller of this.#underWay) {
      controller.abort(new HoldfastError('NOT_RUNNING', 'the node stopped'))
    }
  }

  async #resolve(name: HostName, signal: AbortSignal): Promise<unknown> {
    try {
      return await orAborted(
        Promise.resolve(this.#transport.resolve?.(name.host, { signal })),
        signal,
      )
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw failed(name, error instanceof Error ? error.message : String(error), error)
    }
  }
}

/** What a transport found is the world's word: what is no address there is left out. */
function readAddresses({ port, ...name }: HostName, found: unknown): readonly PeerAddress[] {
  const addresses = new Map<string, PeerAddress>()
  for (const text of Array.isArray(found) ? (found as readonly unknown[]) : []) {
    const address = tryParsePeerAddress(text)
    if (address === undefined || address.port !== undefined) continue
    if (!addresses.has(address.ip)) addresses.set(address.ip, { ...address, port })
    if (addresses.size === maxAddressesPerName) break
  }
  if (addresses.size === 0) throw failed({ port, ...name }, 'it stands for no IP address')
  return [...addresses.values()]
}

function failed(name: HostName, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('RESOLVE_FAILED', `${name.text}: ${why}`, { cause })
}
