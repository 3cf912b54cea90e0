import {
  writeCheckpoint,
  writeEntries,
  type Checkpoint,
  type FoundCheckpoint,
} from './flat-file-index.js'
import { indexName, type LogEnd } from './flat-file-log.js'
import { countOf, type View } from './flat-file-view.js'
import type { SegmentFiles } from './segment-files.js'

/** A checkpoint is due after so many bytes or blocks: what an opening reads again, and memory holds, at most. */
const checkpointBytes = 16 * 1024 * 1024
export const checkpointBlocks = 4_096

export function checkpointAt(view: View, { segment, offset, sequence }: LogEnd): Checkpoint {
  const { start, salt, baseHeight } = view
  return { start, salt, sequence, segment, offset, baseHeight, count: countOf(view) }
}

/** The two checkpoints in the index file of a chain, of which one is whole at any moment. */
export class Checkpoints {
  readonly #files: SegmentFiles

  /** The newest state that entries of the index file belong to; its count is always `view.saved`. */
  #floor: Checkpoint | undefined

  /** The slot written last, and the most entries that a slot counts on. */
  #slot = 1
  #promised = 0

  constructor(files: SegmentFiles) {
    this.#files = files
  }

  /** Goes on from a state whose entries are all in the index file, below a checkpoint that was found. */
  resume(state: Checkpoint, found?: FoundCheckpoint): void {
    this.#floor = state
    this.#slot = found?.slot ?? 1
    this.#promised = found?.checkpoint.count ?? 0
  }

  /** Goes on with a new index file whose first slot has this one. */
  begin(first: Checkpoint): void {
    this.resume(first, { checkpoint: first, slot: 0 })
  }

  /** Only so many entries still belong to the chain, as it is at that state. */
  lower(state: Checkpoint, count: number): void {
    this.#floor = { ...state, count }
  }

  /** Whether one is to be made before a write of so many bytes. */
  isDue({ segment, offset }: LogEnd, { recent }: View, bytes: number): boolean {
    if (this.#floor === undefined) return false
    const since = this.#floor.segment === segment ? offset - this.#floor.offset : offset
    return since + bytes > checkpointBytes || recent.length >= checkpointBlocks
  }

  /** Whether there is anything that the last one does not know of. */
  isNews({ sequence }: LogEnd): boolean {
    return this.#floor !== undefined && this.#floor.sequence !== sequence
  }

  /**
   * Puts the entries of a view into the index file, and a checkpoint that counts on them. All that the
   * view is made of must be on the disk. `beforeOverwriting` is called before entries change that an
   * older view may still read.
   */
  async save(view: View, end: LogEnd, beforeOverwriting: () => void): Promise<void> {
    const floor = this.#floor
    if (floor === undefined) return
    const now = checkpointAt(view, end)
    await this.#files.use(indexName(view.start), async (file) => {
      const promise = async (checkpoint: Checkpoint): Promise<void> => {
        const slot = 1 - this.#slot
        await writeCheckpoint(file, slot, checkpoint)
        this.#slot = slot
      }
      if (view.saved < this.#promised) {
        // Entries will be overwritten that the last checkpoint counts on: first it is taken back, to a
        // state from which the segments lead on without them.
        await file.sync()
        await promise(floor)
        await file.sync()
        this.#promised = view.saved
        beforeOverwriting()
      }
      await writeEntries(file, view.saved, view.recent)
      // With the entries the slot of the last time is on the disk, before the other one is overwritten.
      await file.sync()
      await promise(now)
    })
    this.#floor = now
    this.#promised = now.count
  }
}
