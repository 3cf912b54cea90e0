import type { Clock, Timer } from './contracts/clock.js'
import type { CloseReason } from './contracts/close-reason.js'
import type { Peer, PeerService, ServiceMessage, ServicePeer } from './contracts/peer-service.js'
import type { Random } from './contracts/random.js'
import { systemClock, systemRandom } from './defaults.js'
import { DueQueue } from './due-queue.js'
import { HoldfastError } from './errors.js'
import { EventSource } from './events.js'
import { patientClock } from './patient-clock.js'
import { describeReason } from './rules/close-reasons.js'
import {
  afterPong,
  startPings,
  stepPings,
  type PingLimits,
  type PingSchedule,
} from './rules/ping-schedule.js'

export interface PingMonitorOptions extends Partial<PingLimits> {
  readonly clock?: Clock
  readonly random?: Random
}

export type PingEvents = {
  /** A pong came. */
  ponged: (event: { readonly peer: Peer; readonly roundTripMs: number }) => void
  /** A pong did not come in time; `missed` counts them in a row. */
  pongMissed: (event: { readonly peer: Peer; readonly missed: number }) => void
}

interface Monitored {
  schedule: PingSchedule
  pingsSent: number
  pongsReceived: number
}

interface PongWaiter {
  readonly peer: ServicePeer
  readonly resolve: (roundTripMs: number) => void
  readonly reject: (error: unknown) => void
}

export const defaultPingLimits: PingLimits = {
  pingIntervalMs: 30_000,
  pongTimeoutMs: 10_000,
  missedPongsMax: 3,
}

/**
 * Pings every connection, and closes one with `ping-timeout` after three missed pongs in a row. No peer
 * is exempt. Join it to a ConnectionManager with `connections.serve(pings)`; answers to the peer's own
 * pings are given by the connection itself. It has one timer, however many connections there are.
 */
export class PingMonitor extends EventSource<PingEvents> implements PeerService {
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: PingLimits
  readonly #peers = new Map<ServicePeer, Monitored>()
  readonly #due = new DueQueue<ServicePeer>()
  readonly #waiters = new Map<bigint, PongWaiter>()
  #timer: Timer | undefined
  #timerDueMs = Infinity

  /** Throws RangeError when a limit makes no sense. */
  constructor(options: PingMonitorOptions = {}) {
    super()
    this.#clock = patientClock(options.clock ?? systemClock)
    this.#random = options.random ?? systemRandom
    this.#limits = checkPingLimits(options)
  }

  /**
   * Pings a connected peer now and resolves with the round trip in milliseconds. Rejects with
   * NOT_CONNECTED, or CONNECTION_CLOSED when the connection ends first; with `signal.reason` when the
   * signal aborts.
   */
  ping(peer: Peer, options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    const { signal } = options
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      // Only connections of a manager that this monitor serves are in the map.
      const monitored = peer as ServicePeer
      if (!this.#peers.has(monitored)) {
        throw new HoldfastError('NOT_CONNECTED', `not connected to ${peer.key}`)
      }
      const nonce = monitored.ping()
      const onAbort = (): void => {
        this.#waiters.delete(nonce)
        reject(signal?.reason as Error)
      }
      const release = (): void => {
        this.#waiters.delete(nonce)
        signal?.removeEventListener('abort', onAbort)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.set(nonce, {
        peer: monitored,
        resolve: (roundTripMs) => {
          release()
          resolve(roundTripMs)
        },
        reject: (error) => {
          release()
          reject(error)
        },
      })
    })
  }

  /** How a peer's pings went; undefined for one that is not connected. */
  statsOf(
    peer: Peer,
  ):
    | { readonly pingsSent: number; readonly pongsReceived: number; readonly missed: number }
    | undefined {
    const monitored = this.#peers.get(peer as ServicePeer)
    if (monitored === undefined) return undefined
    const { pingsSent, pongsReceived, schedule } = monitored
    return { pingsSent, pongsReceived, missed: schedule.missed }
  }

  peerConnected(peer: ServicePeer): void {
    const schedule = startPings(this.#clock.now(), this.#random.next(), this.#limits)
    this.#peers.set(peer, { schedule, pingsSent: 0, pongsReceived: 0 })
    this.#due.set(peer, schedule.nextPingMs)
    this.#arm()
  }

  peerMessage(peer: ServicePeer, message: ServiceMessage): void {
    const monitored = this.#peers.get(peer)
    if (message.kind !== 'pong' || monitored === undefined) return
    const { nonce, sentMs, roundTripMs } = message
    monitored.pongsReceived += 1
    monitored.schedule = afterPong(monitored.schedule, sentMs)
    this.#waiters.get(nonce)?.resolve(roundTripMs)
    if (this.listenerCount('ponged') === 0) return
    queueMicrotask(() => {
      this.tell('ponged', { peer, roundTripMs })
    })
  }

  peerDisconnected(peer: ServicePeer, reason: CloseReason): void {
    this.#peers.delete(peer)
    this.#due.delete(peer)
    for (const waiter of [...this.#waiters.values()]) {
      if (waiter.peer !== peer) continue
      const text = `the connection ended before the pong: ${describeReason(reason)}`
      waiter.reject(new HoldfastError('CONNECTION_CLOSED', text, { reason }))
    }
    this.#arm()
  }

  /** One timer, for whoever is due first. */
  #arm(): void {
    const dueMs = this.#due.nextDueMs ?? Infinity
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
    for (let peer = this.#due.takeDue(nowMs); peer !== undefined; peer = this.#due.takeDue(nowMs)) {
      this.#step(peer, nowMs)
    }
    this.#arm()
  }

  #step(peer: ServicePeer, nowMs: number): void {
    const monitored = this.#peers.get(peer)
    if (monitored === undefined) return
    const missedBefore = monitored.schedule.missed
    const facts = {
      nowMs,
      lastReceivedMs: peer.lastReceivedAtMs,
      readPausedMs: peer.readPausedMs,
    }
    const { schedule, action, nextCheckMs } = stepPings(monitored.schedule, facts, this.#limits)
    monitored.schedule = schedule
    if (schedule.missed > missedBefore) this.tell('pongMissed', { peer, missed: schedule.missed })
    switch (action.kind) {
      case 'giveUp':
        peer.closeFor({ kind: 'ping-timeout', by: 'us', missed: action.missed })
        return
      case 'ping':
        peer.ping()
        monitored.pingsSent += 1
        break
      case 'none':
        break
    }
    if (this.#peers.has(peer)) this.#due.set(peer, nextCheckMs)
  }
}

/** The limits with the defaults filled in; throws RangeError that names what makes no sense. */
export function checkPingLimits(options: Partial<PingLimits>): PingLimits {
  const limits = {
    pingIntervalMs: options.pingIntervalMs ?? defaultPingLimits.pingIntervalMs,
    pongTimeoutMs: options.pongTimeoutMs ?? defaultPingLimits.pongTimeoutMs,
    missedPongsMax: options.missedPongsMax ?? defaultPingLimits.missedPongsMax,
  }
  for (const name of ['pingIntervalMs', 'pongTimeoutMs'] as const) {
    if (!(limits[name] > 0 && Number.isFinite(limits[name]))) {
      throw new RangeError(`${name} must be finite and above 0, not ${limits[name]}`)
    }
  }
  const { missedPongsMax } = limits
  if (!Number.isSafeInteger(missedPongsMax) || missedPongsMax < 1 || missedPongsMax > 30) {
    throw new RangeError(
      `missedPongsMax must be a whole number from 1 to 30, not ${missedPongsMax}`,
    )
  }
  return limits
}
