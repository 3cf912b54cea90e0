/**
 * `tables[256 * k + b]` is the remainder of the byte `b` followed by `k` zero bytes, so that eight bytes
 * are taken in one step ("slicing by 8", Kounavis and Berry, 2005): three times as fast as one by one.
 */
const tables = makeTables()

/** The CRC-32 of zip, PNG and IEEE 802.3. `node:zlib` has one too, but browsers do not. */
export function crc32(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let crc = -1
  let i = 0
  for (; i + 8 <= bytes.length; i += 8) {
    const low = crc ^ view.getInt32(i, true)
    const high = view.getInt32(i + 4, true)
    crc =
      (tables[0x700 | (low & 0xff)] ?? 0) ^
      (tables[0x600 | ((low >>> 8) & 0xff)] ?? 0) ^
      (tables[0x500 | ((low >>> 16) & 0xff)] ?? 0) ^
      (tables[0x400 | (low >>> 24)] ?? 0) ^
      (tables[0x300 | (high & 0xff)] ?? 0) ^
      (tables[0x200 | ((high >>> 8) & 0xff)] ?? 0) ^
      (tables[0x100 | ((high >>> 16) & 0xff)] ?? 0) ^
      (tables[high >>> 24] ?? 0)
  }
  for (; i < bytes.length; i++) {
    crc = (tables[(crc ^ view.getUint8(i)) & 0xff] ?? 0) ^ (crc >>> 8)
  }
  return ~crc >>> 0
}

function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) {
      remainder = remainder & 1 ? 0xedb88320 ^ (remainder >>> 1) : remainder >>> 1
    }
    made[byte] = remainder
  }
  for (let index = 256; index < made.length; index++) {
    const shorter = made[index - 256] ?? 0
    made[index] = (made[shorter & 0xff] ?? 0) ^ (shorter >>> 8)
  }
  return made
}
