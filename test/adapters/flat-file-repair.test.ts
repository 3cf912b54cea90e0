import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { checkedBlocks } from '../../src/adapters/chain-check.js'
import {
  FlatFileBlockStore,
  type FlatFileBlockStoreOptions,
  type FlatFileRepair,
} from '../../src/adapters/flat-file-block-store.js'
import {
  decodeWriteHeader,
  encodeSegmentHeader,
  encodeWriteHeader,
  segmentHeaderBytes,
  writeHeaderBytes,
} from '../../src/adapters/flat-file-format.js'
import type { Block } from '../../src/contracts/block-store.js'
import { HoldfastError } from '../../src/errors.js'
import { refOf, testChain } from '../../src/testing/test-chain.js'
import { FaultyDisk } from '../support/faulty-disk.js'

type Files = Map<string, Uint8Array>

const chain = testChain({ length: 12, blockBytes: (height) => 20 + ((height * 13) % 5) * 20 })
const { blocks } = chain
const everything = { limit: 10_000, maxBytes: Number.MAX_SAFE_INTEGER }
const segment = '00000001.segment'
const index = '00000001.index'

function storeOn(
  disk: FaultyDisk,
  options: Partial<FlatFileBlockStoreOptions> = {},
): FlatFileBlockStore {
  return new FlatFileBlockStore({ location: '/chain', verify: 'all', ...options }, disk)
}

function diskWith(files: Files): FaultyDisk {
  const disk = new FaultyDisk()
  for (const [name, bytes] of files) disk.put(`/chain/${name}`, bytes)
  return disk
}

/** The files after the first run and one append per further run; closed, or as a kill leaves them. */
async function filesOf(
  runs: readonly (readonly Block[])[],
  how: 'closed' | 'killed',
  options: Partial<FlatFileBlockStoreOptions> = {},
): Promise<Files> {
  const disk = new FaultyDisk()
  const store = storeOn(disk, options)
  await store.open()
  for (const run of runs) await store.append(run, { expectTip: await store.tip() })
  const killed = disk.contents()
  if (how === 'closed') await store.close()
  return how === 'closed' ? disk.contents() : killed
}

interface Opened {
  readonly repairs: readonly FlatFileRepair[]
  readonly held: readonly Block[]
  readonly files: Files
}

/** What a store says that is opened on the files: all of it, or the error. */
async function opened(
  files: Files,
  options: Partial<FlatFileBlockStoreOptions> = {},
): Promise<Opened> {
  const disk = diskWith(files)
  const store = storeOn(disk, options)
  await store.open()
  const base = await store.base()
  const held = base === null ? [] : await store.range(base.height, everything)
  const { repairs } = store
  await store.close()
  return { repairs, held, files: disk.contents() }
}

const changed = (files: Files, name: string, change: (bytes: Uint8Array) => Uint8Array): Files =>
  new Map(files).set(name, change(new Uint8Array(files.get(name)!)))

const flipped =
  (position: number, bit = 1) =>
  (bytes: Uint8Array): Uint8Array => {
    bytes[position]! ^= bit
    return bytes
  }

const isSame = (seen: readonly Block[], expected: readonly Block[]): boolean =>
  isDeepStrictEqual(seen, expected)

