import type { CloseReason } from '../contracts/close-reason.js'
import { comparePeerIps, scopeOf, type PeerIp } from './peer-ip.js'

/**
 * Who dials, and when: politeness, never safety. Whatever is decided here, the election leaves one
 * connection. A preference for the lower IP expires (`patienceMs`), backoff grows to a cap and never
 * ends, and nothing here ever closes a connection.
 */
export interface DialPolicyLimits {
  readonly patienceMs: number
  readonly handshakeTimeoutMs: number
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  readonly stableAfterMs: number
  /** How long a peer rests that is not one of ours: another network, a ban, ourselves. */
  readonly longRestMs: number
}

/** What the policy remembers of one peer. Times are those of the node's clock. */
export interface DialState {
  /** Since when there is no connection and one is wanted; undefined otherwise. */
  readonly wantedSinceMs: number | undefined
  /** Since when inbound handshakes have deferred our dial without a break. */
  readonly deferredSinceMs: number | undefined
  /** No automatic dial before this time. */
  readonly notBeforeMs: number
  /** The part of it that is no backoff: the peer said when to come, or is no match. */
  readonly restUntilMs: number
  /** How many steps the backoff has grown. */
  readonly backoffSteps: number
  /** Dials that failed in a row. */
  readonly failures: number
}

export const initialDialState: DialState = {
  wantedSinceMs: undefined,
  deferredSinceMs: undefined,
  notBeforeMs: Number.NEGATIVE_INFINITY,
  restUntilMs: Number.NEGATIVE_INFINITY,
  backoffSteps: 0,
  failures: 0,
}

/** The shortest pause between two dials to one peer, however the dice fall. */
const minBackoffMs = 100

/** Retries in a row that a hint may shorten: from then on a dead peer costs what any other one does. */
export const maxHurriedRetries = 5

/** How a dial, or the connection that came of it, ended while the slot was free. */
export type DialOutcome =
  /** No connection, or none that got through the handshake. */
  | { readonly kind: 'failed' }
  /** The peer has another connection at our IP. */
  | { readonly kind: 'duplicate' }
  /** The peer wants us later. */
  | { readonly kind: 'later'; readonly retryAfterMs: number | undefined }
  /** The application at one of the two ends does not want the connection: it may change its mind. */
  | { readonly kind: 'refused' }
  /** The peer and we are no match, for now: another network or version, a ban, or it is ourselves. */
  | { readonly kind: 'mismatch' }

