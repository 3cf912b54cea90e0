import type { Block, BlockRef } from '../../src/contracts/block-store.js'
import type { ChainTip } from '../../src/contracts/chain-rules.js'

/**
 * Blocks that are only described: all of one size share one payload, and a hash is a name. A block is
 * genuine when it is one of those made here: that is the integrity check of simulated worlds.
 */
const genuine = new WeakSet<Block>()

export const isGenuine = (block: Block): boolean => genuine.has(block)

const payloads = new Map<number, Uint8Array>()

export function payloadOf(bytes: number): Uint8Array {
  const known = payloads.get(bytes)
  if (known !== undefined) return known
  const fresh = new Uint8Array(bytes)
  payloads.set(bytes, fresh)
  return fresh
}

export interface SimChain {
  /** From the lowest height that is held; contiguous. */
  readonly blocks: readonly Block[]
  readonly base: number
  readonly tip: Block
}

export const blockAt = (chain: SimChain, height: number): Block | undefined =>
  chain.blocks[height - chain.base]

export const tipOf = ({ tip: { height, hash } }: SimChain): ChainTip => ({ height, hash })

export const bytesOf = (blocks: readonly Block[]): number =>
  blocks.reduce((sum, { payload }) => sum + payload.length, 0)

export const refOf = ({ height, hash }: BlockRef): BlockRef => ({ height, hash })

/** A genuine block on top of another. `branch` makes its name differ from those of other branches. */
export function makeBlock(below: BlockRef | undefined, branch: string, bytes: number): Block {
  const height = below === undefined ? 0 : below.height + 1
  const block = {
    height,
    hash: `${branch}${height}`,
    previousHash: below?.hash ?? 'nothing',
    payload: payloadOf(bytes),
  }
  genuine.add(block)
  return block
}

/** A chain from genesis with blocks of `bytes` each, or of what each height is to have. */
export function simChain(
  length: number,
  bytes: number | ((height: number) => number),
  branch = 'a',
): SimChain {
  return grow([], length, bytes, branch)
}

/** The same chain up to `height`, then `length` blocks of its own. */
export function branchOff(
  chain: SimChain,
  height: number,
  length: number,
  bytes: number,
  branch: string,
): SimChain {
  return grow(chain.blocks.slice(0, height - chain.base + 1), length, bytes, branch)
}

/** What is left of the chain when everything below `base` is pruned. */
export const prunedBelow = (chain: SimChain, base: number): SimChain =>
  chainOf(chain.blocks.slice(base - chain.base))

/** The chain up to `height`. */
export const cutAt = (chain: SimChain, height: number): SimChain =>
  chainOf(chain.blocks.slice(0, height - chain.base + 1))

export function chainOf(blocks: readonly Block[]): SimChain {
  const [first] = blocks
  const tip = blocks.at(-1)
  if (first === undefined || tip === undefined) throw new RangeError('a chain has blocks')
  return { blocks, base: first.height, tip }
}

function grow(
  below: readonly Block[],
  length: number,
  bytes: number | ((height: number) => number),
  branch: string,
): SimChain {
  const blocks = [...below]
  for (let n = 0; n < length; n++) {
    const last = blocks.at(-1)
    const size = typeof bytes === 'number' ? bytes : bytes((last?.height ?? -1) + 1)
    blocks.push(makeBlock(last, branch, size))
  }
  return chainOf(blocks)
}
