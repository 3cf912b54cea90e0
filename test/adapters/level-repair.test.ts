import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LevelBlockStore, type LevelRepair } from '../../src/adapters/level-block-store.js'
import {
  blockKey,
  encodeBlock,
  encodeMetadata,
  encodeName,
  metadataKey,
  nameKey,
} from '../../src/adapters/level-format.js'
import { checkedBlocks, maxLoweredBlocks } from '../../src/adapters/chain-check.js'
import type { Block } from '../../src/contracts/block-store.js'
import { refOf, testChain } from '../../src/testing/test-chain.js'

type Raw = ClassicLevel<Uint8Array, Uint8Array>

let location = ''
beforeEach(async () => {
  location = await mkdtemp(join(tmpdir(), 'holdfast-repair-'))
})
afterEach(() => rm(location, { recursive: true }))

async function withStore<T>(
  use: (store: LevelBlockStore) => Promise<T>,
  verify: 'tip' | 'all' = 'tip',
): Promise<T> {
  const store = new LevelBlockStore({ location, sync: false, verify })
  try {
    await store.open()
    return await use(store)
  } finally {
    await store.close()
  }
}

async function withRaw<T>(use: (database: Raw) => Promise<T>): Promise<T> {
  const database: Raw = new ClassicLevel(location, { keyEncoding: 'view', valueEncoding: 'view' })
  try {
    await database.open()
    return await use(database)
  } finally {
    await database.close()
  }
}

const fill = (blocks: readonly Block[]): Promise<unknown> =>
  withStore((store) => store.append(blocks, { expectTip: null }))

const remove = (from: number, to: number): Promise<void> =>
  withRaw(async (database) => {
    const heights = Array.from({ length: to - from + 1 }, (_, index) => from + index)
    const keys = heights.flatMap((height) => [blockKey(height), nameKey(height)])
    await database.batch(keys.map((key) => ({ type: 'del', key })))
  })

/** Changes one byte of the value under `key`, at `offset` from its end. */
const flip = (key: Uint8Array, offset: number): Promise<void> =>
  withRaw(async (database) => {
    const value = new Uint8Array((await database.get(key))!)
    value[value.length - offset]! ^= 1
    await database.put(key, value)
  })

const contents = (): Promise<[string, string][]> =>
  withRaw(async (database) => {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
    return (await database.iterator().all()).map(([key, value]) => [hex(key), hex(value)])
  })

/** Opens, expects exactly these repairs and this chain, and that a second opening finds nothing. */
async function expectRepaired(
  repairs: readonly LevelRepair[],
  chain: readonly Block[],
): Promise<void> {
  expect(await withStore(async (store) => store.repairs)).toEqual(repairs)
  await withStore(async (store) => {
    expect(store.repairs).toEqual([])
    const limits = { limit: chain.length + 1, maxBytes: Number.MAX_SAFE_INTEGER }
    expect(await store.range(chain[0]!.height, limits)).toEqual(chain)
    expect(await store.tip()).toEqual(refOf(chain.at(-1)!))
  })
}

async function expectCorrupt(text: RegExp): Promise<void> {
  const before = await contents()
  const opening = withStore(async () => undefined)
  await expect(opening).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  await expect(opening).rejects.toThrow(text)
  expect(await contents()).toEqual(before)
}

const chain = testChain({ length: 300, blockBytes: 40 })
const { blocks } = chain
const tip = chain.tip
const lowered = (height: number): LevelRepair => ({
  kind: 'tip-lowered',
  from: tip,
  to: refOf(chain.at(height)),
})

describe('a healthy chain', () => {
  test('needs no repair, however often it is opened and whatever is verified', async () => {
    await fill(blocks)
    for (const verify of ['tip', 'all', 'tip'] as const) {
      expect(await withStore(async (store) => store.repairs, verify)).toEqual([])
    }
  })
})

