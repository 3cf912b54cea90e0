import type { BlockRef } from '../../contracts/block-store.js'

/** Why a peer with a better chain does not get us further. */
export type StallReason =
  /** A peer's better chain leaves ours below `maxReorgDepth`, or needs more than `maxReorgBytes`. */
  | 'deep-fork'
  /** Nobody who is ahead has the block that comes next. */
  | 'no-usable-peer'
  /** The next block that peers have is one that our rules refuse. */
  | 'rejected'
  /** Everybody who is ahead has failed lately. */
  | 'no-progress'
  /** A call of the store has not ended for a while. */
  | 'store-slow'
  /** A call of `validate` has not ended for a while. */
  | 'validation-slow'

/** What sync is doing: derived from its state, never stored. */
export type SyncPhase =
  /** No peers. */
  | { readonly kind: 'idle' }
  /** Nobody has said yet what they have. */
  | { readonly kind: 'probing' }
  /** Somebody has a better chain, and it is being fetched. */
  | { readonly kind: 'syncing' }
  /** At least one peer has said what it has, and nobody has better. */
  | { readonly kind: 'synced' }
  | { readonly kind: 'stalled'; readonly reason: StallReason }
  /** Our own store or validation fails; it is tried again. */
  | { readonly kind: 'paused'; readonly error: unknown }
  | { readonly kind: 'stopped' }

export type SyncPhaseKind = SyncPhase['kind']

/** What sync has to tell the outside world. */
export type SyncNotice =
  | { readonly kind: 'phaseChanged'; readonly phase: SyncPhase; readonly previous: SyncPhaseKind }
  | { readonly kind: 'blocksAppended'; readonly from: number; readonly tip: BlockRef }
  | {
      readonly kind: 'chainReplaced'
      readonly ancestor: BlockRef | null
      readonly previousTip: BlockRef | null
      readonly tip: BlockRef
    }
  /** The peer sent something that proves that it is wrong. It keeps its connection. */
  | { readonly kind: 'peerFaulted'; readonly peer: string; readonly what: string }
  | {
      readonly kind: 'blockRejected'
      readonly block: BlockRef
      readonly reason: string
      readonly peer: string
    }
  /** Several peers serve a block that our own rules refuse: they may be right. */
  | {
      readonly kind: 'disagreementFound'
      readonly block: BlockRef
      readonly reason: string
      readonly peers: readonly string[]
    }
  /** A peer is of another chain: it is not asked, and keeps its connection. */
  | { readonly kind: 'otherChainFound'; readonly peer: string; readonly chainId: string }
  /** A peer is on another branch than we are. */
  | { readonly kind: 'forkFound'; readonly peer: string; readonly tip: BlockRef }
  /** A peer's better branch is beyond what we may adopt. */
  | { readonly kind: 'deepForkFound'; readonly peer: string; readonly tip: BlockRef }
  /** Our own store, or a check of ours, failed. It is tried again. */
  | { readonly kind: 'troubled'; readonly where: 'store' | 'validation'; readonly error: unknown }
