import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { FlatFileBlockStore, type FsyncPolicy } from '../../src/adapters/flat-file-block-store.js'
import type { Block, BlockRef } from '../../src/contracts/block-store.js'
import { HoldfastError } from '../../src/errors.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { refOf, testBlocks } from '../../src/testing/test-chain.js'
import { FaultyDisk, type Fault } from '../support/faulty-disk.js'

interface Write {
  readonly ancestor: BlockRef | null
  readonly blocks: readonly Block[]
  readonly after: readonly Block[]
}

/** Keeps so many blocks, and puts so many of another seed on top; `base` begins a chain there. */
type Step = readonly [keep: number | 'all', added: number, base?: number]

/** Growth over several files, reorganisations within and far below them, new chains, and an empty one. */
const steps: readonly Step[] = [
  [0, 3, 100],
  ['all', 1],
  ['all', 5],
  [7, 3],
  ['all', 8],
  [4, 2],
  ['all', 1],
  ['all', 6],
  [10, 0],
  ['all', 2],
  [0, 4, 7],
  ['all', 3],
  [2, 9],
  [0, 0],
  [0, 2, 0],
  ['all', 4],
  [3, 4],
]

function writesOf(script: readonly Step[]): Write[] {
  const writes: Write[] = []
  let chain: readonly Block[] = []
  script.forEach(([keep, length, base = 0], seed) => {
    const kept = keep === 'all' ? chain : chain.slice(0, keep)
    const below = kept.at(-1)
    const from = below ? refOf(below) : { height: base - 1, hash: 'none' }
    const blockBytes = (height: number): number => 16 + ((height * 37 + seed * 11) % 7) * 60
    const blocks = length === 0 ? [] : [...testBlocks({ length, seed, from, blockBytes })]
    chain = [...kept, ...blocks]
    writes.push({ ancestor: below ? refOf(below) : null, blocks, after: chain })
  })
  return writes
}

const writes = writesOf(steps)
const chains = [[], ...writes.map(({ after }) => after)]
const tipOf = (chain: readonly Block[]): BlockRef | null => {
  const last = chain.at(-1)
  return last ? refOf(last) : null
}

const storeOn = (disk: FaultyDisk, fsync: FsyncPolicy, segmentBytes = 2_048): FlatFileBlockStore =>
  new FlatFileBlockStore({ location: '/chain', fsync, segmentBytes, verify: 'all' }, disk)

const make = (store: FlatFileBlockStore, index: number): Promise<unknown> => {
  const { ancestor, blocks } = writes[index]!
  return store.replace(ancestor, blocks, { expectTip: tipOf(chains[index]!) })
}

async function contentOf(store: FlatFileBlockStore): Promise<readonly Block[]> {
  const base = await store.base()
  if (base === null) return []
  return store.range(base.height, { limit: 1_000, maxBytes: 1e9 })
}

/** Writes until the machine stops. Returns how many writes were confirmed, or undefined when it did not. */
async function writeUntilCrash(disk: FaultyDisk, fsync: FsyncPolicy): Promise<number | undefined> {
  const store = storeOn(disk, fsync)
  let confirmed = 0
  try {
    await store.open()
    for (let index = 0; index < writes.length; index++) {
      await make(store, index)
      confirmed = index + 1
    }
    await store.close()
    return undefined
  } catch (error) {
    expect(error).toHaveProperty('code', 'crash')
    return confirmed
  }
}

/** As `expect(seen).toEqual(expected)`, which takes most of the time when it is done so often. */
function expectSame(seen: unknown, expected: unknown, why: string): void {
  if (!isDeepStrictEqual(seen, expected)) expect(seen, why).toEqual(expected)
}

/** The state that the store is in, by the number of writes; fails when it is none of them. */
async function stateOf(store: FlatFileBlockStore, why: string): Promise<number> {
  const content = await contentOf(store)
  const state = chains.findLastIndex((chain) => tipOf(chain)?.hash === tipOf(content)?.hash)
  expect(state, why).toBeGreaterThanOrEqual(0)
  expectSame(content, chains[state], why)
  expect(await store.tip(), why).toEqual(tipOf(content))
  expect(await store.base(), why).toEqual(content[0] ? refOf(content[0]) : null)
  return state
}

/** Where a chain was emptied and nothing is left, state 0 and that one look the same. */
const emptied = chains.findIndex((chain, index) => index > 0 && chain.length === 0)
const isPossible = (state: number, from: number, to: number): boolean =>
  (state >= from && state <= to) || (state === emptied && from === 0)

