import type { Block, BlockRef, BlockStore, RangeLimits } from '../contracts/block-store.js'
import { HoldfastError } from '../errors.js'
import { requireHeight, requireRangeLimits, requireRun } from './block-store-checks.js'
import { requireVerifyDepth, type VerifyDepth } from './chain-check.js'
import {
  asBytes,
  openDatabase,
  requirePlace,
  type LevelDatabase,
  type LevelPlace,
  type OpenDatabase,
} from './level-database.js'
import { blockKey, nameKey, type ChainEnds } from './level-format.js'
import { blockIn, damagedError, hashIn, readEnds, readRange } from './level-read.js'
import { repairChain, type LevelRepair } from './level-repair.js'
import { carryOut, encodeWrite } from './level-write.js'
import { SerialQueue } from './serial-queue.js'

export type { LevelDatabase, LevelOperation, LevelPlace } from './level-database.js'
export type { LevelRepair } from './level-repair.js'

/** Where a LevelBlockStore keeps its blocks, and how careful it is with them. */
export type LevelBlockStoreOptions = LevelPlace & {
  /**
   * Whether a write resolves only when the operating system says that it is on the disk. Without it a
   * crash of the process still loses nothing, a crash of the machine may lose the newest writes; the
   * chain is whole either way. Default true.
   */
  readonly sync?: boolean

  /**
   * What `open` looks at: the newest blocks and the base, or every block (it then reads the whole
   * chain). Default 'tip'.
   */
  readonly verify?: VerifyDepth
}

/**
 * A BlockStore on LevelDB (a folder, opened with classic-level), or in any other abstract-level database
 * that is handed in: memory-level, browser-level, a sublevel.
 *
 * Every write is one atomic batch together with the record of base and tip, so that a crash leaves the
 * chain of before or of after. `open` verifies at least the newest 128 blocks and the base, and repairs
 * what it can: see `repairs`. A block that turns out to be damaged later rejects with STORE_CORRUPT
 * when it is read. `open` rejects with STORE_LOCKED (and the cause) when another process has the
 * location open or another store of this process the same database, and with STORE_CORRUPT when the database is not a block store's or is beyond repair;
 * it then leaves it as it was.
 *
 * `hashAt` reads no payload.
 */
export class LevelBlockStore implements BlockStore, AsyncDisposable {
  readonly #options: LevelPlace & { readonly sync: boolean; readonly verify: VerifyDepth }

  /** Openings, writes and closings, so that none of them overlaps another. */
  readonly #queue = new SerialQueue()

  /** Present while new calls are accepted. */
  #session: OpenDatabase | undefined

  #repairs: readonly LevelRepair[] = []

  /** Throws TypeError for an option that makes no sense. */
  constructor(options: LevelBlockStoreOptions) {
    requirePlace(options)
    const { sync = true, verify = 'tip' } = options
    if (typeof (sync as unknown) !== 'boolean') {
      throw new TypeError(`sync must be true or false, not ${JSON.stringify(sync)}`)
    }
    requireVerifyDepth(verify)
    this.#options = { ...options, sync, verify }
  }

  /** What the last `open` found and did. Empty when nothing was wrong. */
  get repairs(): readonly LevelRepair[] {
    return this.#repairs
  }

  async open(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#session !== undefined) return
      const session = await openDatabase(this.#options)
      try {
        this.#repairs = await repairChain(session.database, this.#options)
      } catch (error) {
        // What is wrong with the chain matters more than a failure to close.
        await session.release().catch(() => undefined)
        throw error
      }
      this.#session = session
    })
  }

  async close(): Promise<void> {
    const session = this.#session
    // Everything new is refused from here on; what was accepted comes first in the queue.
    this.#session = undefined
    return this.#queue.run(async () => {
      const last = session ?? this.#session
      this.#session = undefined
      await last?.release()
    })
  }

  /** As `close`: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async tip(): Promise<BlockRef | null> {
    return this.#read(async (database) => (await readEnds(database)).tip)
  }

  async base(): Promise<BlockRef | null> {
    return this.#read(async (database) => (await readEnds(database)).base)
  }

  async get(height: number): Promise<Block | undefined> {
    requireHeight(height)
    return this.#read((database) => this.#blockAt(database, height))
  }

  async hashAt(height: number): Promise<string | undefined> {
    requireHeight(height)
    return this.#read(async (database) => {
      const value = await this.#find(database, nameKey(height), height)
      return value && hashIn(value, height)
    })
  }

  async range(from: number, limits: RangeLimits): Promise<Block[]> {
    requireHeight(from, 'from')
    requireRangeLimits(limits)
    return this.#read(async (database) => {
      const read = (): Promise<Block[]> => readRange(database, from, limits)
      const blocks = await (database.supports.implicitSnapshots ? read() : this.#queue.run(read))
      // Nothing: either there is nothing, or it cannot be read, and then this says so.
      if (blocks.length === 0) await this.#blockAt(database, from)
      return blocks
    })
  }

  async append(
    blocks: readonly Block[],
    { expectTip }: { readonly expectTip: BlockRef | null },
  ): Promise<BlockRef | null> {
    return this.#write(expectTip, blocks, expectTip)
  }

  async replace(
    ancestor: BlockRef | null,
    blocks: readonly Block[],
    { expectTip }: { readonly expectTip: BlockRef | null },
  ): Promise<BlockRef | null> {
    return this.#write(ancestor, blocks, expectTip)
  }

  /** Appending is replacing nothing above the tip. */
  async #write(
    ancestor: BlockRef | null,
    blocks: readonly Block[],
    expectTip: BlockRef | null,
  ): Promise<BlockRef | null> {
    const { database } = this.#openSession()
    if (ancestor !== null) requireHeight(ancestor.height, 'ancestor.height')
    requireRun(blocks)
    // Copied before the first wait: what the caller does with its objects afterwards is its business.
    const write = encodeWrite(ancestor, blocks, expectTip)
    return this.#queue.run(() => carryOut(database, write, this.#options.sync))
  }

  async #read<T>(read: (database: LevelDatabase) => Promise<T>): Promise<T> {
    const session = this.#openSession()
    try {
      return await read(session.database)
    } catch (error) {
      if (this.#session === session) throw error
      throw closedError({ cause: error })
    }
  }

  async #blockAt(database: LevelDatabase, height: number): Promise<Block | undefined> {
    const value = await this.#find(database, blockKey(height), height)
    return value && blockIn(value, height)
  }

  /** What stands under a key of `height`, or undefined when the store does not hold that height. */
  async #find(
    database: LevelDatabase,
    key: Uint8Array,
    height: number,
  ): Promise<Uint8Array | undefined> {
    const value = await database.get(key, asBytes)
    if (value !== undefined || !holds(await readEnds(database), height)) return value
    // Either a write came between the two reads or the value has gone. While nobody writes, it shows.
    return this.#queue.run(async () => {
      const again = await database.get(key, asBytes)
      if (again === undefined && holds(await readEnds(database), height)) throw damagedError(height)
      return again
    })
  }

  #openSession(): OpenDatabase {
    if (this.#session === undefined) throw closedError()
    return this.#session
  }
}

const holds = ({ base, tip }: ChainEnds, height: number): boolean =>
  base !== null && tip !== null && height >= base.height && height <= tip.height

const closedError = (details: { cause?: unknown } = {}): HoldfastError =>
  new HoldfastError('STORE_CLOSED', 'the block store is not open', details)
