import { FlatFileBlockStore } from '../../src/adapters/flat-file-block-store.js'
import { LevelBlockStore } from '../../src/adapters/level-block-store.js'
import type { BlockStore } from '../../src/contracts/block-store.js'
import type { ChainRules } from '../../src/contracts/chain-rules.js'
import { testChain, testChainRules, type TestChain } from '../../src/testing/test-chain.js'

// What the process that is killed and the one that kills it both know.

export const killNetwork = 'store-kills'
export const diskStoreKinds = ['flat', 'level'] as const
export type DiskStoreKind = (typeof diskStoreKinds)[number]

const largestBlock = 12_000
/** Small ones, and now and then a large one. */
const blockBytes = (height: number): number =>
  height % 97 === 0 ? largestBlock : 300 + ((height * 7_919) % 1_500)

export const chainOfKills = (seed: number, length: number): TestChain =>
  testChain({ length, seed, blockBytes })

export const rulesOfKills = (seed: number): ChainRules =>
  testChainRules(chainOfKills(seed, 1), { maxBlockBytes: largestBlock })

/** With files so small that a sync goes over many, and all that was confirmed on the disk. */
export function diskStore(
  kind: string,
  location: string,
  verify: 'tip' | 'all' = 'tip',
): BlockStore & {
  readonly repairs: readonly { readonly kind: string }[]
} {
  switch (kind) {
    case 'flat':
      return new FlatFileBlockStore({ location, verify, segmentBytes: 512 * 1024 })
    case 'level':
      return new LevelBlockStore({ location, verify })
    default:
      throw new RangeError(`a disk store is ${diskStoreKinds.join(' or ')}, not ${kind}`)
  }
}