export type DialVerdict =
  | { readonly kind: 'dial' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  /** Nothing to do until something changes. */
  | { readonly kind: 'rest' }

/** Whether an automatic dial may leave now, and if not, when to ask again. */
export function judgeDial(
  state: DialState,
  facts: {
    readonly nowMs: number
    /** There is neither a connection nor a dial of ours. */
    readonly isSlotFree: boolean
    /** The machine is connected under another of its addresses, and refused a dial to this one for it. */
    readonly isConnectedElsewhere: boolean
    /** An inbound connection whose HELLO was valid is in handshake. */
    readonly hasInboundHandshake: boolean
    readonly ourIp: PeerIp | undefined
    readonly peerIp: PeerIp
  },
  limits: DialPolicyLimits,
): DialVerdict {
  if (!facts.isSlotFree || facts.isConnectedElsewhere || state.wantedSinceMs === undefined)
    return { kind: 'rest' }
  const patienceMs = dialsFirst(facts.ourIp, facts.peerIp) ? 0 : limits.patienceMs
  const deferredUntilMs =
    facts.hasInboundHandshake && state.deferredSinceMs !== undefined
      ? state.deferredSinceMs + limits.handshakeTimeoutMs
      : Number.NEGATIVE_INFINITY
  const untilMs = Math.max(state.wantedSinceMs + patienceMs, state.notBeforeMs, deferredUntilMs)
  return untilMs > facts.nowMs ? { kind: 'wait', untilMs } : { kind: 'dial' }
}

/**
 * Whether we are the one to dial at once. The lower IP is; and so is who cannot tell, because its own
 * IP is unknown, is the peer's too, or does not compare with it (a private one with a public one).
 */
export function dialsFirst(ourIp: PeerIp | undefined, peerIp: PeerIp): boolean {
  if (ourIp === undefined) return true
  const scope = scopeOf(ourIp)
  if (scope === 'unspecified' || scope !== scopeOf(peerIp)) return true
  return comparePeerIps(ourIp, peerIp) <= 0
}

/** The upper end of the jitter after `steps` steps: doubles up to the cap. */
export function backoffCeilingMs(steps: number, limits: DialPolicyLimits): number {
  return Math.min(limits.backoffMaxMs, limits.backoffBaseMs * 2 ** Math.min(steps, 64))
}

/** Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", 2015). */
export function backoffDelayMs(steps: number, dice: number, limits: DialPolicyLimits): number {
  const ceilingMs = backoffCeilingMs(steps, limits)
  return Math.min(ceilingMs, Math.max(minBackoffMs, dice * ceilingMs))
}

/** The slot became free and wanted: patience counts from here, once. */
export function afterWanted(state: DialState, nowMs: number): DialState {
  return state.wantedSinceMs === undefined ? { ...state, wantedSinceMs: nowMs } : state
}

/** The peer is no longer wanted, or connected. */
export function afterUnwanted(state: DialState): DialState {
  return { ...state, wantedSinceMs: undefined, deferredSinceMs: undefined }
}

/** The inbound handshakes in the slot changed. */
export function afterInboundHandshakes(
  state: DialState,
  hasInboundHandshake: boolean,
  nowMs: number,
): DialState {
  if (!hasInboundHandshake) {
    return state.deferredSinceMs === undefined ? state : { ...state, deferredSinceMs: undefined }
  }
  return state.deferredSinceMs === undefined ? { ...state, deferredSinceMs: nowMs } : state
}

/**
 * Somebody has reason to believe that the peer is there: the pause before one of the first
 * `maxHurriedRetries` retries ends, however often this is said. What the peer asked for is kept.
 */
export function afterHurry(state: DialState, nowMs: number): DialState {
  if (state.backoffSteps > maxHurriedRetries) return state
  const soonMs = Math.max(state.restUntilMs, nowMs + minBackoffMs)
  return soonMs < state.notBeforeMs ? { ...state, notBeforeMs: soonMs } : state
}

/** What counts after a connection that lived `livedMs`, before its end is judged. */
export function afterLived(
  state: DialState,
  livedMs: number,
  limits: Pick<DialPolicyLimits, 'stableAfterMs'>,
): DialState {
  return livedMs >= limits.stableAfterMs ? { ...state, backoffSteps: 0, failures: 0 } : state
}

/** An established connection ended after `livedMs`. */
export function afterConnectionLost(
  state: DialState,
  facts: {
    readonly nowMs: number
    readonly livedMs: number
    readonly dice: number
    readonly outcome: DialOutcome
  },
  limits: DialPolicyLimits,
): DialState {
  const isStable = facts.livedMs >= limits.stableAfterMs
  const rested = afterLived(state, facts.livedMs, limits)
  if (facts.outcome.kind !== 'failed') return afterDialEnded(rested, facts, limits)
  return {
    ...rested,
    backoffSteps: isStable ? 0 : rested.backoffSteps + 1,
    notBeforeMs: facts.nowMs + backoffDelayMs(rested.backoffSteps, facts.dice, limits),
  }
}

/** A dial ended while the slot was free. One that ended for an incumbent is not reported here at all. */
export function afterDialEnded(
  state: DialState,
  facts: { readonly nowMs: number; readonly dice: number; readonly outcome: DialOutcome },
  limits: DialPolicyLimits,
): DialState {
  const delayMs = backoffDelayMs(state.backoffSteps, facts.dice, limits)
  const { outcome, nowMs } = facts
  const backoffSteps = state.backoffSteps + 1
  const notBefore = (restMs: number): number => Math.max(state.notBeforeMs, nowMs + restMs)
  const restUntil = (restMs: number): number => Math.max(state.restUntilMs, nowMs + restMs)
  switch (outcome.kind) {
    case 'failed':
      return {
        ...state,
        backoffSteps,
        failures: state.failures + 1,
        notBeforeMs: notBefore(delayMs),
      }
    case 'duplicate':
      return { ...state, backoffSteps, notBeforeMs: notBefore(delayMs) }
    case 'later': {
      const hintMs = Math.min(outcome.retryAfterMs ?? 0, limits.longRestMs)
      const notBeforeMs = notBefore(Math.max(delayMs, hintMs))
      return { ...state, backoffSteps, notBeforeMs, restUntilMs: restUntil(hintMs) }
    }
    case 'refused': {
      // As long as after many failures, whatever the backoff is; half of it is jitter.
      const restMs = (limits.backoffMaxMs * (1 + facts.dice)) / 2
      return {
        ...state,
        backoffSteps,
        failures: state.failures + 1,
        notBeforeMs: notBefore(restMs),
        restUntilMs: restUntil(restMs),
      }
    }
    case 'mismatch': {
      const notBeforeMs = notBefore(limits.longRestMs)
      return { ...state, notBeforeMs, restUntilMs: restUntil(limits.longRestMs) }
    }
  }
}

/** What the end of a connection means for the next dial. */
export function outcomeOf(reason: CloseReason): DialOutcome {
  switch (reason.kind) {
    case 'duplicate':
      return { kind: 'duplicate' }
    case 'busy':
      return { kind: 'later', retryAfterMs: reason.retryAfterMs }
    case 'shutdown':
    case 'evicted':
    case 'disconnected':
      return { kind: 'later', retryAfterMs: undefined }
    case 'refused':
      return { kind: 'refused' }
    case 'wrong-network':
    case 'wrong-version':
    case 'banned':
      return { kind: 'mismatch' }
    case 'self':
    case 'ended':
    case 'transport-error':
    case 'ping-timeout':
    case 'slow':
    case 'flood':
    case 'misbehaved':
    case 'handshake-timeout':
    case 'confirm-timeout':
      return { kind: 'failed' }
  }
}
