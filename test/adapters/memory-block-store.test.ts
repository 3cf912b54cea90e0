import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import { blockStoreSuite } from '../../src/testing/block-store-suite.js'
import { testChain } from '../../src/testing/test-chain.js'

describe('MemoryBlockStore', () => {
  blockStoreSuite({ test, factory: () => ({ store: new MemoryBlockStore() }) })

  test('close and open of the same object keep the chain', async () => {
    const store = new MemoryBlockStore()
    const chain = testChain({ length: 5 })
    await store.open()
    await store.append(chain.blocks, { expectTip: null })
    await store.close()
    await store.open()
    expect(await store.tip()).toEqual(chain.tip)
  })

  test('a payload that is written to, handed in or out, changes no other: small ones share memory', async () => {
    const store = new MemoryBlockStore()
    await store.open()
    const blocks = testChain({ length: 300, blockBytes: 1_000 }).blocks
    const stored = structuredClone(blocks)
    await store.append(blocks, { expectTip: null })
    for (const { payload } of blocks) payload.fill(1)
    const limits = { limit: 300, maxBytes: 1e9 }
    const out = await store.range(0, limits)
    expect(out).toEqual(stored)
    out[7]?.payload.fill(2)
    expect(out[8]).toEqual(stored[8])
    expect(await store.range(0, limits)).toEqual(stored)
    expect((await store.range(5, { limit: 1, maxBytes: 1 }))[0]?.payload.buffer.byteLength).toBe(
      1_000,
    )
  })

  test('a block that is no block is a TypeError, and nothing is stored', async () => {
    const store = new MemoryBlockStore()
    await store.open()
    const block = testChain({ length: 1 }).at(0)
    for (const change of [{ payload: 'text' }, { payload: [1] }, { hash: 7 }, { hash: '\ud800' }]) {
      const bad = { ...block, ...change } as typeof block
      await expect(store.append([bad], { expectTip: null })).rejects.toThrow(TypeError)
    }
    expect(await store.tip()).toBeNull()
  })
})
