import type { Block, BlockRef } from '../contracts/block-store.js'
import { crc32 } from './crc32.js'
import {
  decodeHead,
  decodeRecord,
  decodeTable,
  decodeWriteHeader,
  encodeRecord,
  encodeTable,
  encodeWriteHeader,
  recordHeightIn,
  sum,
  tableEntryBytes,
  viewOf,
  writeHeaderBytes,
  type TableEntry,
  type WriteHeader,
} from './flat-file-format.js'
import type { Entry } from './flat-file-index.js'
import type { SegmentFiles } from './segment-files.js'

export const segmentName = (number: number): string => `${String(number).padStart(8, '0')}.segment`
export const indexName = (start: number): string => `${String(start).padStart(8, '0')}.index`

const segmentPattern = /^(\d{8})\.segment$/
const indexPattern = /^(\d{8})\.index$/
export const segmentNumberOf = (name: string): number => Number(segmentPattern.exec(name)?.[1])
export const indexStartOf = (name: string): number => Number(indexPattern.exec(name)?.[1])

/** Where the next write goes. */
export interface LogEnd {
  readonly segment: number
  readonly offset: number
  readonly sequence: number
  readonly salt: bigint
}

/** A write in which nothing is left that the caller could still change. */
export interface EncodedWrite {
  readonly expectTip: BlockRef | null
  readonly ancestor: BlockRef | null
  readonly first: Omit<Block, 'payload'> | undefined
  readonly last: BlockRef | undefined
  readonly table: readonly TableEntry[]
  /** Room for the header, then the table and the records. */
  readonly bytes: Uint8Array
}

const maxPayloadBytes = 2 ** 30

/** RangeError for a block that is too large for a record. */
export function requireBlockSizes(blocks: readonly Block[]): void {
  for (const { height, payload } of blocks) {
    if (payload.length <= maxPayloadBytes) continue
    throw new RangeError(
      `block.payload must have at most ${maxPayloadBytes} bytes, not ${payload.length}, at height ${height}`,
    )
  }
}

/** Encodes a run that was checked with `requireRun`. */
export function encodeWrite(
  ancestor: BlockRef | null,
  blocks: readonly Block[],
  expectTip: BlockRef | null,
): EncodedWrite {
  const [first, last] = [blocks[0], blocks.at(-1)]
  const records = blocks.map(encodeRecord)
  const table = records.map(({ entry }) => entry)
  let offset = writeHeaderBytes + table.length * tableEntryBytes
  const bytes = new Uint8Array(offset + sum(table))
  bytes.set(encodeTable(table), writeHeaderBytes)
  for (const record of records) {
    bytes.set(record.bytes, offset)
    offset += record.bytes.length
  }
  return {
    expectTip: expectTip && refOf(expectTip),
    ancestor: ancestor && refOf(ancestor),
    first: first && { ...refOf(first), previousHash: first.previousHash },
    last: last && refOf(last),
    table,
    bytes,
  }
}

/** Puts the header in front, and says where the records will be. */
export function placeWrite(write: EncodedWrite, end: LogEnd): Entry[] {
  const { table, bytes } = write
  const tableEnd = writeHeaderBytes + table.length * tableEntryBytes
  bytes.set(
    encodeWriteHeader({
      salt: end.salt,
      sequence: end.sequence,
      ancestorHeight: write.ancestor?.height ?? null,
      count: table.length,
      tableCrc: crc32(bytes.subarray(writeHeaderBytes, tableEnd)),
      recordsBytes: sum(table),
    }),
  )
  return entriesOf(table, end.segment, end.offset + tableEnd)
}

/** A write that was found in a segment: its header and table are whole. */
export interface FoundWrite {
  readonly header: WriteHeader
  readonly table: readonly TableEntry[]
  readonly entries: readonly Entry[]
  readonly endOffset: number
}

/** The write that begins at `offset`, or undefined when none does that belongs there. */
export async function findWrite(
  files: SegmentFiles,
  segment: number,
  offset: number,
  expected: { readonly salt: bigint; readonly sequence: number | undefined; readonly size: number },
): Promise<FoundWrite | undefined> {
  const name = segmentName(segment)
  const header = decodeWriteHeader(await files.read(name, offset, writeHeaderBytes))
  if (header?.salt !== expected.salt) return undefined
  if (expected.sequence !== undefined && header.sequence !== expected.sequence) return undefined
  const tableOffset = offset + writeHeaderBytes
  const recordsOffset = tableOffset + header.count * tableEntryBytes
  const endOffset = recordsOffset + header.recordsBytes
  if (endOffset > expected.size) return undefined
  const tableBytes = await files.read(name, tableOffset, header.count * tableEntryBytes)
  const table = decodeTable(tableBytes, header)
  return table && { header, table, entries: entriesOf(table, segment, recordsOffset), endOffset }
}

/** The height of the first record, if its head is whole. */
export async function firstHeightOf(
  files: SegmentFiles,
  { entries, table }: FoundWrite,
): Promise<number | undefined> {
  const [entry, listed] = [entries[0], table[0]]
  if (entry === undefined || listed === undefined) return undefined
  const head = await files.read(segmentName(entry.segment), entry.offset, entry.headBytes)
  const height = recordHeightIn(head)
  if (height === undefined || decodeHead(head, height) === undefined) return undefined
  return viewOf(head).getUint32(0) === listed.crc ? height : undefined
}

/**
 * Whether the records of a write are whole, of consecutive heights from `firstHeight` on, and linked to
 * each other and to `below`, where that is known.
 */
export async function hasSoundRecords(
  files: SegmentFiles,
  { entries, table }: FoundWrite,
  firstHeight: number,
  below: string | undefined,
): Promise<boolean> {
  let hashBelow = below
  for (const [index, entry] of entries.entries()) {
    const bytes = await readRecord(files, entry)
    const block = decodeRecord(bytes, entry, firstHeight + index)
    if (block === undefined || viewOf(bytes).getUint32(0) !== table[index]?.crc) return false
    if (hashBelow !== undefined && block.previousHash !== hashBelow) return false
    hashBelow = block.hash
  }
  return true
}

export const readRecord = (files: SegmentFiles, entry: Entry): Promise<Uint8Array> =>
  files.read(segmentName(entry.segment), entry.offset, entry.headBytes + entry.payloadBytes)

/** The hash of the record at `entry`, or undefined when its head is damaged or of another height. */
export async function readHash(
  files: SegmentFiles,
  entry: Entry,
  height: number,
): Promise<string | undefined> {
  const head = await files.read(segmentName(entry.segment), entry.offset, entry.headBytes)
  return decodeHead(head, height)?.hash
}

function entriesOf(table: readonly TableEntry[], segment: number, from: number): Entry[] {
  let offset = from
  return table.map(({ headBytes, payloadBytes }) => {
    const entry = { segment, offset, headBytes, payloadBytes }
    offset += headBytes + payloadBytes
    return entry
  })
}

export const refOf = ({ height, hash }: BlockRef): BlockRef => ({ height, hash })
