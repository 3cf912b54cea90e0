import type { Clock } from '../contracts/clock.js'
import type { CloseReason } from '../contracts/close-reason.js'
import type { Random } from '../contracts/random.js'
import type { Connection, Endpoint, Transport } from '../contracts/transport.js'
import { HoldfastError } from '../errors.js'
import { entriesOf, type PeerEntry, type PeerRegistry } from '../peer-registry.js'
import {
  afterConnectionLost,
  afterDialEnded,
  afterHurry,
  afterInboundHandshakes,
  afterLived,
  afterUnwanted,
  afterWanted,
  judgeDial,
  outcomeOf,
  type DialOutcome,
} from '../rules/dial-policy.js'
import { portToDial } from '../rules/dial-port.js'
import type { DialWish } from '../rules/dial-priority.js'
import { mayStartDial, type ConnectionId } from '../rules/election.js'
import { subnetOf } from '../rules/ip-range.js'
import { formatEndpoint, scopeOf, type PeerIp } from '../rules/peer-ip.js'
import { toHex } from '../wire/binary.js'
import type { ConnectionManagerLimits } from './connection-options.js'
import { dialUntil } from './dial-deadline.js'
import { DialQueue, type DialTurn } from './dial-queue.js'
import { OutageProbes } from './outage-probes.js'
import { errorCode, OwnNetworkWatch } from './own-network-watch.js'
import { RestingElsewhere } from './resting-elsewhere.js'
import { TimerTable } from './timer-table.js'
import { WaitingForRoom } from './waiting-for-room.js'

/** One dial, from its turn in the queue to the end of its handshake. */
export interface DialAttempt {
  readonly id: ConnectionId
  readonly entry: PeerEntry
  readonly nonce: string
  readonly endpoint: Endpoint
  /** A user named this port. */
  readonly isAsked: boolean
  /** In which its peer lies. */
  readonly subnet: string
  readonly controller: AbortController
  /** It is proven that it reached this very process. */
  isSelf: boolean
}

/** Whom the dialer tells how its dials went; always as one turn. */
export interface DialerOwner {
  run(input: () => void): void
  nextId(): ConnectionId
  ourIp(): PeerIp | undefined
  outboundCount(): number
  /** Established outbound connections into a subnet. */
  outboundInto(subnet: string): number
  /** Whether what a host name stands for is looked up first: the peer is considered again then. */
  holdsBack(entry: PeerEntry): boolean
  connectionCount(): number
  /** When anything was last read from an established connection. */
  lastReceivedAtMs(): number
  ownNetworkChanged(isDown: boolean): void
  dialStarted(attempt: DialAttempt): void
  dialSucceeded(attempt: DialAttempt, connection: Connection): void
  /** No connection came of it. */
  dialFailed(attempt: DialAttempt, error: unknown): void
}

/** Bans end by the wall clock, which may jump: it is looked at this often. */
const maxBanCheckMs = 3_600_000

/**
 * Dials: the user's at once, the others when the dial policy says so. At most one dial per peer is on
 * its way, at most `maxConcurrentDials` over all; one that waits in the queue is not a dial yet and is
 * judged again in the tick in which it leaves. While our own network is down all wait, but for one at a
 * time that finds out whether it is back, and for the user's.
 */
export class Dialer {
  readonly #registry: PeerRegistry
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: ConnectionManagerLimits
  readonly #owner: DialerOwner
  readonly #queue: DialQueue
  readonly #network: OwnNetworkWatch
  readonly #probes: OutageProbes
  readonly #timers: TimerTable
  readonly #attempts = new Map<ConnectionId, DialAttempt>()
  readonly #withoutRoom = new WaitingForRoom()
  readonly #elsewhere = new RestingElsewhere()
  #isRunning = false

