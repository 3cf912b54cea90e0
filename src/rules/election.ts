import { comparePeerIps, type PeerIp } from './peer-ip.js'

/**
 * Which connection to a peer survives.
 *
 * One slot per peer. `stepElection(state, event)` gives the next state and the effects that carry it
 * out; it is pure, knows no time and no sockets, and holds every decision. Its promises:
 *
 * - at most one incumbent, and never one in place of another that was not lost first;
 * - an incumbent is given up only when its connection closed or when it was silent under a challenge;
 * - a connection becomes the incumbent only when READY was sent *and* received on it;
 * - only its arbiter elects a connection, so that the two ends have nothing to disagree about.
 *
 * The rules are those of docs/ARCHITECTURE.md, "The election".
 */

/** Names a connection, or our dial on its way to one. Never used twice in a process. */
export type ConnectionId = number

/** Which end decides about a connection: the one with the lower IP, as both ends see it. */
export type Arbiter = 'us' | 'them'

export type Candidate =
  /** Our own dial: no connection yet, or one on which the HELLO has not come. */
  | { readonly id: ConnectionId; readonly origin: 'dial'; readonly stage: 'dialing' | 'opening' }
  /** Both HELLOs are valid. `held`: the incumbent is being challenged for it. */
  | {
      readonly id: ConnectionId
      readonly origin: 'dial' | 'inbound'
      readonly stage: 'held' | 'admitted'
      readonly arbiter: Arbiter
      readonly instanceId: string
      /** READY came on it and was not answered yet. */
      readonly isReady: boolean
      /** The first challenge ping that was sent after it was held: only from there a pong counts. */
      readonly firstPing: number
    }

type Admissible = Extract<Candidate, { readonly stage: 'held' | 'admitted' }>

export interface SlotState {
  /** The established connection. */
  readonly incumbent: { readonly id: ConnectionId; readonly instanceId: string } | null

  /** The candidate to which we, its arbiter, sent READY; its answer is awaited. */
  readonly elected: ConnectionId | null

  /** In order of arrival; at most one of them is our own dial. */
  readonly candidates: readonly Candidate[]

  /** Runs while candidates are held. Pings count up through all rounds of one challenge. */
  readonly challenge: { readonly lastPing: number; readonly pingsInRound: number } | null

  /** How long admitted candidates wait for our own dial, `dialId`. */
  readonly hold: { readonly dialId: ConnectionId; readonly isExpired: boolean } | null
}

export const emptySlot: SlotState = {
  incumbent: null,
  elected: null,
  candidates: [],
  challenge: null,
  hold: null,
}

export type SlotEvent =
  | { readonly kind: 'dialStarted'; readonly id: ConnectionId }
  /** Our dial has its connection; HELLO was sent. */
  | { readonly kind: 'dialConnected'; readonly id: ConnectionId }
  /** Both HELLOs of the connection are valid. */
  | {
      readonly kind: 'helloAccepted'
      readonly id: ConnectionId
      readonly origin: 'dial' | 'inbound'
      readonly arbiter: Arbiter
      readonly instanceId: string
    }
  | { readonly kind: 'readyReceived'; readonly id: ConnectionId }
  /** The pong of a challenge ping, by its number. */
  | { readonly kind: 'challengeAnswered'; readonly id: ConnectionId; readonly ping: number }
  /** A connection ended, or a dial failed, in whatever way. */
  | { readonly kind: 'closed'; readonly id: ConnectionId }
  | { readonly kind: 'handshakeExpired'; readonly id: ConnectionId }
  | { readonly kind: 'confirmExpired'; readonly id: ConnectionId }
  | { readonly kind: 'holdExpired'; readonly id: ConnectionId }
  | { readonly kind: 'heldExpired'; readonly id: ConnectionId }
  /** A step of the challenge is over. `isSilent`: see `wasSilent`. */
  | { readonly kind: 'challengeExpired'; readonly id: ConnectionId; readonly isSilent: boolean }

/** The timers of a slot; `id` is a candidate, our dial for `hold`, the incumbent for `challenge`. */
export type SlotTimer = 'handshake' | 'confirm' | 'hold' | 'held' | 'challenge'

