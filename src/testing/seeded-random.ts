import type { Random } from '../contracts/random.js'

/** The 128 bits of state of the generator; not all zero. */
export type Xoshiro128State = [number, number, number, number]

/** Steps until seeds that differ in few bits have nothing in common any more. */
const warmUpSteps = 16

/**
 * The dice of tests: the same seed gives the same run. Fast, statistically sound, and guessable, so
 * never for production.
 *
 * The generator is xoshiro128** 1.1 (Blackman and Vigna, "Scrambled Linear Pseudorandom Number
 * Generators", ACM TOMS 47, 2021; https://prng.di.unimi.it/xoshiro128starstar.c). Its state is filled
 * from the seed by a 32-bit splitmix (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
 * Generators", OOPSLA 2014), as its authors advise.
 */
export class SeededRandom implements Random {
  readonly #state: Xoshiro128State

  /** `seed` is any safe integer; seeds that differ give sequences that have nothing in common. */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed)) {
      throw new RangeError(`seed must be a safe integer, not ${String(seed)}`)
    }
    const low = splitmix32(seed)
    const high = splitmix32(Math.floor(seed / 2 ** 32))
    this.#state = [low(), high(), low(), high()]
    for (let step = 0; step < warmUpSteps; step++) xoshiro128StarStar(this.#state)
  }

  next(): number {
    const high = xoshiro128StarStar(this.#state) >>> 5
    const low = xoshiro128StarStar(this.#state) >>> 6
    return (high * 2 ** 26 + low) / 2 ** 53
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let offset = 0; offset < length; offset += 4) {
      const word = xoshiro128StarStar(this.#state)
      for (let index = offset; index < Math.min(offset + 4, length); index++) {
        bytes[index] = word >>> (8 * (index - offset))
      }
    }
    return bytes
  }

  /** A whole number from `from` to `to`, both included. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1))
  }

  /** One of `items`, which must not be empty. */
  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new RangeError('there is nothing to pick from')
    return items[this.integer(0, items.length - 1)] as Item
  }

  /** Dice of their own for a part of a test, so that one part's draws do not shift another's. */
  fork(): SeededRandom {
    return new SeededRandom(this.integer(0, Number.MAX_SAFE_INTEGER - 1))
  }
}

/** One step of xoshiro128** 1.1: advances `state` and returns 32 unsigned bits. */
export function xoshiro128StarStar(state: Xoshiro128State): number {
  const [s0, s1, s2, s3] = state
  const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0
  const t2 = s2 ^ s0
  const t3 = s3 ^ s1
  state[0] = s0 ^ t3
  state[1] = s1 ^ t2
  state[2] = t2 ^ (s1 << 9)
  state[3] = rotateLeft(t3, 11)
  return result
}

/** Murmur3's finaliser over a Weyl sequence: two outputs in a row are never both 0. */
function splitmix32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    return finalise(state)
  }
}

function finalise(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
