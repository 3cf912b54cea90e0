import type { Block, BlockRef, RangeLimits } from '../contracts/block-store.js'
import { HoldfastError } from '../errors.js'

// The rules of the BlockStore contract that need no disk, one function each, for every store to share.
// Each returns when the rule holds and throws what the contract says when it does not.

/** A block as far as its place in the chain goes. */
type Header = Omit<Block, 'payload'>

/** RangeError unless `height` is a safe integer of at least 0. */
export function requireHeight(height: number, name = 'height'): void {
  if (!Number.isSafeInteger(height) || height < 0) {
    throw new RangeError(`${name} must be a safe integer of at least 0, not ${height}`)
  }
}

/** RangeError unless `limit` is a safe integer of at least 1 and `maxBytes` one of at least 0. */
export function requireRangeLimits({ limit, maxBytes }: RangeLimits): void {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new RangeError(`limit must be a safe integer of at least 1, not ${limit}`)
  }
  requireHeight(maxBytes, 'maxBytes')
}

/**
 * NOT_CONTIGUOUS unless each block follows the one before it by height and by link. Checks first that
 * they are blocks: TypeError, or RangeError for a height.
 */
export function requireRun(blocks: readonly Block[]): void {
  let below: Block | null = null
  for (const block of blocks) {
    requireBlock(block)
    if (below !== null) requireFollows(below, block)
    below = block
  }
}

/** TIP_MISMATCH, with the actual tip attached, unless `expected` names the tip. */
export function requireTip(actual: BlockRef | null, expected: BlockRef | null): void {
  if (isSameBlock(actual, expected)) return
  throw new HoldfastError(
    'TIP_MISMATCH',
    `the tip is ${nameOf(actual)}, not ${nameOf(expected)} as the writer expected`,
    { actualTip: actual },
  )
}

/**
 * UNKNOWN_ANCESTOR unless `heldHash`, what the store has at that height, is the ancestor's. RangeError for
 * a height that no block can have.
 */
export function requireAncestor(ancestor: BlockRef, heldHash: string | undefined): void {
  requireHeight(ancestor.height, 'ancestor.height')
  if (heldHash === ancestor.hash) return
  const held = heldHash === undefined ? 'nothing' : heldHash
  throw new HoldfastError(
    'UNKNOWN_ANCESTOR',
    `the store does not hold ${nameOf(ancestor)}: it has ${held} at that height`,
  )
}

/** NOT_CONTIGUOUS unless a run that begins with `first` goes on from `below`; null takes any run. */
export function requireLink(below: BlockRef | null, first: Header | undefined): void {
  if (below !== null && first !== undefined) requireFollows(below, first)
}

/** Whether both name the same block, or both are null. */
export const isSameBlock = (a: BlockRef | null, b: BlockRef | null): boolean =>
  a === null || b === null ? a === b : a.height === b.height && a.hash === b.hash

function requireFollows(below: BlockRef, block: Header): void {
  if (block.height === below.height + 1 && block.previousHash === below.hash) return
  throw new HoldfastError(
    'NOT_CONTIGUOUS',
    `${nameOf(block)} with the previous hash ${block.previousHash} does not follow ${nameOf(below)}`,
  )
}

function requireBlock({ height, hash, previousHash, payload }: Block): void {
  requireHeight(height, 'block.height')
  requireHash(hash, 'block.hash')
  requireHash(previousHash, 'block.previousHash')
  if (!((payload as unknown) instanceof Uint8Array)) {
    throw new TypeError(`block.payload must be a Uint8Array, at height ${height}`)
  }
}

/** Half a surrogate pair has no UTF-8 form: two hashes would become one on a disk. */
const loneSurrogate = /\p{Surrogate}/u

function requireHash(hash: unknown, name: string): void {
  if (typeof hash !== 'string' || loneSurrogate.test(hash)) {
    throw new TypeError(`${name} must be a well-formed string`)
  }
}

const nameOf = (ref: BlockRef | null): string =>
  ref === null ? 'an empty chain' : `block ${ref.height} (${ref.hash})`