describe('the last write of a FlatFileBlockStore', () => {
  const runs = [blocks.slice(0, 5), blocks.slice(5, 6), blocks.slice(6, 9)]
  const before = blocks.slice(0, 6)

  test('is taken back when the file is cut at any of its bytes (F107)', async () => {
    const shorter = await filesOf(runs.slice(0, 2), 'killed')
    const files = await filesOf(runs, 'killed')
    const [from, to] = [shorter.get(segment)!.length, files.get(segment)!.length]
    expect(to - from).toBeGreaterThan(600)
    for (let cut = from; cut < to; cut++) {
      const {
        repairs,
        held,
        files: after,
      } = await opened(changed(files, segment, (bytes) => bytes.slice(0, cut)))
      expect(isSame(held, before), `cut at ${cut}`).toBe(true)
      const torn = { kind: 'torn-write-removed', bytes: cut - from }
      expect(repairs, `cut at ${cut}`).toEqual(cut === from ? [] : [torn])
      expect(after.get(segment)!.length).toBe(from)
    }
  })

  test('is taken back when any of its bytes is not what was written', async () => {
    const from = (await filesOf(runs.slice(0, 2), 'killed')).get(segment)!.length
    const files = await filesOf(runs, 'killed')
    const to = files.get(segment)!.length
    for (let position = from; position < to; position++) {
      for (const change of [
        flipped(position, 1 << (position % 8)),
        // A file system that made the file longer, and did not come to fill it.
        (bytes: Uint8Array) => bytes.fill(0, position),
      ]) {
        const { held } = await opened(changed(files, segment, change))
        // The last byte may have been a zero.
        const isUntouched = isSame(held, blocks.slice(0, 9)) && position > to - 8
        expect(isSame(held, before) || isUntouched, `byte ${position} of ${to}`).toBe(true)
      }
    }
  })

  test('is taken back with all that follows it', async () => {
    const from = (await filesOf(runs.slice(0, 1), 'killed')).get(segment)!.length
    const files = await filesOf(runs, 'killed')
    const { held, repairs } = await opened(changed(files, segment, flipped(from + 60)))
    expect(isSame(held, blocks.slice(0, 5))).toBe(true)
    expect(repairs).toEqual([
      { kind: 'torn-write-removed', bytes: files.get(segment)!.length - from },
    ])
  })

  test('is not taken back when it was the first of all and an index knows of it', async () => {
    const files = await filesOf(runs.slice(0, 1), 'killed')
    const damaged = changed(files, segment, flipped(segmentHeaderBytes + 4))
    const { held } = await opened(damaged)
    expect(isSame(held, blocks.slice(0, 5))).toBe(true)
    const unborn = new Map(damaged)
    unborn.delete(index)
    const without = await opened(unborn)
    expect(without.held).toEqual([])
    expect(without.files.size).toBe(0)
  })
})

describe('bytes at the end of a FlatFileBlockStore that look like a write', () => {
  /** The header and table of the last write, as what a later write would begin with. */
  async function forged(change: { salt?: bigint; sequence?: number }): Promise<Files> {
    const files = await filesOf([blocks.slice(0, 5), blocks.slice(5, 6)], 'killed')
    const [one, two] = await Promise.all(
      [1, 2].map(async (count) =>
        filesOf([blocks.slice(0, 5), blocks.slice(5, 5 + count)], 'killed'),
      ),
    )
    expect(one!.get(segment)!.length).toBeLessThan(two!.get(segment)!.length)
    const bytes = files.get(segment)!
    const start = (await filesOf([blocks.slice(0, 5)], 'killed')).get(segment)!.length
    const last = bytes.slice(start)
    const header = decodeWriteHeader(last.subarray(0, writeHeaderBytes))!
    // It keeps the chain up to block 4, and puts block 5 there once more: right in every other way.
    const again = { ...header, sequence: header.sequence + 1, ...change }
    last.set(encodeWriteHeader(again))
    return changed(files, segment, (whole) => Uint8Array.from([...whole, ...last]))
  }

  test('are one when all fits', async () => {
    expect((await opened(await forged({}))).repairs).toEqual([])
  })

  test('are none with the salt of another file: a payload cannot pass for a write', async () => {
    const [repair] = (await opened(await forged({ salt: 1n }))).repairs
    expect(repair).toHaveProperty('kind', 'torn-write-removed')
  })

  test('are none with another number than the next', async () => {
    for (const sequence of [1, 2, 4]) {
      const [repair] = (await opened(await forged({ sequence }))).repairs
      expect(repair).toHaveProperty('kind', 'torn-write-removed')
    }
  })
})

