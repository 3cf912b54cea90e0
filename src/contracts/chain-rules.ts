import type { Block, BlockRef } from './block-store.js'

/** Where a chain begins for this node. */
export type ChainAnchor =
  /** The genesis block itself: an empty store receives it at start. */
  | { readonly kind: 'block'; readonly block: Block }
  /** Its name: the block comes from peers, and must be this one. */
  | { readonly kind: 'hash'; readonly ref: BlockRef }
  /** A trusted block that is not stored: the first block stored is the one above it. */
  | { readonly kind: 'checkpoint'; readonly ref: BlockRef }

/** What a check found. `reason` is for people: it goes to logs and to the close of a connection. */
export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: string }

/** A tip as `compare` sees it: ours, or what a peer claims. */
export interface ChainTip extends BlockRef {
  /** At most 64 bytes that only `compare` understands, for instance the total work. */
  readonly weight?: Uint8Array
}

/** What a validation may look at besides its blocks. */
export interface ValidationContext {
  /** The block below, or null for the first block of a chain. */
  readonly previous: BlockRef | null

  /** Aborts when sync stops. */
  readonly signal: AbortSignal
}

/**
 * What makes a block one of this chain.
 *
 * A check that *returns* a bad verdict proves a fault of the peer that sent the block. A check that
 * *throws* or rejects is taken for our own trouble: it is tried again, and nobody is blamed.
 *
 * `checkIntegrity` alone protects against damage, not against a forged chain: whoever can make blocks
 * that hash correctly can feed a first sync a chain of his own. `validate`, a recent checkpoint, or
 * finality in `compare` is what protects against that.
 */
export interface ChainRules {
  /** Names the chain; peers that name another one are not asked for blocks. At most 128 bytes. */
  readonly chainId: string

  readonly genesis: ChainAnchor

  /** The largest payload of a valid block, in bytes. */
  readonly maxBlockBytes: number

  /**
   * Whether the hash commits to `previousHash` and `payload`. Stateless, synchronous and cheap: it runs
   * on every received block, in any order. The height is given by the link to an anchor and is not
   * checked here unless the block itself commits to it.
   */
  checkIntegrity(block: Block): Verdict

  /** Everything else, in order of height, once per block before it is stored. */
  validate?(block: Block, context: ValidationContext): Verdict | Promise<Verdict>

  /**
   * Positive when `a` is the better tip, negative when `b` is, 0 when neither: ties keep what we have.
   * The default compares heights. `b` and `a` may be claims of liars: any values must be survived.
   */
  compare?(a: ChainTip, b: ChainTip): number

  /** The weight of our own tip, told to peers and handed to `compare`. Called when the tip changed. */
  weightOf?(tip: BlockRef): Uint8Array

  /**
   * The weight that the last of `blocks` has; they follow `ancestor`, or are the first of a chain when it
   * is null. Asked of a branch that is in hand and valid, before it takes the place of ours: who claimed
   * more than its branch has is at fault, and changes nothing. Without it a claimed weight is believed
   * until the branch is stored. As with `validate`, throwing is our own trouble.
   */
  weightOfBranch?(ancestor: BlockRef | null, blocks: readonly Block[]): Uint8Array
}
