import { announceDueAtMs, unannounced } from './announce.js'
import { hedgeable } from './assign.js'
import { deepForkRestUntilMs, isEligible } from './claims.js'
import { deadlineOf, hedgeAtMs } from './pace.js'
import { restUntilMs, standingOf } from './standing.js'
import { isOpen, type SyncState, type Turn, type WakeCause } from './state.js'

/** A timer that is later than this says that the process was frozen or busy. */
const latenessMs = 1_000

/** Decides when to look again if nothing happens: at the next deadline, and at every heartbeat. */
export function setWake(turn: Turn): void {
  const { state, now } = turn
  state.wakeAtMs = now + state.config.limits.heartbeatMs
  state.wakeCause = 'heartbeat'
  if (!state.isRunning) {
    state.wakeAtMs = Infinity
    return
  }
  const consider = (atMs: number, cause: WakeCause): void => {
    // What is past has been looked at in this step, and waits for something else.
    if (atMs <= now || atMs > state.wakeAtMs) return
    if (atMs === state.wakeAtMs && state.wakeCause !== 'heartbeat') return
    state.wakeAtMs = atMs
    state.wakeCause = cause
  }
  considerRequests(state, consider)
  considerOurselves(state, consider)
  considerPeers(state, consider)
}

type Consider = (atMs: number, cause: WakeCause) => void

function considerRequests(state: SyncState, consider: Consider): void {
  const { limits } = state.config
  for (const request of state.requests.values()) {
    const peer = state.peers.get(request.connection)
    if (peer === undefined) continue
    if (isOpen(request)) consider(deadlineOf(state, request, peer), 'deadline')
    else if (request.stage === 'cancelled') {
      consider(request.progressAtMs + limits.cancelledMaxMs, 'deadline')
    }
  }
  for (const [, request] of hedgeable(state)) {
    const peer = state.peers.get(request.connection)
    if (peer !== undefined) consider(hedgeAtMs(state, request, peer), 'deadline')
  }
}

function considerOurselves(state: SyncState, consider: Consider): void {
  const { limits } = state.config
  if (state.trouble !== undefined) consider(state.trouble.retryAtMs, 'retry')
  if (state.job !== undefined) {
    consider(state.job.sinceMs + limits.slowMs, 'deadline')
    if (state.job.kind === 'validate') {
      consider(state.job.sinceMs + limits.validationMaxMs, 'deadline')
    }
  }
  if (state.fork !== undefined)
    consider(state.fork.progressAtMs + limits.forkProgressMs, 'deadline')
  if (state.behindSinceMs !== undefined) {
    consider(Math.max(state.tipMovedAtMs, state.behindSinceMs) + limits.noProgressMs, 'status')
  }
  consider(state.statusDueAtMs, 'status')
  if (unannounced(state) !== undefined) consider(announceDueAtMs(state), 'announce')
}

function considerPeers(state: SyncState, consider: Consider): void {
  const { limits } = state.config
  for (const peer of state.peers.values()) {
    if (peer.chain === 'unknown') consider(peer.connectedAtMs + limits.probeMs, 'status')
    if (!isEligible(state, peer)) continue
    const { cooldownUntilMs, setAsideUntilMs } = standingOf(state, peer.key)
    consider(cooldownUntilMs, 'cooldown')
    consider(setAsideUntilMs, 'cooldown')
    consider(restUntilMs(state, peer.key), 'cooldown')
    consider(peer.busyUntilMs, 'cooldown')
    if (peer.branch.kind === 'tooDeep') {
      consider(deepForkRestUntilMs(state, peer, peer.branch), 'cooldown')
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
