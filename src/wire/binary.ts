/** What came is not what the protocol says: the connection it came on is closed as `misbehaved`. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

const hexCodes = Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Of a few bytes, such as a hash. In one step: text that is put together is put together anew to compare it. */
export function toHex(bytes: Uint8Array): string {
  const codes: number[] = []
  for (const byte of bytes) codes.push(hexCodes[byte >>> 4] ?? 0, hexCodes[byte & 15] ?? 0)
  return String.fromCharCode(...codes)
}

/** The bytes of an even number of lower-case hexadecimal digits, or undefined for anything else. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0) return undefined
  const bytes = new Uint8Array(text.length / 2)
  for (let index = 0; index < bytes.length; index += 1) {
    const high = digitOf(text.charCodeAt(2 * index))
    const low = digitOf(text.charCodeAt(2 * index + 1))
    if (high < 0 || low < 0) return undefined
    bytes[index] = high * 16 + low
  }
  return bytes
}

export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** As much of `text` as fits into `maxBytes` of UTF-8, cut between characters. */
export function clipUtf8(text: string, maxBytes: number): string {
  return text.slice(0, encoder.encodeInto(text, new Uint8Array(maxBytes)).read)
}

/** Text of exactly these bytes; ill-formed UTF-8 is a WireError. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new WireError('text is not UTF-8')
  }
}

function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  if (code >= 0x61 && code <= 0x66) return code - 0x61 + 10
  return -1
}

const twoTo32 = 2 ** 32

/**
 * Writes big-endian fields into an array of a size that is known beforehand. Without a DataView: one would
 * move the bytes of every small frame out of the heap, at several times the cost of writing them.
 */
export class BinaryWriter {
  readonly bytes: Uint8Array
  #offset = 0

  constructor(length: number) {
    this.bytes = new Uint8Array(length)
  }

  /** Of what was written so far. */
  get length(): number {
    return this.#offset
  }

  u8(value: number): this {
    this.#reserve(1)
    this.bytes[this.#offset++] = value
    return this
  }

  u16(value: number): this {
    this.#reserve(2)
    this.bytes[this.#offset++] = value >>> 8
    this.bytes[this.#offset++] = value
    return this
  }

  u32(value: number): this {
    this.#reserve(4)
    this.bytes[this.#offset++] = value >>> 24
    this.bytes[this.#offset++] = value >>> 16
    this.bytes[this.#offset++] = value >>> 8
    this.bytes[this.#offset++] = value
    return this
  }

  /** A safe integer that is not negative, or a bigint below 2^64. */
  u64(value: number | bigint): this {
    if (typeof value === 'number') return this.u32(Math.floor(value / twoTo32)).u32(value % twoTo32)
    return this.u32(Number(value >> 32n)).u32(Number(value & 0xffff_ffffn))
  }

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.#offset)
    this.#offset += bytes.length
    return this
  }

  /** What does not fit would be lost without a word. */
  #reserve(length: number): void {
    if (this.#offset + length > this.bytes.length)
      throw new Error(`bug: ${length} bytes more than the ${this.bytes.length} that were planned`)
  }
}

/** The number of 64 bits that begins at `offset`, which must be there. */
export function readBigU64(bytes: Uint8Array, offset: number): bigint {
  return BigInt(readU32(bytes, offset)) * 0x1_0000_0000n + BigInt(readU32(bytes, offset + 4))
}

/** The number of 32 bits that begins at `offset`, which must be there. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset) * 0x1_0000 + readU16(bytes, offset + 2)
}

/** The number of 16 bits that begins at `offset`, which must be there. */
export function readU16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) * 0x100 + (bytes[offset + 1] ?? 0)
}

/** Reads big-endian fields; reading past the end is a WireError. */
export class BinaryReader {
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  u8(): number {
    return this.#bytes[this.#advance(1)] ?? 0
  }

  u16(): number {
    return readU16(this.#bytes, this.#advance(2))
  }

  u32(): number {
    return readU32(this.#bytes, this.#advance(4))
  }

  bigU64(): bigint {
    return readBigU64(this.#bytes, this.#advance(8))
  }

  /** A number of 64 bits that must be a safe integer. */
  u64(): number {
    const start = this.#advance(8)
    const value = readU32(this.#bytes, start) * twoTo32 + readU32(this.#bytes, start + 4)
    if (Number.isSafeInteger(value)) return value
    throw new WireError(`${readBigU64(this.#bytes, start)} is no safe integer`)
  }

  /** A view of the next `length` bytes. */
  raw(length: number): Uint8Array {
    const start = this.#advance(length)
    return this.#bytes.subarray(start, start + length)
  }

  rest(): Uint8Array {
    return this.raw(this.remaining)
  }

  /** The body must end here. */
  end(): void {
    if (this.remaining !== 0) throw new WireError(`${this.remaining} bytes too many`)
  }

  #advance(length: number): number {
    if (this.remaining < length)
      throw new WireError(`ends ${length - this.remaining} bytes too early`)
    const start = this.#offset
    this.#offset += length
    return start
  }
}