describe('FlatFileBlockStore on a machine that stops', () => {
  for (const fsync of ['always', 'interval', 'checkpoint'] as const) {
    test(`holds a whole chain after a stop at any operation, with fsync '${fsync}' (F107, G8)`, async () => {
      let stops = 0
      for (let stopAt = 0; ; stopAt++) {
        let isOver = false
        for (const seed of [null, 1, 2, 3]) {
          const disk = new FaultyDisk()
          disk.fault = (number) => (number === stopAt ? 'crash' : undefined)
          const confirmed = await writeUntilCrash(disk, fsync)
          if (confirmed === undefined) {
            isOver = true
            break
          }
          stops++
          const why = `stopped at operation ${stopAt}, after ${confirmed} writes, seed ${seed}`
          disk.crash(seed === null ? null : new SeededRandom(seed))
          const store = storeOn(disk, fsync)
          await store.open()
          const state = await stateOf(store, why)
          // Chains begun and states before the newest beginning are durable with every policy.
          const begun = writes.findLastIndex(
            ({ ancestor }, index) => index < confirmed && ancestor === null,
          )
          const atLeast = fsync === 'always' ? confirmed : begun + 1
          expect(isPossible(state, atLeast, confirmed + 1), `${why}: state ${state}`).toBe(true)
          for (const { kind } of store.repairs) {
            expect(['torn-write-removed', 'index-rebuilt'], why).toContain(kind)
          }

          // And it goes on from there.
          for (let index = state; index < writes.length; index++) await make(store, index)
          await store.close()
          disk.crash(null)
          const again = storeOn(disk, fsync)
          await again.open()
          expect(again.repairs, why).toEqual([])
          expect(await stateOf(again, why)).toBe(writes.length)
          await again.close()
        }
        if (isOver) break
      }
      expect(stops).toBeGreaterThan(400)
    })
  }

  test('holds a whole chain when it also stops in the middle of its repairs', async () => {
    const random = new SeededRandom(7)
    for (let round = 0; round < 300; round++) {
      const disk = new FaultyDisk()
      const stopAt = random.integer(0, 160)
      disk.fault = (number) => (number === stopAt ? 'crash' : undefined)
      const confirmed = (await writeUntilCrash(disk, 'always')) ?? writes.length
      const why = `round ${round}, stopped at operation ${stopAt}`
      for (let again = 0; again < 3; again++) {
        disk.crash(random)
        const repairStop = random.integer(0, 6)
        disk.fault = (number) => (number === repairStop ? 'crash' : undefined)
        const store = storeOn(disk, 'always')
        await store.open().catch((error: unknown) => {
          expect(error, why).toHaveProperty('code', 'crash')
        })
      }
      disk.crash(random)
      const store = storeOn(disk, 'always')
      await store.open()
      const state = await stateOf(store, why)
      expect(isPossible(state, confirmed, confirmed + 1), `${why}: state ${state}`).toBe(true)
      await store.close()
    }
  })

  test('loses with fsync ‘checkpoint’ what was never brought to the disk, and with ‘always’ nothing', async () => {
    for (const [fsync, state] of [
      ['checkpoint', 1],
      ['always', 3],
    ] as const) {
      const disk = new FaultyDisk()
      const store = storeOn(disk, fsync, 2 ** 20)
      await store.open()
      for (let index = 0; index < 3; index++) await make(store, index)
      disk.crash(null)
      const again = storeOn(disk, fsync, 2 ** 20)
      await again.open()
      expect(await stateOf(again, fsync)).toBe(state)
    }
  })
})

describe('FlatFileBlockStore on a disk that fails', () => {
  for (const kind of ['EIO', 'ENOSPC'] as const) {
    for (const fsync of ['always', 'interval', 'checkpoint'] as const) {
      test(`changes nothing by a write that fails with ${kind}, and goes on, with fsync '${fsync}' (F104)`, async () => {
        let faults = 0
        for (let failAt = 0; ; failAt++) {
          // Some faults pass at once, others take a while.
          const failing = 1 + (failAt % 4)
          const disk = new FaultyDisk()
          let failed = 0
          disk.fault = (number): Fault => {
            if (number < failAt || failed >= failing) return undefined
            failed++
            return kind
          }
          const store = storeOn(disk, fsync)
          const why = `${kind} at operation ${failAt}, ${failing} times`
          await untilItWorks(() => store.open(), kind, failing)
          for (let index = 0; index < writes.length; index++) {
            await untilItWorks(
              () => make(store, index),
              kind,
              failing,
              async () => {
                expectSame(await contentOf(store), chains[index], why)
                expect(await store.tip(), why).toEqual(tipOf(chains[index]!))
              },
            )
          }
          expectSame(await contentOf(store), chains.at(-1), why)
          const isClosed = await store.close().then(
            () => true,
            (error: unknown) => {
              expect(error, why).toHaveProperty('code', kind)
              return false
            },
          )
          // What was closed without an error is on the disk, whatever had failed before.
          disk.crash(null)
          const again = storeOn(disk, fsync)
          await again.open()
          const state = await stateOf(again, why)
          if (isClosed || fsync === 'always') expect(state, why).toBe(writes.length)
          await again.close()
          if (failed === 0) break
          faults++
        }
        expect(faults).toBeGreaterThan(100)
      })
    }
  }

  test('rejects what is not a fault of the disk as ever while the disk fails', async () => {
    const disk = new FaultyDisk()
    const store = storeOn(disk, 'always')
    await store.open()
    await make(store, 0)
    disk.fault = () => 'ENOSPC'
    await expect(make(store, 1)).rejects.toHaveProperty('code', 'ENOSPC')
    await expect(make(store, 0)).rejects.toSatisfy((error) =>
      HoldfastError.is(error, 'TIP_MISMATCH'),
    )
    expect(await contentOf(store)).toEqual(chains[1])
  })
})

async function untilItWorks(
  action: () => Promise<unknown>,
  code: string,
  maxFailures: number,
  afterFailure?: () => Promise<void>,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await action()
      return
    } catch (error) {
      expect(error).toHaveProperty('code', code)
      expect(attempt).toBeLessThan(maxFailures)
      await afterFailure?.()
    }
  }
}
