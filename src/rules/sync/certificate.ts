import { canServe, isEligible, isForkCandidate } from './claims.js'
import { isFree } from './grant.js'
import type { SyncLimits } from './limits.js'
import { frontOf, isOpen, type SyncPeer, type SyncState } from './state.js'

/** Why sync cannot be stuck, or that it is. */
export type ProgressCertificate =
  | { readonly holds: true; readonly by: 'stopped' | 'nothing-better' | 'work' }
  /** Something is looked at again within so long, whatever happens. */
  | { readonly holds: true; readonly by: 'request' | 'timer'; readonly withinMs: number }
  | { readonly holds: false; readonly why: string }

/**
 * Names what is going to happen next, after any step: while a peer that can be used claims more than
 * our tip, there is a request with a deadline, a call of the store or of a check under way, or a timer
 * that ends a wait, no later than `longestWaitMs`. Heartbeats do not count. Without it nothing would ever
 * wake the plan.
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
  const withinMs = state.nextMoveAtMs - state.nowMs
  const isTimed = withinMs > 0 && Number.isFinite(withinMs)
  if (requests.some(isOpen)) {
    return isTimed
      ? { holds: true, by: 'request', withinMs }
      : { holds: false, why: 'a request is under way whose deadline is not watched' }
  }
  if (state.trouble !== undefined && state.trouble.retryAtMs > state.nowMs) {
    return state.nextMoveAtMs <= state.trouble.retryAtMs
      ? { holds: true, by: 'timer', withinMs }
      : { holds: false, why: 'a retry is due that nothing will start' }
  }
  const worth = [...state.peers.values()].filter((peer) => isEligible(state, peer))
  const idle = worth.find((peer) => isReady(state, peer))
  if (idle !== undefined) return { holds: false, why: `${idle.key} could be asked and is not` }
  if (worth.every((peer) => !isUsable(state, peer))) return { holds: true, by: 'nothing-better' }
  if (!isTimed) return { holds: false, why: 'no wait is going to end' }
  return withinMs <= longestWaitMs(state.config.limits)
    ? { holds: true, by: 'timer', withinMs }
    : { holds: false, why: `the next wait ends in ${withinMs} ms` }
}

/** The longest wait for a peer that can be used: its cooldown, its hint, or another one's fork attempt. */
export const longestWaitMs = (limits: SyncLimits): number =>
  Math.max(limits.cooldownMaxMs, limits.busyMaxMs, limits.retryMaxMs, limits.forkProgressMs)

const isUsable = (state: SyncState, peer: SyncPeer): boolean =>
  canServe(state, peer, frontOf(state).height, state.nowMs) ||
  isForkCandidate(state, peer, state.nowMs)

/** Fork attempts are made one at a time: while one is under way, the others wait for its deadline. */
const isReady = (state: SyncState, peer: SyncPeer): boolean =>
  isFree(state, peer, state.nowMs) &&
  (canServe(state, peer, frontOf(state).height, state.nowMs) ||
    (state.fork === undefined && isForkCandidate(state, peer, state.nowMs)))
