import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { Clock } from '../../src/contracts/clock.js'
import { SyncCoordinator, type SyncCoordinatorOptions } from '../../src/sync-coordinator.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { testChainRules, type TestChain } from '../../src/testing/test-chain.js'
import type { SyncNode } from './sync-link.js'

export interface TestNode extends SyncNode {
  readonly service: SyncCoordinator
  readonly store: MemoryBlockStore
}

/** A started node that holds the first `blocks` of `chain`. */
export async function node(
  clock: Clock,
  name: string,
  chain: TestChain,
  blocks: number,
  changes: Partial<SyncCoordinatorOptions> = {},
): Promise<TestNode> {
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(chain.blocks.slice(0, blocks), { expectTip: null })
  const service = new SyncCoordinator({
    rules: testChainRules(chain),
    store,
    clock,
    random: new SeededRandom(name.charCodeAt(0)),
    ...changes,
  })
  await service.start()
  return { name, service, store }
}

/** From now on writes, and the close that waits for them, never end. */
export function hangingAppend(store: MemoryBlockStore): void {
  const never = new Promise<never>(() => {})
  store.append = () => never
  store.close = () => never
}
