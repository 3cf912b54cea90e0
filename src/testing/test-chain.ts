import { createCipheriv, createHash } from 'node:crypto'
import type { Block, BlockRef } from '../contracts/block-store.js'
import type { ChainRules, Verdict } from '../contracts/chain-rules.js'

/** What the genesis block of a test chain has below it. */
export const TEST_GENESIS_PREVIOUS_HASH = '0'.repeat(64)

/** A payload must differ from those of other seeds; this many pseudo-random bytes see to it. */
const minBlockBytes = 16

/** How long a test chain is, where it begins, and how large its blocks are. */
export interface TestChainOptions {
  /** Number of blocks, at least 1. */
  readonly length: number

  /** Payload bytes of each block, at least 16, or what a height is to have. Default 256. */
  readonly blockBytes?: number | ((height: number) => number)

  /** Equal options give equal blocks; another seed gives other blocks. Default 1. */
  readonly seed?: number

  /** The block below the first one. Default: none, the chain begins with a genesis block at height 0. */
  readonly from?: BlockRef
}

/** A run of generated blocks, and the branches that leave it. */
export interface TestChain {
  /** In order of height, each linked to the one before. Shared: not to be written into. */
  readonly blocks: readonly Block[]

  readonly base: BlockRef

  readonly tip: BlockRef

  /** The block at `height`; RangeError where there is none. */
  at(height: number): Block

  /**
   * A chain that is the same up to and including `atHeight` (which this one must hold) and then has
   * `length` blocks of its own. `seed` must not be one that made this chain, or the blocks are the same.
   */
  fork(atHeight: number, length: number, seed: number): TestChain
}

/** What can be named of a block without its payload. */
export const refOf = ({ height, hash }: BlockRef): BlockRef => ({ height, hash })

/** SHA-256 in lower-case hex over the 64 characters of `previousHash` and the payload. */
export const testBlockHash = (previousHash: string, payload: Uint8Array): string =>
  createHash('sha256').update(previousHash, 'latin1').update(payload).digest('hex')

/**
 * Generates the blocks of `testChain` one at a time, for chains that should not be held whole.
 *
 * The hash commits to `previousHash` and `payload` and to nothing else. The height is *not* inside the
 * payload: as in most real chains, only the link to an anchor fixes it.
 */
export function* testBlocks(options: TestChainOptions): Generator<Block, void, undefined> {
  const { length, blockBytes = 256, seed = 1, from } = options
  if (!Number.isSafeInteger(length) || length < 1) {
    throw new RangeError(`length must be an integer of at least 1, not ${length}`)
  }
  let previousHash = from?.hash ?? TEST_GENESIS_PREVIOUS_HASH
  const first = from === undefined ? 0 : from.height + 1
  for (let height = first; height < first + length; height++) {
    const size = typeof blockBytes === 'number' ? blockBytes : blockBytes(height)
    const payload = pseudoRandomBytes(`${seed}/${height}`, size)
    const hash = testBlockHash(previousHash, payload)
    yield { height, hash, previousHash, payload }
    previousHash = hash
  }
}

/** A generated chain, the same on every machine for the same options. See `testBlocks` for its rules. */
export function testChain(options: TestChainOptions): TestChain {
  return chainOf([...testBlocks(options)], options)
}

/**
 * The rules of a test chain and of all its forks. The anchor is the genesis block, or for a chain made
 * with `from` that block as a checkpoint; the largest block is the largest one of `chain`. `changes`
 * replaces any of it, so that a test says only what it is about.
 */
export function testChainRules(chain: TestChain, changes: Partial<ChainRules> = {}): ChainRules {
  const first = chain.at(chain.base.height)
  let maxBlockBytes = 0
  for (const { payload } of chain.blocks) maxBlockBytes = Math.max(maxBlockBytes, payload.length)
  return {
    chainId: 'test-chain',
    genesis:
      first.height === 0
        ? { kind: 'block', block: first }
        : { kind: 'checkpoint', ref: { height: first.height - 1, hash: first.previousHash } },
    maxBlockBytes,
    checkIntegrity: checkTestBlock,
    ...changes,
  }
}

function checkTestBlock({ hash, previousHash, payload }: Block): Verdict {
  // Of another length, bytes could move between the two fields without changing the hash.
  if (!/^[0-9a-f]{64}$/.test(previousHash)) {
    return { ok: false, reason: 'the previous hash is not 64 lower-case hex digits' }
  }
  if (hash !== testBlockHash(previousHash, payload)) {
    return { ok: false, reason: 'the hash does not commit to the previous hash and the payload' }
  }
  return { ok: true }
}

function chainOf(blocks: readonly Block[], options: TestChainOptions): TestChain {
  const [first] = blocks
  const last = blocks.at(-1)
  if (first === undefined || last === undefined) throw new RangeError('a test chain has blocks')
  const at = (height: number): Block => {
    const block = blocks[height - first.height]
    if (block === undefined) {
      throw new RangeError(`the chain holds ${first.height} to ${last.height}, not ${height}`)
    }
    return block
  }
  return {
    blocks,
    base: refOf(first),
    tip: refOf(last),
    at,
    fork(atHeight, length, seed) {
      const ancestor = at(atHeight)
      const branch = testBlocks({ ...options, length, seed, from: refOf(ancestor) })
      return chainOf([...blocks.slice(0, atHeight - first.height + 1), ...branch], options)
    },
  }
}

function pseudoRandomBytes(name: string, size: number): Uint8Array {
  if (!Number.isSafeInteger(size) || size < minBlockBytes) {
    throw new RangeError(`a block has an integer of at least ${minBlockBytes} bytes, not ${size}`)
  }
  const seed = createHash('sha256').update(name).digest()
  const cipher = createCipheriv('aes-128-ctr', seed.subarray(0, 16), seed.subarray(16))
  // A plain array of its own memory: a Buffer can be a window into a pool that others share.
  return new Uint8Array(cipher.update(new Uint8Array(size)))
}
