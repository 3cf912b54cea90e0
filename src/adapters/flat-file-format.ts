import type { Block } from '../contracts/block-store.js'
import { crc32 } from './crc32.js'

// What FlatFileBlockStore writes to its segments, format version 1.
// Numbers are big-endian, strings UTF-8. Every crc32 covers what it names, without itself.

const formatVersion = 1
const segmentMagic = 0x686f6c6466617374n // 'holdfast'
const writeMagic = 0x77726974 // 'writ'
const noAncestor = 2n ** 64n - 1n

export const segmentHeaderBytes = 32
export const writeHeaderBytes = 48
export const tableEntryBytes = 12
const recordHeadBytes = 24

export interface SegmentHeader {
  readonly number: number
  /** The segment with which the chain began that this one belongs to. */
  readonly start: number
  /** Drawn for this segment: no bytes that were written for another place can pass for its writes. */
  readonly salt: bigint
}

/** One append or replace: it keeps the chain up to the ancestor, and puts its records on top. */
export interface WriteHeader {
  readonly salt: bigint
  /** One more than that of the write before, over all segments. */
  readonly sequence: number
  /** Null where the write begins a chain of its own. */
  readonly ancestorHeight: number | null
  readonly count: number
  readonly tableCrc: number
  readonly recordsBytes: number
}

/** What the table in front of a write's records, and the index, say of a record's size. */
export interface RecordSize {
  /** Everything before the payload. */
  readonly headBytes: number
  readonly payloadBytes: number
}

export interface TableEntry extends RecordSize {
  /** The checksum with which the record begins, and which covers the payload's. */
  readonly crc: number
}

export type RecordHead = Omit<Block, 'payload'> & { readonly payloadCrc: number }

export function encodeSegmentHeader(
  { number, start, salt }: SegmentHeader,
  version = formatVersion,
): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes)
  const view = viewOf(bytes)
  view.setBigUint64(4, segmentMagic)
  view.setUint32(12, version)
  view.setUint32(16, number)
  view.setUint32(20, start)
  view.setBigUint64(24, salt)
  return sealed(bytes)
}

export function decodeSegmentHeader(
  bytes: Uint8Array,
): SegmentHeader | { readonly otherVersion: number } | undefined {
  if (!isWhole(bytes, segmentHeaderBytes)) return undefined
  const view = viewOf(bytes)
  if (view.getBigUint64(4) !== segmentMagic) return undefined
  const version = view.getUint32(12)
  if (version !== formatVersion) return { otherVersion: version }
  return {
    number: view.getUint32(16),
    start: view.getUint32(20),
    salt: view.getBigUint64(24),
  }
}

export function encodeWriteHeader(header: WriteHeader): Uint8Array {
  const bytes = new Uint8Array(writeHeaderBytes)
  const view = viewOf(bytes)
  const { ancestorHeight } = header
  view.setUint32(4, writeMagic)
  view.setBigUint64(8, header.salt)
  view.setBigUint64(16, BigInt(header.sequence))
  view.setBigUint64(24, ancestorHeight === null ? noAncestor : BigInt(ancestorHeight))
  view.setUint32(32, header.count)
  view.setUint32(36, header.tableCrc)
  view.setBigUint64(40, BigInt(header.recordsBytes))
  return sealed(bytes)
}

export function decodeWriteHeader(bytes: Uint8Array): WriteHeader | undefined {
  if (!isWhole(bytes, writeHeaderBytes)) return undefined
  const view = viewOf(bytes)
  if (view.getUint32(4) !== writeMagic) return undefined
  const ancestor = view.getBigUint64(24)
  return {
    salt: view.getBigUint64(8),
    sequence: Number(view.getBigUint64(16)),
    ancestorHeight: ancestor === noAncestor ? null : Number(ancestor),
    count: view.getUint32(32),
    tableCrc: view.getUint32(36),
    recordsBytes: Number(view.getBigUint64(40)),
  }
}

export function encodeTable(entries: readonly TableEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * tableEntryBytes)
  const view = viewOf(bytes)
  entries.forEach(({ crc, headBytes, payloadBytes }, index) => {
    view.setUint32(index * tableEntryBytes, crc)
    view.setUint32(index * tableEntryBytes + 4, headBytes)
    view.setUint32(index * tableEntryBytes + 8, payloadBytes)
  })
  return bytes
}

