import type { Block, RangeLimits } from '../contracts/block-store.js'
import { decodeRecord } from './flat-file-format.js'
import type { Entry } from './flat-file-index.js'
import { readRecord, segmentName } from './flat-file-log.js'
import { countOf, damagedError, entriesOf, holds, type View } from './flat-file-view.js'
import type { SegmentFiles } from './segment-files.js'

/** Entries are looked up, and records that lie side by side are read, so many at a time. */
const entriesAtOnce = 512
const bytesAtOnce = 4 * 1024 * 1024

/** The block at `height`, or undefined when the view does not hold it. STORE_CORRUPT when it is damaged. */
export async function readBlock(
  files: SegmentFiles,
  view: View,
  height: number,
): Promise<Block | undefined> {
  if (!holds(view, height)) return undefined
  const block = await soundBlock(files, view, height)
  if (block === undefined) throw damagedError(height)
  return block
}

/** The same, but a damaged block is none. */
export async function soundBlock(
  files: SegmentFiles,
  view: View,
  height: number,
): Promise<Block | undefined> {
  const [entry] = await entriesOf(files, view, height - view.baseHeight, 1)
  return entry && decodeRecord(await readRecord(files, entry), entry, height)
}

/** What is damaged ends the run; when it is the first block, it rejects with STORE_CORRUPT. */
export async function readRange(
  files: SegmentFiles,
  view: View,
  from: number,
  { limit, maxBytes }: RangeLimits,
): Promise<Block[]> {
  const blocks: Block[] = []
  if (!holds(view, from)) return blocks
  let bytesLeft = maxBytes
  const end = Math.min(countOf(view), from - view.baseHeight + limit)
  for (let place = from - view.baseHeight; place < end; place += entriesAtOnce) {
    const wanted = Math.min(entriesAtOnce, end - place)
    const found = await entriesOf(files, view, place, wanted)
    const fitting: Entry[] = []
    for (const entry of found) {
      bytesLeft -= entry.payloadBytes
      if (bytesLeft < 0 && blocks.length + fitting.length > 0) break
      fitting.push(entry)
    }
    for (const group of neighbours(fitting)) {
      for (const block of await readGroup(files, group, from + blocks.length)) {
        if (block !== undefined) blocks.push(block)
        else if (blocks.length > 0) return blocks
        else throw damagedError(from)
      }
    }
    if (found.length === 0 && blocks.length === 0) throw damagedError(from)
    if (fitting.length < wanted) break
  }
  return blocks
}

/** Cuts entries into groups whose records lie one behind the other, each of a size to be read at once. */
function* neighbours(entries: readonly Entry[]): Generator<Entry[]> {
  let group: Entry[] = []
  let bytes = 0
  for (const entry of entries) {
    const last = group.at(-1)
    const isNext = last?.segment === entry.segment && endOf(last) === entry.offset
    if (last !== undefined && (!isNext || bytes + sizeOf(entry) > bytesAtOnce)) {
      yield group
      group = []
      bytes = 0
    }
    group.push(entry)
    bytes += sizeOf(entry)
  }
  if (group.length > 0) yield group
}

async function readGroup(
  files: SegmentFiles,
  group: readonly Entry[],
  from: number,
): Promise<(Block | undefined)[]> {
  const [first, last] = [group[0], group.at(-1)]
  if (first === undefined || last === undefined) return []
  const length = endOf(last) - first.offset
  const bytes = await files.read(segmentName(first.segment), first.offset, length)
  return group.map((entry, index) => {
    const start = entry.offset - first.offset
    return decodeRecord(bytes.subarray(start, start + sizeOf(entry)), entry, from + index)
  })
}

const sizeOf = ({ headBytes, payloadBytes }: Entry): number => headBytes + payloadBytes
const endOf = (entry: Entry): number => entry.offset + sizeOf(entry)
