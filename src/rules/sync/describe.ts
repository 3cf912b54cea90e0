import { peerStateOf } from './peer-state.js'
import { restUntilMs, standingOf } from './standing.js'
import type { SyncPeer, SyncState } from './state.js'
import { progressOf } from './view.js'

/**
 * What sync is doing and why, in lines for a person: the phase, the work under way, and for each peer
 * what it claims, what it was asked and why it is not asked. For display: the text may change.
 */
export function describeSync(state: SyncState, now: number): string {
  const { phase, height, target, peers, window, requestsInFlight, bottleneck } = progressOf(
    state,
    now,
  )
  const reason = phase.kind === 'stalled' ? ` (${phase.reason})` : ''
  const { job, trouble, fork, rejection } = state
  const lines = [
    `${phase.kind}${reason} at ${height ?? 'empty'}, target ${target ?? 'unknown'}`,
    `${peers.connected} peers, ${peers.answered} answered, ${peers.ahead} ahead`,
    `${requestsInFlight} requests, window ${window.usedBytes} of ${window.maxBytes} bytes`,
  ]
  if (bottleneck !== undefined) lines.push(`waits mostly for the ${bottleneck}`)
  if (job !== undefined) lines.push(`${job.kind} for ${Math.round(now - job.sinceMs)} ms`)
  if (trouble !== undefined) {
    const retryMs = Math.max(0, Math.round(trouble.retryAtMs - now))
    const times = `${trouble.failures} times in a row`
    lines.push(`${trouble.where} failed ${times}, again in ${retryMs} ms: ${textOf(trouble.error)}`)
  }
  if (fork !== undefined) {
    const held = `${fork.held.length} blocks, ${fork.heldBytes} bytes held`
    lines.push(`fork of ${fork.key}: ${fork.stage.kind}, ${held}`)
  }
  if (rejection !== undefined) {
    lines.push(`refused block ${rejection.height} (${rejection.hash}): ${rejection.reason}`)
  }
  for (const peer of state.peers.values()) lines.push(describePeer(state, peer, now))
  return lines.join('\n')
}

function describePeer(state: SyncState, peer: SyncPeer, now: number): string {
  const { claim, chain, branch, requests } = peer
  const has =
    claim === undefined
      ? `says nothing (chain ${chain})`
      : `has ${claim.base} to ${claim.tip?.height ?? 'nothing'}, branch ${branch.kind}`
  return `${peer.key}: ${has}, ${requests.size} requests, ${availability(state, peer, now)}`
}

function availability(state: SyncState, peer: SyncPeer, now: number): string {
  const { key, busyUntilMs } = peer
  const peerState = peerStateOf(state, peer, now)
  const name = peerState.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  switch (peerState) {
    case 'setAside':
      return `${name} for ${roundedMs(standingOf(state, key).setAsideUntilMs - now)}`
    case 'coolingDown':
      return `${name}, ${roundedMs(restUntilMs(state, key) - now)} at least`
    case 'busy':
      return `${name} for ${roundedMs(busyUntilMs - now)}`
    default:
      return name
  }
}

const roundedMs = (ms: number): string => `${Math.max(0, Math.round(ms))} ms`

/** An error may be anything, and must not make the description fail. */
function textOf(error: unknown): string {
  try {
    return String(error)
  } catch {
    return 'an error without a text'
  }
}
