import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { MemoryLevel } from 'memory-level'
import { describe, test } from 'vitest'
import { FlatFileBlockStore } from '../../src/adapters/flat-file-block-store.js'
import { LevelBlockStore } from '../../src/adapters/level-block-store.js'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { BlockStore } from '../../src/contracts/block-store.js'
import { followScript, type ModelStep } from '../../src/testing/block-store-suite/model.js'
import { FaultyDisk } from '../support/faulty-disk.js'

/** Where on the chain of the moment: a part of its length, so that every value means something. */
const place = fc.double({ min: 0, max: 1, noNaN: true })
const length = fc.nat({ max: 6 })
const seed = fc.nat({ max: 3 })
const limit = fc.integer({ min: 1, max: 9 })

const branch = (
  kind: 'replace' | 'stale tip' | 'unknown ancestor' | 'torn run' | 'run of elsewhere',
) => fc.record({ kind: fc.constant(kind), place, length, seed })

const step: fc.Arbitrary<ModelStep> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('append'), length, seed }) },
  { weight: 3, arbitrary: branch('replace') },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('restart'), base: fc.nat(600), length, seed }),
  },
  { weight: 1, arbitrary: branch('stale tip') },
  { weight: 1, arbitrary: branch('unknown ancestor') },
  { weight: 1, arbitrary: branch('torn run') },
  { weight: 1, arbitrary: branch('run of elsewhere') },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('range'), place, limit, maxBytes: fc.nat(400) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen') }) },
)

const scripts = fc.array(step, { minLength: 1, maxLength: 30, size: 'max' })

/** Opens a store, and again on the same data for each step that reopens it. */
async function follow(steps: readonly ModelStep[], make: () => BlockStore): Promise<void> {
  let store = make()
  await store.open()
  try {
    await followScript(steps, store, async () => {
      await store.close()
      store = make()
      await store.open()
      return store
    })
  } finally {
    await store.close()
  }
}

const property = (numRuns: number, run: (steps: readonly ModelStep[]) => Promise<void>) =>
  fc.assert(fc.asyncProperty(scripts, run), { numRuns })

describe('after any sequence of writes, good and bad, a store holds what the model holds', () => {
  test('MemoryBlockStore', async () => {
    await property(150, (steps) => {
      const store = new MemoryBlockStore()
      return follow(steps, () => store)
    })
  })

  test('LevelBlockStore in a folder', async () => {
    await property(40, async (steps) => {
      const location = await mkdtemp(join(tmpdir(), 'holdfast-model-'))
      try {
        await follow(steps, () => new LevelBlockStore({ location, sync: false, verify: 'all' }))
      } finally {
        await rm(location, { recursive: true })
      }
    })
  })

  test('LevelBlockStore in memory-level', async () => {
    await property(100, (steps) => {
      const database = new MemoryLevel()
      return follow(steps, () => new LevelBlockStore({ database, verify: 'all' }))
    })
  })

  for (const fsync of ['always', 'checkpoint'] as const) {
    test(`FlatFileBlockStore with fsync '${fsync}'`, async () => {
      await property(100, (steps) => {
        const disk = new FaultyDisk()
        const options = { location: '/chain', fsync, segmentBytes: 1_024, verify: 'all' } as const
        return follow(steps, () => new FlatFileBlockStore(options, disk))
      })
    })
  }
})
