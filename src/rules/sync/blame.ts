import type { BlockRef } from '../../contracts/block-store.js'
import { tellFork } from './claims.js'
import { cancel, disappoint } from './requests.js'
import { isSetAside, recordOf, setAside } from './standing.js'
import {
  tell,
  type HeldBlock,
  type SyncPeer,
  type SyncState,
  type Trouble,
  type Turn,
} from './state.js'

/**
 * The peer sent something that proves it wrong. It is set aside for sync and keeps its connection: to
 * disconnect it would change nothing in what it has, and it would come back with the same.
 */
export function fault(turn: Turn, peer: SyncPeer, what: string): void {
  for (const request of [...peer.requests]) cancel(turn, request)
  // What else was under way when it was found out is the same incident.
  if (isSetAside(turn.state, peer.key, turn.now)) return
  setAside(turn.state, peer.key, turn.now)
  // Whatever else it claims is not believed until it brings a block again.
  peer.unhonoured = Infinity
  tell(turn, { kind: 'peerFaulted', peer: peer.key, what })
}

/** Our rules refused a block: its sender is at fault, those of the blocks around it are not. */
export function reject(turn: Turn, { block, sender }: HeldBlock, reason: string): void {
  const { state, now } = turn
  const { height, hash } = block
  state.rejection = { height, hash, reason }
  const record = recordOf(state, sender.key)
  const isKnown = record.rejectedHash === hash
  record.rejectedHash = hash
  const peer = state.peers.get(sender.connection)
  const what = `block ${height} (${hash}) is invalid: ${reason}`
  if (!isKnown) {
    tell(turn, { kind: 'blockRejected', block: { height, hash }, reason, peer: sender.key })
    tellDisagreement(turn, { height, hash }, reason)
    if (peer !== undefined) return fault(turn, peer, what)
    tell(turn, { kind: 'peerFaulted', peer: sender.key, what })
  }
  setAside(state, sender.key, now)
}

/** So many peers with the same refused block are more than one that is wrong. */
const disagreeingPeers = 3

/** Told once for a block, when one more peer makes it enough. */
function tellDisagreement(turn: Turn, block: BlockRef, reason: string): void {
  const peers: string[] = []
  for (const [key, { rejectedHash }] of turn.state.standings) {
    if (rejectedHash === block.hash) peers.push(key)
  }
  if (peers.length !== disagreeingPeers) return
  tell(turn, { kind: 'disagreementFound', block, reason, peers })
}

/**
 * What the peer has does not link to what we have: no fault. If what we have is stored, it is for a fork
 * attempt to look at; if not, either side may be the one that is astray.
 */
export function leaveBranch(turn: Turn, peer: SyncPeer, isAgainstTip: boolean): void {
  const { state, now } = turn
  const tip = peer.claim?.tip
  if (tip === undefined || tip === null) return
  for (const request of [...peer.requests]) {
    if (request.purpose.kind === 'span') cancel(turn, request)
  }
  if (state.tip === null) {
    // Without a chain of our own there is no ancestor to look for: it has another genesis.
    peer.branch = { kind: 'tooDeep', tipHash: tip.hash, sinceMs: now }
  } else if (isAgainstTip) {
    peer.branch = { kind: 'other' }
    tellFork(turn, peer, tip)
  } else {
    const { branch } = peer
    if (branch.kind === 'unsure' && branch.tipHash === state.tip.hash) disappoint(turn, peer)
    peer.branch = { kind: 'unsure', tipHash: state.tip.hash }
  }
}

/** What peers were found not to link to is ours no longer: they are looked at afresh. */
export function forgetBranches(state: SyncState): void {
  for (const peer of state.peers.values()) {
    if (peer.branch.kind === 'other' || peer.branch.kind === 'unsure')
      peer.branch = { kind: 'ours' }
  }
}

/** Our own store or check failed: nobody is blamed, and it is tried again with backoff. */
export function getInTrouble(turn: Turn, where: Trouble['where'], error: unknown): void {
  const { state, now } = turn
  const { retryMinMs, retryMaxMs } = state.config.limits
  const failures = state.trouble?.where === where ? state.trouble.failures + 1 : 1
  const delayMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(failures - 1, 20))
  state.trouble = { where, failures, error, retryAtMs: now + delayMs }
  tell(turn, { kind: 'troubled', where: where === 'store' ? 'store' : 'validation', error })
}

export function getOutOfTrouble(turn: Turn, where: Trouble['where']): void {
  if (turn.state.trouble?.where === where) turn.state.trouble = undefined
}
