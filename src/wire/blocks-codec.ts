import type { Block } from '../contracts/block-store.js'
import type { BlocksMessage } from '../contracts/sync-messages.js'
import { BinaryReader, BinaryWriter, fromHex, fromUtf8, toHex, utf8, WireError } from './binary.js'
import { maxHashBytes } from './messages.js'

const lastFlag = 1
const textFlag = 0x80

/** Payloads up to this are copied: a part of its own costs more to send than so many bytes. */
const maxCopiedBytes = 1024

/**
 * The body of a `blocks` message, as parts to be sent in a row: large payloads are not copied. Only the
 * first block's height and previous hash are in it, because a chunk is a contiguous run.
 */
export function encodeBlocks(message: BlocksMessage): Uint8Array[] {
  const { id, blocks, last } = message
  const first = blocks[0]
  const previous = hashBytes(first?.previousHash ?? '')
  const hashes = blocks.map(({ hash }) => hashBytes(hash))
  let length = 4 + 1 + 2 + 8 + 1 + previous.bytes.length
  for (const [index, { payload }] of blocks.entries()) {
    length += 1 + (hashes[index]?.bytes.length ?? 0) + 4
    if (payload.length <= maxCopiedBytes) length += payload.length
  }
  const writer = new BinaryWriter(length)
    .u32(id)
    .u8(last ? lastFlag : 0)
    .u16(blocks.length)
    .u64(first?.height ?? 0)
    .u8(previous.header)
    .raw(previous.bytes)
  const parts: Uint8Array[] = []
  let written = 0
  for (const [index, { payload }] of blocks.entries()) {
    const hash = hashes[index] ?? previous
    writer.u8(hash.header).raw(hash.bytes).u32(payload.length)
    if (payload.length <= maxCopiedBytes) writer.raw(payload)
    else {
      parts.push(writer.bytes.subarray(written, writer.length), payload)
      written = writer.length
    }
  }
  if (written < writer.length) parts.push(writer.bytes.subarray(written))
  return parts
}

export function decodeBlocks(body: Uint8Array): BlocksMessage {
  const reader = new BinaryReader(body)
  const id = reader.u32()
  const flags = reader.u8()
  const count = reader.u16()
  const from = reader.u64()
  let previousHash = readHash(reader)
  const blocks: Block[] = []
  for (let index = 0; index < count; index += 1) {
    const height = from + index
    if (!Number.isSafeInteger(height)) throw new WireError(`height ${height} is no safe integer`)
    const hash = readHash(reader)
    const payload = reader.raw(reader.u32())
    blocks.push({ height, hash, previousHash, payload })
    previousHash = hash
  }
  reader.end()
  return { kind: 'blocks', id, blocks, last: (flags & lastFlag) !== 0 }
}

function hashBytes(hash: string): { header: number; bytes: Uint8Array } {
  const hex = fromHex(hash)
  const bytes = hex ?? utf8(hash)
  if (bytes.length > maxHashBytes) {
    throw new RangeError(`a hash has at most ${maxHashBytes} bytes, not ${bytes.length}`)
  }
  return { header: bytes.length | (hex === undefined ? textFlag : 0), bytes }
}

function readHash(reader: BinaryReader): string {
  const header = reader.u8()
  const bytes = reader.raw(header & ~textFlag)
  return (header & textFlag) === 0 ? toHex(bytes) : fromUtf8(bytes)
}
