import { randomBytes } from 'node:crypto'
import type { BlockRef } from '../contracts/block-store.js'
import { isSameBlock, requireAncestor, requireLink, requireTip } from './block-store-checks.js'
import { checkpointAt, Checkpoints } from './flat-file-checkpoints.js'
import { encodeSegmentHeader, segmentHeaderBytes } from './flat-file-format.js'
import {
  writeCheckpoint,
  writeEntries,
  type Entry,
  type FoundCheckpoint,
} from './flat-file-index.js'
import { writeAgain, writeBytes } from './flat-file-layer.js'
import {
  indexName,
  placeWrite,
  segmentName,
  type EncodedWrite,
  type LogEnd,
} from './flat-file-log.js'
import { emptyView, hashAt, type View } from './flat-file-view.js'
import type { SegmentFiles } from './segment-files.js'

/** When what was written is brought to the disk: with each write, when `sync` is called, at checkpoints. */
export type FsyncPolicy = 'always' | 'interval' | 'checkpoint'

interface ChainOptions {
  readonly files: SegmentFiles
  readonly fsync: FsyncPolicy
  readonly segmentBytes: number
}

/**
 * The chain in the files of a folder, and the only one that writes there. Its methods that wait must not
 * overlap each other; views may be read at any time.
 */
export class FlatFileChain {
  readonly #files: SegmentFiles
  readonly #fsync: FsyncPolicy
  readonly #segmentBytes: number
  readonly #checkpoints: Checkpoints

  view: View = emptyView

  /** Changes before files change that an older view still reads: what it read then is to be read anew. */
  epoch = 0

  #end: LogEnd = { segment: 0, offset: 0, sequence: 1, salt: 0n }

  /** From here on the segment at the end may not be on the disk. */
  #unsyncedFrom: number | undefined

  /** What must be done, after a failure, before anything else is written. */
  #remedy: (() => Promise<void>) | undefined

  constructor({ files, fsync, segmentBytes }: ChainOptions) {
    this.#files = files
    this.#fsync = fsync
    this.#segmentBytes = segmentBytes
    this.#checkpoints = new Checkpoints(files)
  }

  get files(): SegmentFiles {
    return this.#files
  }

  get end(): LogEnd {
    return this.#end
  }

  get isUnsynced(): boolean {
    return this.#unsyncedFrom !== undefined
  }

