import type { Block, BlockRef } from '../contracts/block-store.js'
import { crc32 } from './crc32.js'

// What LevelBlockStore writes, format version 1. Numbers are big-endian, strings UTF-8.
//
//   'm'             metadata: crc32 u32 | 'holdfast' | version u8 | ends u8 (0 or 2)
//                     then base and tip: height u64 | hash bytes u32 | hash
//   'b' height u64  block: crc32 u32 | height u64 | hash bytes u32 | previous bytes u32
//                     | hash | previous hash | payload
//   'h' height u64  name: crc32 u32 | height u64 | hash
//
// Every crc32 covers the rest of its value. The height inside a value gives away one that stands under
// another's key. Names repeat what blocks say, so that looking up a hash does not read a payload.

const formatVersion = 1
const magic = 'holdfast'

/** What the metadata record says: the ends of the chain, both null when it is empty. */
export interface ChainEnds {
  readonly base: BlockRef | null
  readonly tip: BlockRef | null
}

type Metadata =
  | { readonly kind: 'ends'; readonly ends: ChainEnds }
  | { readonly kind: 'other-version'; readonly version: number }
  | { readonly kind: 'damaged' }

export const metadataKey = Uint8Array.of(0x6d)
export const blockKey = (height: number): Uint8Array => heightKey(0x62, height)
export const nameKey = (height: number): Uint8Array => heightKey(0x68, height)

/** The height in a key of a block or a name. */
export const heightOf = (key: Uint8Array): number => Number(viewOf(key).getBigUint64(1))

export function encodeBlock({ height, hash, previousHash, payload }: Block): Uint8Array {
  const hashBytes = encodeText(hash)
  const previousBytes = encodeText(previousHash)
  const value = new Uint8Array(20 + hashBytes.length + previousBytes.length + payload.length)
  const view = viewOf(value)
  view.setBigUint64(4, BigInt(height))
  view.setUint32(12, hashBytes.length)
  view.setUint32(16, previousBytes.length)
  value.set(hashBytes, 20)
  value.set(previousBytes, 20 + hashBytes.length)
  value.set(payload, 20 + hashBytes.length + previousBytes.length)
  return sealed(value)
}

/** The block of `height`, its payload a copy of its own, or undefined when `value` is damaged. */
export function decodeBlock(value: Uint8Array, height: number): Block | undefined {
  const view = viewOf(value)
  if (!isWhole(value, 20) || view.getBigUint64(4) !== BigInt(height)) return undefined
  const hashEnd = 20 + view.getUint32(12)
  const previousEnd = hashEnd + view.getUint32(16)
  if (previousEnd > value.length) return undefined
  return {
    height,
    hash: decodeText(value.subarray(20, hashEnd)),
    previousHash: decodeText(value.subarray(hashEnd, previousEnd)),
    payload: new Uint8Array(value.subarray(previousEnd)),
  }
}

export function encodeName({ height, hash }: BlockRef): Uint8Array {
  const hashBytes = encodeText(hash)
  const value = new Uint8Array(12 + hashBytes.length)
  viewOf(value).setBigUint64(4, BigInt(height))
  value.set(hashBytes, 12)
  return sealed(value)
}

/** The hash at `height`, or undefined when `value` is damaged. */
export function decodeName(value: Uint8Array, height: number): string | undefined {
  if (!isWhole(value, 12) || viewOf(value).getBigUint64(4) !== BigInt(height)) return undefined
  return decodeText(value.subarray(12))
}

export function encodeMetadata({ base, tip }: ChainEnds): Uint8Array {
  const ends = base === null || tip === null ? [] : [base, tip]
  const head = [...encodeText(magic), formatVersion, ends.length]
  return sealed(Uint8Array.from([0, 0, 0, 0, ...head, ...ends.flatMap(refBytes)]))
}

export function decodeMetadata(value: Uint8Array): Metadata {
  if (!isWhole(value, 14)) return { kind: 'damaged' }
  if (decodeText(value.subarray(4, 12)) !== magic) return { kind: 'damaged' }
  const version = value[12] ?? 0
  if (version !== formatVersion) return { kind: 'other-version', version }
  if (value[13] === 0) return { kind: 'ends', ends: { base: null, tip: null } }
  const base = refAt(value, 14)
  const tip = base && refAt(value, base.end)
  return base === undefined || tip === undefined
    ? { kind: 'damaged' }
    : { kind: 'ends', ends: { base: base.ref, tip: tip.ref } }
}

function refBytes({ height, hash }: BlockRef): number[] {
  const hashBytes = encodeText(hash)
  const head = new Uint8Array(12)
  viewOf(head).setBigUint64(0, BigInt(height))
  viewOf(head).setUint32(8, hashBytes.length)
  return [...head, ...hashBytes]
}

function refAt(value: Uint8Array, start: number): { ref: BlockRef; end: number } | undefined {
  const view = viewOf(value)
  if (start + 12 > value.length) return undefined
  const end = start + 12 + view.getUint32(start + 8)
  if (end > value.length) return undefined
  const hash = decodeText(value.subarray(start + 12, end))
  return { ref: { height: Number(view.getBigUint64(start)), hash }, end }
}

function heightKey(prefix: number, height: number): Uint8Array {
  const key = new Uint8Array(9)
  key[0] = prefix
  viewOf(key).setBigUint64(1, BigInt(height))
  return key
}

function sealed(value: Uint8Array): Uint8Array {
  viewOf(value).setUint32(0, crc32(value.subarray(4)))
  return value
}

const isWhole = (value: Uint8Array, minBytes: number): boolean =>
  value.length >= minBytes && viewOf(value).getUint32(0) === crc32(value.subarray(4))

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)

const encoder = new TextEncoder()
/** Without `ignoreBOM` a hash that begins with U+FEFF would lose it. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encodeText = (text: string): Uint8Array => encoder.encode(text)
const decodeText = (bytes: Uint8Array): string => decoder.decode(bytes)
