import { testChain, testChainRules } from 'holdfast/testing'
import type { Block, ChainRules } from 'holdfast'

/** Blocks are small when little happens and large in bursts: the last of these is hit once in a while. */
const blockBytes = [250, 300, 400, 500, 600, 800, 1_000, 1_500, 2_500, 4_000]

export interface GeneratedChain {
  readonly blocks: readonly Block[]
  readonly rules: ChainRules
}

/**
 * `count` blocks of about 1.2 KiB, the same on every machine for the same seed. An empty store gets all of
 * them from peers, the genesis block too: only its hash is known.
 */
export function generatedChain(count: number, seed = 1): GeneratedChain {
  const chain = testChain({ length: count, seed, blockBytes: sizeOf })
  const rules = testChainRules(chain, {
    chainId: 'generated-demo-chain',
    genesis: { kind: 'hash', ref: chain.base },
  })
  return { blocks: chain.blocks, rules }
}

/** Scattered, but a function of the height alone (Knuth's multiplicative hash). */
const sizeOf = (height: number): number =>
  blockBytes[(Math.imul(height, 2_654_435_761) >>> 16) % blockBytes.length]!
