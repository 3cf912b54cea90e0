import type { Clock } from '../contracts/clock.js'
import type { Connection, Endpoint, Listener, Transport } from '../contracts/transport.js'
import { HoldfastError } from '../errors.js'
import { formatEndpoint } from '../rules/peer-ip.js'
import { canonicalHost, checkPort, dialAddress, systemError } from './dial-address.js'
import type { MemoryFabric } from './memory-fabric.js'

/** Where a host of a network in memory listens. */
export interface MemoryTransportOptions {
  /** The host's address in its network: an IP literal. Its dials come from there. */
  readonly host: string

  /** The port to listen on; 0 is any free one. Default 24100. */
  readonly port?: number

  /** Default true. With false the transport can only dial. */
  readonly listen?: boolean

  /** The port of an address that names none. Default: `port`, or 24100 where that is 0. */
  readonly defaultPort?: number

  /** The clock of this host's process. Default: the network's. */
  readonly clock?: Clock
}

const standardPort = 24_100

/** One host of a memory network, as a transport. */
export class MemoryTransport implements Transport {
  readonly name = 'memory'
  readonly defaultPort: number
  readonly host: string
  readonly listen?: NonNullable<Transport['listen']>
  readonly #fabric: MemoryFabric
  readonly #clock: Clock
  readonly #generation: number

  constructor(fabric: MemoryFabric, options: MemoryTransportOptions) {
    const host = canonicalHost(options.host)
    if (host === undefined) {
      throw new TypeError(`host must be an IP literal, not ${JSON.stringify(options.host)}`)
    }
    const port = checkPort('port', options.port ?? standardPort)
    this.host = host
    this.defaultPort = checkPort('defaultPort', options.defaultPort ?? (port || standardPort))
    this.#fabric = fabric
    this.#clock = options.clock ?? fabric.clock
    this.#generation = fabric.generation(host)
    if (options.listen !== false) this.listen = (onConnection) => this.#listen(port, onConnection)
  }

  async dial(address: Endpoint, { signal }: { readonly signal: AbortSignal }): Promise<Connection> {
    const to = dialAddress(address)
    signal.throwIfAborted()
    if (this.#isUnplugged) throw systemError('connect', 'ENETDOWN', to)
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        giveUp()
        reject(signal.reason)
      }
      signal.addEventListener('abort', abort, { once: true })
      const from = { host: this.host, clock: this.#clock }
      const giveUp = this.#fabric.dial(from, to, (result) => {
        signal.removeEventListener('abort', abort)
        if (result instanceof Error) reject(result)
        else resolve(result)
      })
    })
  }

  async resolve(
    host: string,
    options: { readonly signal: AbortSignal },
  ): Promise<readonly string[]> {
    return this.#fabric.names.resolve(host, this.#clock, options)
  }

  async #listen(port: number, onConnection: (connection: Connection) => void): Promise<Listener> {
    const wanted = { host: this.host, port }
    try {
      if (this.#isUnplugged) throw systemError('listen', 'ENETDOWN', wanted)
      const listening = this.#fabric.listen(wanted, { clock: this.#clock, onConnection })
      return { endpoints: [listening.endpoint], close: async () => listening.close() }
    } catch (cause) {
      const text = `cannot listen on ${formatEndpoint(wanted)}: ${String(cause)}`
      throw new HoldfastError('LISTEN_FAILED', text, { cause })
    }
  }

  get #isUnplugged(): boolean {
    return this.#fabric.generation(this.host) !== this.#generation
  }
}
