import { testChain, testChainRules } from 'holdfast/testing'
import type { DemoChain } from './demo-chain.js'

/** Payload bytes of the blocks, in no particular order: mostly small, now and then a large one. */
const blockBytes = [250, 300, 400, 500, 600, 800, 1_000, 1_500, 2_500, 4_000]

/**
 * `length` blocks of 1.2 KB on average, the same on every machine for the same seed. Only the hash of
 * the genesis block is known beforehand: an empty store gets that block from peers, too.
 */
export function generatedChain(length: number, seed = 1): DemoChain {
  const chain = testChain({ length, seed, blockBytes: sizeOf })
  const rules = testChainRules(chain, {
    chainId: 'generated-demo-chain',
    genesis: { kind: 'hash', ref: chain.base },
  })
  return { blocks: chain.blocks, rules }
}

/** Scattered, but a function of the height alone (Knuth's multiplicative hash). */
const sizeOf = (height: number): number =>
  blockBytes[(Math.imul(height, 2_654_435_761) >>> 16) % blockBytes.length]!
