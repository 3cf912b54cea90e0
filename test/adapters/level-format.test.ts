import { describe, expect, test } from 'vitest'
import { crc32 } from '../../src/adapters/crc32.js'
import {
  blockKey,
  decodeBlock,
  decodeMetadata,
  decodeName,
  encodeBlock,
  encodeMetadata,
  encodeName,
  nameKey,
} from '../../src/adapters/level-format.js'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

const block = {
  height: 2 ** 40 + 258,
  hash: 'h\u00e4sh',
  previousHash: 'prev',
  payload: Uint8Array.of(1, 2, 3),
}
const ends = { base: { height: 7, hash: 'b' }, tip: { height: 300, hash: 'tip' } }

// What version 1 has written stands on people's disks: these texts change only with the version.
const written = {
  key: '620000010000000102',
  block: 'c3e9ae780000010000000102000000050000000468c3a4736870726576010203',
  name: '71f5787a000001000000010268c3a47368',
  ends: 'b3361e2c686f6c6466617374010200000000000000070000000162000000000000012c00000003746970',
  empty: '134bf380686f6c64666173740100',
}

describe('format version 1', () => {
  test('writes what it has always written', () => {
    expect(hex(blockKey(block.height))).toBe(written.key)
    expect(hex(nameKey(Number.MAX_SAFE_INTEGER))).toBe('68001fffffffffffff')
    expect(hex(encodeBlock(block))).toBe(written.block)
    expect(hex(encodeName(block))).toBe(written.name)
    expect(hex(encodeMetadata(ends))).toBe(written.ends)
    expect(hex(encodeMetadata({ base: null, tip: null }))).toBe(written.empty)
  })

  test('reads what it has always written', () => {
    expect(decodeBlock(bytes(written.block), block.height)).toEqual(block)
    expect(decodeName(bytes(written.name), block.height)).toBe(block.hash)
    expect(decodeMetadata(bytes(written.ends))).toEqual({ kind: 'ends', ends })
    expect(decodeMetadata(bytes(written.empty))).toEqual({
      kind: 'ends',
      ends: { base: null, tip: null },
    })
  })

  test('sorts keys by height', () => {
    const heights = [0, 1, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]
    const keys = heights.map((height) => hex(blockKey(height)))
    expect([...keys].sort()).toEqual(keys)
  })

  test('refuses a value of another height', () => {
    expect(decodeBlock(bytes(written.block), block.height + 1)).toBeUndefined()
    expect(decodeName(bytes(written.name), block.height + 1)).toBeUndefined()
  })

  test('refuses every value that lost its end or changed in one bit', () => {
    const values: [string, (value: Uint8Array) => unknown][] = [
      [written.block, (value) => decodeBlock(value, block.height)],
      [written.name, (value) => decodeName(value, block.height)],
      [written.ends, damagedMetadata],
      [written.empty, damagedMetadata],
    ]
    for (const [text, decode] of values) {
      const value = bytes(text)
      for (let length = 0; length < value.length; length++) {
        expect(decode(value.subarray(0, length))).toBeUndefined()
      }
      for (let bit = 0; bit < value.length * 8; bit++) {
        const changed = value.slice()
        changed[bit >> 3]! ^= 1 << (bit & 7)
        expect(decode(changed)).toBeUndefined()
      }
    }
  })

  test('tells another version from damage', () => {
    const value = bytes(written.ends)
    value[12] = 2
    new DataView(value.buffer).setUint32(0, crc32(value.subarray(4)))
    expect(decodeMetadata(value)).toEqual({ kind: 'other-version', version: 2 })
  })
})

describe('crc32', () => {
  test('is the CRC-32 of zip', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
    expect(crc32(new Uint8Array(0))).toBe(0)
  })

  test('is that of one byte after the other, at every length and alignment', () => {
    const data = Uint8Array.from({ length: 64 }, (_, index) => (index * 73) & 0xff)
    for (let start = 0; start < 9; start++) {
      for (let end = start; end <= data.length; end++) {
        expect(crc32(data.subarray(start, end))).toBe(bitByBit(data.subarray(start, end)))
      }
    }
  })
})

function damagedMetadata(value: Uint8Array): unknown {
  const metadata = decodeMetadata(value)
  return metadata.kind === 'damaged' ? undefined : metadata
}

function bitByBit(data: Uint8Array): number {
  let remainder = 0xffffffff
  for (const byte of data) {
    remainder ^= byte
    for (let bit = 0; bit < 8; bit++) {
      remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1
    }
  }
  return ~remainder >>> 0
}
