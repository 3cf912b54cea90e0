import createDebug from 'debug'
import { checkMessage } from './connection/app-channel.js'
import { AppHandlers, type MessageHandler } from './connection/app-handlers.js'
import type {
  ConnectionEvents,
  ConnectionStatus,
  RunState,
} from './connection/connection-events.js'
import {
  checkIdentity,
  checkLimits,
  limitsFor,
  type ConnectionManagerLimits,
  type ConnectionManagerOptions,
} from './connection/connection-options.js'
import { connectByName } from './connection/connect-by-name.js'
import { Links, type LinkObserver } from './connection/links.js'
import type { Clock } from './contracts/clock.js'
import type { CloseReason } from './contracts/close-reason.js'
import type { Peer, PeerService } from './contracts/peer-service.js'
import type { Connection, Endpoint, Listener, Transport } from './contracts/transport.js'
import { systemClock, systemRandom } from './defaults.js'
import { HoldfastError } from './errors.js'
import { EventSource } from './events.js'
import { atMost, Lifecycle, orAborted, type StartOptions } from './lifecycle.js'
import { patientClock } from './patient-clock.js'
import { ensureEntry, findEntry, setKept, type PeerRegistry } from './peer-registry.js'
import { offencePoints } from './rules/misbehaviour-score.js'
import { judgeHealth, type Health } from './rules/health.js'
import { parseNamedPeer } from './rules/host-name.js'
import {
  formatEndpoint,
  parsePeerAddress,
  tryParsePeerIp,
  type PeerAddress,
} from './rules/peer-ip.js'
import { sharedAddressHint } from './rules/shared-address.js'
import { Repeats } from './repeats.js'
import { TurnQueue } from './turn-queue.js'

export type { ConnectionEvents, ConnectionStatus, RunState }

const debug = createDebug('holdfast:connections')

/** What repeats is one event in so long. */
const repeatsIntervalMs = 10_000

/**
 * Keeps one steady connection per peer: listens, dials, shakes hands, carries out the election, and
 * dials again after a real end. Needs a registry and a transport, and nothing else of the library.
 *
 * At every moment there is at most one established connection per peer, when things are quiet it is
 * the same one at both ends, and it is closed only for one of the reasons of docs/CLOSE-REASONS.md,
 * never because another one came, and never because of its age.
 */
export class ConnectionManager extends EventSource<ConnectionEvents> implements AsyncDisposable {
  readonly #registry: PeerRegistry
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #isListening: boolean
  readonly #limits: ConnectionManagerLimits
  readonly #turns = new TurnQueue()
  readonly #links: Links
  readonly #handlers: AppHandlers
  /** Handlers and services that throw: whoever sends much can make them do so. */
  readonly #failures: Repeats<(count: number) => void>
  /** Since when no connection is established. */
  #aloneSinceMs = 0
  readonly #services: PeerService[] = []
  readonly #refusals: Repeats<{ readonly remote: Endpoint; readonly reason: CloseReason }>
  #state: RunState = 'stopped'
  readonly #lifecycle = new Lifecycle()
  #listener: Listener | undefined
  /** The end of the listener before: it may take long. */
  #closing: Promise<void> = Promise.resolve()
  #onAllReleased: (() => void) | undefined

