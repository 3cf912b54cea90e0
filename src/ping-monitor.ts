import type { Clock, Timer } from './contracts/clock.js'
import type { CloseReason } from './contracts/close-reason.js'
import type {
  Peer,
  PeerService,
  RoundTrip,
  ServiceMessage,
  ServicePeer,
} from './contracts/peer-service.js'
import type { Random } from './contracts/random.js'
import { systemClock, systemRandom } from './defaults.js'
import { DueBatches, type Batch, type Batched } from './due-batches.js'
import { HoldfastError } from './errors.js'
import { EventSource } from './events.js'
import { patientClock } from './patient-clock.js'
import { PongWaiters } from './pong-waiters.js'
import {
  afterPong,
  checkPingLimits,
  startPings,
  stepPings,
  type PingLimits,
  type PingSchedule,
} from './rules/ping-schedule.js'

/** The limits of the pings, and what time and dice they go by. */
export interface PingMonitorOptions extends Partial<PingLimits> {
  readonly clock?: Clock
  readonly random?: Random
}

/** What a PingMonitor tells of its pings. */
export type PingEvents = {
  /** A pong came: one sample of the round trip. */
  ponged: (event: { readonly peer: Peer; readonly roundTripMs: number }) => void
  /** A pong did not come in time; `missed` counts them in a row. With the last one the connection ended. */
  pongMissed: (event: { readonly peer: Peer; readonly missed: number }) => void
  /** A pong ended a row of `missed` ones. */
  recovered: (event: { readonly peer: Peer; readonly missed: number }) => void
}

/** How the pings of one connection went, at the moment of asking. */
export interface PingStats extends RoundTrip {
  /** Pongs missed in a row, and since the connection began. */
  readonly missed: number
  readonly missedInAll: number
}

class Monitored implements Batched<Monitored> {
  readonly peer: ServicePeer
  schedule: PingSchedule
  missedInAll = 0
  batch: Batch<Monitored> | undefined

  constructor(peer: ServicePeer, schedule: PingSchedule) {
    this.peer = peer
    this.schedule = schedule
  }
}

/** A ping each 30 s, 10 s for its pong, and three missed in a row end the connection. */
export const defaultPingLimits: PingLimits = {
  pingIntervalMs: 30_000,
  pongTimeoutMs: 10_000,
  missedPongsMax: 3,
}

/**
 * Pings every connection, and closes one with `ping-timeout` after three missed pongs in a row. No peer
 * is exempt. Join it to a ConnectionManager with `connections.serve(pings)`; answers to the peer's own
 * pings are given by the connection itself. It has one timer, however many connections there are, and
 * keeps nothing of those that ended.
 */
export class PingMonitor extends EventSource<PingEvents> implements PeerService {
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: PingLimits
  readonly #peers = new Map<ServicePeer, Monitored>()
  /** Pings fall on a grid, so that those of many connections are due together. */
  readonly #due = new DueBatches<Monitored>()
  readonly #waiters = new PongWaiters()
  #timer: Timer | undefined
  #timerDueMs = Infinity

  /** Throws RangeError that names what makes no sense, and both limits where two do not go together. */
  constructor(options: PingMonitorOptions = {}) {
    super()
    this.#clock = patientClock(options.clock ?? systemClock)
    this.#random = options.random ?? systemRandom
    this.#limits = pingLimitsOf(options)
  }

