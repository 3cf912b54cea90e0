import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { expect, test } from 'vitest'
import { LevelBlockStore } from '../../src/adapters/level-block-store.js'
import { blockKey, nameKey } from '../../src/adapters/level-format.js'
import { SystemClock } from '../../src/adapters/system-clock.js'
import { SyncCoordinator } from '../../src/sync-coordinator.js'
import { refOf, testChain, testChainRules } from '../../src/testing/test-chain.js'
import { link } from '../parts/sync-link.js'
import { node } from '../parts/sync-nodes.js'

test('a hole in a store costs what is above it, and what is held is not fetched again (F109)', async () => {
  const chain = testChain({ length: 300, blockBytes: 40 })
  const location = await mkdtemp(join(tmpdir(), 'holdfast-hole-'))
  const clock = new SystemClock()
  try {
    const before = new LevelBlockStore({ location, sync: false })
    await before.open()
    await before.append(chain.blocks, { expectTip: null })
    await before.close()
    const raw: ClassicLevel<Uint8Array, Uint8Array> = new ClassicLevel(location, {
      keyEncoding: 'view',
      valueEncoding: 'view',
    })
    await raw.open()
    for (let height = 280; height < 290; height++) {
      await raw.batch([
        { type: 'del', key: blockKey(height) },
        { type: 'del', key: nameKey(height) },
      ])
    }
    await raw.close()

    const store = new LevelBlockStore({ location, sync: false, verify: 'all' })
    const service = new SyncCoordinator({ rules: testChainRules(chain), store, clock })
    await service.start()
    // What is below the hole is there; what was lost is said.
    expect(service.tip).toEqual(refOf(chain.at(279)))
    expect(store.repairs).toContainEqual(
      expect.objectContaining({ kind: 'tip-lowered', to: refOf(chain.at(279)) }),
    )
    const full = await node(clock, 'b', chain, 300)
    const wire = link(clock, { name: 'a', service }, full, { latencyMs: 1 })
    await service.waitForHeight(299)
    const asked = wire.posted.flatMap(({ from, message }) =>
      from === 'a' && message.kind === 'getBlocks' ? [message.from] : [],
    )
    expect(Math.min(...asked)).toBe(280)
    const limits = { limit: 301, maxBytes: Number.MAX_SAFE_INTEGER }
    expect(await store.range(0, limits)).toEqual(chain.blocks)
    await Promise.all([service.stop(), full.service.stop()])
  } finally {
    await rm(location, { recursive: true })
  }
})
