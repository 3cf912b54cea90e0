import type { Edit } from '../explorer/mutants/list.js'

/** A rule of a store on the disk, broken, and the test file that should notice. */
interface StoreMutant {
  readonly name: string
  readonly edits: readonly Edit[]
  readonly test: string
  /** Among the few that a quick run breaks. */
  readonly isQuick?: boolean
}

const flatSuite = 'test/adapters/flat-file-block-store.test.ts'
const flatCrash = 'test/adapters/flat-file-crash.test.ts'
const flatRepair = 'test/adapters/flat-file-repair.test.ts'
const levelSuite = 'test/adapters/level-block-store.test.ts'
const levelRepair = 'test/adapters/level-repair.test.ts'

const flat = 'src/adapters/flat-file-block-store.ts'
const chain = 'src/adapters/flat-file-chain.ts'
const log = 'src/adapters/flat-file-log.ts'
const format = 'src/adapters/flat-file-format.ts'
const recovery = 'src/adapters/flat-file-recovery.ts'
const level = 'src/adapters/level-block-store.ts'
const levelWrite = 'src/adapters/level-write.ts'
const levelFormat = 'src/adapters/level-format.ts'

export const storeMutants: readonly StoreMutant[] = [
  {
    name: 'flat: the index is believed, whatever the blocks say',
    edits: [
      {
        file: recovery,
        find: 'if (checkpoint !== undefined && state.isDamaged) {',
        replace: "if (checkpoint !== undefined && state.problem === 'none') {",
      },
    ],
    test: flatRepair,
  },
  {
    name: 'flat: the checksum of a payload is not verified',
    edits: [
      {
        file: format,
        find: 'if (head === undefined || crc32(bytes.subarray(headBytes)) !== head.payloadCrc) return undefined',
        replace: 'if (head === undefined) return undefined',
      },
    ],
    test: flatRepair,
    isQuick: true,
  },
  {
    name: 'flat: a torn write at the end is accepted when its table is whole',
    edits: [
      {
        file: recovery,
        find: '(isDurable || (await hasSoundRecords(files, write, ancestor + 1, await hashOf(ancestor))))',
        replace: '(isDurable || write.table.length >= 0)',
      },
    ],
    test: flatRepair,
  },
  {
    name: 'flat: a torn end is not cut off',
    edits: [{ file: recovery, find: 'if (torn > 0) {', replace: 'if (torn < 0) {' }],
    test: flatRepair,
  },
  {
    name: 'flat: a write of another file passes for one of this',
    edits: [
      {
        file: log,
        find: 'if (header?.salt !== expected.salt) return undefined',
        replace: 'if (header === undefined) return undefined',
      },
    ],
    test: flatRepair,
  },
  {
    name: 'flat: a write resolves before it is on the disk',
    edits: [
      {
        file: chain,
        find: "      if (this.#fsync === 'always') await file.sync()\n",
        replace: '',
      },
    ],
    test: flatCrash,
    isQuick: true,
  },
  {
    name: 'flat: a checkpoint is made before what it counts on is on the disk',
    edits: [
      {
        file: chain,
        find: '    await this.sync()\n    const { view } = this\n',
        replace: '    const { view } = this\n',
      },
    ],
    test: flatCrash,
  },
  {
    name: 'flat: the old chain goes before the one that replaces it is there',
    edits: [
      {
        file: chain,
        find: '    await this.#makeSegment(number, number, salt)\n',
        replace:
          '    if (old.segment > 0) await this.#removeChain(old.start, old.segment)\n' +
          '    await this.#makeSegment(number, number, salt)\n',
      },
    ],
    test: flatCrash,
  },
  {
    name: 'flat: a write that failed is not taken back',
    edits: [
      { file: chain, find: '    this.#remedy = () => this.#truncate(before)\n', replace: '' },
    ],
    test: flatSuite,
  },
  {
    name: 'flat: what a failed sync was to bring to the disk is taken for written',
    edits: [
      {
        file: chain,
        find: '      this.#remedy = () => this.#writeAgain(segment, from, offset)\n',
        replace: '      this.#unsyncedFrom = from < 0 ? from : undefined\n',
      },
    ],
    test: flatCrash,
  },
  {
    name: 'flat: close does not wait for the write that runs',
    edits: [
      {
        file: flat,
        find: '    return this.#queue.run(async () => {\n      const last = session',
        replace: '    return Promise.resolve().then(async () => {\n      const last = session',
      },
    ],
    test: flatSuite,
  },
  {
    name: 'flat: a range has one block more than its limit',
    edits: [
      {
        file: 'src/adapters/flat-file-read.ts',
        find: 'from - view.baseHeight + limit)',
        replace: 'from - view.baseHeight + limit + 1)',
      },
    ],
    test: flatSuite,
    isQuick: true,
  },
  {
    name: 'flat: blocks are copied when their write begins, not when it is asked for',
    edits: [
      {
        file: flat,
        find: '    const write = encodeWrite(ancestor, blocks, expectTip)\n',
        replace: '    const write = () => encodeWrite(ancestor, blocks, expectTip)\n',
      },
      { file: flat, find: 'session.chain.write(write)', replace: 'session.chain.write(write())' },
    ],
    test: flatSuite,
  },
  {
    name: 'flat: a write is not compared with the tip',
    edits: [{ file: chain, find: '    requireTip(this.view.tip, expectTip)\n', replace: '' }],
    test: flatSuite,
  },
  {
    name: 'level: the checksum of a block is not verified',
    edits: [
      {
        file: levelFormat,
        find: 'if (!isWhole(value, 20) || view.getBigUint64(4) !== BigInt(height)) return undefined',
        replace:
          'if (value.length < 20 || view.getBigUint64(4) !== BigInt(height)) return undefined',
      },
    ],
    test: levelRepair,
    isQuick: true,
  },
  {
    name: 'level: a write is two batches, the removal and the tip first',
    edits: [
      {
        file: levelWrite,
        find: '  for (const put of run?.puts ?? []) operations.push(put)\n  await database.batch(operations, { ...asBytes, sync })\n',
        replace:
          '  await database.batch(operations, { ...asBytes, sync })\n' +
          '  await database.batch([...(run?.puts ?? [])], { ...asBytes, sync })\n',
      },
    ],
    test: levelSuite,
    isQuick: true,
  },
  {
    name: 'level: `sync` does not reach the batch',
    edits: [
      {
        file: levelWrite,
        find: 'await database.batch(operations, { ...asBytes, sync })',
        replace:
          'await database.batch(operations, { ...asBytes, sync: sync && before.tip === null })',
      },
    ],
    test: levelSuite,
  },
  {
    name: 'level: what stood above a shorter branch stays',
    edits: [
      {
        file: levelWrite,
        find: "    yield { type: 'del', key: blockKey(height) }\n",
        replace: "    if (run === undefined) yield { type: 'del', key: blockKey(height) }\n",
      },
    ],
    test: levelSuite,
  },
  {
    name: 'level: keys do not sort by height',
    edits: [
      {
        file: levelFormat,
        find: 'viewOf(key).setBigUint64(1, BigInt(height))',
        replace: 'viewOf(key).setBigUint64(1, BigInt(height), true)',
      },
    ],
    test: levelSuite,
  },
  {
    name: 'level: a payload is a window into what the database keeps',
    edits: [
      {
        file: levelFormat,
        find: 'payload: new Uint8Array(value.subarray(previousEnd)),',
        replace: 'payload: value.subarray(previousEnd),',
      },
    ],
    test: levelSuite,
  },
  {
    name: 'level: a range goes beyond maxBytes',
    edits: [
      {
        file: 'src/adapters/level-read.ts',
        find: 'if (bytes > maxBytes && blocks.length > 0) break',
        replace: 'if (bytes - block.payload.length > maxBytes && blocks.length > 0) break',
      },
    ],
    test: levelSuite,
  },
  {
    name: 'level: close does not wait for the write that runs',
    edits: [
      {
        file: level,
        find: '    return this.#queue.run(async () => {\n      const last = session',
        replace: '    return Promise.resolve().then(async () => {\n      const last = session',
      },
    ],
    test: levelSuite,
  },
  {
    name: 'level: blocks above the tip are not removed at an opening',
    edits: [
      {
        file: 'src/adapters/level-repair.ts',
        find: '  const repairs = await removeTail(database, tip.height + 1)\n',
        replace: '  const repairs: LevelRepair[] = []\n',
      },
    ],
    test: levelRepair,
  },
  {
    name: 'level: a branch may leave the chain at a block that it does not hold',
    edits: [
      {
        file: levelWrite,
        find: 'if (ancestor !== null) requireAncestor(ancestor, await heldHash(database, ancestor.height))',
        replace: 'if (ancestor !== null) await heldHash(database, ancestor.height)',
      },
    ],
    test: levelSuite,
  },
]
