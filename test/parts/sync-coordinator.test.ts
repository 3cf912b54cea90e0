import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { ChainRules } from '../../src/contracts/chain-rules.js'
import type { Clock } from '../../src/contracts/clock.js'
import { SyncCoordinator, type SyncCoordinatorOptions } from '../../src/sync-coordinator.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import { testChain, testChainRules, type TestChain } from '../../src/testing/test-chain.js'
import { link } from './sync-link.js'

async function node(
  clock: Clock,
  name: string,
  chain: TestChain,
  holds: TestChain | undefined,
  changes: Partial<SyncCoordinatorOptions> & { rules?: ChainRules } = {},
) {
  const store = new MemoryBlockStore()
  await store.open()
  if (holds !== undefined) await store.append(holds.blocks, { expectTip: null })
  const random = new SeededRandom(name.length)
  const service = new SyncCoordinator({
    rules: testChainRules(chain),
    store,
    clock,
    random,
    ...changes,
  })
  await service.start()
  return { name, service, store }
}

describe('SyncCoordinator', () => {
  test('fetches a whole chain from one peer and says that it is synced', async () => {
    const clock = new SimulatedClock()
    const chain = testChain({ length: 2_000 })
    const a = await node(clock, 'a', chain, undefined)
    const b = await node(clock, 'b', chain, chain)
    link(clock, a, b)
    let isSynced = false
    void a.service.waitForSynced().then(() => (isSynced = true))
    await clock.advance(5_000)
    expect(isSynced).toBe(true)
    expect(a.service.tip).toEqual(chain.tip)
    expect(await a.store.range(0, { limit: 5_000, maxBytes: 1e9 })).toEqual(chain.blocks)
  })
})
