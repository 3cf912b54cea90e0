import type { CloseReason } from '../contracts/close-reason.js'
import type { Clock } from '../contracts/clock.js'
import type { PeerEntry } from '../peer-registry.js'
import {
  challengeDurationMs,
  defaultElectionLimits,
  wasSilent,
  type ConnectionId,
  type ElectionClose,
  type SlotEvent,
  type SlotTimer,
} from '../rules/election.js'
import type { PeerIdentity } from '../rules/peer-key.js'
import { sharedAddressHint } from '../rules/shared-address.js'
import type { SlotActions } from '../slot.js'
import type { ConnectionManagerLimits } from './connection-options.js'
import type { PeerConnection } from './peer-connection.js'
import { TimerTable } from './timer-table.js'

/** What elections bring about beyond the connections themselves. */
export interface ElectionHost {
  run(input: () => void): void
  connection(id: ConnectionId): PeerConnection | undefined
  abortDial(id: ConnectionId): void
  established(entry: PeerEntry, connection: PeerConnection): void
  lost(entry: PeerEntry, connection: PeerConnection): void
  /** A step of the slot is over: whoever depends on it looks again. */
  stepped(entry: PeerEntry): void
}

/** The pings of the challenge that runs, and what was known when its round began. */
interface Challenge {
  readonly incumbent: PeerConnection
  readonly pingNumbers: Map<bigint, number>
  receivedAtStart: number
}

/** Carries out on real connections and timers what the election of each slot decides. */
export class Elections {
  readonly #limits: ConnectionManagerLimits
  readonly #identity: PeerIdentity
  readonly #host: ElectionHost
  readonly #timers: TimerTable
  readonly #challenges = new Map<PeerEntry, Challenge>()

  constructor(options: {
    readonly clock: Clock
    readonly limits: ConnectionManagerLimits
    readonly identity: PeerIdentity
    readonly host: ElectionHost
  }) {
    this.#limits = options.limits
    this.#identity = options.identity
    this.#host = options.host
    this.#timers = new TimerTable(options.clock)
  }

  get timerCount(): number {
    return this.#timers.size
  }

