import { isFree } from './assign.js'
import { canServe, isEligible, isForkCandidate } from './claims.js'
import { frontOf, isOpen, type SyncPeer, type SyncState } from './state.js'

/** Why sync cannot be stuck, or that it is. */
export type ProgressCertificate =
  | {
      readonly holds: true
      readonly by: 'stopped' | 'nothing-better' | 'work' | 'request' | 'timer'
    }
  | { readonly holds: false; readonly why: string }

/**
 * Names what is going to happen next, after any step: while a peer that can be used claims more than
 * our tip, there is a request with a deadline, a call of the store or of a check under way, or a timer
 * that ends a wait. Heartbeats do not count. Without it nothing would ever wake the plan.
 */
export function progressCertificate(state: SyncState): ProgressCertificate {
  if (!state.isRunning) return { holds: true, by: 'stopped' }
  if (!(state.wakeAtMs > state.nowMs && Number.isFinite(state.wakeAtMs))) {
    return { holds: false, why: `no timer is set for later than ${state.nowMs}` }
  }
  const { fork } = state
  if (state.job !== undefined || (fork !== undefined && 'token' in fork.stage)) {
    return { holds: true, by: 'work' }
  }
  const requests = [...state.requests.values()]
  if (requests.some(({ checks }) => checks.size > 0)) return { holds: true, by: 'work' }
  const isRetrying = state.trouble !== undefined && state.trouble.retryAtMs > state.nowMs
  if (requests.some(isOpen)) return { holds: true, by: 'request' }
  if (isRetrying) return { holds: true, by: 'timer' }
  const worth = [...state.peers.values()].filter((peer) => isEligible(state, peer))
  const idle = worth.find((peer) => isReady(state, peer))
  if (idle !== undefined) return { holds: false, why: `${idle.key} could be asked and is not` }
  if (worth.every((peer) => !isUsable(state, peer))) return { holds: true, by: 'nothing-better' }
  return state.nextMoveAtMs > state.nowMs && Number.isFinite(state.nextMoveAtMs)
    ? { holds: true, by: 'timer' }
    : { holds: false, why: 'no wait is going to end' }
}

const isUsable = (state: SyncState, peer: SyncPeer): boolean =>
  canServe(state, peer, frontOf(state).height, state.nowMs) ||
  isForkCandidate(state, peer, state.nowMs)

const isReady = (state: SyncState, peer: SyncPeer): boolean =>
  isUsable(state, peer) && isFree(state, peer, state.nowMs)