describe('damage near the tip', () => {
  beforeEach(() => fill(blocks))

  test('blocks missing at the tip lower it to the last one there', async () => {
    await remove(290, 299)
    await expectRepaired([lowered(289)], blocks.slice(0, 290))
  })

  test('a gap below the tip lowers it to below the gap', async () => {
    await remove(250, 251)
    await expectRepaired([lowered(249)], blocks.slice(0, 250))
  })

  test('several gaps lower it to below the lowest', async () => {
    await remove(295, 295)
    await remove(260, 260)
    await remove(200, 200)
    await expectRepaired([lowered(199)], blocks.slice(0, 200))
  })

  for (const [part, offset] of Object.entries({ payload: 1, 'previous hash': 41, hash: 105 })) {
    test(`one bit changed in the ${part} of the tip lowers it by one`, async () => {
      await flip(blockKey(299), offset)
      await expectRepaired([lowered(298)], blocks.slice(0, 299))
    })
  }

  test('a truncated block lowers the tip by one', async () => {
    await withRaw(async (database) => {
      const value = (await database.get(blockKey(299)))!
      await database.put(blockKey(299), value.subarray(0, 30))
    })
    await expectRepaired([lowered(298)], blocks.slice(0, 299))
  })

  test('a block under the key of another height lowers the tip', async () => {
    await withRaw((database) => database.put(blockKey(299), encodeBlock(chain.at(298))))
    await expectRepaired([lowered(298)], blocks.slice(0, 299))
  })

  test('a name that is not the block’s lowers the tip', async () => {
    const name = encodeName({ height: 297, hash: 'another' })
    await withRaw((database) => database.put(nameKey(297), name))
    await expectRepaired([lowered(296)], blocks.slice(0, 297))
  })

  test('a sound block that does not link lowers the tip to below it', async () => {
    const other = chain.fork(289, 1, 2).at(290)
    await withRaw((database) =>
      database.batch([
        { type: 'put', key: blockKey(290), value: encodeBlock(other) },
        { type: 'put', key: nameKey(290), value: encodeName(other) },
      ]),
    )
    // It links to what is below, and what is above does not link to it.
    await expectRepaired(
      [{ kind: 'tip-lowered', from: tip, to: refOf(other) }],
      [...blocks.slice(0, 290), other],
    )
  })

  test('a record that names another tip lowers it by one', async () => {
    const named = { height: 299, hash: 'another' }
    const record = encodeMetadata({ base: chain.base, tip: named })
    await withRaw((database) => database.put(metadataKey, record))
    const repair: LevelRepair = { kind: 'tip-lowered', from: named, to: refOf(chain.at(298)) }
    await expectRepaired([repair], blocks.slice(0, 299))
  })

  test('blocks above the tip are removed', async () => {
    const tail = chain.fork(299, 20, 3)
    const record = encodeMetadata({ base: chain.base, tip: chain.tip })
    await withStore((store) => store.append(tail.blocks.slice(300), { expectTip: tip }))
    await withRaw((database) => database.put(metadataKey, record))
    await expectRepaired([{ kind: 'tail-removed', from: 300, to: 319 }], blocks)
    expect(await contents()).toHaveLength(601)
  })

  test('a lone name above the tip is removed', async () => {
    const name = encodeName({ height: 400, hash: 'lone' })
    await withRaw((database) => database.put(nameKey(400), name))
    await expectRepaired([{ kind: 'tail-removed', from: 400, to: 400 }], blocks)
  })

  test('a repaired chain grows on', async () => {
    await remove(299, 299)
    await withStore(async (store) => {
      await store.append([chain.at(299)], { expectTip: refOf(chain.at(298)) })
    })
    await expectRepaired([], blocks)
  })
})

