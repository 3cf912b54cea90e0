import type { Clock, Timer } from './contracts/clock.js'
import type { PeersMessage } from './contracts/exchange-messages.js'
import type { Peer, PeerService, ServiceMessage, ServicePeer } from './contracts/peer-service.js'
import type { Random } from './contracts/random.js'
import { systemClock, systemRandom } from './defaults.js'
import { PriorityQueue } from './priority-queue.js'
import { EventSource } from './events.js'
import { patientClock } from './patient-clock.js'
import { entriesOf, hearOf, type PeerRegistry } from './peer-registry.js'
import { majorityIp } from './rules/own-ip.js'
import {
  chooseGiven,
  chooseHeard,
  defaultPeerExchangeLimits,
  type GivablePeer,
  type PeerExchangeLimits,
} from './rules/peer-exchange.js'
import { tryParsePeerIp, type PeerIp } from './rules/peer-ip.js'

/** The limits of peer exchange, and the parts that it works with. */
export interface PeerExchangeOptions extends Partial<PeerExchangeLimits> {
  readonly registry: PeerRegistry
  /** With `identity: 'endpoint'`: the port that this node tells, so that it knows its own address. */
  readonly listeningPort?: () => number | undefined
  readonly clock?: Clock
  readonly random?: Random
}

/** What a PeerExchange tells. */
export type PeerExchangeEvents = {
  /** A peer answered: of the peers that it told, `learned` were worth knowing and new. */
  peersTold: (event: {
    readonly peer: Peer
    readonly told: number
    readonly learned: number
  }) => void
}

/** What passed between us and one connected peer. */
interface Session {
  isAsked: boolean
  answeredAtMs: number
}

/** The first question comes this soon after a connection was established, at most. */
const firstAskMs = 1_000

/**
 * Peers tell each other of peers. Each connected peer is asked now and then, whoever dialled; what it
 * tells becomes known as hearsay, which is dialled when there is room and displaces nobody. Each peer
 * that asks is told of a few that are known to be good, and at most once in `answerIntervalMs`; one that
 * asks more often, or tells unasked, is not heard, and not punished.
 *
 * Join it to a ConnectionManager with `connections.serve(exchange)`. It has one timer.
 */
export class PeerExchange extends EventSource<PeerExchangeEvents> implements PeerService {
  readonly #registry: PeerRegistry
  readonly #listeningPort: () => number | undefined
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: PeerExchangeLimits
  readonly #sessions = new Map<ServicePeer, Session>()
  readonly #due = new PriorityQueue<ServicePeer>()
  #timer: Timer | undefined
  #timerDueMs = Infinity
  #ignored = 0

  /** Throws RangeError that names the limit when one makes no sense. */
  constructor(options: PeerExchangeOptions) {
    super()
    this.#registry = options.registry
    this.#listeningPort = options.listeningPort ?? (() => undefined)
    this.#clock = patientClock(options.clock ?? systemClock)
    this.#random = options.random ?? systemRandom
    this.#limits = checkPeerExchangeLimits(options)
  }

  /** Questions and answers that came too often or unasked. */
  get ignored(): number {
    return this.#ignored
  }

  peerConnected(peer: ServicePeer): void {
    this.#sessions.set(peer, { isAsked: false, answeredAtMs: Number.NEGATIVE_INFINITY })
    this.#due.set(peer, this.#clock.now() + this.#random.next() * firstAskMs)
    this.#arm()
  }

  peerMessage(peer: ServicePeer, message: ServiceMessage): void {
    const session = this.#sessions.get(peer)
    if (session === undefined) return
    if (message.kind === 'getPeers') this.#answer(peer, session, message.count)
    if (message.kind === 'peers') this.#hear(peer, session, message)
  }

  peerDisconnected(peer: ServicePeer): void {
    this.#sessions.delete(peer)
    this.#due.delete(peer)
    this.#arm()
  }

