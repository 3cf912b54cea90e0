import createDebug from 'debug'
import type { Block, BlockRef, BlockStore } from './contracts/block-store.js'
import type { ChainRules } from './contracts/chain-rules.js'
import type { Clock, Timer } from './contracts/clock.js'
import type { PeerService, ServiceMessage, ServicePeer } from './contracts/peer-service.js'
import { systemClock, systemRandom } from './defaults.js'
import { HoldfastError } from './errors.js'
import { EventSource } from './events.js'
import { atMost, Lifecycle, orAborted, type StartOptions } from './lifecycle.js'
import { patientClock } from './patient-clock.js'
import { progressCertificate } from './rules/sync/certificate.js'
import { describeSync } from './rules/sync/describe.js'
import type { Reading, SubmitResult, SyncEffect, SyncInput } from './rules/sync/inputs.js'
import type { StallReason, SyncNotice, SyncPhase } from './rules/sync/notices.js'
import { createSyncState, type SyncState } from './rules/sync/state.js'
import { step } from './rules/sync/step.js'
import type { Bottleneck } from './rules/sync/bottleneck.js'
import type { SyncPeerState } from './rules/sync/peer-state.js'
import { progressOf, type SyncProgress } from './rules/sync/view.js'
import {
  checkSyncOptions,
  requireInteger,
  type SyncCoordinatorOptions,
} from './sync/sync-options.js'
import { SyncServer } from './sync/sync-server.js'
import { anchoredTip } from './sync/sync-start.js'
import { SyncWaiters } from './sync/sync-waiters.js'
import { SyncWork } from './sync/sync-work.js'
import { TurnQueue } from './turn-queue.js'

export type {
  Bottleneck,
  StallReason,
  SyncCoordinatorOptions,
  SyncPeerState,
  SyncPhase,
  SyncProgress,
}

type NoticeOf<Kind extends SyncNotice['kind']> = Omit<Extract<SyncNotice, { kind: Kind }>, 'kind'>

/** What a SyncCoordinator tells: the course of a sync, and each change of the chain. */
export type SyncEvents = {
  /** What sync is doing changed; told in the order of the changes. */
  phaseChanged: (event: NoticeOf<'phaseChanged'>) => void
  /** The phase became `synced`. */
  synced: (event: { readonly tip: BlockRef | null }) => void
  /** Blocks from the height `from` up to `tip` are stored, on top of what there was. */
  blocksAppended: (event: NoticeOf<'blocksAppended'>) => void
  /** A better branch took the place of ours above `ancestor`. */
  chainReplaced: (event: NoticeOf<'chainReplaced'>) => void
  /** A peer is proved wrong: it is set aside for sync, and keeps its connection. */
  peerFaulted: (event: NoticeOf<'peerFaulted'>) => void
  /** Our rules refused a block that a peer served; the peer is set aside for sync. */
  blockRejected: (event: NoticeOf<'blockRejected'>) => void
  /**
   * We disagree with the network: three peers served the same block that our own rules refuse. Told once
   * for a block. They may all be wrong, or our rules may be older than theirs.
   */
  disagreementFound: (event: NoticeOf<'disagreementFound'>) => void
  /** A peer of the same network says that its chain has another `chainId`: it is not asked for blocks. */
  otherChainFound: (event: NoticeOf<'otherChainFound'>) => void
  /** A peer's chain leaves ours within reach: it takes the place of ours if it is better. */
  forkFound: (event: NoticeOf<'forkFound'>) => void
  /** A peer's better chain leaves ours deeper than `maxReorgDepth`: it is not taken. */
  deepForkFound: (event: NoticeOf<'deepForkFound'>) => void
  /** Our own store or validation failed; it is tried again. */
  troubled: (event: NoticeOf<'troubled'>) => void
}

const debug = createDebug('holdfast:sync')

