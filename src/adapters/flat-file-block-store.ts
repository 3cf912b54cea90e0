import type { Block, BlockRef, BlockStore, RangeLimits } from '../contracts/block-store.js'
import { HoldfastError } from '../errors.js'
import { requireHeight, requireRangeLimits, requireRun } from './block-store-checks.js'
import { requireVerifyDepth, type VerifyDepth } from './chain-check.js'
import type { FlatFileChain, FsyncPolicy } from './flat-file-chain.js'
import { nodeFiles, type FileLayer } from './flat-file-layer.js'
import { encodeWrite, requireBlockSizes } from './flat-file-log.js'
import { readBlock, readRange } from './flat-file-read.js'
import { recoverChain, type FlatFileRepair } from './flat-file-recovery.js'
import { hashAt, type View } from './flat-file-view.js'
import { SegmentFiles } from './segment-files.js'
import { SerialQueue } from './serial-queue.js'

export type { FlatFileRepair } from './flat-file-recovery.js'
export type { FsyncPolicy } from './flat-file-chain.js'

/** Where a FlatFileBlockStore keeps its files, and how careful it is with them. */
export interface FlatFileBlockStoreOptions {
  /** A folder of its own, made when it is missing. */
  readonly location: string

  /**
   * When what is written is brought to the disk. A process that is killed loses nothing in any case, and
   * the chain is whole in any case. What a crash of the machine may take:
   *
   * - `'always'`: nothing that was confirmed. A write resolves when the disk has it.
   * - `'interval'`: the writes of the last `fsyncIntervalMs`.
   * - `'checkpoint'`: the writes since the last checkpoint, at most 16 MiB or 4,096 blocks and the
   *   write that went beyond that.
   *
   * A `replace` above null is on the disk when it resolves, whatever this says. Default 'always'.
   */
  readonly fsync?: FsyncPolicy

  /** With fsync 'interval': an integer from 1 to 3,600,000. Default 1,000. */
  readonly fsyncIntervalMs?: number

  /**
   * What `open` looks at: the newest blocks and the base, or every block (it then reads the whole
   * chain). Default 'tip'.
   */
  readonly verify?: VerifyDepth

  /**
   * A file of blocks is followed by the next one at this size: an integer from 1 KiB to 2^40. A write
   * larger than that has a file for itself. Default 128 MiB.
   */
  readonly segmentBytes?: number
}

interface Session {
  readonly chain: FlatFileChain
  readonly files: SegmentFiles
  readonly unlock: () => Promise<void>
  readonly reads: Set<Promise<unknown>>
  timer: NodeJS.Timeout | undefined
}

/**
 * A BlockStore in plain files that only grow: for whole chains, at the speed and the size of the blocks
 * themselves.
 *
 * Every write is one record at the end of the newest file, with checksums over all of it: a crash leaves
 * the chain of before or of after. Memory does not grow with the chain. `open` verifies at least what
 * was written since the last checkpoint, the newest 128 blocks and the base, and repairs what it can:
 * see `repairs`. A block that turns out to be damaged later rejects with STORE_CORRUPT when it is read.
 * `open` rejects with STORE_LOCKED while another process has the folder open, and with STORE_CORRUPT
 * when its files are not a block store's or are beyond repair; it then leaves the blocks as they were.
 *
 * After a write that failed (a full disk, for instance) the chain is what it was, and the store goes on
 * as soon as the disk lets it take the failed write back; until then writes reject.
 *
 * Blocks that a `replace` removed stay in their files until a `replace` above null begins a new chain.
 * `hashAt` reads no payload. A block may have 1 GiB: RangeError beyond. The format is in
 * flat-file-format.ts.
 */
export class FlatFileBlockStore implements BlockStore, AsyncDisposable {
  readonly #options: Required<FlatFileBlockStoreOptions>
  readonly #layer: FileLayer

  /** Openings, writes, syncs and closings, so that none of them overlaps another. */
  readonly #queue = new SerialQueue()

  /** Present while new calls are accepted. */
  #session: Session | undefined

  #repairs: readonly FlatFileRepair[] = []

  /** Another file layer is for tests. Throws TypeError or RangeError for an option that makes no sense. */
  constructor(options: FlatFileBlockStoreOptions, layer: FileLayer = nodeFiles) {
    this.#options = checkOptions(options)
    this.#layer = layer
  }

  /** What the last `open` found and did. Empty when nothing was wrong. */
  get repairs(): readonly FlatFileRepair[] {
    return this.#repairs
  }

  async open(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#session !== undefined) return
      const { location } = this.#options
      await this.#layer.makeFolder(location)
      const unlock = await this.#layer.lock(location)
      const files = new SegmentFiles(this.#layer, location)
      try {
        const { chain, repairs } = await recoverChain(files, this.#options)
        this.#repairs = repairs
        this.#session = { chain, files, unlock, reads: new Set(), timer: undefined }
      } catch (error) {
        // What is wrong with the chain matters more than a failure to close.
        await files.close()
        await unlock().catch(() => undefined)
        throw error
      }
    })
  }