  #answer(peer: ServicePeer, session: Session, asked: number): void {
    const nowMs = this.#clock.now()
    if (nowMs - session.answeredAtMs < this.#limits.answerIntervalMs) {
      this.#ignored += 1
      return
    }
    session.answeredAtMs = nowMs
    const facts = {
      partner: peer.ip as PeerIp,
      isPartner: (ip: PeerIp, port: number) =>
        ip === peer.ip && (this.#registry.identity === 'ip' || port === peer.listeningPort),
      asked,
      isOwn: this.#ownAddress(),
      nowUnixMs: this.#clock.unixMs(),
      dice: () => this.#random.next(),
    }
    peer.post({ kind: 'peers', peers: chooseGiven(this.#givable(), facts, this.#limits) })
  }

  #hear(peer: ServicePeer, session: Session, { peers }: PeersMessage): void {
    if (!session.isAsked) {
      this.#ignored += 1
      return
    }
    session.isAsked = false
    const facts = { partner: peer.ip as PeerIp, isOwn: this.#ownAddress() }
    const heard = chooseHeard(peers, facts, this.#limits)
    const learned = heard.filter(({ ip, port }) => hearOf(this.#registry, { ip, host: ip, port }))
    queueMicrotask(() => {
      this.tell('peersTold', { peer, told: peers.length, learned: learned.length })
    })
  }

  *#givable(): Generator<GivablePeer> {
    for (const entry of entriesOf(this.#registry).values()) {
      const { ip, isConnected, timesConnected, seenUnixMs } = entry
      const isUnwanted = entry.isDialPaused || this.#registry.isBanned(ip)
      const hasFailed = entry.lastFailure !== undefined
      const port = entry.listeningPort
      yield { ip, port, isUnwanted, isConnected, timesConnected, hasFailed, seenUnixMs }
    }
  }

  /** This node as its peers see it, most of them, and as its own sockets do. */
  #ownAddress(): (ip: PeerIp, port: number) => boolean {
    const seen = new Map<string, PeerIp>()
    const own = new Set<string>()
    for (const peer of this.#sessions.keys()) {
      const seenIp = tryParsePeerIp(peer.hello.yourIp)
      if (seenIp !== undefined) seen.set(peer.key, seenIp)
      const localIp = tryParsePeerIp(peer.local?.host)
      if (localIp !== undefined) own.add(localIp)
    }
    const majority = majorityIp(seen)
    if (majority !== undefined) own.add(majority)
    const ownPort = this.#listeningPort()
    return (ip, port) => own.has(ip) && (this.#registry.identity === 'ip' || port === ownPort)
  }

  #arm(): void {
    const dueMs = this.#due.lowest ?? Infinity
    if (dueMs === this.#timerDueMs) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerDueMs = dueMs
    if (dueMs === Infinity) return
    this.#timer = this.#clock.setTimer(Math.max(0, dueMs - this.#clock.now()), () => {
      this.#timerDueMs = Infinity
      this.#askDue()
    })
  }

  #askDue(): void {
    const nowMs = this.#clock.now()
    for (
      let peer = this.#due.takeUpTo(nowMs);
      peer !== undefined;
      peer = this.#due.takeUpTo(nowMs)
    ) {
      const session = this.#sessions.get(peer)
      if (session === undefined) continue
      session.isAsked = peer.post({ kind: 'getPeers', count: this.#limits.maxAsked })
      this.#due.set(peer, nowMs + this.#limits.askIntervalMs * (0.5 + this.#random.next()))
    }
    this.#arm()
  }
}

/** The limits of `options` with the defaults filled in. Throws RangeError that names what is wrong. */
export function checkPeerExchangeLimits(options: Partial<PeerExchangeLimits>): PeerExchangeLimits {
  const limits = { ...defaultPeerExchangeLimits }
  for (const name of Object.keys(limits) as (keyof PeerExchangeLimits)[]) {
    const value = options[name] ?? limits[name]
    const isCount = name.startsWith('max')
    const isRight = isCount
      ? Number.isInteger(value) && value >= 1 && value <= 1_000
      : Number.isFinite(value) && value > 0
    if (!isRight) {
      const range = isCount ? 'a whole number from 1 to 1000' : 'finite and above 0'
      throw new RangeError(`${name} must be ${range}, not ${value}`)
    }
    limits[name] = value
  }
  return limits
}