interface Submission {
  readonly resolve: (tip: BlockRef) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Brings the chain of the store up to the best valid one that a connected peer has, keeps it there, and
 * serves it to others. If one honest peer has a valid chain that forks from ours within `maxReorgDepth`
 * and `maxReorgBytes`, we reach a chain at least as good in bounded time, whatever the others do.
 *
 * Join it to a ConnectionManager with `connections.serve(sync)`. It never ends a connection for what a
 * peer has or has not, only for a violation of the protocol. Everything is decided in `rules/sync`.
 */
export class SyncCoordinator
  extends EventSource<SyncEvents>
  implements PeerService, AsyncDisposable
{
  readonly #rules: ChainRules
  readonly #store: BlockStore
  readonly #clock: Clock
  readonly #state: SyncState
  readonly #work: SyncWork
  readonly #server: SyncServer
  readonly #stopTimeoutMs: number
  readonly #peers = new Map<number, ServicePeer>()
  readonly #turns = new TurnQueue()
  readonly #waiters = new SyncWaiters()
  readonly #submissions = new Map<number, Submission>()
  #nextTicket = 0
  #timer: Timer | undefined
  #timerAtMs = Infinity
  readonly #lifecycle = new Lifecycle()
  /** The end of the store as it was opened last: a write that hangs, or an opening, may take long. */
  #closing: Promise<void> = Promise.resolve()

  /** Throws RangeError or TypeError when an option makes no sense. */
  constructor(options: SyncCoordinatorOptions) {
    super()
    const random = options.random ?? systemRandom
    const { config, serving, stopTimeoutMs } = checkSyncOptions(options, random)
    this.#rules = options.rules
    this.#store = options.store
    this.#clock = patientClock(options.clock ?? systemClock)
    this.#stopTimeoutMs = stopTimeoutMs
    this.#state = createSyncState(config)
    this.#work = new SyncWork(this.#rules, this.#store, this.#clock, (input) => this.#enter(input))
    const { weigh } = this.#work
    this.#server = new SyncServer({
      store: this.#store,
      clock: this.#clock,
      limits: serving,
      weigh,
    })
  }

  /**
   * Opens the store, puts the genesis block into an empty one, and begins. Peers may be connected
   * before it. Idempotent. Rejects with what the store rejects with, with STORE_CORRUPT when the store
   * holds another chain, with ABORTED when `stop` is called meanwhile, and with `signal.reason` when the
   * signal aborts; then it can be called again.
   */
  start(options: StartOptions = {}): Promise<void> {
    return this.#lifecycle.start((signal) => this.#start(signal), options)
  }

  /**
   * Ends in order: requests are taken back, a write that runs is waited for (at most `stopTimeoutMs`),
   * the store is closed. Waits that were given out reject with NOT_RUNNING. Idempotent, at any moment;
   * `start` works again.
   */
  stop(): Promise<void> {
    return this.#lifecycle.stop(async () => {
      if (this.#state.isRunning) {
        this.#server.stop()
        this.#work.stop()
        this.#enter({ kind: 'stopped' })
        this.#closing = this.#store.close()
      }
      this.#waiters.rejectAll(new HoldfastError('NOT_RUNNING', 'sync was stopped'))
      const closing = this.#closing
      this.#closing = closing.catch(() => undefined)
      await atMost(this.#clock, this.#stopTimeoutMs, closing)
    })
  }

  /** As `stop`: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** The last tip that the store told, or null while it is empty or not open. */
  get tip(): BlockRef | null {
    const { tip } = this.#state
    return tip === null ? null : { height: tip.height, hash: tip.hash }
  }

  /** What sync is doing now, and why it waits if it does. */
  get phase(): SyncPhase {
    return this.#state.phase
  }

  /** How far sync is, how fast, and what it waits for: a snapshot, made when it is asked for. */
  get progress(): SyncProgress {
    return progressOf(this.#state, this.#clock.now())
  }

  /**
   * What sync is doing and why, in lines for a person: the phase, the work under way, and for each peer
   * why it is asked or not. Never throws. The text may change: for values, see `progress`.
   */
  debugState(): string {
    return describeSync(this.#state, this.#clock.now())
  }

  /**
   * Validates a block that was produced here, stores it and tells the peers. Resolves with the new tip
   * when it is stored. Rejects with TIP_MISMATCH (the actual tip attached) when it does not follow the
   * tip, BLOCK_REJECTED when our own rules refuse it, NOT_RUNNING, QUEUE_FULL when 64 wait already, and
   * with what store or validation throw: it is not tried again. Leave the block unchanged until then.
   * Rejects with `signal.reason` when the signal aborts, which ends the wait and not the block: it may be
   * stored all the same.
   */
  async submit(
    block: Block,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<BlockRef> {
    signal?.throwIfAborted()
    const stored = this.#submit(block)
    return signal === undefined ? stored : orAborted(stored, signal)
  }

  #submit(block: Block): Promise<BlockRef> {
    return new Promise((resolve, reject) => {
      requireBlock(block)
      const ticket = this.#nextTicket++
      this.#submissions.set(ticket, { resolve, reject })
      this.#enter({ kind: 'submitted', ticket, block })
    })
  }

  /** Resolves when the tip is at `height` or above. Rejects with NOT_RUNNING when sync is stopped. */
  async waitForHeight(
    height: number,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    requireInteger('height', height, 0)
    return this.#waiters.wait(() => (this.#state.tip?.height ?? -1) >= height, signal)
  }

  /**
   * Resolves when at least one peer has said what it has and nobody has better. Without peers it stays
   * pending. Rejects with NOT_RUNNING when sync is stopped.
   */
  async waitForSynced({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#waiters.wait(() => this.#state.phase.kind === 'synced', signal)
  }

  peerConnected(peer: ServicePeer): void {
    this.#peers.set(peer.connectionId, peer)
    const { connectionId: connection, key } = peer
    this.#enter({ kind: 'peerConnected', connection, key, reading: readingOf(peer) })
  }

  peerMessage(peer: ServicePeer, message: ServiceMessage): void {
    switch (message.kind) {
      case 'pong':
      case 'getPeers':
      case 'peers':
        return
      case 'getBlocks':
      case 'getHeaders':
      case 'cancel':
        return this.#server.handle(peer, message)
      case 'status':
      case 'announce':
      case 'headers':
      case 'blocks':
      case 'notFound':
      case 'busy': {
        const { connectionId: connection } = peer
        return this.#enter({ kind: 'message', connection, message, reading: readingOf(peer) })
      }
      default:
        message satisfies never
    }
  }

  peerDrained(peer: ServicePeer): void {
    this.#server.drained(peer)
  }

  peerDisconnected(peer: ServicePeer): void {
    this.#server.disconnected(peer)
    this.#peers.delete(peer.connectionId)
    this.#enter({ kind: 'peerDisconnected', connection: peer.connectionId })
  }

  #enter(input: SyncInput): void {
    this.#turns.run(() => {
      for (const effect of step(this.#state, this.#clock.now(), input)) this.#carryOut(effect)
      if (debug.enabled) this.#watch(input)
      this.#arm()
      this.#waiters.settle()
    })
  }

  /** A plan that nothing would ever wake is a bug of ours; the heartbeat mends it, the log shows it. */
  #watch(input: SyncInput): void {
    const certificate = progressCertificate(this.#state)
    debug('%s: %s', input.kind, certificate.holds ? certificate.by : `STUCK, ${certificate.why}`)
  }

  #carryOut(effect: SyncEffect): void {
    switch (effect.kind) {
      case 'post':
        this.#peers.get(effect.connection)?.post(effect.message)
        return
      case 'answer':
        return this.#answer(effect.ticket, effect.result)
      case 'tell':
        this.#turns.report(() => this.#tellNotice(effect.notice))
        return
      case 'check':
      case 'validate':
      case 'append':
      case 'replace':
      case 'abandon':
      case 'readTip':
      case 'readHashes':
        return this.#work.start(effect)
      default:
        effect satisfies never
    }
  }

  #answer(ticket: number, result: SubmitResult): void {
    const submission = this.#submissions.get(ticket)
    this.#submissions.delete(ticket)
    if (submission === undefined) return
    if (result.kind === 'appended' && result.tip !== null) {
      submission.resolve({ height: result.tip.height, hash: result.tip.hash })
    } else submission.reject(submitError(result))
  }

  #tellNotice(notice: SyncNotice): void {
    debug('%O', notice)
    switch (notice.kind) {
      case 'phaseChanged':
        this.tell('phaseChanged', notice)
        if (notice.phase.kind === 'synced') this.tell('synced', { tip: this.tip })
        return
      case 'blocksAppended':
        return this.tell('blocksAppended', notice)
      case 'chainReplaced':
        return this.tell('chainReplaced', notice)
      case 'peerFaulted':
        return this.tell('peerFaulted', notice)
      case 'blockRejected':
        return this.tell('blockRejected', notice)
      case 'disagreementFound':
        return this.tell('disagreementFound', notice)
      case 'otherChainFound':
        return this.tell('otherChainFound', notice)
      case 'forkFound':
        return this.tell('forkFound', notice)
      case 'deepForkFound':
        return this.tell('deepForkFound', notice)
      case 'troubled':
        return this.tell('troubled', notice)
      default:
        notice satisfies never
    }
  }

  /** One timer for all: at the next time that the rules want to look again. */
  #arm(): void {
    const { wakeAtMs } = this.#state
    if (wakeAtMs === this.#timerAtMs) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAtMs = wakeAtMs
    if (wakeAtMs === Infinity) return
    const delayMs = Math.max(0, wakeAtMs - this.#clock.now())
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timerAtMs = Infinity
      const readings = [...this.#peers].map(([connection, peer]) => ({
        connection,
        reading: readingOf(peer),
      }))
      this.#enter({ kind: 'wake', readings })
    })
  }

  async #start(signal: AbortSignal): Promise<void> {
    if (this.#state.isRunning) return
    await orAborted(this.#closing, signal)
    const opened = this.#open()
    try {
      const { tip, base } = await orAborted(opened, signal)
      this.#server.start()
      this.#enter({ kind: 'started', tip, base })
    } catch (error) {
      // An opening that goes on is waited for in the background, and closed after it.
      const close = (): Promise<void> => this.#store.close()
      this.#closing = opened.then(close, close).catch(() => undefined)
      if (!signal.aborted) await this.#closing
      throw error
    }
  }

  async #open(): Promise<Awaited<ReturnType<SyncWork['readTip']>>> {
    await this.#store.open()
    await anchoredTip(this.#store, this.#rules)
    return this.#work.readTip()
  }
}