  handle(entry: PeerEntry, event: SlotEvent): void {
    entry.slot.handle(event, this.#actionsFor(entry))
    this.#host.stepped(entry)
  }

  /** Starts the deadline of a handshake; `onExpired` is called unless the election ended before. */
  startHandshake(id: ConnectionId, onExpired: () => void): void {
    this.#timers.set(`handshake ${id}`, this.#limits.handshakeTimeoutMs, () => {
      this.#host.run(onExpired)
    })
  }

  /** The deadline of a handshake stands still until it is started again: another one holds. */
  suspendHandshake(id: ConnectionId): void {
    this.#timers.cancel(`handshake ${id}`)
  }

  /** A pong came on a connection: an answer to the challenge, if one of its pings was meant. */
  pongReceived(entry: PeerEntry, connection: PeerConnection, nonce: bigint): void {
    const challenge = this.#challenges.get(entry)
    if (challenge?.incumbent !== connection) return
    const ping = challenge.pingNumbers.get(nonce)
    if (ping === undefined) return
    this.handle(entry, { kind: 'challengeAnswered', id: connection.connectionId, ping })
  }

  /** Cancels what is still to come for a connection that is over. */
  forget(id: ConnectionId): void {
    for (const timer of [
      'handshake',
      'confirm',
      'held',
      'hold',
      'challenge',
    ] satisfies SlotTimer[]) {
      this.#timers.cancel(`${timer} ${id}`)
    }
  }

  #actionsFor(entry: PeerEntry): SlotActions {
    return {
      abortDial: (id) => {
        this.#host.abortDial(id)
      },
      sendReady: (id) => {
        this.#host.connection(id)?.sendHandshake({ kind: 'ready' })
      },
      close: (id, why) => {
        const connection = this.#host.connection(id)
        connection?.closeFor(this.#reasonFor(why, entry, connection))
      },
      established: (id) => {
        const connection = this.#host.connection(id)
        if (connection !== undefined) this.#host.established(entry, connection)
      },
      lost: (id) => {
        this.#challenges.delete(entry)
        const connection = this.#host.connection(id)
        if (connection !== undefined) this.#host.lost(entry, connection)
      },
      challenge: (id, ping, startsRound) => {
        this.#challenge(entry, id, ping, startsRound)
      },
      setTimer: (timer, id) => {
        this.#setTimer(entry, timer, id)
      },
      cancelTimer: (timer, id) => {
        this.#timers.cancel(`${timer} ${id}`)
        if (timer === 'challenge') this.#challenges.delete(entry)
      },
    }
  }

  #reasonFor(why: ElectionClose, entry: PeerEntry, connection: PeerConnection): CloseReason {
    const { incumbent } = entry.slot.state
    const isSecondNode =
      why === 'duplicate' &&
      incumbent !== null &&
      connection.hasHello &&
      connection.hello.instanceId !== incumbent.instanceId
    return isSecondNode
      ? { kind: 'duplicate', by: 'us', text: sharedAddressHint(this.#identity) }
      : closeReasons[why]
  }

  #challenge(entry: PeerEntry, id: ConnectionId, ping: number, startsRound: boolean): void {
    const incumbent = this.#host.connection(id)
    if (incumbent === undefined) return
    let challenge = this.#challenges.get(entry)
    if (challenge === undefined) {
      challenge = { incumbent, pingNumbers: new Map(), receivedAtStart: incumbent.bytesReceived }
      this.#challenges.set(entry, challenge)
    } else if (startsRound) {
      challenge.receivedAtStart = incumbent.bytesReceived
    }
    challenge.pingNumbers.set(incumbent.ping(), ping)
  }

  #setTimer(entry: PeerEntry, timer: SlotTimer, id: ConnectionId): void {
    this.#timers.set(`${timer} ${id}`, this.#durationMs(timer, entry), () => {
      this.#host.run(() => {
        this.handle(entry, this.#expiry(entry, timer, id))
      })
    })
  }

  #durationMs(timer: SlotTimer, entry: PeerEntry): number {
    switch (timer) {
      case 'handshake':
        return this.#limits.handshakeTimeoutMs
      case 'confirm':
        return this.#limits.confirmTimeoutMs
      case 'hold':
        return this.#limits.electionHoldMs
      case 'held':
        return 2 * this.#challengeMs(entry)
      case 'challenge':
        return this.#challengeMs(entry) / defaultElectionLimits.challengePings
    }
  }

  #challengeMs(entry: PeerEntry): number {
    const { incumbent } = entry.slot.state
    const connection = incumbent === null ? undefined : this.#host.connection(incumbent.id)
    return challengeDurationMs(connection?.roundTrip.smoothedMs, this.#limits)
  }

  #expiry(entry: PeerEntry, timer: SlotTimer, id: ConnectionId): SlotEvent {
    switch (timer) {
      case 'handshake':
        return { kind: 'handshakeExpired', id }
      case 'confirm':
        return { kind: 'confirmExpired', id }
      case 'hold':
        return { kind: 'holdExpired', id }
      case 'held':
        return { kind: 'heldExpired', id }
      case 'challenge':
        return { kind: 'challengeExpired', id, isSilent: this.#isSilent(entry) }
    }
  }

  #isSilent(entry: PeerEntry): boolean {
    const challenge = this.#challenges.get(entry)
    if (challenge === undefined) return false
    const { incumbent, receivedAtStart } = challenge
    return wasSilent({
      bytesReceivedSinceStart: incumbent.bytesReceived - receivedAtStart,
      bytesSentSinceLastPong: incumbent.bytesSentSincePong,
      isReadPaused: incumbent.isReadPaused,
    })
  }
}

const closeReasons: Readonly<Record<ElectionClose, CloseReason>> = {
  duplicate: { kind: 'duplicate', by: 'us' },
  busy: { kind: 'busy', by: 'us', text: 'handshakes with this IP are under way already' },
  'handshake-timeout': { kind: 'handshake-timeout', by: 'us' },
  'confirm-timeout': { kind: 'confirm-timeout', by: 'us' },
  silent: {
    kind: 'ping-timeout',
    by: 'us',
    missed: defaultElectionLimits.challengePings,
    text: 'silent when challenged for a new connection',
  },
  'ready-unasked': {
    kind: 'misbehaved',
    by: 'us',
    what: 'READY on a connection that was not elected',
  },
}
