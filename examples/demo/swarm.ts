import { createNode } from 'holdfast'
import type { BlockStore, ChainRules, CloseReason, Node, Peer, SyncCoordinator } from 'holdfast'
import { SocketLedger } from './counting-transport.js'
import type { DemoNetwork } from './network.js'

export interface Member {
  readonly ip: string
  readonly node: Node<SyncCoordinator>
  readonly store: BlockStore
}

/** A connection that was established, or that ended, as one of its two nodes tells it. */
export interface ConnectionEvent {
  readonly kind: 'connected' | 'ended'
  readonly atMs: number
  readonly ip: string
  readonly peerIp: string
  readonly reason: CloseReason | undefined
}

/** The demo's nodes, and all that happened to their connections before they were told to stop. */
export class Swarm {
  readonly members: Member[] = []
  readonly ledger = new SocketLedger()
  readonly events: ConnectionEvent[] = []
  /** Bugs that the library reports of itself or of a listener. */
  readonly bugs: string[] = []
  readonly #network: DemoNetwork
  readonly #rules: ChainRules
  #isStopping = false

  constructor(network: DemoNetwork, rules: ChainRules) {
    this.#network = network
    this.#rules = rules
  }

  /** Starts a node with an IP of its own that keeps `peers` connected. */
  async start(ip: string, store: BlockStore, peers: readonly string[] = []): Promise<Member> {
    const node = createNode({
      network: 'holdfast-demo',
      transport: this.ledger.counting(this.#network.transport(ip), ip),
      peers,
      chain: { rules: this.#rules, store },
      // Nobody waits for the other end to dial first: that makes the race.
      patienceMs: 0,
      // Soon enough to have a round trip to show.
      pingIntervalMs: 500,
    })
    const member = { ip, node, store }
    this.members.push(member)
    this.#watch(member)
    await node.start()
    return member
  }

  /** Whether each two nodes have each other as a peer, and nothing else is open between them. */
  get isSettled(): boolean {
    return this.pairs().every(
      ({ ends, sockets }) => ends.every((peer) => peer !== undefined) && sockets.open === 1,
    )
  }

  /** Each two nodes, with what either has of the other. */
  pairs(members: readonly Member[] = this.members) {
    return members.flatMap((a, index) =>
      members.slice(index + 1).map((b) => ({
        members: [a, b] as const,
        ends: [peerOf(a, b), peerOf(b, a)] as const,
        sockets: this.ledger.between(a.ip, b.ip),
      })),
    )
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.members.map(({ node }) => node.stop()))
  }

  #watch({ ip, node }: Member): void {
    const note = (kind: ConnectionEvent['kind'], peer: Peer, reason?: CloseReason): void => {
      if (this.#isStopping) return
      this.events.push({ kind, atMs: performance.now(), ip, peerIp: peer.ip, reason })
    }
    node.connections.on('peerConnected', ({ peer }) => note('connected', peer))
    node.connections.on('peerDisconnected', ({ peer, reason }) => note('ended', peer, reason))
    node.connections.on('internalError', ({ error }) => this.bugs.push(`${ip}: ${String(error)}`))
    node.connections.on('listenerError', ({ error }) => this.bugs.push(`${ip}: ${String(error)}`))
  }
}

/** `ip:port`, as others dial it. */
export const addressOf = ({ ip, node }: Member): string =>
  `${ip}:${node.connections.endpoints[0]?.port ?? 0}`

const peerOf = ({ node }: Member, other: Member): Peer | undefined =>
  node.connections.peers().find(({ ip }) => ip === other.ip)