const readingOf = (peer: ServicePeer): Reading => ({
  lastReceivedAtMs: peer.lastReceivedAtMs,
  readPausedMs: peer.readPausedMs,
  roundTripMs: peer.roundTrip.smoothedMs,
})

function submitError(result: SubmitResult): unknown {
  switch (result.kind) {
    case 'refused':
      return new HoldfastError('BLOCK_REJECTED', `our own rules refuse it: ${result.reason}`)
    case 'tipMismatch':
      return new HoldfastError('TIP_MISMATCH', 'the block does not follow the tip', {
        actualTip: result.tip,
      })
    case 'queueFull':
      return new HoldfastError('QUEUE_FULL', 'too many submitted blocks wait to be stored')
    case 'threw':
      return result.error
    case 'notRunning':
    case 'appended':
      return new HoldfastError('NOT_RUNNING', 'sync is not running')
    default:
      return result satisfies never
  }
}

function requireBlock({ height, hash, previousHash, payload }: Block): void {
  requireInteger('block.height', height, 0)
  for (const [name, value] of Object.entries({ hash, previousHash })) {
    if (typeof value !== 'string') throw new TypeError(`block.${name} must be a string`)
  }
  if (!((payload as unknown) instanceof Uint8Array)) {
    throw new TypeError('block.payload must be a Uint8Array')
  }
}
