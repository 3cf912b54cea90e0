/** What came is not what the protocol says: the connection it came on is closed as `misbehaved`. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

const hexDigits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += hexDigits[byte] ?? ''
  return text
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

/** Writes big-endian fields into an array of a size that is known beforehand. */
export class BinaryWriter {
  readonly bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(length: number) {
    this.bytes = new Uint8Array(length)
    this.#view = new DataView(this.bytes.buffer)
  }

  u8(value: number): this {
    this.#view.setUint8(this.#offset, value)
    this.#offset += 1
    return this
  }

  u16(value: number): this {
    this.#view.setUint16(this.#offset, value)
    this.#offset += 2
    return this
  }

  u32(value: number): this {
    this.#view.setUint32(this.#offset, value)
    this.#offset += 4
    return this
  }

  /** A safe integer. */
  u64(value: number | bigint): this {
    this.#view.setBigUint64(this.#offset, BigInt(value))
    this.#offset += 8
    return this
  }

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.#offset)
    this.#offset += bytes.length
    return this
  }
}

/** Reads big-endian fields; reading past the end is a WireError. */
export class BinaryReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2))
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4))
  }

  bigU64(): bigint {
    return this.#view.getBigUint64(this.#advance(8))
  }

  /** A number of 64 bits that must be a safe integer. */
  u64(): number {
    const value = this.bigU64()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new WireError(`${value} is no safe integer`)
    return Number(value)
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
