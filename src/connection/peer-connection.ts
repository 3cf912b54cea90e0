import type { CloseReason } from '../contracts/close-reason.js'
import type { Clock } from '../contracts/clock.js'
import type { ExchangeMessage } from '../contracts/exchange-messages.js'
import type { Direction, PeerHello, RoundTrip, ServicePeer } from '../contracts/peer-service.js'
import type { Random } from '../contracts/random.js'
import type { SyncMessage } from '../contracts/sync-messages.js'
import type { ConnectionSecurity } from '../contracts/security.js'
import type { Connection, Endpoint } from '../contracts/transport.js'
import { HoldfastError } from '../errors.js'
import { describeReason, reasonFromBye } from '../rules/close-reasons.js'
import type { ConnectionId } from '../rules/election.js'
import type { Offence } from '../rules/misbehaviour-score.js'
import type { PeerIp } from '../rules/peer-ip.js'
import { readBigU64 } from '../wire/binary.js'
import { encodeMessage, type EncodedFrame } from '../wire/message-codec.js'
import type { WireMessage } from '../wire/messages.js'
import { AppChannel, checkBytes } from './app-channel.js'
import { AppInbox, type AppInboxHost } from './app-inbox.js'
import { Asked } from './asked.js'
import type { AppDelivery, ConnectionLimits, ConnectionOwner } from './connection-owner.js'
import { DrainWatch, type DrainWatchHost } from './drain-watch.js'
import { FrameLoop, type FrameLoopHost } from './frame-loop.js'
import { ReadBrake, type ReadBrakeHost } from './read-brake.js'
import { byeFrame, Release, type ReleaseHost } from './release.js'
import { isServiceReply, ReplyCount, type ReplyCountHost } from './reply-count.js'
import { RoundTrips } from './round-trips.js'
import { SendQueue, type SendQueueHost, type Sent } from './send-queue.js'
import { TrafficBudget, type TrafficBudgetHost } from './traffic-budget.js'

type Stage = 'hello' | 'handshake' | 'established' | 'closed'

const closedByNobody: CloseReason = { kind: 'ended', by: 'network' }

/**
 * One physical connection and the one loop that reads it, the same for inbound and outbound:
 * chunk → frames → message → one switch. It owns everything of the connection: send queue, pings that
 * await their pongs, requests that await their answers; its end ends all of it in one tick, with
 * exactly one reason. What a message means beyond the connection is its owner's business.
 */
export class PeerConnection implements ServicePeer {
  readonly connectionId: ConnectionId
  readonly direction: Direction
  readonly remote: Endpoint
  readonly local: Endpoint | undefined
  readonly security: ConnectionSecurity | undefined
  readonly ip: PeerIp
  readonly openedAtMs: number
  key: string
  establishedAtMs = Number.NaN
  /** When it was last of use. */
  usefulAtMs: number | undefined
  /** Why it ended; meaningless before. */
  reason: CloseReason = closedByNobody
  /** Bytes that were accepted for sending and dropped at the end. */
  droppedBytes = 0
  bytesReceived = 0
  lastReceivedAtMs: number
  /** Bytes handed to the send queue when the last pong came. */
  acceptedBytesAtPong = 0
  unknownFrames = 0
  unknownPongs = 0
  unhandledMessages = 0
  /** What proves a violation, where the reason of its end does not say it; or that it proves none. */
  offence: Offence | 'none' | undefined
  readonly #connection: Connection
  readonly #owner: ConnectionOwner
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: ConnectionLimits
  readonly #loop: FrameLoop
  readonly #replies: ReplyCount
  readonly #queue: SendQueue
  readonly #drain: DrainWatch
  readonly #brake: ReadBrake
  readonly #budget: TrafficBudget
  readonly #asked = new Asked()
  readonly #app: AppChannel
  readonly #inbox: AppInbox
  readonly #release: Release
  readonly #roundTrips = new RoundTrips()
  #stage: Stage = 'hello'
  #hello: PeerHello | undefined