/** Why the election ends a connection. */
export type ElectionClose =
  'duplicate' | 'busy' | 'handshake-timeout' | 'confirm-timeout' | 'silent' | 'ready-unasked'

export type SlotEffect =
  | { readonly kind: 'abortDial'; readonly id: ConnectionId }
  | { readonly kind: 'sendReady'; readonly id: ConnectionId }
  | { readonly kind: 'close'; readonly id: ConnectionId; readonly why: ElectionClose }
  /** The connection is the incumbent: the peer is connected. */
  | { readonly kind: 'established'; readonly id: ConnectionId }
  /** The incumbent is gone: the peer is disconnected. */
  | { readonly kind: 'lost'; readonly id: ConnectionId }
  | {
      readonly kind: 'challenge'
      readonly id: ConnectionId
      readonly ping: number
      /** From this ping on, silence is measured. */
      readonly startsRound: boolean
    }
  | { readonly kind: 'setTimer'; readonly timer: SlotTimer; readonly id: ConnectionId }
  | { readonly kind: 'cancelTimer'; readonly timer: SlotTimer; readonly id: ConnectionId }

export interface ElectionLimits {
  /** Inbound candidates of one slot; one more is closed as `busy`. */
  readonly maxInboundCandidates: number
  /** Pings of one round of a challenge. */
  readonly challengePings: number
}

export const defaultElectionLimits: ElectionLimits = { maxInboundCandidates: 2, challengePings: 3 }

/** The arbiter of a connection, from the two facts that both of its ends know. */
export function arbiterOf(facts: {
  /** Our IP as the other end sees it. */
  readonly ourIp: PeerIp
  /** The other end's IP as we see it. */
  readonly theirIp: PeerIp
  readonly ourInstanceId: string
  readonly theirInstanceId: string
}): Arbiter {
  const order = comparePeerIps(facts.ourIp, facts.theirIp)
  if (order !== 0) return order < 0 ? 'us' : 'them'
  return facts.ourInstanceId < facts.theirInstanceId ? 'us' : 'them'
}

/** Whether a dial of ours may start: there is neither a connection nor another dial. */
export function mayStartDial(state: SlotState): boolean {
  return state.incumbent === null && ownDial(state) === undefined
}

/** Bytes on their way to an incumbent that excuse it from answering a challenge in time. */
export const maxBytesUnderChallenge = 64 * 1024

/** Whether an incumbent counts as silent at the end of a challenge. */
export function wasSilent(facts: {
  readonly bytesReceivedSinceStart: number
  readonly bytesSentSinceLastPong: number
  readonly isReadPaused: boolean
}): boolean {
  return (
    facts.bytesReceivedSinceStart === 0 &&
    facts.bytesSentSinceLastPong < maxBytesUnderChallenge &&
    !facts.isReadPaused
  )
}

/** How long a whole challenge takes: four smoothed round trips, within the limits. */
export function challengeDurationMs(
  smoothedMs: number | undefined,
  limits: { readonly challengeTimeoutMs: number; readonly challengeTimeoutMaxMs: number },
): number {
  const wanted = smoothedMs === undefined ? limits.challengeTimeoutMs : 4 * smoothedMs
  return Math.min(Math.max(wanted, limits.challengeTimeoutMs), limits.challengeTimeoutMaxMs)
}

/** One step. Events about connections that the slot does not hold change nothing. */
export function stepElection(
  state: SlotState,
  event: SlotEvent,
  limits: ElectionLimits = defaultElectionLimits,
): { readonly state: SlotState; readonly effects: readonly SlotEffect[] } {
  const slot = new Draft(state, limits)
  slot.apply(event)
  slot.look()
  return { state: slot.result(), effects: slot.effects }
}

function ownDial(state: Pick<SlotState, 'candidates'>): Candidate | undefined {
  return state.candidates.find((candidate) => candidate.origin === 'dial')
}

function isAdmissible(candidate: Candidate): candidate is Admissible {
  return candidate.stage === 'held' || candidate.stage === 'admitted'
}

