import { decodeSegmentHeader, segmentHeaderBytes, type SegmentHeader } from './flat-file-format.js'
import { readCheckpoints } from './flat-file-index.js'
import {
  findWrite,
  firstHeightOf,
  hasSoundRecords,
  indexName,
  indexStartOf,
  segmentName,
  segmentNumberOf,
} from './flat-file-log.js'
import { corrupt } from './flat-file-view.js'
import type { SegmentFiles } from './segment-files.js'

/** The segments of the chain that counts. */
export interface FoundSegments {
  readonly start: number
  readonly last: number
  /** Of the first one. */
  readonly salt: bigint
  /** What writes that never were whole take up in files of their own. */
  readonly tornBytes: number
  /** Removes all files of ours that do not belong to it. */
  removeOthers(): Promise<void>
}

/**
 * Finds the newest chain whose first write is whole. What a crash left above it is told apart from
 * damage by the order in which files are written: a segment's header is on the disk before anything
 * else in it, and an index has a checkpoint only when the first write is on the disk.
 */
export async function findSegments(files: SegmentFiles): Promise<FoundSegments | undefined> {
  const names = await files.list()
  const numbers = names.map(segmentNumberOf).filter((number) => number > 0)
  numbers.sort((a, b) => b - a)
  let tornBytes = 0
  for (const last of numbers) {
    const size = await sizeOf(files, segmentName(last))
    const header = await readSegmentHeader(files, last)
    if (header === undefined) {
      if (size > segmentHeaderBytes) throw notOurs(last)
      tornBytes += size
      continue
    }
    if (header.number !== last || header.start > last) throw notOurs(last)
    if (header.start === last && !(await isBorn(files, header, size))) {
      tornBytes += size - segmentHeaderBytes
      continue
    }
    const { start } = header
    for (let number = start; number < last; number++) {
      if (!numbers.includes(number)) throw corrupt(`${segmentName(number)} is missing`)
    }
    const { salt } = start === last ? header : await requireHeader(files, start)
    const belongs = (number: number): boolean => number >= start && number <= last
    const others = names.filter(
      (name) =>
        (segmentNumberOf(name) > 0 && !belongs(segmentNumberOf(name))) ||
        (indexStartOf(name) > 0 && indexStartOf(name) !== start),
    )
    return { start, last, salt, tornBytes, removeOthers: () => removeAll(files, others) }
  }
  const ours = names.filter((name) => segmentNumberOf(name) > 0 || indexStartOf(name) > 0)
  await removeAll(files, ours)
  return undefined
}

/** STORE_CORRUPT when the segment is not one of ours, or its header is damaged. */
export async function requireHeader(files: SegmentFiles, number: number): Promise<SegmentHeader> {
  const header = await readSegmentHeader(files, number)
  if (header?.number !== number) throw notOurs(number)
  return header
}

export const sizeOf = (files: SegmentFiles, name: string): Promise<number> =>
  files.use(name, (file) => file.size())

async function readSegmentHeader(
  files: SegmentFiles,
  number: number,
): Promise<SegmentHeader | undefined> {
  const header = decodeSegmentHeader(await files.read(segmentName(number), 0, segmentHeaderBytes))
  if (header === undefined || !('otherVersion' in header)) return header
  throw corrupt(
    `${segmentName(number)} has format version ${header.otherVersion}, which this version cannot read`,
  )
}

/** Whether the first write of a chain was ever whole. */
async function isBorn(
  files: SegmentFiles,
  { number, salt }: SegmentHeader,
  size: number,
): Promise<boolean> {
  const checkpoints = await files.use(indexName(number), readCheckpoints).catch(() => [])
  if (checkpoints.some(({ checkpoint }) => checkpoint.salt === salt)) return true
  const expected = { salt, sequence: undefined, size }
  const write = await findWrite(files, number, segmentHeaderBytes, expected)
  if (write?.header.ancestorHeight !== null) return false
  if (write.header.count === 0) return true
  const height = await firstHeightOf(files, write)
  return height !== undefined && hasSoundRecords(files, write, height, undefined)
}

async function removeAll(files: SegmentFiles, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  for (const name of names) await files.remove(name)
  await files.syncFolder()
}

const notOurs = (number: number): Error =>
  corrupt(`${segmentName(number)} is damaged at its beginning, or is no segment of a block store`)
