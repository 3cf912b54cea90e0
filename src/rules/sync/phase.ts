import { canServe, isCredible, isEligible, isForkCandidate } from './claims.js'
import { checkpointOf } from './limits.js'
import type { StallReason, SyncPhase } from './notices.js'
import { isSetAside } from './standing.js'
import { frontOf, tell, type SyncPeer, type SyncState, type Turn } from './state.js'

/**
 * What sync is doing, derived from everything that is known at `now`. A wait is over at the very sum for
 * which its timer is set: a difference may be rounded to less, and only the heartbeat would see it.
 */
export function phaseOf(state: SyncState, now: number): SyncPhase {
  if (!state.isRunning) return { kind: 'stopped' }
  const { job, trouble } = state
  if (job !== undefined && now >= job.sinceMs + state.config.limits.slowMs) {
    return stalled(job.kind === 'validate' ? 'validation-slow' : 'store-slow')
  }
  if (trouble !== undefined) return { kind: 'paused', error: trouble.error }
  const peers = [...state.peers.values()]
  if (peers.length === 0) return { kind: 'idle' }
  const ahead = peersAhead(state)
  if (ahead.length > 0) return phaseBehind(state, ahead, now)
  if (!peers.some(hasAnswered)) {
    const isHopeless = peers.every(({ chain }) => chain === 'other')
    return isHopeless ? stalled('no-usable-peer') : { kind: 'probing' }
  }
  if (isProbing(state, peers, now)) return { kind: 'probing' }
  // An empty store is in step with a checkpoint, but not with a genesis block that nobody has.
  const isEmpty = state.tip === null && checkpointOf(state.config.genesis) === undefined
  return isEmpty ? stalled('no-usable-peer') : { kind: 'synced' }
}

/**
 * The peers whose claims say that we are behind. A claim that its peer did not keep counts no longer,
 * as long as somebody else has told what they have.
 */
export function peersAhead(state: SyncState): SyncPeer[] {
  const eligible: SyncPeer[] = []
  let others = 0
  for (const peer of state.peers.values()) {
    if (isEligible(state, peer)) eligible.push(peer)
    else if (hasAnswered(peer)) others += 1
  }
  const credible = eligible.filter(isCredible)
  return credible.length > 0 || others > 0 ? credible : eligible
}

const hasAnswered = (peer: SyncPeer): boolean => peer.chain === 'ours' && peer.claim !== undefined

/** Whether a peer that came a moment ago may still say that it is ahead. Synced stays synced meanwhile. */
const isProbing = (state: SyncState, peers: readonly SyncPeer[], now: number): boolean =>
  state.phase.kind !== 'synced' &&
  peers.some(
    ({ chain, connectedAtMs }) =>
      chain === 'unknown' && now < connectedAtMs + state.config.limits.probeMs,
  )

function phaseBehind(state: SyncState, ahead: readonly SyncPeer[], now: number): SyncPhase {
  const front = frontOf(state).height
  const isUseful = (peer: SyncPeer): boolean =>
    canServe(state, peer, front, now) || isForkCandidate(state, peer, now)
  const hasWork = state.requests.size > 0 || state.job !== undefined || state.fork !== undefined
  if (hasWork || ahead.some(isUseful)) {
    const sinceMs = Math.max(state.tipMovedAtMs, state.behindSinceMs ?? now)
    const isStuck = now >= sinceMs + state.config.limits.noProgressMs
    return isStuck ? stalled('no-progress') : { kind: 'syncing' }
  }
  if (state.rejection?.height === front) return stalled('rejected')
  if (ahead.some(({ branch }) => branch.kind === 'tooDeep')) return stalled('deep-fork')
  if (ahead.some(({ key }) => isSetAside(state, key, now)) && state.rejection !== undefined) {
    return stalled('rejected')
  }
  return stalled('no-usable-peer')
}

const stalled = (reason: StallReason): SyncPhase => ({ kind: 'stalled', reason })

/** Tells when the phase has changed. */
export function updatePhase(turn: Turn): void {
  const { state, now } = turn
  state.behindSinceMs = peersAhead(state).length === 0 ? undefined : (state.behindSinceMs ?? now)
  const phase = phaseOf(state, now)
  const previous = state.phase
  state.phase = phase
  if (previous.kind === phase.kind && reasonOf(previous) === reasonOf(phase)) return
  tell(turn, { kind: 'phaseChanged', phase, previous: previous.kind })
}

const reasonOf = (phase: SyncPhase): StallReason | undefined =>
  phase.kind === 'stalled' ? phase.reason : undefined