  /** Brings everything to the disk, and rejects with what the disk says when it cannot; it is closed then, too. */
  async close(): Promise<void> {
    const session = this.#session
    // Everything new is refused from here on; what was accepted comes first in the queue.
    this.#session = undefined
    return this.#queue.run(async () => {
      const last = session ?? this.#session
      this.#session = undefined
      if (last === undefined) return
      clearTimeout(last.timer)
      try {
        await last.chain.checkpoint()
      } finally {
        await Promise.allSettled(last.reads)
        await last.files.close()
        await last.unlock()
      }
    })
  }

  /** As `close`: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async tip(): Promise<BlockRef | null> {
    const { tip } = this.#openSession().chain.view
    return tip && { ...tip }
  }

  async base(): Promise<BlockRef | null> {
    const { base } = this.#openSession().chain.view
    return base && { ...base }
  }

  async get(height: number): Promise<Block | undefined> {
    requireHeight(height)
    return this.#read((files, view) => readBlock(files, view, height))
  }

  async hashAt(height: number): Promise<string | undefined> {
    requireHeight(height)
    return this.#read((files, view) => hashAt(files, view, height))
  }

  async range(from: number, limits: RangeLimits): Promise<Block[]> {
    requireHeight(from, 'from')
    requireRangeLimits(limits)
    const { limit, maxBytes } = limits
    return this.#read((files, view) => readRange(files, view, from, { limit, maxBytes }))
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
    const session = this.#openSession()
    if (ancestor !== null) requireHeight(ancestor.height, 'ancestor.height')
    requireRun(blocks)
    requireBlockSizes(blocks)
    // Copied before the first wait: what the caller does with its objects afterwards is its business.
    const write = encodeWrite(ancestor, blocks, expectTip)
    return this.#queue.run(async () => {
      const tip = await session.chain.write(write)
      this.#syncLater(session)
      return tip && { ...tip }
    })
  }

  #syncLater(session: Session): void {
    const { fsync, fsyncIntervalMs } = this.#options
    if (fsync !== 'interval' || session.timer !== undefined || !session.chain.isUnsynced) return
    session.timer = setTimeout(() => {
      session.timer = undefined
      // Should it fail, the next write and the close try again, and say so.
      void this.#queue.run(() => session.chain.sync()).catch(() => undefined)
    }, fsyncIntervalMs)
    session.timer.unref()
  }

  async #read<T>(read: (files: SegmentFiles, view: View) => Promise<T>): Promise<T> {
    const session = this.#openSession()
    const reading = readOneState(session.chain, read)
    session.reads.add(reading)
    try {
      return await reading
    } finally {
      session.reads.delete(reading)
    }
  }

  #openSession(): Session {
    if (this.#session === undefined) {
      throw new HoldfastError('STORE_CLOSED', 'the block store is not open')
    }
    return this.#session
  }
}

/** Reads out of one view: again, when files changed meanwhile that the view was still reading. */
async function readOneState<T>(
  chain: FlatFileChain,
  read: (files: SegmentFiles, view: View) => Promise<T>,
): Promise<T> {
  for (;;) {
    const { epoch, view } = chain
    try {
      const result = await read(chain.files, view)
      if (chain.epoch === epoch) return result
    } catch (error) {
      if (chain.epoch === epoch) throw error
    }
  }
}

const policies: readonly unknown[] = ['always', 'interval', 'checkpoint'] satisfies FsyncPolicy[]

function checkOptions(options: FlatFileBlockStoreOptions): Required<FlatFileBlockStoreOptions> {
  const {
    location,
    fsync = 'always',
    fsyncIntervalMs = 1_000,
    verify = 'tip',
    segmentBytes = 128 * 1024 * 1024,
  } = options
  if (typeof (location as unknown) !== 'string' || location === '') {
    throw new TypeError(`location must be the path of a folder, not ${JSON.stringify(location)}`)
  }
  if (!policies.includes(fsync)) {
    throw new TypeError(
      `fsync must be 'always', 'interval' or 'checkpoint', not ${JSON.stringify(fsync)}`,
    )
  }
  requireVerifyDepth(verify)
  requireInteger('fsyncIntervalMs', fsyncIntervalMs, 1, 3_600_000)
  requireInteger('segmentBytes', segmentBytes, 1_024, 2 ** 40)
  return { location, fsync, fsyncIntervalMs, verify, segmentBytes }
}

function requireInteger(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return
  throw new RangeError(`${name} must be an integer from ${min} to ${max}, not ${value}`)
}
