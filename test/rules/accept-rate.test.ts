import fc from 'fast-check'
import { expect, test } from 'vitest'
import { takeAccept, type AcceptBudget } from '../../src/rules/accept-rate.js'

const limits = { acceptBurst: 3, acceptIntervalMs: 1_000 }

/** What becomes of connections at these times. */
function verdicts(times: readonly number[]): string[] {
  let budget: AcceptBudget | undefined
  return times.map((nowMs) => {
    const taken = takeAccept(budget, nowMs, limits)
    budget = taken.budget
    const { verdict } = taken
    return verdict.kind === 'refuse' ? `refuse ${verdict.retryAfterMs}` : verdict.kind
  })
}

test('a burst is admitted, then as many are told when to come again, then all are dropped', () => {
  expect(verdicts([0, 0, 0, 0, 0, 0, 0, 0])).toEqual([
    ...['admit', 'admit', 'admit'],
    ...['refuse 2000', 'refuse 3000', 'drop', 'drop', 'drop'],
  ])
})

test('who comes when it was told is admitted', () => {
  expect(verdicts([0, 0, 0, 0, 2_000])).toEqual(['admit', 'admit', 'admit', 'refuse 2000', 'admit'])
  expect(verdicts([0, 0, 0, 0, 0, 3_000]).at(-1)).toBe('admit')
})

test('no more come in than the burst and one for each interval', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 1_500 }), { maxLength: 200 }), (steps) => {
      let nowMs = 0
      let admitted = 0
      let budget: AcceptBudget | undefined
      for (const step of steps) {
        nowMs += step
        const taken = takeAccept(budget, nowMs, limits)
        budget = taken.budget
        if (taken.verdict.kind === 'admit') admitted += 1
        expect(admitted).toBeLessThanOrEqual(limits.acceptBurst + nowMs / limits.acceptIntervalMs)
        expect(budget.left).toBeGreaterThan(-limits.acceptBurst)
      }
    }),
    { seed: 3, numRuns: 300 },
  )
})
