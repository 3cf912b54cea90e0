import {
  ConnectionManager,
  type ConnectionEvents,
  type ConnectionStatus,
} from './connection-manager.js'
import type { ConnectionManagerOptions } from './connection/connection-options.js'
import { checkLimits } from './connection/connection-options.js'
import type { BlockStore } from './contracts/block-store.js'
import type { ChainRules } from './contracts/chain-rules.js'
import type { Peer } from './contracts/peer-service.js'
import type { PeerStore } from './contracts/peer-store.js'
import { EventSource } from './events.js'
import { Lifecycle, type StartOptions } from './lifecycle.js'
import { PeerExchange } from './peer-exchange.js'
import { PeerMemory } from './peer-memory.js'
import { PeerRegistry, type PeerIdentity } from './peer-registry.js'
import { PingMonitor, pingLimitsOf } from './ping-monitor.js'
import type { Health } from './rules/health.js'
import type { PeerExchangeLimits } from './rules/peer-exchange.js'
import type { PingLimits } from './rules/ping-schedule.js'
import {
  SyncCoordinator,
  type SyncCoordinatorOptions,
  type SyncProgress,
} from './sync-coordinator.js'
import { blocksOverheadBytes } from './wire/messages.js'

/** What is synced, and where it is stored. */
export interface ChainOptions extends Omit<
  SyncCoordinatorOptions,
  'rules' | 'store' | 'clock' | 'random'
> {
  readonly rules: ChainRules
  readonly store: BlockStore
}

/** Everything that `createNode` takes: the options of the parts that it joins, side by side. */
export interface NodeOptions
  extends Omit<ConnectionManagerOptions, 'registry'>, Partial<PingLimits> {
  /**
   * What makes a peer the same peer. `ip` (the default): its IP alone. `endpoint`: its IP and its listening
   * port, for several nodes behind one address or on one machine.
   */
  readonly identity?: PeerIdentity
  /** What is known of peers; by default a new, empty one. */
  readonly registry?: PeerRegistry
  /** Where what is known of peers outlives the process, for instance `filePeerStore(path)`. */
  readonly peerStore?: PeerStore
  /** Peers tell each other of peers. Off by default. */
  readonly peerExchange?: boolean | Partial<PeerExchangeLimits>
  /**
   * IPs and CIDR ranges with reserved slots, and those that are neither accepted nor dialled: see
   * AccessLists. They are added to those of `registry`.
   */
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
  /**
   * Peers that are kept: dialled, and dialled again after each real end. `IP`, `IP:port`, `name` or
   * `name:port`: see ConnectionManager.keep.
   */
  readonly peers?: readonly string[]
  /** Without it there is no sync. */
  readonly chain?: ChainOptions
}

/** What a node tells itself; its parts tell the rest. */
export type NodeEvents = Pick<ConnectionEvents, 'peerConnected' | 'peerDisconnected'> & {
  /** Every part is up. */
  started: () => void
  /** Every part is down, and nothing is left. */
  stopped: () => void
}

export interface NodeStatus extends ConnectionStatus {
  /** Undefined for a node without a chain. */
  readonly sync: SyncProgress | undefined
}

/**
 * The parts of a node, joined for the common case. `Sync` is SyncCoordinator for a node with a chain,
 * and undefined for one without.
 */
export class Node<Sync extends SyncCoordinator | undefined = SyncCoordinator | undefined>
  extends EventSource<NodeEvents>
  implements AsyncDisposable
{
  readonly registry: PeerRegistry
  /** Undefined for a node without a `peerStore`. */
  readonly peerMemory: PeerMemory | undefined
  /** Undefined unless `peerExchange` is on. */
  readonly peerExchange: PeerExchange | undefined
  readonly connections: ConnectionManager
  readonly pings: PingMonitor
  readonly sync: Sync
  readonly #lifecycle = new Lifecycle()

  /** Use `createNode`. */
  constructor(parts: {
    readonly registry: PeerRegistry
    readonly peerMemory: PeerMemory | undefined
    readonly peerExchange: PeerExchange | undefined
    readonly connections: ConnectionManager
    readonly pings: PingMonitor
    readonly sync: Sync
  }) {
    super()
    this.registry = parts.registry
    this.peerMemory = parts.peerMemory
    this.peerExchange = parts.peerExchange
    this.connections = parts.connections
    this.pings = parts.pings
    this.sync = parts.sync
    this.connections.on('peerConnected', (event) => {
      this.tell('peerConnected', event)
    })
    this.connections.on('peerDisconnected', (event) => {
      this.tell('peerDisconnected', event)
    })
  }

  /**
   * Loads the known peers, opens the block store, listens, and dials the kept peers: brings up each part
   * that does not run, also when others were started by hand. Rejects with what
   * failed, with ABORTED when `stop` is called meanwhile, with `signal.reason` when the signal aborts,
   * and is stopped then, all of it. Idempotent; works again after `stop`.
   */
  start(options: StartOptions = {}): Promise<void> {
    return this.#lifecycle.start((signal) => this.#start(signal), options)
  }

  /**
   * Ends everything in order, and leaves no handle: see ConnectionManager.stop and SyncCoordinator.stop.
   * Idempotent, at any moment. Rejects with what the store rejects with when it closes, and is stopped
   * all the same.
   */
  stop(): Promise<void> {
    return this.#lifecycle.stop(() => this.#stop())
  }

  /** As `stop`: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** The connected peers. */
  peers(): Peer[] {
    return this.connections.peers()
  }

  /** How the node stands with the network: see `Health`. */
  get health(): Health {
    return this.connections.health
  }

  /** How the node stands, all of it at one moment. */
  status(): NodeStatus {
    return { ...this.connections.status(), sync: this.sync?.progress }
  }

  async #start(signal: AbortSignal): Promise<void> {
    const wasRunning = this.#isRunning()
    try {
      await this.peerMemory?.start()
      signal.throwIfAborted()
      await this.sync?.start({ signal })
      await this.connections.start({ signal })
    } catch (error) {
      await this.#undoStart()
      throw error
    }
    if (!wasRunning) this.tell('started')
  }

  /** A part whose own start failed has undone it itself, and is not waited for. */
  async #undoStart(): Promise<void> {
    const wasRunning = this.connections.status().state !== 'stopped'
    await this.connections.stop()
    if (this.sync !== undefined && this.sync.phase.kind !== 'stopped') {
      await this.sync.stop().catch(() => undefined)
    }
    await this.peerMemory?.stop()
    if (wasRunning) this.tell('stopped')
  }

  /** The parts can be started by hand too, so that some may run while others do not. */
  #isRunning(): boolean {
    const isSyncing = this.sync === undefined || this.sync.phase.kind !== 'stopped'
    return this.connections.status().state === 'running' && isSyncing
  }

  async #stop(): Promise<void> {
    const wasRunning = this.connections.status().state !== 'stopped'
    try {
      await this.connections.stop()
    } finally {
      // A store that fails to close fails the stop, but not what is left of it.
      try {
        await this.sync?.stop()
      } finally {
        await this.peerMemory?.stop()
        if (wasRunning) this.tell('stopped')
      }
    }
  }
}

