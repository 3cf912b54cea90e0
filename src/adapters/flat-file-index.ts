import { isWhole, sealed, viewOf, type RecordSize } from './flat-file-format.js'
import { readBytes, writeBytes, type OpenFile } from './flat-file-layer.js'

// The index of one chain, format version 1: where the record of each block is, by its place above the
// base, and a checkpoint that says how far the index and the segments are surely on the disk. All of it
// can be made again from the segments.
//
//   0, 512   two slots for checkpoints, written in turn: crc32 u32 | version u32 | start u32
//              | segment u32 | salt u64 | sequence u64 | offset u64 | base height u64 | count u64
//   1,024    entries: crc32 u32 | segment u32 | offset u64 | head bytes u32 | payload bytes u32
//
// The crc32 of an entry covers its place, too: one that stands at another's gives itself away.

const formatVersion = 1
const slotBytes = 56
const slotOffsets = [0, 512] as const
const firstEntry = 1_024
const entryBytes = 24

/** Where in the segments one record is. */
export interface Entry extends RecordSize {
  readonly segment: number
  readonly offset: number
}

/** A state of the chain that outlives a power cut: read on from `offset`, and what comes after is added. */
export interface Checkpoint {
  readonly start: number
  /** Of the first segment, so that the index of another chain cannot pass for this one's. */
  readonly salt: bigint
  /** What the next write has. */
  readonly sequence: number
  readonly segment: number
  readonly offset: number
  readonly baseHeight: number
  /** Blocks. Entries from here on mean nothing. */
  readonly count: number
}

export interface FoundCheckpoint {
  readonly checkpoint: Checkpoint
  readonly slot: number
}

/** What the slots say, the newer one first. */
export async function readCheckpoints(file: OpenFile): Promise<FoundCheckpoint[]> {
  const found: FoundCheckpoint[] = []
  for (const [slot, offset] of slotOffsets.entries()) {
    const checkpoint = decodeSlot(await readBytes(file, offset, slotBytes))
    if (checkpoint !== undefined) found.push({ checkpoint, slot })
  }
  return found.sort((a, b) => b.checkpoint.sequence - a.checkpoint.sequence)
}

export async function writeCheckpoint(
  file: OpenFile,
  slot: number,
  checkpoint: Checkpoint,
): Promise<void> {
  const bytes = new Uint8Array(slotBytes)
  const view = viewOf(bytes)
  view.setUint32(4, formatVersion)
  view.setUint32(8, checkpoint.start)
  view.setUint32(12, checkpoint.segment)
  view.setBigUint64(16, checkpoint.salt)
  view.setBigUint64(24, BigInt(checkpoint.sequence))
  view.setBigUint64(32, BigInt(checkpoint.offset))
  view.setBigUint64(40, BigInt(checkpoint.baseHeight))
  view.setBigUint64(48, BigInt(checkpoint.count))
  await writeBytes(file, slotOffsets[slot === 0 ? 0 : 1], sealed(bytes))
}

/** The entries from `from` on, at most `count`, as far as they are whole. */
export async function readEntries(file: OpenFile, from: number, count: number): Promise<Entry[]> {
  const bytes = await readBytes(file, firstEntry + from * entryBytes, count * entryBytes)
  const entries: Entry[] = []
  for (let start = 0; start + entryBytes <= bytes.length; start += entryBytes) {
    const entry = decodeEntry(bytes.subarray(start, start + entryBytes), from + entries.length)
    if (entry === undefined) break
    entries.push(entry)
  }
  return entries
}

export async function writeEntries(
  file: OpenFile,
  from: number,
  entries: readonly Entry[],
): Promise<void> {
  const bytes = new Uint8Array(entries.length * entryBytes)
  entries.forEach((entry, index) => {
    bytes.set(encodeEntry(entry, from + index), index * entryBytes)
  })
  await writeBytes(file, firstEntry + from * entryBytes, bytes)
}

function decodeSlot(bytes: Uint8Array): Checkpoint | undefined {
  if (!isWhole(bytes, slotBytes)) return undefined
  const view = viewOf(bytes)
  if (view.getUint32(4) !== formatVersion) return undefined
  return {
    start: view.getUint32(8),
    segment: view.getUint32(12),
    salt: view.getBigUint64(16),
    sequence: Number(view.getBigUint64(24)),
    offset: Number(view.getBigUint64(32)),
    baseHeight: Number(view.getBigUint64(40)),
    count: Number(view.getBigUint64(48)),
  }
}

/** With the place in the last eight bytes, which are summed up and not written. */
function withPlace(bytes: Uint8Array, place: number): Uint8Array {
  const placed = new Uint8Array(entryBytes + 8)
  placed.set(bytes)
  viewOf(placed).setBigUint64(entryBytes, BigInt(place))
  return placed
}

function encodeEntry(entry: Entry, place: number): Uint8Array {
  const bytes = new Uint8Array(entryBytes)
  const view = viewOf(bytes)
  view.setUint32(4, entry.segment)
  view.setBigUint64(8, BigInt(entry.offset))
  view.setUint32(16, entry.headBytes)
  view.setUint32(20, entry.payloadBytes)
  return sealed(withPlace(bytes, place)).subarray(0, entryBytes)
}

function decodeEntry(bytes: Uint8Array, place: number): Entry | undefined {
  if (!isWhole(withPlace(bytes, place), entryBytes)) return undefined
  const view = viewOf(bytes)
  return {
    segment: view.getUint32(4),
    offset: Number(view.getBigUint64(8)),
    headBytes: view.getUint32(16),
    payloadBytes: view.getUint32(20),
  }
}
