import type { ChainTip } from '../../contracts/chain-rules.js'
import { post, type SyncState, type Turn } from './state.js'

/** Tells one peer what we have. */
export function postStatus(turn: Turn, connection: number): void {
  const { state } = turn
  if (!state.isRunning || !state.isTipKnown) return
  const { chainId } = state.config
  post(turn, connection, { kind: 'status', chainId, base: state.base, tip: state.tip })
}

/** Tells everybody what we have, every so often: no claim of ours is older than that. */
export function refreshStatus(turn: Turn): void {
  const { state, now } = turn
  if (state.statusDueAtMs > now || !state.isTipKnown) return
  for (const connection of state.peers.keys()) postStatus(turn, connection)
  state.statusDueAtMs = now + state.config.limits.statusIntervalMs
  state.announcedHash = state.tip?.hash
}

/** Tells everybody about a new tip: at once, or together with those that follow soon after. */
export function announceTip(turn: Turn): void {
  const { state, now } = turn
  const tip = unannounced(state)
  if (tip === undefined || announceDueAtMs(state) > now) return
  state.announcedHash = tip.hash
  state.announcedAtMs = now
  for (const peer of state.peers.values()) {
    if (peer.chain === 'other' || peer.claim?.tip?.hash === tip.hash) continue
    post(turn, peer.connection, { kind: 'announce', tip })
  }
}

export const unannounced = (state: SyncState): ChainTip | undefined =>
  state.isTipKnown && state.tip !== null && state.tip.hash !== state.announcedHash
    ? state.tip
    : undefined

export const announceDueAtMs = (state: SyncState): number =>
  state.announcedAtMs + state.config.limits.announceIntervalMs