  /** Checks the write against the chain and makes it. */
  async write(write: EncodedWrite): Promise<BlockRef | null> {
    const { ancestor, expectTip, first, last } = write
    requireTip(this.view.tip, expectTip)
    if (ancestor !== null) {
      requireAncestor(ancestor, await hashAt(this.#files, this.view, ancestor.height))
    }
    requireLink(ancestor, first)
    const tip = last ?? ancestor
    if (first === undefined && isSameBlock(tip, this.view.tip)) return tip

    await this.remedy()
    if (ancestor === null) {
      await this.#begin(write)
      return tip
    }
    await this.checkpointIfDue(write.bytes.length)
    await this.#makeRoom(write.bytes.length)
    const before = this.#end
    const entries = placeWrite(write, before)
    this.#remedy = () => this.#truncate(before)
    await this.#files.use(segmentName(before.segment), async (file) => {
      await writeBytes(file, before.offset, write.bytes)
      if (this.#fsync === 'always') await file.sync()
    })
    this.#remedy = undefined
    this.add(ancestor.height, entries, before.offset + write.bytes.length)
    if (this.#fsync === 'always') this.#unsyncedFrom = undefined
    this.view = { ...this.view, tip }
    return tip
  }

  /** Takes over a state that the disk is known to have. */
  resume(view: View, end: LogEnd, found?: FoundCheckpoint): void {
    this.view = view
    this.#end = end
    this.#checkpoints.resume(checkpointAt(view, end), found)
  }

  /** Counts a write as made that stands at the end: keeps what is up to the ancestor, adds the entries. */
  add(ancestorHeight: number, entries: readonly Entry[], endOffset: number): void {
    const { view } = this
    const kept = ancestorHeight - view.baseHeight + 1
    if (kept < view.saved) {
      this.#checkpoints.lower(checkpointAt(view, this.#end), kept)
      this.view = { ...view, saved: kept, recent: entries }
    } else {
      this.view = { ...view, recent: [...view.recent.slice(0, kept - view.saved), ...entries] }
    }
    this.#unsyncedFrom ??= this.#end.offset
    this.#end = { ...this.#end, offset: endOffset, sequence: this.#end.sequence + 1 }
  }

  /** Goes on in the next segment, which is there only when all before it is on the disk. */
  enter(segment: number, salt: bigint): void {
    this.#unsyncedFrom = undefined
    this.#end = { ...this.#end, segment, offset: segmentHeaderBytes, salt }
  }

  /** Brings all that was written to the disk. */
  async sync(): Promise<void> {
    await this.remedy()
    const from = this.#unsyncedFrom
    if (from === undefined) return
    const { segment, offset } = this.#end
    try {
      await this.#files.use(segmentName(segment), (file) => file.sync())
    } catch (error) {
      // The system may now take for written what is not: only writing it again helps.
      this.#remedy = () => this.#writeAgain(segment, from, offset)
      throw error
    }
    this.#unsyncedFrom = undefined
  }

  /** Does what a failure left to be done. Rejects while the disk does not let it. */
  async remedy(): Promise<void> {
    await this.#remedy?.()
    this.#remedy = undefined
  }

  async checkpointIfDue(bytes = 0): Promise<void> {
    if (this.#checkpoints.isDue(this.#end, this.view, bytes)) await this.checkpoint()
  }

  /** From now on an opening reads only what comes after. */
  async checkpoint(): Promise<void> {
    await this.sync()
    const { view } = this
    if (!this.#checkpoints.isNews(this.#end)) return
    await this.#checkpoints.save(view, this.#end, () => this.epoch++)
    this.view = { ...view, saved: view.saved + view.recent.length, recent: [] }
  }

  /** Puts a chain of its own into a new segment with a new index. The old one goes when it is there. */
  async #begin(write: EncodedWrite): Promise<void> {
    const { view } = this
    const old = { start: view.start, segment: this.#end.segment }
    const number = old.segment + 1
    const salt = newSalt()
    const end = { segment: number, offset: segmentHeaderBytes, sequence: this.#end.sequence, salt }
    const entries = placeWrite(write, end)
    const after: LogEnd = {
      ...end,
      offset: end.offset + write.bytes.length,
      sequence: end.sequence + 1,
    }
    const next: View = {
      start: number,
      salt,
      baseHeight: write.first?.height ?? 0,
      base:
        write.first === undefined ? null : { height: write.first.height, hash: write.first.hash },
      tip: write.last ?? null,
      saved: entries.length,
      recent: [],
    }
    this.#remedy = () => this.#removeChain(number, number)
    await this.#makeSegment(number, number, salt)
    await this.#files.use(segmentName(number), async (file) => {
      await writeBytes(file, end.offset, write.bytes)
      await file.sync()
    })
    await this.#files.make(indexName(number))
    await this.#files.use(indexName(number), async (file) => {
      await writeEntries(file, 0, entries)
      await file.sync()
      await writeCheckpoint(file, 0, checkpointAt(next, after))
      await file.sync()
    })
    await this.#files.syncFolder()
    this.#remedy = undefined

    this.epoch++
    this.#unsyncedFrom = undefined
    this.view = next
    this.#end = after
    this.#checkpoints.begin(checkpointAt(next, after))
    // What stays behind here is removed by the next opening.
    if (old.segment > 0) await this.#removeChain(old.start, old.segment).catch(() => undefined)
  }

  async #makeSegment(number: number, start: number, salt: bigint): Promise<void> {
    const name = segmentName(number)
    await this.#files.make(name)
    await this.#files.use(name, async (file) => {
      await writeBytes(file, 0, encodeSegmentHeader({ number, start, salt }))
      await file.sync()
    })
    await this.#files.syncFolder()
  }

  /** A write stays within a segment; one that is larger than a segment has one for itself. */
  async #makeRoom(bytes: number): Promise<void> {
    const { segment, offset } = this.#end
    if (offset + bytes <= this.#segmentBytes || offset === segmentHeaderBytes) return
    // So that whatever stands in a segment with another behind it is on the disk.
    await this.checkpoint()
    const salt = newSalt()
    this.#remedy = () => this.#removeChain(segment + 1, segment + 1)
    await this.#makeSegment(segment + 1, this.view.start, salt)
    this.#remedy = undefined
    this.enter(segment + 1, salt)
  }

  async #removeChain(from: number, to: number): Promise<void> {
    for (let number = from; number <= to; number++) await this.#files.remove(segmentName(number))
    await this.#files.remove(indexName(from))
    await this.#files.syncFolder()
  }

  /** Takes a write back that failed. */
  async #truncate({ segment, offset }: LogEnd): Promise<void> {
    await this.#files.use(segmentName(segment), (file) => file.truncate(offset))
    // Had a `sync` failed, what was written before would be in doubt, too.
    await this.#writeAgain(segment, this.#unsyncedFrom ?? offset, offset)
  }

  async #writeAgain(segment: number, from: number, to: number): Promise<void> {
    await this.#files.use(segmentName(segment), (file) => writeAgain(file, from, to))
    this.#unsyncedFrom = undefined
  }
}

function newSalt(): bigint {
  return randomBytes(8).readBigUInt64BE()
}
