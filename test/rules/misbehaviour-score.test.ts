import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ScoreBook, maxScores } from '../../src/registry/score-book.js'
import { afterOffence, cleanScore, decayedPoints } from '../../src/rules/misbehaviour-score.js'
import { parsePeerIp } from '../../src/rules/peer-ip.js'

const hourMs = 3_600_000
const limits = { maxMisbehaviour: 100, misbehaviourHalfLifeMs: hourMs }

test.each([
  { afterMs: 0, points: 80 },
  { afterMs: hourMs, points: 40 },
  { afterMs: 3 * hourMs, points: 10 },
  { afterMs: -hourMs, points: 80 },
])('of 80 points $points are left after $afterMs ms', ({ afterMs, points }) => {
  const score = { points: 80, atUnixMs: 10 * hourMs }
  expect(decayedPoints(score, 10 * hourMs + afterMs, limits)).toBeCloseTo(points)
})

test('five offences at once are too much, four are not, and neither are five in as many hours', () => {
  const run = (gapMs: number): boolean[] => {
    let score = cleanScore
    return [0, 1, 2, 3, 4].map((nth) => {
      const after = afterOffence(score, 20, nth * gapMs, limits)
      score = after.score
      return after.isTooMuch
    })
  }
  expect(run(0)).toEqual([false, false, false, false, true])
  expect(run(hourMs)).toEqual([false, false, false, false, false])
})

test('a score never grows without an offence, and never forgets one faster than by half in a half-life', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1_000, noNaN: true }),
      fc.nat(10 * hourMs),
      fc.nat(10 * hourMs),
      (points, firstMs, secondMs) => {
        const score = { points, atUnixMs: 0 }
        const early = decayedPoints(score, Math.min(firstMs, secondMs), limits)
        const late = decayedPoints(score, Math.max(firstMs, secondMs), limits)
        expect(late).toBeLessThanOrEqual(early)
        expect(decayedPoints(score, hourMs, limits)).toBeCloseTo(points / 2)
        // Decaying in two steps is decaying in one.
        const between = afterOffence(score, 0, firstMs, limits).score
        expect(decayedPoints(between, firstMs + secondMs, limits)).toBeCloseTo(
          decayedPoints(score, firstMs + secondMs, limits),
        )
      },
    ),
    { seed: 1, numRuns: 300 },
  )
})

test('a book of scores is bounded, and the oldest offence makes room', () => {
  const book = new ScoreBook()
  const ip = (n: number) => parsePeerIp(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`)
  for (let n = 0; n < maxScores; n += 1) book.set(ip(n), { points: n + 1, atUnixMs: n })
  // Who offends again is not the oldest any more.
  book.set(ip(0), { points: 7, atUnixMs: maxScores })
  book.set(ip(maxScores), { points: 9, atUnixMs: maxScores + 1 })
  expect(book.size).toBe(maxScores)
  expect([book.get(ip(0)), book.get(ip(1)), book.get(ip(2))]).toMatchObject([
    { points: 7 },
    { points: 0 },
    { points: 3 },
  ])
})
