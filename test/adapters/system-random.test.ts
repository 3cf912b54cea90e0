import { describe, expect, test } from 'vitest'
import { SystemRandom } from '../../src/adapters/system-random.js'

describe('the generator of the system', () => {
  test('gives as many bytes as are asked for, and none of them twice', () => {
    const random = new SystemRandom()
    const seen = new Set<string>()
    const lengths = Array.from({ length: 3_000 }, (_, n) => [8, 16, 7, 1_000, 5_000][n % 5]!)
    for (const length of lengths) {
      const bytes = random.bytes(length)
      expect(bytes).toHaveLength(length)
      expect(bytes.byteLength).toBe(bytes.buffer.byteLength)
      seen.add(Buffer.from(bytes.subarray(0, 7)).toString('hex'))
    }
    // 56 bits each: two that are equal do not happen.
    expect(seen.size).toBe(lengths.length)
    expect(random.bytes(0)).toHaveLength(0)
  })

  test('keeps what it gave away out of reach of who changes it', () => {
    const random = new SystemRandom()
    const first = random.bytes(8)
    const copy = first.slice()
    random.bytes(8).fill(0xff)
    expect(first).toEqual(copy)
  })

  test('gives numbers from 0 on and below 1, of 53 bits, spread evenly', () => {
    const random = new SystemRandom()
    const numbers = Array.from({ length: 20_000 }, () => random.next())
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true)
    expect(numbers.some((number) => (number * 2 ** 53) % 2 === 1)).toBe(true)
    for (let tenth = 0; tenth < 10; tenth++) {
      const count = numbers.filter((number) => Math.floor(number * 10) === tenth).length
      // 2,000 are expected; eight standard deviations of 42.
      expect(Math.abs(count - 2_000)).toBeLessThan(340)
    }
  })
})
