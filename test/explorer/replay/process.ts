import { ConnectionManager } from '../../../src/connection-manager.js'
import type { CloseReason } from '../../../src/contracts/close-reason.js'
import type { ServicePeer } from '../../../src/contracts/peer-service.js'
import type { Connection, Endpoint, Listener, Transport } from '../../../src/contracts/transport.js'
import { entriesOf, PeerRegistry } from '../../../src/peer-registry.js'
import { emptySlot, type SlotState } from '../../../src/rules/election.js'
import { SeededRandom } from '../../../src/testing/seeded-random.js'
import { ReplayClock } from './replay-clock.js'

/** A dial that the network has not answered yet. */
export interface PendingDial {
  readonly id: number
  readonly host: string
  readonly signal: AbortSignal
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: unknown) => void
}

/**
 * No timer lasts longer than a millisecond, so that each may fire at any time; and no dial starts by
 * itself. How many sockets may be in handshake per IP is not what is replayed here.
 */
const limits = {
  handshakeTimeoutMs: 0.9,
  confirmTimeoutMs: 0.4,
  electionHoldMs: 0.05,
  challengeTimeoutMs: 0.1,
  challengeTimeoutMaxMs: 0.1,
  dialTimeoutMs: 0.8,
  patienceMs: 1e9,
  backoffBaseMs: 1e9,
  backoffMaxMs: 1e9,
  maxPendingHandshakesPerIp: 64,
}

/** One life of a host: a real ConnectionManager on a clock and a network that obey. */
export class ReplayProcess {
  readonly clock = new ReplayClock()
  readonly registry = new PeerRegistry({ clock: this.clock })
  readonly connections: ConnectionManager
  readonly dials: PendingDial[] = []
  /** Established and lost, as services hear of them: +id, -id, by IP. */
  readonly history = new Map<string, number[]>()
  readonly bugs: unknown[] = []
  readonly #peers = new Map<number, ServicePeer>()
  #accept: ((connection: Connection) => void) | undefined

  constructor(seed: number) {
    const dice = new SeededRandom(seed)
    this.connections = new ConnectionManager({
      network: 'replay',
      registry: this.registry,
      transport: this.#transport(),
      clock: this.clock,
      // The longest jitter: a backoff is never over.
      random: { next: () => 0.999, bytes: (length) => dice.bytes(length) },
      ...limits,
    })
    this.connections.serve({
      peerConnected: (peer) => {
        this.#peers.set(peer.connectionId, peer)
        this.#remember(peer.ip, peer.connectionId)
      },
      peerDisconnected: (peer) => {
        this.#peers.delete(peer.connectionId)
        this.#remember(peer.ip, -peer.connectionId)
      },
    })
    this.connections.on('internalError', ({ error }) => void this.bugs.push(error))
  }

  get instanceId(): string {
    return this.connections.status().instanceId
  }

  slotOf(ip: string): SlotState {
    return entriesOf(this.registry).get(ip)?.slot.state ?? emptySlot
  }

  dial(ip: string): void {
    this.connections.connect(ip).catch(() => undefined)
  }

  accept(connection: Connection): void {
    this.#accept?.(connection)
  }

  /** Gives a connection up as PingMonitor does; false when it is not established. */
  giveUp(id: number): boolean {
    const reason: CloseReason = { kind: 'ping-timeout', by: 'us', missed: 3 }
    const peer = this.#peers.get(id)
    peer?.closeFor(reason)
    return peer !== undefined
  }

  #remember(ip: string, change: number): void {
    this.history.set(ip, [...(this.history.get(ip) ?? []), change])
  }

  #transport(): Transport {
    return {
      name: 'replay',
      defaultPort: 24_100,
      dial: (address, { signal }) => this.#dial(address, signal),
      // It tells no port, so that peers that come in are never dialled.
      listen: async (onConnection): Promise<Listener> => {
        this.#accept = onConnection
        return { endpoints: [], close: async () => undefined }
      },
    }
  }

  #dial({ host }: Endpoint, signal: AbortSignal): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const id = idIn(this.clock.lastName, 'timeout')
      this.dials.push({ id, host, signal, resolve, reject })
    })
  }
}

/** The id in the name of a timer: the one that was set last tells which connection this is. */
export function idIn(name: string, kind: string): number {
  const [first, id] = name.split(' ')
  if (first !== kind) throw new Error(`the last timer that was set is '${name}', not '${kind} …'`)
  return Number(id)
}