/** Undefined unless the bytes are the table of that write. */
export function decodeTable(bytes: Uint8Array, header: WriteHeader): TableEntry[] | undefined {
  if (bytes.length !== header.count * tableEntryBytes || crc32(bytes) !== header.tableCrc) {
    return undefined
  }
  const view = viewOf(bytes)
  const entries = Array.from({ length: header.count }, (_, index) => ({
    crc: view.getUint32(index * tableEntryBytes),
    headBytes: view.getUint32(index * tableEntryBytes + 4),
    payloadBytes: view.getUint32(index * tableEntryBytes + 8),
  }))
  return sum(entries) === header.recordsBytes ? entries : undefined
}

export const sum = (sizes: readonly RecordSize[]): number =>
  sizes.reduce((bytes, { headBytes, payloadBytes }) => bytes + headBytes + payloadBytes, 0)

export function encodeRecord({ height, hash, previousHash, payload }: Block): {
  readonly bytes: Uint8Array
  readonly entry: TableEntry
} {
  const [hashBytes, previousBytes] = [encoder.encode(hash), encoder.encode(previousHash)]
  const headBytes = recordHeadBytes + hashBytes.length + previousBytes.length
  const bytes = new Uint8Array(headBytes + payload.length)
  bytes.set(hashBytes, recordHeadBytes)
  bytes.set(previousBytes, recordHeadBytes + hashBytes.length)
  bytes.set(payload, headBytes)
  const view = viewOf(bytes)
  view.setUint32(4, crc32(bytes.subarray(headBytes)))
  view.setBigUint64(8, BigInt(height))
  view.setUint32(16, hashBytes.length)
  view.setUint32(20, previousBytes.length)
  const crc = crc32(bytes.subarray(4, headBytes))
  view.setUint32(0, crc)
  return { bytes, entry: { crc, headBytes, payloadBytes: payload.length } }
}

/** What stands before the payload, or undefined when it is damaged or of another height. */
export function decodeHead(bytes: Uint8Array, height: number): RecordHead | undefined {
  if (!isWhole(bytes, recordHeadBytes)) return undefined
  const view = viewOf(bytes)
  const hashEnd = recordHeadBytes + view.getUint32(16)
  if (view.getBigUint64(8) !== BigInt(height)) return undefined
  if (hashEnd + view.getUint32(20) !== bytes.length) return undefined
  return {
    height,
    hash: decoder.decode(bytes.subarray(recordHeadBytes, hashEnd)),
    previousHash: decoder.decode(bytes.subarray(hashEnd)),
    payloadCrc: view.getUint32(4),
  }
}

/** The height that a record's head says, before it is known whether the head is whole. */
export const recordHeightIn = (head: Uint8Array): number | undefined =>
  head.length < recordHeadBytes ? undefined : Number(viewOf(head).getBigUint64(8))

/** The block, its payload a copy of its own, or undefined when the record is damaged or of another height. */
export function decodeRecord(
  bytes: Uint8Array,
  { headBytes, payloadBytes }: RecordSize,
  height: number,
): Block | undefined {
  if (bytes.length !== headBytes + payloadBytes) return undefined
  const head = decodeHead(bytes.subarray(0, headBytes), height)
  if (head === undefined || crc32(bytes.subarray(headBytes)) !== head.payloadCrc) return undefined
  const { hash, previousHash } = head
  return { height, hash, previousHash, payload: new Uint8Array(bytes.subarray(headBytes)) }
}

/** Puts the checksum of what follows into the first four bytes. */
export function sealed(bytes: Uint8Array): Uint8Array {
  viewOf(bytes).setUint32(0, crc32(bytes.subarray(4)))
  return bytes
}

export const isWhole = (bytes: Uint8Array, minBytes: number): boolean =>
  bytes.length >= minBytes && viewOf(bytes).getUint32(0) === crc32(bytes.subarray(4))

export const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)

const encoder = new TextEncoder()
/** Without `ignoreBOM` a hash that begins with U+FEFF would lose it. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
