import createDebug from 'debug'
import type { Authorize } from '../contracts/authorize.js'
import type { CloseReason } from '../contracts/close-reason.js'
import type { Clock } from '../contracts/clock.js'
import type { ExchangeMessage } from '../contracts/exchange-messages.js'
import type { PeerHello, PongEvent, ServiceMessage } from '../contracts/peer-service.js'
import type { Random } from '../contracts/random.js'
import type { SyncMessage } from '../contracts/sync-messages.js'
import type { Connection, Endpoint, Transport } from '../contracts/transport.js'
import { HoldfastError } from '../errors.js'
import { ensureEntry, watchRegistry, type PeerEntry, type PeerRegistry } from '../peer-registry.js'
import { describeReason } from '../rules/close-reasons.js'
import type { Arbiter, ConnectionId, SlotEvent } from '../rules/election.js'
import { tryParsePeerIp, type PeerAddress, type PeerIp } from '../rules/peer-ip.js'
import { peerKey } from '../rules/peer-key.js'
import type { Refusals } from '../rules/shared-address.js'
import type { TurnQueue } from '../turn-queue.js'
import { Authorizer } from './authorizer.js'
import { Conduct, type MisbehavedEvent } from './conduct.js'
import { Connects } from './connects.js'
import type { ConnectionManagerLimits, NodeIdentity } from './connection-options.js'
import { Dialer, type DialAttempt, type DialerOwner } from './dialer.js'
import { Elections, type ElectionHost } from './elections.js'
import type { AppDelivery, ConnectionOwner } from './connection-owner.js'
import { evicted, Gate, tooManyHandshakes } from './gate.js'
import { Greeting } from './greeting.js'
import { connectFailed, HandshakeEnds, isOurBan } from './handshake-ends.js'
import { HostLookup } from './host-lookup.js'
import { KeptNames } from './kept-names.js'
import { LinkTable, type Link } from './link-table.js'
import { PeerConnection } from './peer-connection.js'
import { SharedAddresses } from './shared-addresses.js'

/** What becomes of connections, for those who hear of it. Called within the turn in which it happened. */
export interface LinkObserver {
  connected(peer: PeerConnection): void
  message(peer: PeerConnection, message: ServiceMessage): void
  delivery(peer: PeerConnection, delivery: AppDelivery): void
  drained(peer: PeerConnection): void
  disconnected(peer: PeerConnection, reason: CloseReason): void
  dialFailed(attempt: DialAttempt, error: HoldfastError): void
  resolveFailed(name: string, error: HoldfastError): void
  inboundRefused(remote: Endpoint, reason: CloseReason): void
  misbehaved(event: MisbehavedEvent): void
  ownNetworkChanged(isDown: boolean): void
  addressShared(key: string, refusals: Refusals): void
  /** The last connection was released. */
  allReleased(): void
}

const debug = createDebug('holdfast:connections')

/**
 * All connections of a node, from the first byte to the last: brings what happens to them to the
 * elections of their slots, and what these bring about to the observer. Decides nothing that
 * `rules/` does not.
 */
export class Links implements ConnectionOwner, ElectionHost, DialerOwner {
  readonly dialer: Dialer
  readonly connects = new Connects(this)
  readonly conduct: Conduct
  readonly names: KeptNames
  readonly lookup: HostLookup
  readonly isOurs: (address: PeerAddress) => boolean
  readonly #registry: PeerRegistry
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: ConnectionManagerLimits
  readonly #turns: TurnQueue
  readonly #observer: LinkObserver
  readonly #greeting: Greeting
  readonly #authorizer: Authorizer
  readonly #gate: Gate
  readonly #elections: Elections
  readonly #sharedAddresses: SharedAddresses
  readonly #handshakeEnds: HandshakeEnds
  readonly #table: LinkTable
  #unwatch: () => void = () => undefined
  #lastId: ConnectionId = 0

