import type { PeerEntry } from '../peer-registry.js'
import type { ConnectionId } from '../rules/election.js'
import { subnetOf, type SubnetBits } from '../rules/ip-range.js'
import type { PeerIp } from '../rules/peer-ip.js'
import type { DialAttempt } from './dialer.js'
import type { PeerConnection } from './peer-connection.js'
import { SubnetCounts } from './subnet-counts.js'

/** A connection and what is known of it. */
export interface Link {
  readonly connection: PeerConnection
  readonly attempt: DialAttempt | undefined
  /** Whose it is: known from the dial on, or from the HELLO. LinkTable alone changes it. */
  entry: PeerEntry | undefined
}

/** An inbound connection, established or on its way to it, and its peer. */
export interface Inbound {
  readonly entry: PeerEntry
  readonly connection: PeerConnection
}

/**
 * All connections that the transport has not released, and the same ones by what they are: each question
 * costs what there is of its answer, not what there is of connections.
 */
export class LinkTable {
  readonly #links = new Map<ConnectionId, Link>()
  readonly #incumbents = new Map<string, PeerConnection>()
  readonly #handshaking = new Set<Link>()
  /** Open inbound connections whose HELLO was valid, by peer. */
  readonly #inbound = new Map<PeerEntry, readonly Link[]>()
  readonly #inboundBySubnet: SubnetCounts
  readonly #outboundBySubnet: SubnetCounts
  readonly #bits: SubnetBits

  constructor(bits: SubnetBits) {
    this.#bits = bits
    this.#inboundBySubnet = new SubnetCounts(bits)
    this.#outboundBySubnet = new SubnetCounts(bits)
  }

  get size(): number {
    return this.#links.size
  }

  /** The established connection of each peer, in the order in which they were. */
  get incumbents(): ReadonlyMap<string, PeerConnection> {
    return this.#incumbents
  }

  /** Connections that are open and not established, in the order in which they came. */
  get handshaking(): ReadonlySet<Link> {
    return this.#handshaking
  }

  /** Established outbound connections, over all and with one subnet. */
  get outbound(): Pick<SubnetCounts, 'total' | 'of'> {
    return this.#outboundBySubnet
  }

  get(id: ConnectionId): Link | undefined {
    return this.#links.get(id)
  }

  add(link: Link): void {
    this.#links.set(link.connection.connectionId, link)
    this.#handshaking.add(link)
  }

  /** A valid HELLO said whose connection it is. */
  identify(link: Link, entry: PeerEntry): void {
    if (link.entry === entry && this.#isInbound(link)) return
    this.#leaveInbound(link)
    link.entry = entry
    if (link.connection.direction === 'outbound') return
    const siblings = this.#inbound.get(entry)
    if (siblings === undefined) this.#inboundBySubnet.add(entry.ip)
    this.#inbound.set(entry, [...(siblings ?? []), link])
  }

  established(entry: PeerEntry, connection: PeerConnection): void {
    const link = this.#links.get(connection.connectionId)
    if (link !== undefined) this.#handshaking.delete(link)
    this.#incumbents.set(entry.key, connection)
    if (connection.direction === 'outbound') this.#outboundBySubnet.add(connection.ip)
  }

  lost(entry: PeerEntry, connection: PeerConnection): void {
    this.#incumbents.delete(entry.key)
    if (connection.direction === 'outbound') this.#outboundBySubnet.remove(connection.ip)
  }

  /** It is closed: what is left of it is to be released. */
  ended(link: Link): void {
    this.#handshaking.delete(link)
    this.#leaveInbound(link)
  }

  released(id: ConnectionId): void {
    this.#links.delete(id)
  }

  /** The established connection of a peer, by any of its names. */
  incumbentOf(entry: PeerEntry): PeerConnection | undefined {
    return this.#incumbents.get((entry.leadsTo ?? entry).key)
  }

  /** The peer as which a process is connected. */
  peerWithInstance(instanceId: string): PeerEntry | undefined {
    for (const { hello, connectionId } of this.#incumbents.values()) {
      if (hello.instanceId === instanceId) return this.#links.get(connectionId)?.entry
    }
    return undefined
  }

  /**
   * Peers other than `but` with an inbound connection that is established or has said a valid HELLO, and
   * those of them in the subnet of `ip`.
   */
  inboundBeside(but: PeerEntry, ip: PeerIp): { readonly inAll: number; readonly inSubnet: number } {
    const own = this.#inbound.has(but) ? 1 : 0
    const inSubnet = this.#inboundBySubnet.of(subnetOf(ip, this.#bits))
    return { inAll: this.#inbound.size - own, inSubnet: inSubnet - own }
  }

  establishedInbound(): Inbound[] {
    const established: Inbound[] = []
    for (const [entry, links] of this.#inbound) {
      for (const { connection } of links) {
        if (connection.isConnected) established.push({ entry, connection })
      }
    }
    return established
  }

  #isInbound(link: Link): boolean {
    return link.entry !== undefined && this.#inbound.get(link.entry)?.includes(link) === true
  }

  #leaveInbound(link: Link): void {
    const { entry } = link
    const siblings = entry && this.#inbound.get(entry)
    if (entry === undefined || siblings?.includes(link) !== true) return
    const others = siblings.filter((other) => other !== link)
    if (others.length > 0) {
      this.#inbound.set(entry, others)
      return
    }
    this.#inbound.delete(entry)
    this.#inboundBySubnet.remove(entry.ip)
  }
}