/**
 * Makes a node: a registry, a ConnectionManager, a PingMonitor and, with `chain`, a SyncCoordinator,
 * joined to one another. It does nothing that a user could not do by hand, and holds no rule. Throws
 * TypeError or RangeError that names the option when one is wrong or two do not go together, and
 * HoldfastError INVALID_ADDRESS for a peer that is no address.
 */
export function createNode(
  options: NodeOptions & { readonly chain: ChainOptions },
): Node<SyncCoordinator>
export function createNode(options: NodeOptions & { readonly chain?: undefined }): Node<undefined>
export function createNode(options: NodeOptions): Node
export function createNode(options: NodeOptions): Node {
  checkTogether(options)
  const { peers = [], chain, peerStore, peerExchange: exchangeOptions = false } = options
  const { clock, random, registry = newRegistry(options) } = options
  const plugs = { ...(clock && { clock }), ...(random && { random }) }
  registry.access.add(options)
  const connections = new ConnectionManager({ ...options, registry })
  const pings = new PingMonitor({ ...options, ...plugs })
  const sync = chain && new SyncCoordinator({ ...chain, ...plugs })
  connections.serve(pings)
  if (sync !== undefined) connections.serve(sync)
  const peerMemory = peerStore && new PeerMemory({ registry, store: peerStore, ...plugs })
  if (peerMemory !== undefined) connections.serve(peerMemory)
  const peerExchange =
    exchangeOptions === false
      ? undefined
      : new PeerExchange({
          ...(exchangeOptions === true ? {} : exchangeOptions),
          registry,
          ...plugs,
          listeningPort: () => options.advertisedPort ?? connections.endpoints[0]?.port,
        })
  if (peerExchange !== undefined) connections.serve(peerExchange)
  for (const peer of peers) connections.keep(peer)
  return new Node({ registry, peerMemory, peerExchange, connections, pings, sync })
}

function newRegistry({ clock, identity, transport }: NodeOptions): PeerRegistry {
  return new PeerRegistry({
    ...(clock && { clock }),
    ...(identity && { identity }),
    ...(identity === 'endpoint' && { defaultPort: transport.defaultPort }),
  })
}

/** Limits of different parts that must fit one another. */
function checkTogether(options: NodeOptions): void {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw new TypeError('createNode needs its options: at least network and transport')
  }
  if (options.peers !== undefined && !Array.isArray(options.peers)) {
    throw new TypeError('peers must be an array of addresses')
  }
  const { identity, registry } = options
  if (identity !== undefined && registry !== undefined && registry.identity !== identity) {
    throw new RangeError(
      `identity ('${identity}') must be that of the registry ('${registry.identity}')`,
    )
  }
  const limits = checkLimits(options)
  const pings = pingLimitsOf(options)
  const silentMs = pings.missedPongsMax * pings.pingIntervalMs + pings.pongTimeoutMs
  if (limits.stableAfterMs <= silentMs) {
    throw new RangeError(
      `stableAfterMs (${limits.stableAfterMs}) must be above missedPongsMax × pingIntervalMs + ` +
        `pongTimeoutMs (${silentMs}): a connection that never answered must not count as stable`,
    )
  }
  const maxBlockBytes = (options.chain as Partial<ChainOptions> | undefined)?.rules?.maxBlockBytes
  if (maxBlockBytes === undefined) return
  const neededBytes = maxBlockBytes + blocksOverheadBytes(1)
  if (limits.maxFrameBytes < neededBytes) {
    throw new RangeError(
      `maxFrameBytes (${limits.maxFrameBytes}) must be at least the chain's maxBlockBytes and overhead (${neededBytes})`,
    )
  }
}
