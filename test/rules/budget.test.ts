import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fullBudget, minBudgetWaitMs, refilled, waitMs } from '../../src/rules/budget.js'

const limits = { perSecond: 100, burst: 200 }

test('a budget starts full, and never holds more than its burst', () => {
  const full = fullBudget(limits, 5_000)
  expect(full.level).toBe(200)
  expect(refilled(full, limits, 3_600_000).level).toBe(200)
})

test.each([
  { level: 0, wait: 0 },
  { level: 10, wait: 0 },
  { level: -1, wait: minBudgetWaitMs },
  { level: -10, wait: 100 },
  { level: -1_000, wait: 10_000 },
])('an overdrawn budget of $level waits $wait ms', ({ level, wait }) => {
  expect(waitMs({ level, atMs: 0 }, limits)).toBe(wait)
})

test('a clock that goes back brings nothing', () => {
  expect(refilled({ level: 7, atMs: 1_000 }, limits, 0)).toEqual({ level: 7, atMs: 0 })
})

test('who waits as told takes no more than the rate and one burst, whatever he takes at a time', () => {
  fc.assert(
    fc.property(
      fc.record({
        perSecond: fc.integer({ min: 1, max: 10_000 }),
        burst: fc.integer({ min: 1, max: 10_000 }),
      }),
      fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 50 }),
      (budget, costs) => {
        let state = fullBudget(budget, 0)
        let nowMs = 0
        let taken = 0
        for (const cost of costs) {
          state = refilled({ ...state, level: state.level - cost }, budget, nowMs)
          taken += cost
          nowMs += waitMs(state, budget)
          state = refilled(state, budget, nowMs)
          // What was waited for is there: rounding up to whole milliseconds loses nothing.
          expect(state.level).toBeGreaterThanOrEqual(-1e-6)
        }
        expect(taken).toBeLessThanOrEqual(budget.burst + (nowMs * budget.perSecond) / 1_000 + 1e-3)
      },
    ),
    { seed: 1, numRuns: 500 },
  )
})