  /**
   * Pings a connected peer now and resolves with the round trip in milliseconds. Rejects with
   * NOT_CONNECTED; PING_TIMEOUT when no pong came within `timeoutMs` (default: `pongTimeoutMs`), which
   * counts as no miss and ends nothing; CONNECTION_CLOSED when the connection ends first; with
   * `signal.reason` when the signal aborts; with RangeError for a `timeoutMs` that is not above 0.
   */
  async ping(
    peer: Peer,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
  ): Promise<number> {
    const { signal, timeoutMs = this.#limits.pongTimeoutMs } = options
    if (!(timeoutMs > 0 && Number.isFinite(timeoutMs))) {
      throw new RangeError(`timeoutMs must be finite and above 0, not ${timeoutMs}`)
    }
    signal?.throwIfAborted()
    // Only connections of a manager that this monitor serves are in the map.
    const monitored = peer as ServicePeer
    if (!this.#peers.has(monitored)) {
      throw new HoldfastError('NOT_CONNECTED', `not connected to ${peer.key}`)
    }
    const nonce = monitored.ping()
    const nowMs = this.#clock.now()
    const pong = this.#waiters.wait(monitored, nonce, { signal, timeoutMs, nowMs })
    this.#arm()
    return pong
  }

  /** How a peer's pings went; undefined for one that is not connected. */
  statsOf(peer: Peer): PingStats | undefined {
    const monitored = this.#peers.get(peer as ServicePeer)
    if (monitored === undefined) return undefined
    const { lastMs, smoothedMs, jitterMs, minMs, pingsSent, pongsReceived } = peer.roundTrip
    const { schedule, missedInAll } = monitored
    const roundTrip = { lastMs, smoothedMs, jitterMs, minMs, pingsSent, pongsReceived }
    return { ...roundTrip, missed: schedule.missed, missedInAll }
  }

  peerConnected(peer: ServicePeer): void {
    const schedule = startPings(this.#clock.now(), this.#random.next(), this.#limits)
    const monitored = new Monitored(peer, schedule)
    this.#peers.set(peer, monitored)
    this.#due.set(monitored, schedule.nextPingMs)
    this.#arm()
  }

  peerMessage(peer: ServicePeer, message: ServiceMessage): void {
    const monitored = this.#peers.get(peer)
    if (message.kind !== 'pong' || monitored === undefined) return
    const { nonce, sentMs, roundTripMs } = message
    const { missed } = monitored.schedule
    monitored.schedule = afterPong(monitored.schedule, sentMs)
    const { awaited, nextPingMs } = monitored.schedule
    if (awaited.length === 0) this.#due.set(monitored, nextPingMs)
    this.#waiters.pongReceived(peer, nonce, roundTripMs)
    this.#arm()
    if (this.listenerCount('ponged') + this.listenerCount('recovered') === 0) return
    queueMicrotask(() => {
      this.tell('ponged', { peer, roundTripMs })
      if (missed > 0) this.tell('recovered', { peer, missed })
    })
  }

  peerDisconnected(peer: ServicePeer, reason: CloseReason): void {
    const monitored = this.#peers.get(peer)
    this.#peers.delete(peer)
    if (monitored !== undefined) this.#due.delete(monitored)
    this.#waiters.ended(peer, reason)
    this.#arm()
  }

  /** One timer, for whoever is due first. */
  #arm(): void {
    const dueMs = Math.min(this.#due.firstMs ?? Infinity, this.#waiters.nextDueMs ?? Infinity)
    if (dueMs === this.#timerDueMs) return
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    this.#timer =
      dueMs === Infinity
        ? undefined
        : this.#clock.setTimer(Math.max(0, dueMs - this.#clock.now()), () => {
            this.#timerDueMs = Infinity
            this.#work()
          })
  }

  #work(): void {
    const nowMs = this.#clock.now()
    const misses: { readonly peer: ServicePeer; readonly missed: number }[] = []
    for (let due = this.#due.takeUpTo(nowMs); due !== undefined; due = this.#due.takeUpTo(nowMs)) {
      const missed = this.#step(due, nowMs)
      if (missed !== undefined) misses.push({ peer: due.peer, missed })
    }
    this.#waiters.expire(nowMs)
    this.#arm()
    // Users last, when everything is consistent.
    for (const miss of misses) this.tell('pongMissed', miss)
  }

  /** Does what is due, and returns the number of pongs missed in a row when there is one more. */
  #step(monitored: Monitored, nowMs: number): number | undefined {
    const { peer } = monitored
    const missedBefore = monitored.schedule.missed
    const facts = {
      nowMs,
      lastReceivedMs: peer.lastReceivedAtMs,
      readPausedMs: peer.readPausedMs,
      bytesSent: peer.bytesSent,
    }
    const { schedule, action, nextCheckMs } = stepPings(monitored.schedule, facts, this.#limits)
    const { missed } = schedule
    monitored.schedule = schedule
    monitored.missedInAll += missed - missedBefore
    switch (action.kind) {
      case 'giveUp':
        peer.closeFor({ kind: 'ping-timeout', by: 'us', missed: action.missed })
        break
      case 'ping':
        peer.ping()
        break
      case 'none':
        break
    }
    // What was done may have ended it.
    if (this.#peers.get(peer) === monitored) this.#due.set(monitored, nextCheckMs)
    return missed > missedBefore ? missed : undefined
  }
}

/** The limits with the defaults filled in; throws as `checkPingLimits`. */
export function pingLimitsOf(options: Partial<PingLimits>): PingLimits {
  const limits = {
    pingIntervalMs: options.pingIntervalMs ?? defaultPingLimits.pingIntervalMs,
    pongTimeoutMs: options.pongTimeoutMs ?? defaultPingLimits.pongTimeoutMs,
    missedPongsMax: options.missedPongsMax ?? defaultPingLimits.missedPongsMax,
  }
  checkPingLimits(limits)
  return limits
}
