/** A block of some chain, as far as the library looks into it. */
export interface Block {
  /** A safe integer, 0 or more. */
  readonly height: number

  /** In the one canonical spelling of the chain: two hashes are equal exactly when `===` says so. */
  readonly hash: string

  /** The hash of the block at `height - 1`. What it is for a genesis block is the chain's business. */
  readonly previousHash: string

  readonly payload: Uint8Array
}

/** The name of one block. */
export interface BlockRef {
  readonly height: number
  readonly hash: string
}

/** How much of a range is wanted at most. */
export interface RangeLimits {
  /** Number of blocks: a safe integer, at least 1. */
  readonly limit: number

  /** Payload bytes: a safe integer, at least 0; the first block is returned even when it is larger. */
  readonly maxBytes: number
}

/**
 * A disk for one chain: a contiguous, linked run of blocks from its base to its tip, or nothing.
 *
 * Every write is compare-and-swap on the tip, all or nothing, and durable when its promise resolves,
 * as far as the store promises durability at all. One write runs at a time (the store queues them);
 * reads that overlap a write see the chain before it or after it, never between. A crash at any moment
 * leaves the chain of before or of after the last write.
 *
 * Errors: HoldfastError TIP_MISMATCH (with `actualTip`) when `expectTip` is not the tip,
 * NOT_CONTIGUOUS when the blocks do not form a run or do not link, UNKNOWN_ANCESTOR, STORE_CLOSED
 * before `open` and after `close`, STORE_LOCKED when another process has it open, STORE_CORRUPT when
 * what is on disk cannot be repaired; TypeError and RangeError for values that are no blocks, heights
 * or limits. Anything else that rejects is the disk's own failure. Where several apply, the run itself
 * is judged first, then the tip, then the ancestor, then the link between them.
 *
 * The store keeps no reference to what it is given, from the moment of the call on, and what it returns
 * is the caller's.
 */
export interface BlockStore {
  /** Opens, and repairs what a crash left behind. Before it, everything rejects. Idempotent. */
  open(): Promise<void>

  /**
   * Waits for the write that runs, then releases everything; writes that wait behind it are carried out
   * or reject with STORE_CLOSED. Idempotent; `open` works again.
   */
  close(): Promise<void>

  /** The highest block, or null when the store is empty. */
  tip(): Promise<BlockRef | null>

  /** The lowest block held, or null when the store is empty. */
  base(): Promise<BlockRef | null>

  /** The block at `height`, or undefined when the store does not hold it. */
  get(height: number): Promise<Block | undefined>

  /** The hash of the block at `height`, or undefined when the store does not hold it. */
  hashAt(height: number): Promise<string | undefined>

  /**
   * Consecutive blocks from `from` upwards out of one snapshot, as many as the limits allow; an empty
   * array when the store does not hold `from`.
   */
  range(from: number, limits: RangeLimits): Promise<Block[]>

  /**
   * Puts a run on top of `expectTip`, or into the empty store when it is null: then the first block,
   * at whatever height, becomes the base. An empty run changes nothing but still compares the tip.
   * Resolves with the new tip.
   */
  append(
    blocks: readonly Block[],
    options: { readonly expectTip: BlockRef | null },
  ): Promise<BlockRef | null>

  /**
   * In one atomic step removes everything above `ancestor` (everything, when it is null) and puts
   * `blocks` there. Rejects with UNKNOWN_ANCESTOR when the store does not hold `ancestor`. Resolves
   * with the new tip.
   */
  replace(
    ancestor: BlockRef | null,
    blocks: readonly Block[],
    options: { readonly expectTip: BlockRef | null },
  ): Promise<BlockRef | null>
}