  /** Throws TypeError or RangeError that names the option when one is wrong. */
  constructor(options: ConnectionManagerOptions) {
    super()
    const { registry, transport } = options
    const identity = checkIdentity(options)
    const limits = checkLimits({ ...limitsFor(registry.identity), ...options })
    const clock = patientClock(options.clock ?? systemClock)
    this.#limits = limits
    this.#registry = registry
    this.#transport = transport
    this.#clock = clock
    this.#isListening = options.listen ?? transport.listen !== undefined
    if (this.#isListening && transport.listen === undefined) {
      throw new TypeError(`the transport '${transport.name}' cannot listen: use listen: false`)
    }
    const failed = (name: string, error: unknown): void => {
      this.#failures.note(`handler ${name}`, (count) => {
        const rethrow = (): never => {
          throw error
        }
        this.guard(name, rethrow, count)
      })
    }
    this.#handlers = new AppHandlers(failed)
    this.#failures = new Repeats({
      clock,
      intervalMs: repeatsIntervalMs,
      tell: (report, count) => {
        this.#turns.report(() => {
          report(count)
        })
      },
    })
    this.#refusals = new Repeats({
      clock,
      intervalMs: repeatsIntervalMs,
      tell: (event, count) => {
        this.#report('inboundRefused', { ...event, count })
      },
    })
    this.#links = new Links({
      registry,
      transport,
      limits,
      identity,
      clock,
      random: options.random ?? systemRandom,
      turns: this.#turns,
      observer: this.#observer(),
      authorize: options.authorize,
      onAuthorizeFailed: (error) => {
        failed('authorize', error)
      },
      evictsInbound: options.evictsInbound ?? false,
      mayBan: options.bansMisbehaviour ?? true,
      listeningPort: () => options.advertisedPort ?? this.endpoints[0]?.port,
      isOurs: (address) => this.#isOurs(address, options.advertisedPort),
    })
  }

  /** Joins a service to all connections from now on. Call it before `start`. */
  serve(service: PeerService): void {
    this.#services.push(service)
    for (const peer of this.#links.incumbents.values()) service.peerConnected?.(peer)
  }

  /**
   * Listens, and dials what is kept or known. Resolves when it listens; rejects with LISTEN_FAILED, with
   * ABORTED when `stop` is called meanwhile, and with `signal.reason` when the signal aborts, and is
   * stopped then. Idempotent; works again after `stop`.
   */
  start(options: StartOptions = {}): Promise<void> {
    return this.#lifecycle.start((signal) => this.#start(signal), options)
  }

  /**
   * Tells every peer that this node shuts down, flushes at most `closeFlushMs`, and releases every
   * socket, timer and waiter. Idempotent, at any moment.
   */
  stop(): Promise<void> {
    return this.#lifecycle.stop(() => this.#stop())
  }

  /** As `stop`: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Where it listens. */
  get endpoints(): readonly Endpoint[] {
    return this.#listener?.endpoints ?? []
  }

  /** The connected peers, in the order in which they connected. */
  peers(): Peer[] {
    return [...this.#links.incumbents.values()]
  }

  /**
   * The connected peer with this IP, in any notation (with `identity: 'endpoint'`: IP and port), or with
   * this key. Throws HoldfastError INVALID_ADDRESS.
   */
  peer(name: string): Peer | undefined {
    const entry = findEntry(this.#registry, name)
    return entry && this.#links.incumbentOf(entry)
  }

  /**
   * Resolves with the one established connection to a peer, whichever side dialled it, and dials at
   * once when there is none. Calls for one peer share one attempt. Rejects with CONNECT_FAILED (the
   * cause and the close reason attached) when that attempt fails, DIAL_TIMEOUT, SELF, BANNED,
   * NOT_RUNNING, INVALID_ADDRESS; with `signal.reason` when the signal aborts: the last caller that
   * aborts ends the dial.
   *
   * A host name, with or without a port, means whoever of its addresses is connected, or else the first
   * that works; see `connectByName`. Rejects with RESOLVE_FAILED when it stands for nobody.
   */
  async connect(address: string, options: { readonly signal?: AbortSignal } = {}): Promise<Peer> {
    const { signal } = options
    signal?.throwIfAborted()
    const peer = parseNamedPeer(address)
    if (peer.kind === 'address') return this.#connect(peer.address, signal)
    this.#links.lookup.check(peer.name)
    this.#checkRunning()
    const host = {
      lookup: this.#links.lookup.lookup.bind(this.#links.lookup),
      isOurs: (found: PeerAddress) => this.#links.isOurs(found),
      connected: ({ ip, port = this.#transport.defaultPort }: PeerAddress) =>
        this.peer(formatEndpoint({ host: ip, port })),
      connect: (found: PeerAddress) => this.#connect(found, signal),
    }
    return connectByName(host, peer.name, signal)
  }

  async #connect(parsed: PeerAddress, signal: AbortSignal | undefined): Promise<Peer> {
    this.#checkRunning()
    if (this.#registry.access.isDenied(parsed.ip)) {
      throw new HoldfastError('BANNED', `${parsed.ip} is denied: take its range off the list first`)
    }
    if (this.#registry.isBanned(parsed.ip)) {
      throw new HoldfastError('BANNED', `${parsed.ip} is banned: unban it first`)
    }
    const entry = ensureEntry(this.#registry, parsed, 'connect')
    if (entry === undefined) {
      throw new HoldfastError('CONNECT_FAILED', `no room for another known peer: ${parsed.ip}`)
    }
    const connected = this.#links.incumbentOf(entry)
    if (connected !== undefined) return connected
    return this.#links.connects.connect(entry, { port: parsed.port, signal })
  }

  /**
   * Closes the connection to a peer, and whatever is on its way to one; the peer is told `text`. It may
   * connect again, but it is not dialled until `keep` or `connect` names it.
   */
  disconnect(peer: string, text?: string): void {
    const entry = findEntry(this.#registry, peer)
    if (entry === undefined) return
    this.#turns.run(() => {
      for (const name of entry.names) name.isDialPaused = true
      this.#links.closeAll(entry, {
        kind: 'disconnected',
        by: 'us',
        ...(text === undefined ? {} : { text }),
      })
    })
  }

  /**
   * Reports that a peer misbehaved, in the eyes of the application: its connection is closed as
   * `misbehaved`, the peer is told `what`, and its IP's score grows by `points` (20 by default; 100 are
   * a ban unless `maxMisbehaviour` says otherwise). It need not be connected. Throws HoldfastError
   * INVALID_ADDRESS, and RangeError when `points` is negative or not finite.
   */
  report(ip: string, what: string, options: { readonly points?: number } = {}): void {
    const parsed = parsePeerAddress(ip)
    const { points = offencePoints.reported } = options
    if (!(points >= 0 && Number.isFinite(points))) {
      throw new RangeError(`points must be finite and at least 0, not ${points}`)
    }
    this.#turns.run(() => {
      for (const peer of [...this.#links.incumbents.values()]) {
        if (peer.ip !== parsed.ip) continue
        peer.offence = 'none'
        peer.closeFor({ kind: 'misbehaved', by: 'us', what })
      }
      this.#links.conduct.add(parsed.ip, points, what)
    })
  }

  /**
   * Keeps a peer connected: it is dialled, and dialled again after each real end, for ever.
   *
   * Of a host name each address is a peer of its own, but for this node itself and those for which the
   * registry has no room. It is looked up again at each redial, and again and again while that fails
   * (`resolveFailed`); an address for which it stands no more is not dialled again for its sake. Throws
   * HoldfastError INVALID_ADDRESS, also for a name where the transport knows none.
   */
  keep(address: string): void {
    const peer = parseNamedPeer(address)
    if (peer.kind === 'name') {
      this.#links.lookup.check(peer.name)
      this.#turns.run(() => {
        this.#links.names.keep(peer.name)
      })
      return
    }
    const entry = ensureEntry(this.#registry, peer.address, 'kept')
    if (entry === undefined) throw new RangeError(`no room for another known peer: ${address}`)
    this.#turns.run(() => {
      setKept(this.#registry, entry, true)
      entry.isDialPaused = false
      this.#links.dialer.consider(entry)
    })
  }

  /**
   * Undoes `keep`, of the same address or name. The connection, if there is one, goes on; after its end the
   * peer is not dialled again, unless a kept name stands for it as well.
   */
  unkeep(address: string): void {
    const peer = parseNamedPeer(address)
    if (peer.kind === 'name') {
      this.#links.lookup.check(peer.name)
      this.#turns.run(() => {
        this.#links.names.unkeep(peer.name)
      })
      return
    }
    const entry = findEntry(this.#registry, address)
    if (entry === undefined) return
    this.#turns.run(() => {
      for (const name of entry.names) {
        setKept(this.#registry, name, false)
        if (!name.isKept) name.isDialPaused = true
        this.#links.dialer.consider(name)
      }
    })
  }

  /**
   * Says that a peer is needed, or was just heard to be there: its dials go before those of others until
   * it is connected, and the pauses before its first five retries are cut short. It never makes a dial
   * that would not have come by itself, and a peer that is dead costs what any other one does from the
   * sixth retry on, however often this is called. False when nothing is known of the peer.
   */
  hurry(peer: string): boolean {
    const entry = findEntry(this.#registry, peer)
    if (entry === undefined) return false
    if (this.#links.incumbentOf(entry) === undefined) {
      this.#turns.run(() => {
        for (const name of entry.names) this.#links.dialer.hurry(name)
      })
    }
    return true
  }

  /**
   * Takes a connection that the user's own server accepted, as if this node had. Throws NOT_RUNNING.
   * Call it in the tick in which the connection came.
   */
  accept(connection: Connection): void {
    if (!this.#isAccepting()) throw new HoldfastError('NOT_RUNNING', 'the node is not running')
    this.#links.accept(connection)
  }

  /**
   * Handles the application's messages and requests of one type. What the handler returns, or its
   * promise brings, answers a request; a request without a handler, or whose handler throws, is refused.
   * The bytes are a stable view that pins a larger chunk: keep it or copy it. One handler per type:
   * another one replaces it, undefined removes it.
   */
  handle(type: string, handler: MessageHandler | undefined): void {
    this.#handlers.set(type, handler)
  }

  /**
   * Sends one message to every connected peer. Returns how many took it; a peer whose send queue is at
   * its hard limit, or that accepts no message of this size, does not.
   */
  broadcast(type: string, bytes: Uint8Array): number {
    checkMessage(type, bytes)
    let taken = 0
    for (const peer of this.#links.incumbents.values()) {
      try {
        peer.send(type, bytes)
        taken += 1
      } catch (error) {
        if (!HoldfastError.is(error) && !(error instanceof RangeError)) throw error
        debug('broadcast of %s skips %s: %s', type, peer.key, error.message)
      }
    }
    return taken
  }

  /** How the node stands with the network; looks through the known peers when none is connected. */
  get health(): Health {
    const connected = this.#links.incumbents.size
    const { dialing, queued } = this.#links.dialer.counts
    return judgeHealth(
      {
        state: this.#state,
        connected,
        isAnyWanted:
          connected === 0 && (this.#links.names.size > 0 || this.#links.dialer.isAnyWanted),
        isDialing: dialing + queued > 0,
        aloneMs: this.#clock.now() - this.#aloneSinceMs,
      },
      this.#limits.isolatedAfterMs,
    )
  }

  /** How the connections stand, all of them at one moment: the counts, the list and the sockets agree. */
  status(): ConnectionStatus {
    const { dialing, queued } = this.#links.dialer.counts
    const outbound = this.#links.outboundCount()
    return {
      state: this.#state,
      health: this.health,
      instanceId: this.#links.instanceId,
      endpoints: this.endpoints,
      ownIp: this.#links.ourIp(),
      inbound: this.#links.incumbents.size - outbound,
      outbound,
      handshaking: this.#links.handshakingCount,
      dialing,
      queuedDials: queued,
      isNetworkDown: this.#links.dialer.isNetworkDown,
      knownPeers: this.#registry.size,
      duplicatesRefused: this.#links.duplicatesRefused,
    }
  }

  async #start(signal: AbortSignal): Promise<void> {
    if (this.#state === 'running') return
    this.#state = 'starting'
    try {
      if (this.#isListening) this.#listener = await this.#listen(signal)
    } catch (error) {
      this.#state = 'stopped'
      throw error
    }
    this.#state = 'running'
    this.#aloneSinceMs = this.#clock.now()
    this.#turns.run(() => {
      this.#links.start()
    })
    if (this.#isListening) this.#report('listening', { endpoints: this.endpoints })
  }

  async #listen(signal: AbortSignal): Promise<Listener | undefined> {
    await orAborted(this.#closing, signal)
    const { maxPendingHandshakes, maxPendingHandshakesPerIp, handshakeTimeoutMs } = this.#limits
    const listening = this.#transport.listen?.(
      (connection) => {
        if (this.#isAccepting()) this.#links.accept(connection)
        else connection.destroy()
      },
      {
        maxPendingHandshakes,
        maxPendingHandshakesPerIp,
        handshakeTimeoutMs,
        onRefused: (remote, error) => {
          const text = error.message
          const reason: CloseReason = { kind: 'transport-error', by: 'us', error, text }
          if (this.#isAccepting()) this.#refusals.note('transport', { remote, reason })
        },
      },
    )
    if (listening === undefined) return undefined
    try {
      return await orAborted(listening, signal)
    } catch (error) {
      // One that comes late is closed, and the next start waits for that.
      this.#closing = listening.then((listener) => listener.close()).catch(() => undefined)
      throw error
    }
  }

  async #stop(): Promise<void> {
    if (this.#state !== 'stopped') {
      this.#state = 'stopping'
      this.#closing = this.#listener?.close() ?? this.#closing
      this.#listener = undefined
      this.#turns.run(() => {
        this.#links.stop()
      })
    }
    try {
      const closing = this.#closing
      this.#closing = closing.catch(() => undefined)
      await atMost(this.#clock, this.#limits.closeFlushMs, closing)
    } finally {
      if (this.#links.openCount > 0) {
        await new Promise<void>((resolve) => {
          this.#onAllReleased = resolve
        })
      }
      this.#refusals.flush()
      this.#failures.flush()
      this.#state = 'stopped'
    }
  }

  #checkRunning(): void {
    if (this.#state !== 'running') throw new HoldfastError('NOT_RUNNING', 'the node is not running')
  }

  /** Whether an address is this node's own, as far as it knows; the handshake finds out the rest. */
  #isOurs(address: PeerAddress, advertisedPort: number | undefined): boolean {
    const { ip, port = this.#transport.defaultPort } = address
    const ports = [advertisedPort, ...this.endpoints.map((endpoint) => endpoint.port)]
    const ips = [this.#links.ourIp(), ...this.endpoints.map(({ host }) => tryParsePeerIp(host))]
    return ips.includes(ip) && ports.includes(port)
  }

  #isAccepting(): boolean {
    return this.#state === 'running' || this.#state === 'starting'
  }

  /** Tells services at once, in order, and users when the turn is over. */
  #observer(): LinkObserver {
    return {
      connected: (peer) => {
        this.#eachService((service) => service.peerConnected?.(peer))
        this.#report('peerConnected', { peer, direction: peer.direction })
      },
      message: (peer, message) => {
        this.#eachService((service) => service.peerMessage?.(peer, message))
      },
      delivery: (peer, delivery) => {
        this.#turns.report(() => {
          this.#handlers.deliver(peer, delivery)
        })
      },
      drained: (peer) => {
        this.#eachService((service) => service.peerDrained?.(peer))
      },
      disconnected: (peer, reason) => {
        if (this.#links.incumbents.size === 0) this.#aloneSinceMs = this.#clock.now()
        this.#eachService((service) => service.peerDisconnected?.(peer, reason))
        this.#report('peerDisconnected', { peer, reason, droppedBytes: peer.droppedBytes })
      },
      dialFailed: ({ entry, endpoint }, error) => {
        this.#report('dialFailed', { ip: entry.ip, address: formatEndpoint(endpoint), error })
      },
      resolveFailed: (name, error) => {
        this.#report('resolveFailed', { name, error })
      },
      inboundRefused: (remote, reason) => {
        this.#refusals.note(conditionOf(reason), { remote, reason })
      },
      misbehaved: (event) => {
        this.#report('misbehaved', event)
      },
      ownNetworkChanged: (isDown) => {
        this.#report('ownNetworkChanged', { isDown })
      },
      addressShared: (key, { count, instanceIds }) => {
        const { identity } = this.#registry
        const hint = sharedAddressHint(identity)
        this.#report('sharedAddress', { key, refused: count, nodes: instanceIds.size, hint })
      },
      allReleased: () => {
        this.#onAllReleased?.()
        this.#onAllReleased = undefined
      },
    }
  }

  readonly #serviceFailed = (error: unknown): void => {
    debug('a service threw: %O', error)
    this.#failures.note('service', (count) => {
      this.tell('internalError', { error, count })
    })
  }

  #eachService(call: (service: PeerService) => unknown): void {
    for (const service of this.#services) {
      try {
        const result = call(service)
        // One that is async may fail later; nobody else would hear of it, and the process would end.
        if (result instanceof Promise) result.catch(this.#serviceFailed)
      } catch (error) {
        this.#serviceFailed(error)
      }
    }
  }

  #report<Name extends keyof ConnectionEvents>(
    name: Name,
    ...parameters: Parameters<ConnectionEvents[Name]>
  ): void {
    this.#turns.report(() => {
      this.tell(name, ...parameters)
    })
  }
}

/** What is told of together. The texts of others are without number, those of our own lack of room are few. */
function conditionOf({ kind, by, text }: CloseReason): string {
  return kind === 'busy' && by === 'us' && text !== undefined ? text : kind
}