  constructor(
    connection: Connection,
    options: {
      readonly id: ConnectionId
      readonly direction: Direction
      readonly ip: PeerIp
      readonly owner: ConnectionOwner
      readonly clock: Clock
      readonly random: Random
      readonly limits: ConnectionLimits
    },
  ) {
    this.#connection = connection
    this.#owner = options.owner
    this.#clock = options.clock
    this.#random = options.random
    this.#limits = options.limits
    this.connectionId = options.id
    this.direction = options.direction
    this.ip = options.ip
    this.key = options.ip
    this.remote = connection.remote
    this.local = connection.local
    this.security = connection.security
    this.openedAtMs = options.clock.now()
    this.lastReceivedAtMs = this.openedAtMs
    const { clock, limits } = options
    const host = new PeerConnection.#Host(this)
    this.#queue = new SendQueue(connection, host)
    this.#loop = new FrameLoop(host, limits.maxFrameBytes)
    this.#replies = new ReplyCount(limits.maxReplies, host)
    this.#drain = new DrainWatch({ queue: this.#queue, clock, limits, host })
    this.#brake = new ReadBrake({ clock, maxHeldBytes: limits.maxHandlerBytes, host })
    this.#budget = new TrafficBudget({ clock, limits, host })
    this.#app = new AppChannel({ clock, maxRequests: limits.maxRequests, queue: this.#queue })
    this.#inbox = new AppInbox({
      brake: this.#brake,
      replies: this.#replies,
      queue: this.#queue,
      host,
    })
    this.#release = new Release({ connection, clock, closeFlushMs: limits.closeFlushMs, host })
  }

  /** Starts reading. */
  open(): void {
    // Functions of their own, because a transport may take them out of this object.
    this.#connection.open({
      data: (chunk) => {
        this.#receiveChunk(chunk)
      },
      drained: () => {
        this.#owner.run(() => {
          this.#queue.writable()
          this.#drain.taken()
        })
      },
      closed: (error) => {
        this.#owner.run(() => {
          this.#transportClosed(error)
        })
      },
    })
  }

  /** It is established, or was. */
  get wasEstablished(): boolean {
    return !Number.isNaN(this.establishedAtMs)
  }

  get isConnected(): boolean {
    return this.#stage === 'established'
  }

  get isClosed(): boolean {
    return this.#stage === 'closed'
  }

  get hasHello(): boolean {
    return this.#hello !== undefined
  }

  get hello(): PeerHello {
    if (this.#hello === undefined) throw new Error('bug: the HELLO was read before it came')
    return this.#hello
  }

  get listeningPort(): number | undefined {
    return (
      this.#hello?.listeningPort ?? (this.direction === 'outbound' ? this.remote.port : undefined)
    )
  }

  get roundTrip(): RoundTrip {
    return this.#roundTrips
  }

  get queuedBytes(): number {
    return this.#queue.queuedBytes
  }

  get bytesSent(): number {
    return this.#queue.drainedBytes
  }

  /** Bytes that went to the send queue since the last pong: what may stand before the next one. */
  get bytesSentSincePong(): number {
    return this.#queue.acceptedBytes - this.acceptedBytesAtPong
  }

  /** Answers and refusals that no request waited for: late, twice, or never asked. */
  get unmatchedAnswers(): number {
    return this.#app.unmatchedAnswers
  }

  get isReadPaused(): boolean {
    return this.#brake.isPaused
  }

  get readPausedMs(): number {
    return this.#brake.pausedMs
  }

  /** Sends a message of the handshake. */
  sendHandshake(message: WireMessage): void {
    this.#queue.addUrgent(encodeMessage(message))
  }

  /** READY was sent and received: from here on the connection carries everything. */
  establish(): void {
    this.#stage = 'established'
    this.establishedAtMs = this.#clock.now()
    this.acceptedBytesAtPong = this.#queue.acceptedBytes
  }

  send(type: string, bytes: Uint8Array): boolean {
    this.#checkSendable(type, bytes)
    this.#app.message(type, bytes)
    this.#drain.added()
    return !this.#drain.isAboveHighWater
  }

  async drained(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#checkConnected()
    await this.#drain.wait(options.signal)
  }

  // Not `async`: that would make two promises more of each request.
  request(
    type: string,
    bytes: Uint8Array,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
  ): Promise<Uint8Array> {
    try {
      const timeoutMs = options.timeoutMs ?? this.#limits.requestTimeoutMs
      if (!(timeoutMs > 0 && Number.isFinite(timeoutMs))) {
        throw new RangeError(`timeoutMs must be finite and above 0, not ${timeoutMs}`)
      }
      this.#checkSendable(type, bytes)
      const answer = this.#app.request(type, bytes, { signal: options.signal, timeoutMs })
      this.#asked.requestSent()
      this.#drain.added()
      return answer
    } catch (error) {
      return Promise.reject(error)
    }
  }

  post(message: SyncMessage | ExchangeMessage): boolean {
    if (this.#stage !== 'established') return false
    const isReply = isServiceReply(message)
    if (isReply && !this.#replies.add()) return false
    this.#asked.serviceSent(message)
    this.#sendBulk(encodeMessage(message), isReply ? this.#replies : undefined)
    return true
  }

  ping(): bigint {
    const bytes = this.#random.bytes(8)
    const nonce = readBigU64(bytes, 0)
    if (this.#stage !== 'established') return nonce
    this.#roundTrips.pingSent(nonce, this.#clock.now())
    this.#asked.pingSent()
    this.#queue.addUrgent(encodeMessage({ kind: 'ping', nonce }))
    return nonce
  }

  useful(): void {
    this.usefulAtMs = this.#clock.now()
  }

  close(text?: string): void {
    this.closeFor({ kind: 'disconnected', by: 'us', ...(text === undefined ? {} : { text }) })
  }

  /** Ends the connection; the peer is told why. Does nothing when it is over already. */
  closeFor(reason: CloseReason): void {
    if (this.#stage === 'closed') return
    this.#stage = 'closed'
    this.droppedBytes = this.#queue.end(byeFrame(reason))
    this.#release.begin()
    this.#end(reason)
  }

  /** Ends the transport's connection at once, without waiting for what is still to be flushed. */
  destroy(): void {
    this.#connection.destroy()
  }

  #receiveChunk(chunk: Uint8Array): void {
    if (this.#stage === 'closed') return
    this.bytesReceived += chunk.length
    this.lastReceivedAtMs = this.#clock.now()
    this.#loop.push(chunk)
  }

  #receive(message: WireMessage, frameBytes: number): void {
    if (this.#stage === 'closed') return
    const demand = this.#asked.judge(message, frameBytes)
    if (demand === 'unasked') this.#budget.unasked(frameBytes)
    else if (demand === 'pointless') this.#budget.pointless(frameBytes)
    if (this.isClosed) return
    switch (message.kind) {
      case 'hello':
        if (this.#hello !== undefined) {
          this.#misbehaved('a second HELLO')
          return
        }
        this.#hello = message.hello
        this.#stage = 'handshake'
        this.#owner.helloReceived(this, message.hello, message.nonce)
        return
      case 'ready':
        if (this.#stage === 'handshake') this.#owner.readyReceived(this)
        else this.#misbehaved('READY out of its place')
        return
      case 'bye':
        this.#endByPeer(reasonFromBye(message))
        return
      case 'ping':
        this.#budget.pinged()
        this.#queue.addPong(encodeMessage({ kind: 'pong', nonce: message.nonce }))
        return
      case 'pong':
        this.#receivePong(message.nonce)
        return
      case 'type':
        this.#app.typeReceived(message)
        return
      case 'message':
        this.#inbox.messageReceived(this.#app.nameOf(message.type), message.bytes)
        return
      case 'request':
        this.#inbox.requestReceived(this.#app.nameOf(message.type), message.bytes, message.id)
        return
      case 'answer':
        this.#app.answerReceived(message)
        return
      case 'refusal':
        this.#app.refusalReceived(message)
        return
      case 'status':
      case 'announce':
      case 'getHeaders':
      case 'headers':
      case 'getBlocks':
      case 'blocks':
      case 'notFound':
      case 'busy':
      case 'cancel':
      case 'getPeers':
      case 'peers':
        this.#owner.serviceReceived(this, message)
        return
      default:
        message satisfies never
    }
  }

  #receivePong(nonce: bigint): void {
    const answered = this.#roundTrips.pongReceived(nonce, this.#clock.now())
    if (answered === undefined) {
      this.unknownPongs += 1
      return
    }
    this.acceptedBytesAtPong = this.#queue.acceptedBytes
    this.#owner.pongReceived(this, { kind: 'pong', nonce, ...answered })
  }

  /** What was read before the pause is handled in a turn of its own, before more is read. */
  #resumeReading(): void {
    queueMicrotask(() => {
      this.#loop.read()
      if (!this.#brake.isPaused && this.#stage !== 'closed') this.#connection.resume()
    })
  }

  #checkSendable(type: string, bytes: Uint8Array): void {
    this.#app.checkTypeName(type)
    checkBytes(bytes)
    this.#checkConnected()
    const maxBytes = this.hello.maxFrameBytes - 6
    if (bytes.length > maxBytes) {
      throw new RangeError(
        `the peer accepts messages of at most ${maxBytes} bytes, not ${bytes.length}`,
      )
    }
    if (this.#queue.queuedBytes + bytes.length > this.#limits.sendMaxBytes) {
      const text = `${this.#queue.queuedBytes} bytes wait to be sent to ${this.key}`
      throw new HoldfastError('QUEUE_FULL', text)
    }
  }

  #checkConnected(): void {
    if (this.#stage === 'established') return
    const why = this.#stage === 'closed' ? `: ${describeReason(this.reason)}` : ''
    throw new HoldfastError('NOT_CONNECTED', `not connected to ${this.key}${why}`, {
      reason: this.reason,
    })
  }

  #sendBulk(frame: EncodedFrame, awaitedBy?: Sent): void {
    this.#queue.addBulk(frame, awaitedBy)
    this.#drain.added()
  }

  #misbehaved(what: string): void {
    this.closeFor({ kind: 'misbehaved', by: 'us', what })
  }

  #endByPeer(reason: CloseReason): void {
    this.#stage = 'closed'
    this.droppedBytes = this.#queue.drop()
    this.#release.begin()
    this.#end(reason)
  }

  #transportClosed(error: Error | undefined): void {
    if (this.#stage !== 'closed') {
      this.#stage = 'closed'
      this.droppedBytes = this.#queue.drop()
      this.#end(
        error === undefined
          ? { kind: 'ended', by: 'network' }
          : { kind: 'transport-error', by: 'network', error, text: error.message },
      )
    }
    this.#release.transportClosed()
  }

  #end(reason: CloseReason): void {
    this.reason = reason
    this.#loop.clear()
    this.#brake.end()
    this.#app.end(reason)
    const error = new HoldfastError('CONNECTION_CLOSED', describeReason(reason), { reason })
    this.#drain.end(error)
    this.#owner.run(() => {
      this.#owner.ended(this, reason)
    })
  }

  /** All that its parts tell a connection: one object, not a function for each. */
  static readonly #Host = class
    implements
      SendQueueHost,
      FrameLoopHost,
      ReplyCountHost,
      DrainWatchHost,
      ReadBrakeHost,
      TrafficBudgetHost,
      AppInboxHost,
      ReleaseHost
  {
    readonly #peer: PeerConnection

    constructor(peer: PeerConnection) {
      this.#peer = peer
    }

    flushed(): void {
      const peer = this.#peer
      if (!peer.#drain.isAboveHighWater) return
      peer.#owner.run(() => {
        peer.#drain.taken()
      })
    }

    run(input: () => void): void {
      this.#peer.#owner.run(input)
    }

    mayRead(): boolean {
      return !this.#peer.isClosed && !this.#peer.#brake.isPaused
    }

    now(): number {
      return this.#peer.#clock.now()
    }

    yield(): void {
      this.#peer.#brake.pauseFor(0)
    }

    isEstablished(): boolean {
      return this.#peer.isConnected
    }

    receive(message: WireMessage, frameBytes: number): void {
      this.#peer.#receive(message, frameBytes)
    }

    unknownFrame(frameBytes: number): void {
      this.#peer.unknownFrames += 1
      this.#peer.#budget.pointless(frameBytes)
    }

    fault(what: string): void {
      this.#peer.#misbehaved(what)
    }

    tooManyReplies(): void {
      const text = `more than ${this.#peer.#limits.maxReplies} requests unanswered`
      this.#peer.closeFor({ kind: 'flood', by: 'us', text })
    }

    queueDrained(): void {
      if (this.#peer.isConnected) this.#peer.#owner.drained(this.#peer)
    }

    peerStopped(): void {
      const text = `read nothing for ${this.#peer.#limits.slowPeerMs} ms`
      this.#peer.closeFor({ kind: 'slow', by: 'us', text })
    }

    pauseReading(): void {
      this.#peer.#connection.pause()
    }

    resumeReading(): void {
      this.#peer.#resumeReading()
    }

    overBudget(waitMs: number): void {
      this.#peer.#brake.pauseFor(waitMs)
    }

    flooded(): void {
      this.#peer.offence = 'flood'
      const text = 'answers to nothing, or unknown frames'
      this.#peer.closeFor({ kind: 'flood', by: 'us', text })
    }

    peerMaxFrameBytes(): number {
      return this.#peer.hello.maxFrameBytes
    }

    deliver(delivery: AppDelivery): void {
      this.#peer.#owner.appReceived(this.#peer, delivery)
    }

    replied(): void {
      this.#peer.#drain.added()
    }

    released(): void {
      const peer = this.#peer
      peer.#owner.run(() => {
        peer.#owner.released(peer)
      })
    }
  }
}
