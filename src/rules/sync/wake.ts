import { announceDueAtMs, unannounced } from './announce.js'
import { deepForkRestUntilMs, isEligible } from './claims.js'
import { deadlineOf } from './deadline.js'
import { nextHedgeAtMs } from './hedge.js'
import { restUntilMs, standingOf } from './standing.js'
import { isOpen, type SyncState, type Turn } from './state.js'

/** A timer that is later than this says that the process was frozen or busy. */
const latenessMs = 1_000

/** Decides when to look again if nothing happens: at the next deadline, and at every heartbeat. */
export function setWake(turn: Turn): void {
  const { state, now } = turn
  state.wakeAtMs = Infinity
  state.nextMoveAtMs = Infinity
  if (!state.isRunning) return
  state.wakeAtMs = now + state.config.limits.heartbeatMs
  const consider = (atMs: number, cause: WakeCause): void => {
    // What is past has been looked at in this step, and waits for something else.
    if (atMs <= now) return
    state.wakeAtMs = Math.min(state.wakeAtMs, atMs)
    if (cause === 'move') state.nextMoveAtMs = Math.min(state.nextMoveAtMs, atMs)
  }
  considerRequests(state, consider)
  considerOurselves(state, consider)
  considerPeers(state, consider)
}

/** A move ends a wait and lets the plan go on; a chore is done on the way. */
type WakeCause = 'move' | 'chore'

type Consider = (atMs: number, cause: WakeCause) => void

function considerRequests(state: SyncState, consider: Consider): void {
  const { limits } = state.config
  for (const request of state.requests.values()) {
    const peer = state.peers.get(request.connection)
    if (peer === undefined) continue
    if (isOpen(request)) consider(deadlineOf(state, request, peer), 'move')
    else if (request.stage === 'cancelled') {
      consider(request.progressAtMs + limits.cancelledMaxMs, 'chore')
    }
  }
  consider(nextHedgeAtMs(state, state.nowMs), 'chore')
}

function considerOurselves(state: SyncState, consider: Consider): void {
  const { limits } = state.config
  if (state.trouble !== undefined) consider(state.trouble.retryAtMs, 'move')
  if (state.job !== undefined) {
    consider(state.job.sinceMs + limits.slowMs, 'chore')
    if (state.job.kind === 'validate') {
      consider(state.job.sinceMs + limits.validationMaxMs, 'move')
    }
  }
  if (state.fork !== undefined) consider(state.fork.progressAtMs + limits.forkProgressMs, 'move')
  if (state.behindSinceMs !== undefined) {
    consider(Math.max(state.tipMovedAtMs, state.behindSinceMs) + limits.noProgressMs, 'chore')
  }
  consider(state.statusDueAtMs, 'chore')
  if (unannounced(state) !== undefined) consider(announceDueAtMs(state), 'chore')
}

function considerPeers(state: SyncState, consider: Consider): void {
  const { limits } = state.config
  for (const peer of state.peers.values()) {
    if (peer.chain === 'unknown') consider(peer.connectedAtMs + limits.probeMs, 'chore')
    if (!isEligible(state, peer)) continue
    const { cooldownUntilMs, setAsideUntilMs } = standingOf(state, peer.key)
    consider(cooldownUntilMs, 'move')
    consider(setAsideUntilMs, 'move')
    consider(restUntilMs(state, peer.key), 'move')
    consider(peer.busyUntilMs, 'move')
    consider(peer.admits?.untilMs ?? -Infinity, 'chore')
    if (peer.branch.kind === 'tooDeep') {
      consider(deepForkRestUntilMs(state, peer, peer.branch), 'move')
    }
  }
}

/** The process was frozen: what was due meanwhile was not missed by anybody. */
export function forgiveLateness(turn: Turn): void {
  const { state, now } = turn
  const lateMs = now - state.wakeAtMs
  if (!(lateMs > latenessMs)) return
  for (const request of state.requests.values()) {
    request.sentAtMs += lateMs
    request.progressAtMs += lateMs
  }
  if (state.fork !== undefined) state.fork.progressAtMs += lateMs
  if (state.job !== undefined) state.job.sinceMs += lateMs
}
