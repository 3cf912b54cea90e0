/**
 * One host of the campaign: a process with an IP of its own that runs a node of the real library over
 * real TCP, and does what it is told over IPC. It ends with the campaign, however that ends.
 *
 *   member.ts IP
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createNode, describeReason } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import type { Node, Peer } from 'holdfast'
import { named, sharedNowMs } from './protocol.js'
import type {
  MemberEvent,
  MemberReport,
  Orders,
  RaceOrder,
  Request,
  StartOrder,
  Told,
} from './protocol.js'
import { SocketLog, type Note } from './socket-log.js'

/** How often a member looks whether it is settled. */
const lookEveryMs = 5

/** From the end of a node to the end of its last socket. */
const maxReleaseMs = 500

/** A node and all that happened to it. */
class Life {
  readonly node: Node<undefined>
  readonly sockets: SocketLog
  readonly #ip: string
  readonly #peers: number
  readonly #events: MemberEvent[] = []
  /** The last word heard on each connection that is established. */
  readonly #heard = new Map<Peer, string>()
  #word: string

  constructor(ip: string, order: StartOrder) {
    this.#ip = ip
    this.#peers = order.peers
    this.#word = order.word
    this.sockets = new SocketLog(this.#note)
    const transport = this.sockets.watching(tcpTransport({ host: ip, port: order.port }))
    this.node = createNode({ ...order.node, transport })
    this.#watch()
  }

  /** One connection to each peer, nothing else on its way, and each was heard. */
  get isSettled(): boolean {
    const { handshaking, dialing, queuedDials } = this.node.status()
    const peers = this.node.peers()
    return (
      peers.length === this.#peers &&
      this.sockets.openCount === this.#peers &&
      handshaking + dialing + queuedDials === 0 &&
      peers.every((peer) => this.#heard.get(peer) === this.#word)
    )
  }

  get report(): MemberReport {
    return {
      ip: this.#ip,
      peers: this.node.peers().map((peer) => ({
        ip: peer.ip,
        isDialled: peer.direction === 'outbound',
        local: named(peer.local),
        remote: named(peer.remote),
      })),
      sockets: this.sockets.records,
      events: this.#events,
      duplicatesRefused: this.node.status().duplicatesRefused,
    }
  }

  say(word: string): void {
    this.#word = word
    this.node.connections.broadcast('word', Buffer.from(word))
  }

  readonly #note: Note = (kind, peerIp, text) => {
    this.#events.push({ atMs: sharedNowMs(), ip: this.#ip, kind, peerIp, text })
  }

  #watch(): void {
    const { connections } = this.node
    connections.handle('word', (bytes, peer) => {
      const word = Buffer.from(bytes).toString()
      this.#heard.set(peer, word)
      this.#note('heard', peer.ip, word)
    })
    connections.on('peerConnected', ({ peer }) => {
      this.#note('connected', peer.ip, `${named(peer.local)} to ${named(peer.remote)}`)
      if (peer.isConnected) peer.send('word', Buffer.from(this.#word))
    })
    connections.on('peerDisconnected', ({ peer, reason }) => {
      this.#heard.delete(peer)
      this.#note('disconnected', peer.ip, `${reason.kind}: ${describeReason(reason)}`)
    })
    connections.on('dialFailed', ({ ip, error }) => this.#note('dial failed', ip, error.message))
    connections.on('inboundRefused', ({ remote, reason }) =>
      this.#note('refused', remote.host, describeReason(reason)),
    )
    const bug = ({ error }: { readonly error: unknown }): void =>
      this.#note('bug', '', error instanceof Error ? (error.stack ?? error.message) : String(error))
    connections.on('internalError', bug)
    connections.on('listenerError', bug)
  }
}

const [ip = ''] = process.argv.slice(2)
let life: Life | undefined
let wasSettled = false

const current = (): Life => {
  if (life === undefined) throw new Error('there is no node')
  return life
}

const actions: {
  [Kind in keyof Orders]: (order: Orders[Kind]['order']) => Promise<Orders[Kind]['answer']>
} = {
  start: async (order) => {
    life = new Life(ip, order)
    await life.node.start()
    return { port: life.node.connections.endpoints[0]?.port ?? 0 }
  },
  race: async ({ peers, atMs }: RaceOrder) => {
    await sleep(Math.max(0, atMs - sharedNowMs()))
    const begunAtMs = sharedNowMs()
    for (const peer of peers) current().node.connections.keep(peer)
    return { begunAtMs }
  },
  say: async ({ word }) => {
    current().say(word)
    tellSettled(false)
    return null
  },
  report: async () => current().report,
  stop: async () => {
    const { node, sockets } = current()
    await node.stop()
    tellSettled(false)
    life = undefined
    // A socket that is destroyed is released in a later tick, if its peer said nothing to the end.
    const deadlineMs = sharedNowMs() + maxReleaseMs
    while (sockets.openCount > 0 && sharedNowMs() < deadlineMs) await sleep(lookEveryMs)
    return { openSockets: sockets.openCount }
  },
}

function tell(told: Told): void {
  if (process.connected) process.send?.(told)
}

function tellSettled(isSettled: boolean): void {
  if (isSettled !== wasSettled) tell({ kind: 'settled', isSettled })
  wasSettled = isSettled
}

async function obey<Kind extends keyof Orders>(
  id: number,
  kind: Kind,
  order: Orders[Kind]['order'],
): Promise<void> {
  try {
    tell({ kind: 'answer', id, answer: await actions[kind](order) })
  } catch (error) {
    tell({ kind: 'failed', id, text: error instanceof Error ? error.message : String(error) })
  }
}

// A campaign that is gone, in whatever way, has no use for us; one that was interrupted ends us itself.
process.on('disconnect', () => process.exit())
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined)
process.on('message', ({ id, kind, order }: Request) => void obey(id, kind, order as never))
setInterval(() => {
  // It may have gone before anybody listened.
  if (!process.connected) process.exit()
  if (life !== undefined) tellSettled(life.isSettled)
}, lookEveryMs)
tell({ kind: 'ready' })