  constructor(options: {
    readonly registry: PeerRegistry
    readonly transport: Transport
    readonly clock: Clock
    readonly random: Random
    readonly limits: ConnectionManagerLimits
    readonly owner: DialerOwner
  }) {
    this.#registry = options.registry
    this.#transport = options.transport
    this.#clock = options.clock
    this.#random = options.random
    this.#limits = options.limits
    this.#owner = options.owner
    this.#timers = new TimerTable(options.clock)
    this.#queue = new DialQueue(options.limits.maxConcurrentDials, (turn) => this.#take(turn))
    this.#probes = new OutageProbes({
      ...options,
      queue: this.#queue,
      outageProbeMs: options.limits.outageProbeMs,
      dial: (turn) => this.#asInput(() => this.#dialInTurn(turn)),
    })
    this.#network = new OwnNetworkWatch(options.clock, {
      connectionCount: () => this.#owner.connectionCount(),
      lastReceivedAtMs: () => this.#owner.lastReceivedAtMs(),
      ownNetworkChanged: (isDown) => {
        this.#ownNetworkChanged(isDown)
      },
    })
  }

  /** Dials on their way, and those that wait for their turn. */
  get counts(): { readonly dialing: number; readonly queued: number } {
    return { dialing: this.#attempts.size, queued: this.#queue.size }
  }

  /** Whether our own network is down, as far as can be told. */
  get isNetworkDown(): boolean {
    return this.#network.isDown
  }

  start(): void {
    this.#isRunning = true
    this.#considerAll(entriesOf(this.#registry).values())
  }

  /** Ends every dial. No failure is recorded. */
  stop(): void {
    this.#isRunning = false
    this.#timers.cancelAll()
    this.#queue.clear()
    this.#queue.pause()
    this.#network.reset()
    this.#probes.stop()
    this.#withoutRoom.clear()
    this.#elsewhere.clear()
    for (const attempt of this.#attempts.values()) {
      attempt.controller.abort(new HoldfastError('ABORTED', 'the node stops'))
    }
    this.#attempts.clear()
    for (const entry of entriesOf(this.#registry).values()) entry.dial = afterUnwanted(entry.dial)
  }

  /** Dials `entry` at once, whatever the policy would say; nothing happens when one is on its way. */
  dialNow(entry: PeerEntry): void {
    entry.isDialPaused = false
    if (mayStartDial(entry.slot.state)) this.#enqueue(entry, 'user')
  }

  /** Somebody is in a hurry for `entry`: see ConnectionManager.hurry. */
  hurry(entry: PeerEntry): void {
    entry.isHurried = true
    entry.dial = afterHurry(entry.dial, this.#clock.now())
    this.consider(entry)
  }

  /** Judges anew whether and when `entry` is dialled. To be called whenever something of it changed. */
  consider(entry: PeerEntry): void {
    if (!this.#isRunning) return
    const nowMs = this.#clock.now()
    const { candidates } = entry.slot.state
    const hasInboundHandshake = candidates.some((candidate) => candidate.origin === 'inbound')
    const isThere = entry.isConnected || entry.leadsTo?.isOpen === true
    const isWanted = !isThere && this.#isWanted(entry)
    entry.dial = isWanted ? afterWanted(entry.dial, nowMs) : afterUnwanted(entry.dial)
    entry.dial = afterInboundHandshakes(entry.dial, hasInboundHandshake, nowMs)
    this.#withoutRoom.delete(entry)
    const timer = `dial ${entry.key}`
    const verdict = this.#judge(entry)
    if (verdict.kind !== 'wait') this.#timers.cancel(timer)
    switch (verdict.kind) {
      case 'dial':
        if (this.#owner.holdsBack(entry)) return
        this.#enqueue(entry, entry.isKept ? 'kept' : 'known')
        return
      case 'wait':
        this.#timers.set(timer, verdict.untilMs - nowMs, () => {
          this.#owner.run(() => {
            this.consider(entry)
          })
        })
        return
      case 'rest':
        if (entry.isConnected) this.#queue.remove(entry)
        else this.#awaitEndOfBan(entry, timer)
        return
    }
  }

  #awaitEndOfBan(entry: PeerEntry, timer: string): void {
    const ban = this.#registry.get(entry.ip)?.ban
    if (ban === undefined) return
    const remainingMs = Math.max(0, ban.untilUnixMs - this.#clock.unixMs())
    this.#timers.set(timer, Math.min(remainingMs, maxBanCheckMs), () => {
      this.#owner.run(() => {
        this.consider(entry)
      })
    })
  }

  /** An outbound connection or a dial ended: there may be room for those that wait for it. */
  roomMayBeFree(): void {
    const room = Math.min(this.#roomLeft(), this.#limits.maxConcurrentDials)
    if (!this.#isRunning || room <= 0) return
    for (const entry of this.#withoutRoom.take(room, (one) => this.#hasRoomFor(one))) {
      this.consider(entry)
    }
  }

  /** Whether there is a peer, not connected, that is dialled sooner or later. */
  get isAnyWanted(): boolean {
    for (const entry of entriesOf(this.#registry).values()) {
      if (!entry.isConnected && this.#isWanted(entry)) return true
    }
    return false
  }

  /** Whether a dial waits for its turn. */
  isQueued(entry: PeerEntry): boolean {
    return this.#queue.has(entry)
  }

  /** The port of the dial to `entry` that is on its way. */
  portOnItsWay(entry: PeerEntry): number | undefined {
    for (const attempt of this.#attempts.values()) {
      if (attempt.entry === entry) return attempt.endpoint.port
    }
    return undefined
  }

  attempt(id: ConnectionId): DialAttempt | undefined {
    return this.#attempts.get(id)
  }

  /** The dial that sent this nonce, while its handshake lasts. */
  attemptByNonce(nonce: string): DialAttempt | undefined {
    for (const attempt of this.#attempts.values()) if (attempt.nonce === nonce) return attempt
    return undefined
  }

  /** Ends a dial whose connection is not there yet. */
  abort(id: ConnectionId, why: string): void {
    const attempt = this.#attempts.get(id)
    this.#attempts.delete(id)
    attempt?.controller.abort(new HoldfastError('ABORTED', why))
  }

  /** The user no longer wants the dial that he asked for; one that still waits does not leave. */
  forgetQueued(entry: PeerEntry): void {
    if (this.#queue.wishOf(entry) === 'user') this.#queue.remove(entry)
    this.consider(entry)
  }

  /** The connection of a dial is established: it is no dial any more. */
  settled(id: ConnectionId): void {
    this.#attempts.delete(id)
  }

  /** A dial ended without an established connection, while the slot was free. */
  ended(entry: PeerEntry, outcome: DialOutcome, text: string): void {
    // While our own network is down this says nothing of the peer.
    if (this.#network.isDown && outcome.kind === 'failed') return
    this.#network.suspect(entry, entry.dial)
    entry.lastFailure = { text, atUnixMs: this.#clock.unixMs() }
    const facts = { nowMs: this.#clock.now(), dice: this.#random.next(), outcome }
    entry.dial = afterDialEnded(entry.dial, facts, this.#limits)
  }

  /** A dial failed before it had a connection, while the slot was free. */
  failed(entry: PeerEntry, error: HoldfastError): void {
    this.ended(entry, { kind: 'failed' }, error.message)
    this.#network.dialFailed(entry, errorCode(error))
  }

  /** An established connection ended. */
  lost(
    entry: PeerEntry,
    facts: { readonly livedMs: number; readonly reason: CloseReason; readonly heardMs: number },
  ): void {
    const { livedMs, reason, heardMs } = facts
    this.#network.suspect(entry, afterLived(entry.dial, livedMs, this.#limits))
    const end = { nowMs: this.#clock.now(), dice: this.#random.next(), outcome: outcomeOf(reason) }
    entry.dial = afterConnectionLost(entry.dial, { ...end, livedMs }, this.#limits)
    this.#network.lost(entry, reason, heardMs)
    for (const resting of this.#elsewhere.release(entry)) this.consider(resting)
  }

  /** A dial was refused by a machine that is connected as `connected`: see RestingElsewhere. */
  connectedElsewhere(attempt: DialAttempt, connected: PeerEntry): void {
    this.#elsewhere.rest(attempt.entry, connected)
  }

  /** A peer is there: a dial got through to it, or its HELLO came. */
  heard(entry: PeerEntry): void {
    this.#network.heard(entry.ip)
  }

  /** A dial reached this very process: its address rests for long, and that is no failure. */
  reachedSelf(attempt: DialAttempt): void {
    attempt.isSelf = true
    this.ended(attempt.entry, { kind: 'mismatch' }, 'it is this node itself')
  }

  /** All line up before the first one leaves, or the order would be that of the list. */
  #considerAll(entries: Iterable<PeerEntry>): void {
    this.#queue.pause()
    for (const entry of entries) this.consider(entry)
    if (this.#isRunning && !this.#network.isDown) this.#queue.resume()
  }

  #judge(entry: PeerEntry): ReturnType<typeof judgeDial> {
    const { candidates } = entry.slot.state
    const facts = {
      nowMs: this.#clock.now(),
      isSlotFree: mayStartDial(entry.slot.state),
      isConnectedElsewhere: this.#elsewhere.isResting(entry),
      hasInboundHandshake: candidates.some((candidate) => candidate.origin === 'inbound'),
      ourIp: this.#owner.ourIp(),
      peerIp: entry.ip,
    }
    return judgeDial(entry.dial, facts, this.#limits)
  }

  #isWanted(entry: PeerEntry): boolean {
    if (entry.isForgotten || entry.isDialPaused) return false
    if (!this.#registry.isWelcome(entry.ip)) return false
    if (entry.isKept) return true
    // Whoever asked for one connection that never came asked for no more than that.
    if (entry.source === 'connect' && entry.timesConnected === 0) return false
    const isGivenUp =
      entry.timesConnected === 0 && entry.dial.failures >= this.#limits.maxDialFailures
    return entry.isDialable && !isGivenUp
  }

  /** Room over all and in its subnet: peers that we know only by chance are not to be all of one kind. */
  #hasRoomFor(entry: PeerEntry): boolean {
    if (this.#roomLeft() <= 0) return false
    if (scopeOf(entry.ip) !== 'public') return true
    const subnet = subnetOf(entry.ip, this.#limits)
    let inSubnet = this.#owner.outboundInto(subnet)
    for (const attempt of this.#attempts.values()) if (attempt.subnet === subnet) inSubnet += 1
    return inSubnet < this.#limits.maxOutboundPerSubnet
  }

  #roomLeft(): number {
    return this.#limits.maxOutbound - this.#owner.outboundCount() - this.#attempts.size
  }

  #enqueue(entry: PeerEntry, wish: DialWish): void {
    this.#queue.add(entry, wish)
    this.#probes.queued()
  }

  #take(turn: DialTurn): Promise<void> {
    return this.#asInput(async () => {
      if (this.#isRunning && this.#queue.claim(turn)) await this.#dialInTurn(turn)
    })
  }

  /**
   * A turn comes possibly in the middle of another input: it is judged in an input of its own, in which
   * its dial starts, so that nothing comes between and no second dial can slip in.
   */
  #asInput(dial: () => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#owner.run(() => {
        resolve(dial())
      })
    })
  }

  async #dialInTurn({ entry, wish }: DialTurn): Promise<void> {
    if (entry.isForgotten || !mayStartDial(entry.slot.state)) return
    if (wish !== 'user') {
      if (this.#judge(entry).kind !== 'dial') {
        this.consider(entry)
        return
      }
      if (wish !== 'kept' && !this.#hasRoomFor(entry)) {
        this.#withoutRoom.add(entry)
        return
      }
    }
    await this.#dial(entry)
  }

  #ownNetworkChanged(isDown: boolean): void {
    if (isDown) {
      this.#considerAll(entriesOf(this.#registry).values())
      this.#probes.start()
    } else {
      this.#probes.stop()
      this.#queue.resume()
    }
    this.#owner.ownNetworkChanged(isDown)
  }

  async #dial(entry: PeerEntry): Promise<void> {
    const id = this.#owner.nextId()
    const controller = new AbortController()
    const nonce = toHex(this.#random.bytes(8))
    const isAsked = entry.askedPorts.length > 0
    const subnet = subnetOf(entry.ip, this.#limits)
    const endpoint = {
      host: entry.host,
      port: portToDial(entry.ports, this.#transport.defaultPort),
    }
    entry.askedPorts = entry.askedPorts.slice(1)
    const attempt: DialAttempt = {
      id,
      entry,
      nonce,
      endpoint,
      isAsked,
      subnet,
      controller,
      isSelf: false,
    }
    const { dialTimeoutMs } = this.#limits
    this.#attempts.set(id, attempt)
    this.#owner.dialStarted(attempt)
    if (controller.signal.aborted) return
    this.#timers.set(`timeout ${id}`, dialTimeoutMs, () => {
      const text = `${formatEndpoint(endpoint)} did not answer within ${dialTimeoutMs} ms`
      controller.abort(new HoldfastError('DIAL_TIMEOUT', text))
    })
    try {
      const connection = await dialUntil(this.#transport, endpoint, controller.signal)
      this.#owner.run(() => {
        this.#owner.dialSucceeded(attempt, connection)
      })
    } catch (error) {
      this.#attempts.delete(id)
      this.#owner.run(() => {
        this.#owner.dialFailed(attempt, error)
      })
    } finally {
      this.#timers.cancel(`timeout ${id}`)
    }
  }
}
