import type { BlockRef } from '../../contracts/block-store.js'
import type { ChainTip } from '../../contracts/chain-rules.js'
import type { StatusMessage } from '../../contracts/sync-messages.js'
import { checkpointOf, startOf } from './limits.js'
import { isSetAside } from './standing.js'
import { tell, type Claim, type SyncPeer, type SyncState, type Turn } from './state.js'

/** More weight than this is not a weight. */
const maxWeightBytes = 64

/** Attempts in a row without a block after which a claim no longer counts for what we say of ourselves. */
const creditAttempts = 3
const busyCreditAttempts = 8

/** Notes what a peer says it has. Anything that is no claim leaves it without one. */
export function hearStatus(turn: Turn, peer: SyncPeer, message: StatusMessage): void {
  const { state } = turn
  if (message.chainId !== state.config.chainId) {
    if (peer.chain !== 'other') {
      tell(turn, { kind: 'otherChainFound', peer: peer.key, chainId: message.chainId })
    }
    peer.chain = 'other'
    peer.claim = undefined
    return
  }
  peer.chain = 'ours'
  // Said again, it may be true again: a reply that found nothing lowers a claim until the next status.
  peer.ceiling = Infinity
  hearClaim(turn, peer, claimOf(message.base, message.tip))
}

/** Notes a new tip; the base stays what it was. */
export function hearTip(turn: Turn, peer: SyncPeer, tip: ChainTip): void {
  if (peer.chain !== 'ours' || peer.claim === undefined) return
  hearClaim(turn, peer, claimOf(peer.claim.base, tip))
}

function hearClaim(turn: Turn, peer: SyncPeer, claim: Claim | undefined): void {
  const { state } = turn
  const isNewTip =
    claim?.tip?.hash !== peer.claim?.tip?.hash || claim?.tip?.height !== peer.claim?.tip?.height
  peer.claim = claim
  if (!isNewTip || claim?.tip === undefined || claim.tip === null) return
  peer.ceiling = Infinity
  const { height, hash } = claim.tip
  if (state.tip?.height === height && state.tip.hash !== hash) tellFork(turn, peer, claim.tip)
}

export function tellFork(turn: Turn, peer: SyncPeer, { height, hash }: BlockRef): void {
  if (peer.forkToldHash === hash) return
  peer.forkToldHash = hash
  tell(turn, { kind: 'forkFound', peer: peer.key, tip: { height, hash } })
}

/** A claim in which every number is one, or nothing. */
function claimOf(base: number, tip: ChainTip | null): Claim | undefined {
  if (!isHeight(base)) return undefined
  if (tip === null) return { base, tip }
  const { height, hash, weight } = tip
  if (!isHeight(height) || base > height || typeof hash !== 'string') return undefined
  if (weight === undefined) return { base, tip: { height, hash } }
  if (weight.length > maxWeightBytes) return undefined
  return { base, tip: { height, hash, weight: weight.slice() } }
}

const isHeight = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

/** The request for `from` was answered by "I do not have it": the claim ends below. */
export function lowerClaim(peer: SyncPeer, from: number, base: number, tip: ChainTip | null): void {
  const told = claimOf(base, tip)
  if (told !== undefined && (told.tip === null || told.tip.height < from)) {
    peer.claim = told
    peer.ceiling = told.tip === null ? -1 : Infinity
  } else {
    peer.ceiling = Math.min(peer.ceiling, from - 1)
  }
}

/** The peer no longer has `from`: what it can serve begins above. */
export function raiseBase(peer: SyncPeer, from: number, base: number): void {
  if (peer.claim === undefined) return
  peer.claim.base = isHeight(base) && base > from ? base : from + 1
}

/** Whether a tip is better than ours. A `compare` that throws or gives nonsense finds nothing better. */
export function isBetter(state: SyncState, theirs: ChainTip): boolean {
  const ours = state.tip ?? checkpointOf(state.config.genesis)
  if (ours === undefined) return theirs.height >= startOf(state.config.genesis).from
  try {
    return state.config.compare(theirs, ours) > 0
  } catch {
    return false
  }
}

/** Whether a peer claims a chain of ours that is better than what we have, and can be asked at all. */
export const isEligible = (state: SyncState, peer: SyncPeer): boolean => {
  const tip = peer.claim?.tip
  if (peer.chain !== 'ours' || tip === undefined || tip === null) return false
  // It said that it has nothing above what we have.
  if (peer.ceiling <= heightOf(state)) return false
  return isBetter(state, tip)
}

const heightOf = (state: SyncState): number =>
  state.tip?.height ?? startOf(state.config.genesis).from - 1

/** The highest height that the peer may be asked for; -1 for none. */
export const topOf = (peer: SyncPeer): number =>
  Math.min(peer.claim?.tip?.height ?? -1, peer.ceiling)

function isOnBranch({ tip }: SyncState, { branch }: SyncPeer, height: number): boolean {
  return branch.kind === 'ours' || (branch.kind === 'unsure' && height === (tip?.height ?? -1) + 1)
}

/** Whether the peer is to be asked for `height` on our branch, apart from being free now. */
export const canServe = (state: SyncState, peer: SyncPeer, height: number, now: number): boolean =>
  isOnBranch(state, peer, height) &&
  peer.claim !== undefined &&
  peer.claim.base <= height &&
  height <= topOf(peer) &&
  isEligible(state, peer) &&
  !isSetAside(state, peer.key, now)

/** Whether the better chain of the peer is one that does not grow out of ours. */
export function isForkCandidate(state: SyncState, peer: SyncPeer, now: number): boolean {
  if (state.tip === null || !isEligible(state, peer) || isSetAside(state, peer.key, now))
    return false
  switch (peer.branch.kind) {
    case 'other':
      return true
    case 'tooDeep':
      return now >= deepForkRestUntilMs(state, peer, peer.branch)
    case 'ours':
    case 'unsure':
      // Better, and yet not longer: it cannot be an extension of what we have.
      return topOf(peer) <= state.tip.height && peer.ceiling === Infinity
    default:
      return peer.branch satisfies never
  }
}

/** A branch that was too deep is looked at again when its tip has changed, and now and then. */
export const deepForkRestUntilMs = (
  { config: { limits } }: SyncState,
  peer: SyncPeer,
  branch: Extract<SyncPeer['branch'], { kind: 'tooDeep' }>,
): number =>
  branch.sinceMs +
  (peer.claim?.tip?.hash === branch.tipHash ? limits.faultCooldownMaxMs : limits.cooldownMaxMs)

/** Whether the peer's claim still counts for phase and target: it lately kept what it promised. */
export const isCredible = (peer: SyncPeer): boolean =>
  peer.unhonoured < creditAttempts && peer.busyInARow < busyCreditAttempts