describe('the index of a FlatFileBlockStore', () => {
  const runs = [blocks.slice(0, 5), blocks.slice(5, 6), blocks.slice(6)]

  test('costs no block when any of its bytes is wrong', async () => {
    for (const how of ['closed', 'killed'] as const) {
      const files = await filesOf(runs, how)
      for (let position = 0; position < files.get(index)!.length; position++) {
        // Between the slots and the entries nothing stands.
        if (position % 512 > 64 && position < 1_024) continue
        const { held } = await opened(changed(files, index, flipped(position)))
        expect(isSame(held, blocks), `${how}, byte ${position}`).toBe(true)
      }
    }
  })

  test('costs no block when it is cut at any byte, or missing', async () => {
    const files = await filesOf(runs, 'closed')
    for (let cut = 0; cut < files.get(index)!.length; cut += cut % 512 > 64 && cut < 960 ? 32 : 1) {
      const { held, repairs } = await opened(changed(files, index, (bytes) => bytes.slice(0, cut)))
      expect(isSame(held, blocks), `cut at ${cut}`).toBe(true)
      // Cut in the second slot, the first one counts.
      if (cut < 56 || cut >= 1_024) expect(repairs).toEqual([{ kind: 'index-rebuilt' }])
    }
    const missing = new Map(files)
    missing.delete(index)
    const { held, repairs, files: after } = await opened(missing)
    expect(isSame(held, blocks)).toBe(true)
    expect(repairs).toEqual([{ kind: 'index-rebuilt' }])
    expect((await opened(after)).repairs).toEqual([])
  })

  test('is not believed when it is of another chain', async () => {
    const other = testChain({ length: 12, seed: 2, blockBytes: 400 })
    const files = await filesOf(runs, 'closed')
    const foreign = await filesOf([other.blocks], 'closed')
    const { held } = await opened(new Map(files).set(index, foreign.get(index)!))
    expect(isSame(held, blocks)).toBe(true)
  })

  test('is made from files of many, and of chains that were replaced', async () => {
    const long = testChain({ length: 300, blockBytes: 100 })
    const fork = long.fork(150, 200, 2)
    const disk = new FaultyDisk()
    const options = { segmentBytes: 4_096 }
    const store = storeOn(disk, options)
    await store.open()
    for (const { height } of long.blocks) {
      if (height % 3 === 0) {
        const run = long.blocks.slice(height, height + 3)
        await store.append(run, { expectTip: await store.tip() })
      }
    }
    await store.replace(refOf(long.at(150)), fork.blocks.slice(151), { expectTip: long.tip })
    await store.close()
    const files = disk.contents()
    expect(files.size).toBeGreaterThan(10)
    files.delete(index)
    const { held, repairs } = await opened(files, options)
    expect(isSame(held, fork.blocks)).toBe(true)
    expect(repairs).toEqual([{ kind: 'index-rebuilt' }])
  })
})

describe('damage in the segments of a FlatFileBlockStore', () => {
  test('never gives a block that was not written, whichever byte it is', async () => {
    const files = await filesOf([blocks.slice(0, 5), blocks.slice(5)], 'closed')
    let [lowered, left, refused] = [0, 0, 0]
    for (let position = 0; position < files.get(segment)!.length; position++) {
      const why = `byte ${position}`
      const disk = diskWith(changed(files, segment, flipped(position)))
      const store = storeOn(disk)
      try {
        await store.open()
      } catch (error) {
        expect(HoldfastError.is(error, 'STORE_CORRUPT'), why).toBe(true)
        refused++
        continue
      }
      const kinds = store.repairs.map(({ kind }) => kind)
      if (kinds.includes('tip-lowered')) lowered++
      if (kinds.includes('damage-left')) left++
      const tip = await store.tip()
      expect(tip, why).toEqual(refOf(chain.at(tip!.height)))
      for (let height = 0; height <= tip!.height; height++) {
        const block = await store.get(height).catch((error: unknown) => error)
        const isRight = isDeepStrictEqual(block, chain.at(height))
        expect(isRight || HoldfastError.is(block, 'STORE_CORRUPT'), why).toBe(true)
      }
      await store.close()
    }
    expect({ lowered: lowered > 400, refused: refused > 30, left }).toEqual({
      lowered: true,
      refused: true,
      left: 0,
    })
  })

  test('near the tip lowers it to the last sound block, and the chain grows on', async () => {
    const files = await filesOf([blocks.slice(0, 8), blocks.slice(8)], 'closed')
    const end = files.get(segment)!.length
    const { held, repairs, files: after } = await opened(changed(files, segment, flipped(end - 1)))
    expect(repairs).toEqual([
      { kind: 'index-rebuilt' },
      { kind: 'tip-lowered', fromHeight: 11, to: refOf(chain.at(10)) },
    ])
    expect(isSame(held, blocks.slice(0, 11))).toBe(true)
    const store = storeOn(diskWith(after))
    await store.open()
    expect(store.repairs).toEqual([])
    await store.append(blocks.slice(11), { expectTip: refOf(chain.at(10)) })
    expect(isSame(await store.range(0, everything), blocks)).toBe(true)
    await store.close()
  })

  test('far below the tip is reported, left, and rejects when it is read (F109)', async () => {
    const long = testChain({ length: checkedBlocks + 60, blockBytes: 40 })
    const files = await filesOf([long.blocks.slice(0, 50), long.blocks.slice(50)], 'closed')
    const payload = Buffer.from(long.at(20).payload)
    const position = Buffer.from(files.get(segment)!).indexOf(payload)
    const damaged = changed(files, segment, flipped(position))
    const store = storeOn(diskWith(damaged))
    await store.open()
    expect(store.repairs).toEqual([
      { kind: 'index-rebuilt' },
      { kind: 'damage-left', from: 20, to: 20 },
    ])
    for (const read of [store.get(20), store.range(20, everything)]) {
      await expect(read).rejects.toHaveProperty('code', 'STORE_CORRUPT')
    }
    expect(isSame(await store.range(0, everything), long.blocks.slice(0, 20))).toBe(true)
    expect(isSame(await store.range(21, everything), long.blocks.slice(21))).toBe(true)
    // Its hash stands in front of the payload, with a checksum of its own.
    expect(await store.hashAt(20)).toBe(long.at(20).hash)
    await store.close()
    expect((await opened(damaged, { verify: 'tip' })).repairs).toEqual([])
  })

  test('of the base is reported, and its name is still known', async () => {
    const long = testChain({ length: checkedBlocks + 60, blockBytes: 40 })
    const files = await filesOf([long.blocks], 'closed')
    const position = Buffer.from(files.get(segment)!).indexOf(Buffer.from(long.at(0).payload))
    const store = storeOn(diskWith(changed(files, segment, flipped(position))), { verify: 'tip' })
    await store.open()
    expect(store.repairs).toContainEqual({ kind: 'damage-left', from: 0, to: 0 })
    expect(await store.base()).toEqual(long.base)
    await store.close()
  })
})

