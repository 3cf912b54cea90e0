export type { Flow, Hosts } from './fault-set.js'
export type { Fault, NetworkFaults } from './network-faults.js'
export type { ExtraAddressOptions, NatOptions } from './network-topology.js'
export { ProcessClock } from './process-clock.js'
export { SeededRandom } from './seeded-random.js'
export { SimulatedClock } from './simulated-clock.js'
export type { SimulatedClockOptions } from './simulated-clock.js'
export { SimulatedNetwork } from './simulated-network.js'
export type { DialCounts, SimulatedNetworkOptions } from './simulated-network.js'
export type { Timeline, TimelineEvent } from './timeline.js'
export {
  TEST_GENESIS_PREVIOUS_HASH,
  refOf,
  testBlockHash,
  testBlocks,
  testChain,
  testChainRules,
} from './test-chain.js'
export type { TestChain, TestChainOptions } from './test-chain.js'
export { blockStoreSuite } from './block-store-suite.js'
export type {
  BlockStoreSuiteOptions,
  BlockStoreUnderTest,
  FaultyBlockStoreUnderTest,
} from './block-store-suite.js'
export { transportSuite } from './transport-suite.js'
export type { TransportSuiteOptions, TransportUnderTest } from './transport-suite.js'