describe('damage far below the tip', () => {
  beforeEach(() => fill(blocks))

  test('is left as it is, and reading it rejects', async () => {
    await flip(blockKey(50), 1)
    await remove(60, 60)
    const before = await contents()
    await withStore(async (store) => {
      expect(store.repairs).toEqual([])
      const limits = { limit: 100, maxBytes: 1e9 }
      for (const height of [50, 60]) {
        await expect(store.get(height)).rejects.toHaveProperty('code', 'STORE_CORRUPT')
        await expect(store.range(height, limits)).rejects.toHaveProperty('code', 'STORE_CORRUPT')
      }
      await expect(store.hashAt(60)).rejects.toHaveProperty('code', 'STORE_CORRUPT')
      expect(await store.range(45, limits)).toEqual(blocks.slice(45, 50))
      expect(await store.range(51, limits)).toEqual(blocks.slice(51, 60))
      expect(await store.get(61)).toEqual(chain.at(61))
      expect(await store.tip()).toEqual(tip)
    })
    expect(await contents()).toEqual(before)
  })

  test('is reported when everything is verified', async () => {
    await flip(blockKey(50), 1)
    await remove(60, 70)
    const other = chain.fork(20, 1, 2).at(21)
    await withRaw((database) =>
      database.batch([
        { type: 'put', key: blockKey(21), value: encodeBlock(other) },
        { type: 'put', key: nameKey(21), value: encodeName(other) },
      ]),
    )
    const before = await contents()
    expect(await withStore(async (store) => store.repairs, 'all')).toEqual([
      { kind: 'damage-left', from: 60, to: 70 },
      { kind: 'damage-left', from: 50, to: 50 },
      { kind: 'damage-left', from: 22, to: 22 },
    ])
    expect(await contents()).toEqual(before)
  })

  test('is reported of the base', async () => {
    await flip(blockKey(0), 1)
    expect(await withStore(async (store) => store.repairs)).toEqual([
      { kind: 'damage-left', from: 0, to: 0 },
    ])
  })

  test('is mended by replacing from below it', async () => {
    await remove(60, 70)
    await withStore((store) =>
      store.replace(refOf(chain.at(59)), blocks.slice(60), { expectTip: tip }),
    )
    expect(await withStore(async (store) => store.repairs, 'all')).toEqual([])
  })
})

describe('what cannot be repaired is refused and left untouched', () => {
  test('a database of something else', async () => {
    await withRaw((database) => database.put(Uint8Array.of(1), Uint8Array.of(2)))
    await expectCorrupt(/not written by a block store/)
  })

  test('a record of something else under our key', async () => {
    await withRaw((database) => database.put(metadataKey, new Uint8Array(40)))
    await expectCorrupt(/was not written by a block store/)
  })

  test('blocks without the record', async () => {
    await fill(blocks)
    await withRaw((database) => database.del(metadataKey))
    await expectCorrupt(/not written by a block store/)
  })

  test('a damaged record', async () => {
    await fill(blocks)
    await flip(metadataKey, 1)
    await expectCorrupt(/metadata record is damaged/)
  })

  test('a chain whose every block is damaged', async () => {
    await fill(blocks.slice(0, 5))
    for (let height = 0; height < 5; height++) await flip(blockKey(height), 1)
    await expectCorrupt(/damaged or missing/)
  })

  test('a short chain whose base is damaged', async () => {
    await fill(blocks.slice(0, checkedBlocks - 1))
    await flip(blockKey(0), 1)
    await expectCorrupt(/damaged or missing/)
  })

  test(`a chain that lost more than ${maxLoweredBlocks} blocks, but not one that lost as many`, async () => {
    const long = testChain({ length: 2_000, blockBytes: 16 })
    await fill(long.blocks)
    await remove(2_000 - maxLoweredBlocks, 1_999)
    const kept = long.blocks.slice(0, 2_000 - maxLoweredBlocks)
    const to = refOf(kept.at(-1)!)
    await expectRepaired([{ kind: 'tip-lowered', from: long.tip, to }], kept)

    await withStore((store) => store.append(long.blocks.slice(kept.length), { expectTip: to }))
    await remove(2_000 - maxLoweredBlocks - 1, 1_999)
    await expectCorrupt(/too many blocks/)
  })
})
