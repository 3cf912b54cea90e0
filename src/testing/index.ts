export {
  TEST_GENESIS_PREVIOUS_HASH,
  refOf,
  testBlockHash,
  testBlocks,
  testChain,
  testChainRules,
} from './test-chain.js'
export type { TestChain, TestChainOptions } from './test-chain.js'
