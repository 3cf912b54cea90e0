import { decode, encode, Tokenizer, Type, type Token } from 'cborg'
import { fromHex, fromUtf8, toHex, utf8, WireError } from './binary.js'

const decodeOptions = {
  useMaps: true,
  strict: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowNaN: false,
  allowInfinity: false,
  retainStringBytes: true,
}

/** Values in one body, nested ones included: the longest `headers` has some 6,000. */
export const maxCborItems = 16_384

/**
 * Bounds the work of reading a body. Text is exactly its bytes: cborg alone lets ill-formed UTF-8 pass
 * and drops a byte order mark.
 */
class CarefulTokenizer extends Tokenizer {
  #items = 0

  override next(): Token {
    this.#items += 1
    if (this.#items > maxCborItems) throw new WireError(`more than ${maxCborItems} values`)
    const token = super.next()
    if (token.type === Type.string && token.byteValue !== undefined) {
      token.value = fromUtf8(token.byteValue)
    }
    return token
  }
}

/**
 * The bodies of control messages: one CBOR map (RFC 8949) with text keys. Keys that a reader does not
 * know are ignored, so that later versions can add some.
 */
export function encodeFields(fields: Record<string, unknown>): Uint8Array {
  return encode(fields, { ignoreUndefinedProperties: true })
}

/** Reads the fields of a map, each checked for type and range; anything else is a WireError. */
export class CborFields {
  readonly #fields: Map<unknown, unknown>

  constructor(body: Uint8Array) {
    let value: unknown
    try {
      const tokenizer = new CarefulTokenizer(body, decodeOptions)
      value = decode(body, { ...decodeOptions, tokenizer })
    } catch (error) {
      throw new WireError(
        `body is not CBOR: ${error instanceof Error ? error.message : 'unreadable'}`,
      )
    }
    if (!(value instanceof Map)) throw new WireError('body is not a CBOR map')
    this.#fields = value
  }

  has(key: string): boolean {
    const value = this.#fields.get(key)
    return value !== undefined && value !== null
  }

  /** A whole number from `min` to `max`. */
  integer(key: string, min: number, max: number): number {
    return checkInteger(key, this.#fields.get(key), min, max)
  }

  text(key: string, maxBytes: number): string {
    return checkText(key, this.#fields.get(key), maxBytes)
  }

  /** A copy of a byte string. */
  bytes(key: string, minLength: number, maxLength: number): Uint8Array {
    return checkBytes(key, this.#fields.get(key), minLength, maxLength)
  }

  boolean(key: string): boolean {
    const value = this.#fields.get(key)
    if (typeof value !== 'boolean') throw new WireError(`'${key}' is not a boolean`)
    return value
  }

  hash(key: string, maxBytes: number): string {
    return checkHash(key, this.#fields.get(key), maxBytes)
  }

  list(key: string, maxLength: number): readonly unknown[] {
    return checkList(key, this.#fields.get(key), maxLength)
  }
}

export function checkInteger(key: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    throw new WireError(`'${key}' is not a whole number from ${min} to ${max}`)
  }
  // CBOR has a negative zero.
  return value === 0 ? 0 : value
}

export function checkText(key: string, value: unknown, maxBytes: number): string {
  if (typeof value !== 'string' || utf8(value).length > maxBytes) {
    throw new WireError(`'${key}' is not a text of at most ${maxBytes} bytes`)
  }
  return value
}

export function checkBytes(
  key: string,
  value: unknown,
  minLength: number,
  maxLength: number,
): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length < minLength || value.length > maxLength) {
    throw new WireError(`'${key}' is not a byte string of ${minLength} to ${maxLength} bytes`)
  }
  return Uint8Array.from(value)
}

export function checkList(key: string, value: unknown, maxLength: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > maxLength) {
    throw new WireError(`'${key}' is not a list of at most ${maxLength} entries`)
  }
  return value
}

/** Hashes travel as bytes where they are lower-case hexadecimal, and as text otherwise. */
export function hashField(hash: string): Uint8Array | string {
  return fromHex(hash) ?? hash
}

export function checkHash(key: string, value: unknown, maxBytes: number): string {
  if (value instanceof Uint8Array) return toHex(checkBytes(key, value, 0, maxBytes))
  return checkText(key, value, maxBytes)
}