function isHeldFromFirstPing(candidate: Candidate): boolean {
  return candidate.stage === 'held' && candidate.firstPing === 1
}

/** One slot in the middle of one step. */
class Draft {
  readonly effects: SlotEffect[] = []
  readonly #limits: ElectionLimits
  #incumbent: SlotState['incumbent']
  #elected: SlotState['elected']
  #candidates: readonly Candidate[]
  #challenge: SlotState['challenge']
  #hold: SlotState['hold']

  constructor(state: SlotState, limits: ElectionLimits) {
    this.#limits = limits
    this.#incumbent = state.incumbent
    this.#elected = state.elected
    this.#candidates = state.candidates
    this.#challenge = state.challenge
    this.#hold = state.hold
  }

  result(): SlotState {
    return {
      incumbent: this.#incumbent,
      elected: this.#elected,
      candidates: this.#candidates,
      challenge: this.#challenge,
      hold: this.#hold,
    }
  }

  apply(event: SlotEvent): void {
    switch (event.kind) {
      case 'dialStarted':
        if (mayStartDial(this.result()))
          this.#add({ id: event.id, origin: 'dial', stage: 'dialing' })
        else this.effects.push({ kind: 'abortDial', id: event.id })
        return
      case 'dialConnected':
        if (this.#find(event.id)?.stage === 'dialing') {
          this.#replace({ id: event.id, origin: 'dial', stage: 'opening' })
        } else {
          this.#emitClose(event.id, 'duplicate')
        }
        return
      case 'helloAccepted':
        this.#helloAccepted(event)
        return
      case 'readyReceived':
        this.#readyReceived(event.id)
        return
      case 'challengeAnswered':
        if (this.#incumbent?.id === event.id) this.#challengeAnswered(event.ping)
        return
      case 'closed':
        if (this.#incumbent?.id === event.id) this.#loseIncumbent()
        else this.#forget(event.id)
        return
      case 'handshakeExpired':
        if (event.id !== this.#elected) this.#closeCandidate(event.id, 'handshake-timeout')
        return
      case 'confirmExpired':
        if (event.id === this.#elected) this.#closeCandidate(event.id, 'confirm-timeout')
        return
      case 'holdExpired':
        if (this.#hold?.dialId === event.id) this.#hold = { dialId: event.id, isExpired: true }
        return
      case 'heldExpired':
        this.#heldExpired(event.id)
        return
      case 'challengeExpired':
        if (this.#challenge !== null && this.#incumbent?.id === event.id) {
          this.#challengeExpired(this.#incumbent.id, this.#challenge, event.isSilent)
        }
        return
      default:
        event satisfies never
    }
  }

  /** Brings the slot to rest: whatever its state allows to decide now is decided here, and only here. */
  look(): void {
    this.#settleHold()
    if (this.#incumbent !== null) {
      this.#challengeForHeld(this.#incumbent.id)
      return
    }
    for (const candidate of this.#candidates) {
      if (candidate.stage === 'held') {
        this.#cancelTimer('held', candidate.id)
        this.#replace({ ...candidate, stage: 'admitted' })
      }
    }
    if (this.#elected !== null) return
    const admitted = this.#candidates.filter(isAdmissible)
    const ready = admitted.find((candidate) => candidate.arbiter === 'them' && candidate.isReady)
    if (ready !== undefined) {
      this.effects.push({ kind: 'sendReady', id: ready.id })
      this.#promote(ready)
      return
    }
    const mine = admitted.filter((candidate) => candidate.arbiter === 'us')
    if (mine.length > 0) this.#elect(mine)
  }

  #helloAccepted(event: Extract<SlotEvent, { kind: 'helloAccepted' }>): void {
    const { id, origin, arbiter, instanceId } = event
    const before = this.#find(id)
    if (origin === 'dial' ? before?.stage !== 'opening' : before !== undefined) {
      if (before === undefined) this.#emitClose(id, 'duplicate')
      return
    }
    const inbound = this.#candidates.filter((candidate) => candidate.origin === 'inbound')
    if (origin === 'inbound' && inbound.length >= this.#limits.maxInboundCandidates) {
      this.#emitClose(id, 'busy')
      return
    }
    const firstPing = (this.#challenge?.lastPing ?? 0) + 1
    const isHeld = this.#incumbent !== null
    const stage = isHeld ? 'held' : 'admitted'
    const candidate: Candidate = {
      id,
      origin,
      stage,
      arbiter,
      instanceId,
      isReady: false,
      firstPing,
    }
    if (before === undefined) this.#add(candidate)
    else this.#replace(candidate)
    if (isHeld) this.effects.push({ kind: 'setTimer', timer: 'held', id })
  }

  #readyReceived(id: ConnectionId): void {
    const candidate = this.#find(id)
    if (candidate === undefined || !isAdmissible(candidate)) return
    if (candidate.arbiter === 'them' && !candidate.isReady) {
      this.#replace({ ...candidate, isReady: true })
    } else if (candidate.arbiter === 'us' && id === this.#elected) {
      this.#promote(candidate)
    } else {
      this.#closeCandidate(id, 'ready-unasked')
    }
  }

  #elect(mine: readonly Admissible[]): void {
    const dial = ownDial({ candidates: this.#candidates })
    const isDialUnderWay = dial?.stage === 'dialing' || dial?.stage === 'opening'
    if (isDialUnderWay && this.#hold === null) {
      this.#hold = { dialId: dial.id, isExpired: false }
      this.effects.push({ kind: 'setTimer', timer: 'hold', id: dial.id })
    }
    if (isDialUnderWay && this.#hold?.isExpired !== true) return
    // The newest of several inbound ones: a live peer has given up what it dialled before it.
    const winner = mine.find((candidate) => candidate.origin === 'dial') ?? mine.at(-1)
    if (winner === undefined) return
    this.#elected = winner.id
    this.#cancelTimer('handshake', winner.id)
    this.effects.push({ kind: 'sendReady', id: winner.id })
    this.effects.push({ kind: 'setTimer', timer: 'confirm', id: winner.id })
  }

  #promote(winner: Admissible): void {
    if (this.#elected !== null) this.#cancelTimer('confirm', winner.id)
    this.#elected = null
    this.#cancelTimer('handshake', winner.id)
    this.#incumbent = { id: winner.id, instanceId: winner.instanceId }
    this.#candidates = this.#candidates.filter(({ id }) => id !== winner.id)
    this.effects.push({ kind: 'established', id: winner.id })
    for (const candidate of this.#candidates) {
      if (!isAdmissible(candidate)) this.#abortOwnDial(candidate)
      else if (candidate.instanceId === winner.instanceId)
        this.#closeCandidate(candidate.id, 'duplicate')
      else {
        this.#replace({ ...candidate, stage: 'held', firstPing: 1 })
        this.effects.push({ kind: 'setTimer', timer: 'held', id: candidate.id })
      }
    }
    this.#settleHold()
    this.#challengeForHeld(winner.id)
  }

  #abortOwnDial(dial: Candidate): void {
    this.#remove(dial.id)
    if (dial.stage === 'dialing') this.effects.push({ kind: 'abortDial', id: dial.id })
    else this.#emitClose(dial.id, 'duplicate')
  }

  /** A challenge runs exactly while somebody is held. */
  #challengeForHeld(incumbentId: ConnectionId): void {
    const isWanted = this.#isAnyoneHeld()
    if (isWanted && this.#challenge === null) this.#sendPing(incumbentId, 1, 1)
    if (!isWanted) this.#endChallenge(incumbentId)
  }

  #sendPing(incumbentId: ConnectionId, ping: number, pingsInRound: number): void {
    this.#challenge = { lastPing: ping, pingsInRound }
    this.effects.push({
      kind: 'challenge',
      id: incumbentId,
      ping,
      startsRound: pingsInRound === 1,
    })
    this.effects.push({ kind: 'setTimer', timer: 'challenge', id: incumbentId })
  }

  #challengeAnswered(ping: number): void {
    for (const candidate of this.#candidates) {
      if (candidate.stage === 'held' && candidate.firstPing <= ping) {
        this.#closeCandidate(candidate.id, 'duplicate')
      }
    }
  }

  #challengeExpired(
    incumbentId: ConnectionId,
    challenge: NonNullable<SlotState['challenge']>,
    isSilent: boolean,
  ): void {
    const { lastPing, pingsInRound } = challenge
    if (pingsInRound < this.#limits.challengePings) {
      this.#sendPing(incumbentId, lastPing + 1, pingsInRound + 1)
    } else if (isSilent) {
      this.#emitClose(incumbentId, 'silent')
      this.#loseIncumbent()
    } else {
      // It lives, or cannot be judged: whoever is still held waits for his own deadline.
      for (const candidate of this.#candidates) {
        if (isHeldFromFirstPing(candidate) && lastPing >= this.#lastPingOfTwoRounds)
          this.#closeCandidate(candidate.id, 'duplicate')
      }
      if (this.#isAnyoneHeld()) this.#sendPing(incumbentId, lastPing + 1, 1)
    }
  }

  #isAnyoneHeld(): boolean {
    return this.#candidates.some((candidate) => candidate.stage === 'held')
  }

  /**
   * The deadline of a candidate that was held from the first ping on falls due together with the end of
   * the second round. That goes first, in whatever order the timers fire: bytes of a dead incumbent that
   * were in flight spoil the first round, but not the second one.
   */
  #heldExpired(id: ConnectionId): void {
    const candidate = this.#find(id)
    if (candidate?.stage !== 'held') return
    const lastPing = this.#challenge?.lastPing ?? 0
    const isDecidedByRound =
      isHeldFromFirstPing(candidate) && lastPing === this.#lastPingOfTwoRounds
    if (!isDecidedByRound) this.#closeCandidate(id, 'duplicate')
  }

  get #lastPingOfTwoRounds(): number {
    return 2 * this.#limits.challengePings
  }

  #endChallenge(incumbentId: ConnectionId): void {
    if (this.#challenge === null) return
    this.#challenge = null
    this.#cancelTimer('challenge', incumbentId)
  }

  #loseIncumbent(): void {
    if (this.#incumbent === null) return
    const { id } = this.#incumbent
    this.#endChallenge(id)
    this.#incumbent = null
    this.effects.push({ kind: 'lost', id })
  }

  #closeCandidate(id: ConnectionId, why: ElectionClose): void {
    if (this.#forget(id)) this.#emitClose(id, why)
  }

  /** Takes a candidate out of the slot, with its timers. */
  #forget(id: ConnectionId): boolean {
    const candidate = this.#find(id)
    if (candidate === undefined) return false
    this.#remove(id)
    if (candidate.stage === 'held') this.#cancelTimer('held', id)
    if (this.#elected === id) {
      this.#elected = null
      this.#cancelTimer('confirm', id)
    }
    return true
  }

  /** The hold belongs to one dial on its way, and ends with it. */
  #settleHold(): void {
    if (this.#hold === null) return
    const { dialId, isExpired } = this.#hold
    const stage = this.#find(dialId)?.stage
    if (this.#incumbent === null && (stage === 'dialing' || stage === 'opening')) return
    this.#hold = null
    if (!isExpired) this.#cancelTimer('hold', dialId)
  }

  #find(id: ConnectionId): Candidate | undefined {
    return this.#candidates.find((candidate) => candidate.id === id)
  }

  #add(candidate: Candidate): void {
    this.#candidates = [...this.#candidates, candidate]
  }

  #replace(candidate: Candidate): void {
    this.#candidates = this.#candidates.map((old) => (old.id === candidate.id ? candidate : old))
  }

  #remove(id: ConnectionId): void {
    this.#candidates = this.#candidates.filter((candidate) => candidate.id !== id)
  }

  #emitClose(id: ConnectionId, why: ElectionClose): void {
    this.effects.push({ kind: 'close', id, why })
  }

  #cancelTimer(timer: SlotTimer, id: ConnectionId): void {
    this.effects.push({ kind: 'cancelTimer', timer, id })
  }
}