  constructor(options: {
    readonly registry: PeerRegistry
    readonly transport: Transport
    readonly clock: Clock
    readonly random: Random
    readonly limits: ConnectionManagerLimits
    readonly evictsInbound: boolean
    readonly identity: NodeIdentity
    readonly turns: TurnQueue
    readonly observer: LinkObserver
    readonly mayBan: boolean
    readonly authorize: Authorize | undefined
    readonly onAuthorizeFailed: (error: unknown) => void
    /** The port that peers are told. */
    readonly listeningPort: () => number | undefined
    /** Whether this node itself is there. */
    readonly isOurs: (address: PeerAddress) => boolean
  }) {
    this.#registry = options.registry
    this.#clock = options.clock
    this.#random = options.random
    this.#limits = options.limits
    this.#turns = options.turns
    this.#observer = options.observer
    this.#greeting = new Greeting(options)
    this.#gate = new Gate(options)
    this.#table = new LinkTable(options.limits)
    const { clock, limits } = options
    const { identity } = this.#registry
    this.#elections = new Elections({ clock, limits, identity, host: this })
    this.#authorizer = new Authorizer({
      ...options,
      authorizeTimeoutMs: limits.authorizeTimeoutMs,
      run: (input) => {
        this.run(input)
      },
      report: (report) => {
        this.#turns.report(report)
      },
      onFailed: options.onAuthorizeFailed,
    })
    this.#sharedAddresses = new SharedAddresses({
      clock,
      tell: (key, refusals) => {
        this.run(() => {
          this.#observer.addressShared(key, refusals)
        })
      },
    })
    this.dialer = new Dialer({ ...options, owner: this })
    this.#handshakeEnds = new HandshakeEnds({
      table: this.#table,
      dialer: this.dialer,
      sharedAddresses: this.#sharedAddresses,
      host: options.observer,
    })
    this.isOurs = options.isOurs
    this.lookup = new HostLookup({ ...options, timeoutMs: limits.dialTimeoutMs })
    this.names = new KeptNames({
      ...options,
      lookup: this.lookup,
      host: {
        run: (input) => {
          this.run(input)
        },
        isOurs: options.isOurs,
        consider: (entry) => {
          this.dialer.consider(entry)
        },
        resolveFailed: (name, error) => {
          this.#observer.resolveFailed(name, error)
        },
      },
    })
    this.conduct = new Conduct({
      ...options,
      onMisbehaved: (event) => {
        this.#observer.misbehaved(event)
      },
    })
  }

  get instanceId(): string {
    return this.#greeting.instanceId
  }

  /** The established connection of each peer. */
  get incumbents(): ReadonlyMap<string, PeerConnection> {
    return this.#table.incumbents
  }

  /** Connections that the transport has not released. */
  get openCount(): number {
    return this.#table.size
  }

  /** Connections that are open and not established. */
  get handshakingCount(): number {
    return this.#table.handshaking.size
  }

  get duplicatesRefused(): number {
    return this.#handshakeEnds.duplicatesRefused
  }

  outboundCount(): number {
    return this.#table.outbound.total
  }

  outboundInto(subnet: string): number {
    return this.#table.outbound.of(subnet)
  }

  holdsBack(entry: PeerEntry): boolean {
    return this.names.holdsBack(entry)
  }

  connectionCount(): number {
    return this.incumbents.size
  }

  lastReceivedAtMs(): number {
    let latestMs = Number.NEGATIVE_INFINITY
    for (const { lastReceivedAtMs } of this.incumbents.values()) {
      latestMs = Math.max(latestMs, lastReceivedAtMs)
    }
    return latestMs
  }

  ownNetworkChanged(isDown: boolean): void {
    debug('our own network is %s', isDown ? 'down' : 'up again')
    this.#observer.ownNetworkChanged(isDown)
  }

  run(input: () => void): void {
    this.#turns.run(input)
  }

  nextId(): ConnectionId {
    this.#lastId += 1
    return this.#lastId
  }

  /** This node's IP as configured, or as most peers see it. */
  ourIp(): PeerIp | undefined {
    return this.#greeting.ourIp
  }

  connection(id: ConnectionId): PeerConnection | undefined {
    return this.#table.get(id)?.connection
  }

  /** Takes an inbound connection. */
  accept(transportConnection: Connection): void {
    const ip = tryParsePeerIp(transportConnection.remote.host)
    if (ip === undefined) {
      debug('inbound from %s is dropped: not an IP address', transportConnection.remote.host)
      transportConnection.destroy()
      return
    }
    this.run(() => {
      const verdict = this.#gate.judgeNew(ip, () =>
        [...this.#table.handshaking].filter(isInbound).map(({ connection }) => ({
          id: connection.connectionId,
          ip: connection.ip,
          hasHello: connection.hasHello,
        })),
      )
      if (verdict.kind === 'drop') {
        transportConnection.destroy()
        this.#observer.inboundRefused(transportConnection.remote, verdict.reason)
        return
      }
      const connection = this.#open(transportConnection, { ip, direction: 'inbound' }, undefined)
      if (verdict.kind === 'admitInsteadOf')
        this.connection(verdict.id)?.closeFor(tooManyHandshakes)
      if (verdict.kind === 'refuse') connection.closeFor(verdict.reason)
    })
  }

  /** Closes everything of a peer that is open or on its way, by whatever name. */
  closeAll(entry: PeerEntry, reason: CloseReason): void {
    for (const name of entry.names) {
      this.#closeHandshakes(name, reason)
      this.incumbents.get(name.key)?.closeFor(reason)
      this.connects.reject(name, connectFailed(name, reason))
    }
  }

  /** The established connection of a peer, by any of its names. */
  incumbentOf(entry: PeerEntry): PeerConnection | undefined {
    return this.#table.incumbentOf(entry)
  }

  /** Begins to dial. */
  start(): void {
    this.#unwatch = watchRegistry(this.#registry, (change) => {
      if (change.kind !== 'entry') return
      this.run(() => {
        this.#entryChanged(change.entry)
      })
    })
    this.names.start()
    this.dialer.start()
  }

  /** Ends everything: see ConnectionManager.stop. */
  stop(): void {
    this.#unwatch()
    this.#sharedAddresses.stop()
    this.names.stop()
    this.lookup.stop()
    this.dialer.stop()
    this.connects.rejectAll(new HoldfastError('NOT_RUNNING', 'the node stopped'))
    const reason: CloseReason = { kind: 'shutdown', by: 'us' }
    for (const { connection } of [...this.#table.handshaking]) connection.closeFor(reason)
    for (const connection of [...this.incumbents.values()]) connection.closeFor(reason)
  }

  /** Ends a dial of ours that has no connection yet; no failure is recorded. */
  abandonDial(entry: PeerEntry): void {
    const dial = entry.slot.state.candidates.find((candidate) => candidate.origin === 'dial')
    if (dial?.stage === 'dialing') {
      this.dialer.abort(dial.id, 'the dial is no longer wanted')
      this.#elections.handle(entry, { kind: 'closed', id: dial.id })
    }
    this.dialer.forgetQueued(entry)
  }

  dialStarted(attempt: DialAttempt): void {
    this.#elections.handle(attempt.entry, { kind: 'dialStarted', id: attempt.id })
  }

  dialSucceeded(attempt: DialAttempt, transportConnection: Connection): void {
    if (this.dialer.attempt(attempt.id) === undefined) {
      transportConnection.destroy()
      return
    }
    const { entry, id } = attempt
    const connection = this.#open(
      transportConnection,
      { ip: entry.ip, direction: 'outbound' },
      attempt,
    )
    this.dialer.heard(entry)
    this.#elections.handle(entry, { kind: 'dialConnected', id })
    this.#greeting.send(connection, attempt.nonce)
  }

  dialFailed(attempt: DialAttempt, error: unknown): void {
    const { entry, id } = attempt
    const isAborted = HoldfastError.is(error, 'ABORTED')
    if (!isAborted && entry.slot.state.incumbent === null) {
      const failure = asDialError(error)
      this.dialer.failed(entry, failure)
      this.#elections.handle(entry, { kind: 'closed', id })
      debug('dial of %s failed: %s', entry.key, failure.message)
      this.#observer.dialFailed(attempt, failure)
      this.connects.failed(entry, () => failure)
    } else {
      this.#elections.handle(entry, { kind: 'closed', id })
    }
    this.dialer.roomMayBeFree()
  }

  abortDial(id: ConnectionId): void {
    this.dialer.abort(id, 'the peer is connected')
  }

  helloReceived(connection: PeerConnection, hello: PeerHello, nonce: string): void {
    const link = this.#table.get(connection.connectionId)
    if (link === undefined) return
    const isInbound = connection.direction === 'inbound'
    const ownAttempt = isInbound ? this.dialer.attemptByNonce(nonce) : undefined
    const reason = this.#greeting.judge(connection, hello, ownAttempt !== undefined)
    if (reason !== undefined) {
      if (ownAttempt !== undefined) this.dialer.reachedSelf(ownAttempt)
      // Whoever says HELLO wrongly is a stranger, not an offender.
      connection.offence = 'none'
      connection.closeFor(reason)
      return
    }
    const dialled = link.entry
    const entry = this.#entryBehind(connection, hello, dialled)
    if (entry === undefined) {
      connection.closeFor(tooManyPeers)
      return
    }
    const noRoom = isInbound ? this.#gate.judgeRoom({ entry, connection }, this.#table) : undefined
    if (noRoom !== undefined) {
      connection.closeFor(noRoom)
      return
    }
    if (isInbound) this.#table.identify(link, entry)
    connection.key = entry.key
    this.dialer.heard(entry)
    if (isInbound) this.#greeting.answer(connection)
    const arbiter = this.#greeting.arbiterWith(connection, hello)
    if (this.#authorizer.isNeeded) this.#elections.suspendHandshake(connection.connectionId)
    this.#authorizer.ask(connection, arbiter, (isReady) => {
      this.#authorized(link, dialled, arbiter)
      if (isReady) this.readyReceived(connection)
    })
  }

  /** Only from here on does the connection take part in the election, and what its HELLO says counts. */
  #authorized(link: Link, dialled: PeerEntry | undefined, arbiter: Arbiter): void {
    const { connection, attempt } = link
    const { hello, connectionId: id } = connection
    // Who was asked about for long may have been forgotten meanwhile.
    const entry = this.#entryBehind(connection, hello, dialled)
    if (entry === undefined) {
      connection.closeFor(tooManyPeers)
      return
    }
    this.#table.identify(link, entry)
    if (dialled !== undefined) this.#dialAnswered(connection, dialled, entry)
    if (hello.listeningPort !== undefined) entry.toldPort = hello.listeningPort
    if (attempt?.isAsked === true) attempt.entry.configuredPort = attempt.endpoint.port
    if (this.#authorizer.isNeeded) this.#startHandshake(link)
    this.#elections.handle(entry, {
      kind: 'helloAccepted',
      id,
      // A dial that led to another slot comes there from outside.
      origin: dialled === entry ? 'dial' : 'inbound',
      arbiter,
      instanceId: hello.instanceId,
    })
  }

  readyReceived(connection: PeerConnection): void {
    if (this.#authorizer.readyReceived(connection)) return
    this.#handle(connection, { kind: 'readyReceived', id: connection.connectionId })
  }

  pongReceived(connection: PeerConnection, pong: PongEvent): void {
    const entry = this.#table.get(connection.connectionId)?.entry
    if (entry !== undefined) this.#elections.pongReceived(entry, connection, pong.nonce)
    this.#observer.message(connection, pong)
  }

  serviceReceived(connection: PeerConnection, message: SyncMessage | ExchangeMessage): void {
    this.#observer.message(connection, message)
  }

  appReceived(connection: PeerConnection, delivery: AppDelivery): void {
    this.#observer.delivery(connection, delivery)
  }

  drained(connection: PeerConnection): void {
    this.#observer.drained(connection)
  }

  established(entry: PeerEntry, connection: PeerConnection): void {
    connection.establish()
    this.dialer.settled(connection.connectionId)
    this.#table.established(entry, connection)
    this.#greeting.ownIpSeen(connection)
    entry.timesConnected += 1
    entry.lastSeenUnixMs = this.#clock.unixMs()
    for (const name of entry.names) {
      name.lastFailure = undefined
      name.isHurried = false
    }
    debug('%s is connected (%s #%d)', entry.key, connection.direction, connection.connectionId)
    this.#observer.connected(connection)
    for (const name of entry.names) this.connects.resolve(name, connection)
    this.#gate.established(connection, this.#table)?.closeFor(evicted)
  }

  lost(entry: PeerEntry, connection: PeerConnection): void {
    this.#table.lost(entry, connection)
    entry.lastSeenUnixMs = this.#clock.unixMs()
    const { reason, lastReceivedAtMs: heardMs } = connection
    const livedMs = this.#clock.now() - connection.establishedAtMs
    for (const name of entry.names) {
      if (!isOurBan(reason)) this.dialer.lost(name, { livedMs, reason, heardMs })
      if (isUnwanted(name, reason)) name.isDialPaused = true
    }
    debug('%s is disconnected: %s', entry.key, describeReason(connection.reason))
    this.#observer.disconnected(connection, connection.reason)
    this.dialer.roomMayBeFree()
  }

  stepped(entry: PeerEntry): void {
    for (const name of entry.names) this.dialer.consider(name)
  }

  ended(connection: PeerConnection, reason: CloseReason): void {
    const link = this.#table.get(connection.connectionId)
    if (link === undefined) return
    const { connectionId: id } = connection
    this.#table.ended(link)
    this.#elections.forget(id)
    this.#authorizer.ended(connection, reason)
    this.#gate.ended(id)
    this.conduct.ended(connection, reason)
    this.dialer.settled(id)
    this.#handshakeEnds.ended(link, reason)
    this.#handle(connection, { kind: 'closed', id })
    if (connection.direction === 'outbound') this.dialer.roomMayBeFree()
    if (link.entry === undefined || connection.wasEstablished) return
    for (const name of link.entry.names) {
      this.connects.failed(name, () => connectFailed(name, reason))
    }
  }

  released(connection: PeerConnection): void {
    this.#table.released(connection.connectionId)
    if (this.#table.size === 0) this.#observer.allReleased()
  }

  #handle(connection: PeerConnection, event: SlotEvent): void {
    const entry = this.#table.get(connection.connectionId)?.entry
    if (entry !== undefined) this.#elections.handle(entry, event)
  }

  #open(
    transportConnection: Connection,
    facts: { readonly ip: PeerIp; readonly direction: 'inbound' | 'outbound' },
    attempt: DialAttempt | undefined,
  ): PeerConnection {
    const id = attempt?.id ?? this.nextId()
    const connection = new PeerConnection(transportConnection, {
      ...facts,
      id,
      owner: this,
      clock: this.#clock,
      random: this.#random,
      limits: this.#limits,
    })
    const link: Link = { connection, entry: attempt?.entry, attempt }
    this.#table.add(link)
    this.#startHandshake(link)
    connection.open()
    return connection
  }

  #startHandshake(link: Link): void {
    const { connection } = link
    const { connectionId: id } = connection
    this.#elections.startHandshake(id, () => {
      if (link.entry === undefined) connection.closeFor({ kind: 'handshake-timeout', by: 'us' })
      else this.#elections.handle(link.entry, { kind: 'handshakeExpired', id })
    })
  }

  /** It was made known, banned, unbanned or forgotten. */
  #entryChanged(entry: PeerEntry): void {
    if (!this.#registry.isWelcome(entry.ip)) {
      this.connects.reject(entry, new HoldfastError('BANNED', `${entry.key} was banned meanwhile`))
      this.closeAll(entry, { kind: 'banned', by: 'us' })
    } else if (entry.isForgotten) {
      this.abandonDial(entry)
      const text = `${entry.key} made room for another known peer`
      this.connects.reject(entry, new HoldfastError('CONNECT_FAILED', text))
    }
    this.dialer.consider(entry)
  }

  #closeHandshakes(entry: PeerEntry, reason: CloseReason): void {
    for (const { connection, entry: owner } of [...this.#table.handshaking]) {
      if (owner === entry) connection.closeFor(reason)
    }
    this.abandonDial(entry)
  }

  /** The entry of the peer that a HELLO speaks of: it says more than the address that was dialled. */
  #entryBehind(
    connection: PeerConnection,
    hello: PeerHello,
    dialled: PeerEntry | undefined,
  ): PeerEntry | undefined {
    const { ip } = connection
    const key = peerKey(this.#registry.identity, ip, hello)
    if (dialled?.key === key) return dialled
    const address = { ip, host: dialled?.host ?? connection.remote.host, port: undefined }
    return ensureEntry(this.#registry, address, 'inbound', key)
  }

  /** A dial reached `peer`, possibly by another name: then it leaves its own slot for that of the peer. */
  #dialAnswered(connection: PeerConnection, dialled: PeerEntry, peer: PeerEntry): void {
    dialled.answeredBy(peer)
    if (dialled === peer) return
    debug('%s leads to %s', dialled.key, peer.key)
    this.#elections.handle(dialled, { kind: 'closed', id: connection.connectionId })
    const incumbent = this.incumbents.get(peer.key)
    if (incumbent !== undefined) this.connects.resolve(dialled, incumbent)
  }
}

const tooManyPeers: CloseReason = { kind: 'busy', by: 'us', text: 'too many known peers' }

function isInbound({ connection }: Link): boolean {
  return connection.direction === 'inbound'
}

/** A user ended the connection, here or there: only a kept peer is dialled again, and not by the end that did. */
function isUnwanted(entry: PeerEntry, reason: CloseReason): boolean {
  return reason.kind === 'disconnected' && (reason.by === 'us' || !entry.isKept)
}

function asDialError(error: unknown): HoldfastError {
  if (HoldfastError.is(error)) return error
  const text = error instanceof Error ? error.message : String(error)
  return new HoldfastError('DIAL_FAILED', text, { cause: error })
}
