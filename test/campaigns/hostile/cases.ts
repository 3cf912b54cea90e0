import fc from 'fast-check'
import type { SeededRandom } from 'holdfast/testing'
import { kindNumbers } from '../../../src/wire/messages.js'

/** Bytes for one attack, and how they were made. */
export interface Case {
  readonly origin: string
  readonly bytes: Buffer
}

const kinds = Object.values(kindNumbers)
const cborKinds = [0x01, 0x03, 0x30, 0x31, 0x32, 0x33, 0x34, 0x36, 0x37, 0x38]

function framed(kind: number, body: Uint8Array, length = body.length): Buffer {
  const bytes = Buffer.alloc(5 + body.length)
  bytes.writeUInt32BE(length >>> 0)
  bytes[4] = kind
  bytes.set(body, 5)
  return bytes
}

const repeated = (bytes: readonly number[], count: number): Uint8Array =>
  Uint8Array.from({ length: bytes.length * count }, (_, index) => bytes[index % bytes.length]!)

/** Bodies that try a decoder of CBOR: deep, huge by their own word, cut short, not canonical. */
const evilCbor: readonly Uint8Array[] = [
  repeated([0x81], 900),
  repeated([0xa1, 0x00], 450),
  repeated([0xd8, 0x20], 450),
  Uint8Array.of(0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0xba, 0x7f, 0xff, 0xff, 0xff, 0x61, 0x61, 0x01),
  Uint8Array.of(0x9b, 0, 0, 0, 1, 0, 0, 0, 0),
  Uint8Array.of(0x5b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0x7a, 0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0xbf, 0x61, 0x61, 0x01, 0xff),
  Uint8Array.of(0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02),
  Uint8Array.of(0xa1, 0x69, ...Buffer.from('__proto__'), 0xa1, 0x61, 0x78, 0x01),
  Uint8Array.of(0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0),
  Uint8Array.of(0xf6),
  Uint8Array.of(0xa1, 0x61, 0xff, 0x01),
  Uint8Array.of(0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
]

const anyFrame = fc
  .record({
    kind: fc.oneof(fc.constantFrom(...kinds), fc.nat(255)),
    body: fc.uint8Array({ maxLength: 200 }),
    lie: fc.option(fc.constantFrom(0, 1, 1_023, 1_025, 8_193, 2 ** 23, 2 ** 23 + 1, 2 ** 31, -1), {
      freq: 6,
    }),
  })
  .map(({ kind, body, lie }) => framed(kind, body, lie ?? body.length))

const anyBytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes))

/** An endless, repeatable supply of cases, from fast-check and from mutations of real sessions. */
export class CaseSource {
  readonly #session: readonly Buffer[]
  readonly #dice: SeededRandom
  #generated: Case[] = []

  constructor(session: readonly Buffer[], dice: SeededRandom) {
    this.#session = session
    this.#dice = dice
  }

  next(): Case {
    const die = this.#dice.next()
    if (die < 0.55) return this.#mutated()
    if (die < 0.7) {
      const kind = this.#pick(cborKinds)
      return { origin: 'evil CBOR', bytes: framed(kind, this.#pick(evilCbor)) }
    }
    return this.#generate()
  }

  #generate(): Case {
    if (this.#generated.length === 0) {
      const seed = this.#dice.integer(0, 2 ** 31 - 1)
      this.#generated = [
        ...fc
          .sample(anyFrame, { seed, numRuns: 400 })
          .map((bytes) => ({ origin: 'random frame', bytes })),
        ...fc
          .sample(anyBytes, { seed, numRuns: 100 })
          .map((bytes) => ({ origin: 'random bytes', bytes })),
      ]
    }
    return this.#generated.pop()!
  }

  #mutated(): Case {
    const bytes = Buffer.from(this.#pick(this.#session))
    const at = this.#dice.integer(0, bytes.length - 1)
    switch (this.#dice.integer(0, 8)) {
      case 0:
        bytes[at]! ^= 1 << this.#dice.integer(0, 7)
        return { origin: 'bit flipped', bytes }
      case 1:
        bytes[at] = this.#dice.integer(0, 255)
        return { origin: 'byte changed', bytes }
      case 2:
        return { origin: 'cut short', bytes: bytes.subarray(0, Math.max(1, at)) }
      case 3: {
        const body = Buffer.concat([
          bytes.subarray(5, 5 + at),
          bytes.subarray(Math.min(bytes.length, 6 + at)),
        ])
        return { origin: 'byte left out', bytes: framed(bytes[4]!, body) }
      }
      case 4: {
        const more = this.#dice.bytes(this.#dice.integer(1, 20))
        return {
          origin: 'bytes added',
          bytes: framed(bytes[4]!, Buffer.concat([bytes.subarray(5), more])),
        }
      }
      case 5:
        bytes[4] = this.#pick(kinds)
        return { origin: 'another kind', bytes }
      case 6:
        bytes.fill(this.#pick([0, 0xff, 0x7f]), Math.max(5, at), Math.min(bytes.length, at + 8))
        return { origin: 'extreme numbers', bytes }
      case 7:
        return { origin: 'out of place', bytes }
      default: {
        const other = this.#pick(this.#session)
        const body = Buffer.concat([
          bytes.subarray(5, 5 + (at >> 1)),
          other.subarray(5 + (other.length >> 1)),
        ])
        return { origin: 'two spliced', bytes: framed(bytes[4]!, body) }
      }
    }
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[this.#dice.integer(0, items.length - 1)]!
  }
}
