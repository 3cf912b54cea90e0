import { ConnectionManager, type ConnectionEvents } from '../../src/connection-manager.js'
import type { ConnectionManagerOptions } from '../../src/connection/connection-options.js'
import type { CloseReason } from '../../src/contracts/close-reason.js'
import type { Clock } from '../../src/contracts/clock.js'
import type { Direction, Peer } from '../../src/contracts/peer-service.js'
import type { Random } from '../../src/contracts/random.js'
import type { Connection, Endpoint, Transport } from '../../src/contracts/transport.js'
import type { HoldfastError } from '../../src/errors.js'
import {
  entriesOf,
  PeerRegistry,
  type PeerEntry,
  type PeerIdentity,
} from '../../src/peer-registry.js'
import { PingMonitor, type PingMonitorOptions } from '../../src/ping-monitor.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import type { SimulatedClock } from '../../src/testing/simulated-clock.js'
import {
  SimulatedNetwork,
  type SimulatedNetworkOptions,
} from '../../src/testing/simulated-network.js'
import { RawPeer, type RawConnection, type RawPeerOptions } from './raw-peer.js'

export type NodeOptions = Partial<
  Omit<ConnectionManagerOptions, 'registry' | 'transport' | 'clock' | 'random'>
> &
  PingMonitorOptions & {
    readonly maxKnownPeers?: number
    readonly identity?: PeerIdentity
    readonly port?: number
    /** Puts something between the node and the network. */
    readonly wrapTransport?: (transport: Transport) => Transport
  }

type EventOf<Name extends keyof ConnectionEvents> = Parameters<ConnectionEvents[Name]>[0]

/** A registry, a ConnectionManager and a PingMonitor joined by hand, and all that they told. */
export class SimulatedNode {
  readonly host: string
  readonly registry: PeerRegistry
  readonly connections: ConnectionManager
  readonly pings: PingMonitor
  readonly transport: CountingTransport
  readonly connected: EventOf<'peerConnected'>[] = []
  readonly disconnected: EventOf<'peerDisconnected'>[] = []
  readonly resolveFailed: EventOf<'resolveFailed'>[] = []
  readonly dialFailed: EventOf<'dialFailed'>[] = []
  readonly inboundRefused: EventOf<'inboundRefused'>[] = []
  readonly misbehaved: EventOf<'misbehaved'>[] = []
  readonly sharedAddresses: EventOf<'sharedAddress'>[] = []
  readonly bugs: unknown[] = []

  constructor(
    host: string,
    plugs: { readonly transport: Transport; readonly clock: Clock; readonly random: Random },
    options: NodeOptions = {},
  ) {
    const { clock, random } = plugs
    this.host = host
    const { identity, maxKnownPeers, wrapTransport = (transport: Transport) => transport } = options
    this.transport = new CountingTransport(wrapTransport(plugs.transport))
    this.registry = new PeerRegistry({
      clock,
      ...(maxKnownPeers === undefined ? {} : { maxKnownPeers }),
      ...(identity === undefined ? {} : { identity }),
    })
    this.connections = new ConnectionManager({
      network: 'test',
      ...options,
      registry: this.registry,
      transport: this.transport,
      clock,
      random,
    })
    this.pings = new PingMonitor({ ...options, clock, random })
    this.connections.serve(this.pings)
    this.connections
      .on('peerConnected', (event) => void this.connected.push(event))
      .on('peerDisconnected', (event) => void this.disconnected.push(event))
      .on('resolveFailed', (event) => void this.resolveFailed.push(event))
      .on('dialFailed', (event) => void this.dialFailed.push(event))
      .on('inboundRefused', (event) => void this.inboundRefused.push(event))
      .on('misbehaved', (event) => void this.misbehaved.push(event))
      .on('sharedAddress', (event) => void this.sharedAddresses.push(event))
      .on('internalError', (event) => void this.bugs.push(event.error))
  }

  /** The one peer of a test with one peer. */
  get peer(): Peer {
    const [peer] = this.connections.peers()
    if (peer === undefined) throw new Error(`${this.host} has no peer`)
    return peer
  }

  /** Why connections ended, oldest first. */
  get reasons(): CloseReason[] {
    return this.disconnected.map(({ reason }) => reason)
  }

  get directions(): Direction[] {
    return this.connected.map(({ direction }) => direction)
  }

  get failures(): HoldfastError[] {
    return this.dialFailed.map(({ error }) => error)
  }

  /** What the library keeps of a peer inside. */
  entry(ip: string): PeerEntry {
    const entry = entriesOf(this.registry).get(ip)
    if (entry === undefined) throw new Error(`${this.host} does not know ${ip}`)
    return entry
  }
}

/** Counts what is asked of a transport, where it is asked. */
export class CountingTransport implements Transport {
  readonly name: string
  readonly defaultPort: number
  readonly listen?: NonNullable<Transport['listen']>
  readonly resolve?: NonNullable<Transport['resolve']>
  readonly resolved: string[] = []
  readonly dialled: Endpoint[] = []
  readonly #transport: Transport
  readonly #inFlight = new Map<string, number>()
  #listeners = 0
  maxInFlightPerHost = 0