describe('what a FlatFileBlockStore cannot repair is refused, and its segments are left untouched', () => {
  const options = { segmentBytes: 1_024 }
  const many = (): Promise<Files> =>
    filesOf(
      blocks.map((block) => [block]),
      'closed',
      options,
    )

  async function expectCorrupt(files: Files, text: RegExp): Promise<void> {
    const disk = diskWith(files)
    const opening = storeOn(disk, options).open()
    await expect(opening).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    await expect(opening).rejects.toThrow(text)
    const segments = (all: Files): Files =>
      new Map([...all].filter(([name]) => name.endsWith('.segment')))
    expect(segments(disk.contents())).toEqual(segments(files))
  }

  test('a segment that is missing', async () => {
    const files = await many()
    files.delete('00000002.segment')
    await expectCorrupt(files, /00000002.segment is missing/)
  })

  test('a file of something else', async () => {
    await expectCorrupt(new Map([[segment, new Uint8Array(100)]]), /no segment of a block store/)
  })

  test('a segment with the name of another', async () => {
    const files = await many()
    const last = [...files.keys()]
      .filter((name) => name.endsWith('.segment'))
      .sort()
      .at(-1)!
    const beyond = '00000009.segment'
    await expectCorrupt(new Map(files).set(beyond, files.get(last)!), /00000009.segment/)
  })

  test('a format of another version', async () => {
    const header = encodeSegmentHeader({ number: 1, start: 1, salt: 1n }, 2)
    await expectCorrupt(new Map([[segment, header]]), /format version 2/)
  })

  test('a write in the middle that is damaged at its beginning, when the index is lost', async () => {
    const first = (await filesOf([blocks.slice(0, 1)], 'killed', options)).get(segment)!.length
    const files = changed(await many(), segment, flipped(first + 4))
    files.delete(index)
    await expectCorrupt(files, /00000001.segment is damaged at byte/)
  })

  test('and files that are none of its own it leaves alone', async () => {
    const files = await many()
    files.set('notes.txt', Uint8Array.of(1)).set('7.segment', Uint8Array.of(2))
    const { files: after, held } = await opened(files, options)
    expect(isSame(held, blocks)).toBe(true)
    expect(after.get('notes.txt')).toEqual(Uint8Array.of(1))
    expect(after.get('7.segment')).toEqual(Uint8Array.of(2))
  })
})
