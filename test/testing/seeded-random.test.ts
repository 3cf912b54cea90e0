import { fc, test as property } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { SeededRandom } from 'holdfast/testing'
import { xoshiro128StarStar, type Xoshiro128State } from '../../src/testing/seeded-random.js'

describe('SeededRandom', () => {
  test('the generator gives the numbers of its reference implementation', () => {
    const state: Xoshiro128State = [1, 2, 3, 4]
    const numbers = Array.from({ length: 10 }, () => xoshiro128StarStar(state))
    expect(numbers).toEqual([
      11_520, 0, 5_927_040, 70_819_200, 2_031_721_883, 1_637_235_492, 1_287_239_034, 3_734_860_849,
      3_729_100_597, 4_258_142_804,
    ])
  })

  property.prop([fc.maxSafeInteger()])('the same seed gives the same sequence', (seed) => {
    const [a, b] = [new SeededRandom(seed), new SeededRandom(seed)]
    for (let count = 0; count < 20; count++) expect(a.next()).toBe(b.next())
    expect(a.bytes(11)).toEqual(b.bytes(11))
  })

  test('seeds that differ by a single bit have no number in common', () => {
    const seeds = [0, 1, 2, -1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 52, Number.MAX_SAFE_INTEGER]
    const numbers = seeds.flatMap((seed) => {
      const random = new SeededRandom(seed)
      return Array.from({ length: 100 }, () => random.next())
    })
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  test('numbers are at least 0, less than 1, and spread evenly', () => {
    const random = new SeededRandom(7)
    const buckets = new Array<number>(10).fill(0)
    for (let count = 0; count < 100_000; count++) {
      const number = random.next()
      expect(number >= 0 && number < 1).toBe(true)
      buckets[Math.floor(number * 10)]! += 1
    }
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  })

  test('bytes are as many as were asked for, and all values occur', () => {
    const random = new SeededRandom(7)
    for (const length of [0, 1, 3, 4, 5, 16]) expect(random.bytes(length)).toHaveLength(length)
    expect(new Set(random.bytes(10_000)).size).toBe(256)
  })

  test('integer reaches both of its bounds and nothing beyond', () => {
    const random = new SeededRandom(7)
    const drawn = new Set(Array.from({ length: 200 }, () => random.integer(3, 6)))
    expect([...drawn].sort()).toEqual([3, 4, 5, 6])
  })

  test('what a fork draws does not change what its origin draws next', () => {
    const [a, b] = [new SeededRandom(7), new SeededRandom(7)]
    a.fork().bytes(1_000)
    b.fork()
    expect(a.next()).toBe(b.next())
  })

  test('seeds that are no safe integers, and empty choices, are refused', () => {
    for (const seed of [1.5, Number.NaN, 2 ** 53])
      expect(() => new SeededRandom(seed)).toThrow(RangeError)
    expect(() => new SeededRandom(1).pick([])).toThrow(RangeError)
    expect(new SeededRandom(1).pick(['only'])).toBe('only')
  })
})