  constructor(transport: Transport) {
    this.#transport = transport
    this.name = transport.name
    this.defaultPort = transport.defaultPort
    if (transport.listen !== undefined) this.listen = (...given) => this.#listen(...given)
    const resolve = transport.resolve?.bind(transport)
    if (resolve !== undefined) {
      this.resolve = (host, options) => {
        this.resolved.push(host)
        return resolve(host, options)
      }
    }
  }

  /** Dials that are not over. */
  get inFlight(): number {
    return [...this.#inFlight.values()].reduce((sum, count) => sum + count, 0)
  }

  get openListeners(): number {
    return this.#listeners
  }

  async dial(address: Endpoint, options: { readonly signal: AbortSignal }): Promise<Connection> {
    this.dialled.push(address)
    const inFlight = (this.#inFlight.get(address.host) ?? 0) + 1
    this.#inFlight.set(address.host, inFlight)
    this.maxInFlightPerHost = Math.max(this.maxInFlightPerHost, inFlight)
    // A dial is over as soon as its signal aborts, not only when its promise has found that out.
    const over = (): void => {
      options.signal.removeEventListener('abort', over)
      this.#inFlight.set(address.host, (this.#inFlight.get(address.host) ?? 0) - 1)
    }
    options.signal.addEventListener('abort', over)
    try {
      return await this.#transport.dial(address, options)
    } finally {
      if (!options.signal.aborted) over()
    }
  }

  async #listen(...given: Parameters<NonNullable<Transport['listen']>>) {
    const listener = await this.#transport.listen!(...given)
    this.#listeners += 1
    return {
      endpoints: listener.endpoints,
      close: async () => {
        this.#listeners -= 1
        await listener.close()
      },
    }
  }
}

/** A transport whose dials settle only when the test says so, whatever their signals do. */
export class HeldDials implements Transport {
  readonly name = 'held'
  readonly defaultPort: number
  readonly listen?: NonNullable<Transport['listen']>
  readonly #transport: Transport
  readonly #held: { readonly address: Endpoint; readonly settle: (error?: Error) => void }[] = []

  constructor(transport: Transport) {
    this.#transport = transport
    this.defaultPort = transport.defaultPort
    if (transport.listen !== undefined) this.listen = transport.listen.bind(transport)
  }

  dial(address: Endpoint): Promise<Connection> {
    return new Promise((resolve, reject) => {
      this.#held.push({
        address,
        settle: (error) => {
          if (error !== undefined) reject(error)
          else resolve(this.#transport.dial(address, { signal: new AbortController().signal }))
        },
      })
    })
  }

  get count(): number {
    return this.#held.length
  }

  /** The oldest dial that waits fails. */
  fail(): void {
    this.#held.shift()?.settle(new Error('failed by the test'))
  }

  /** The oldest dial that waits goes through. */
  succeed(): void {
    this.#held.shift()?.settle()
  }
}

/** A simulated network with its nodes. Everything random in it follows from the seed. */
export class World {
  readonly network: SimulatedNetwork
  readonly #dice: SeededRandom

  constructor(options: Partial<SimulatedNetworkOptions> = {}) {
    const seed = options.seed ?? 1
    this.network = new SimulatedNetwork({ latencyMs: 10, recut: false, ...options, seed })
    this.#dice = new SeededRandom(seed + 1)
  }

  get clock(): SimulatedClock {
    return this.network.clock
  }

  /** A node that does not run yet. */
  node(host: string, options: NodeOptions = {}): SimulatedNode {
    const transport = this.network.transport({
      host,
      ...(options.listen === false ? { listen: false } : {}),
      ...(options.port === undefined ? {} : { port: options.port }),
    })
    const random = this.#dice.fork()
    return new SimulatedNode(host, { transport, clock: this.clock, random }, options)
  }

  async running(host: string, options: NodeOptions = {}): Promise<SimulatedNode> {
    const node = this.node(host, options)
    await node.connections.start()
    return node
  }

  /** A host that is spoken by hand. */
  raw(host: string, options: RawPeerOptions & { readonly listen?: boolean } = {}): RawPeer {
    const { listen = true } = options
    return new RawPeer(this.network.transport({ host, listen }), options)
  }

  /** The physical connection that a node holds to a peer, or undefined. */
  linkOf(node: SimulatedNode, ip: string): number | undefined {
    const peer = node.connections.peer(ip)
    return peer && this.network.idOf(node.host, peer)
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms)
  }

  /** Two nodes, connected: `a` dialled `b`. */
  async pair(
    options: { readonly a?: NodeOptions; readonly b?: NodeOptions } = {},
  ): Promise<{ readonly a: SimulatedNode; readonly b: SimulatedNode }> {
    const a = await this.running('10.0.0.1', options.a)
    const b = await this.running('10.0.0.9', options.b)
    const connecting = a.connections.connect(b.host)
    await this.advance(1_000)
    await connecting
    return { a, b }
  }
}

export const directions = ['inbound', 'outbound'] as const

/** A connection between a node and a raw peer above it, established in the direction that the node sees. */
export async function establish(
  direction: Direction,
  node: SimulatedNode,
  world: World,
  host = '10.0.0.9',
): Promise<RawConnection> {
  const raw = world.raw(host)
  if (direction === 'inbound') {
    const connection = raw.dial(node.host).shakeHands({ decides: false })
    await world.advance(100)
    return connection
  }
  await raw.listen((connection) => void connection.shakeHands({ decides: false }))
  void node.connections.connect(host)
  await world.advance(100)
  return raw.accepted[0]!
}
