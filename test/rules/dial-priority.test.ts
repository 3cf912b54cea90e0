import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dialPriority } from '../../src/rules/dial-priority.js'

const dayMs = 86_400_000
const nowMs = Date.UTC(2026, 0, 1)
const priority = (
  wish: 'user' | 'kept' | 'known',
  lastSeenUnixMs?: number,
  isHurried = false,
): number => dialPriority({ wish, lastSeenUnixMs, isHurried })

test('the user goes before kept peers, these before those seen lately, these before all others', () => {
  const inOrder = [
    priority('user'),
    priority('kept', nowMs),
    priority('known', nowMs - 1, true),
    priority('kept', nowMs - dayMs),
    priority('kept'),
    priority('known', nowMs),
    priority('known', nowMs - 1),
    priority('known', nowMs - 30 * dayMs),
    priority('known'),
  ]
  expect(inOrder).toEqual([...inOrder].sort((a, b) => b - a))
  expect(new Set(inOrder).size).toBe(inOrder.length)
})

test('what was seen when never lifts a peer out of its band', () => {
  fc.assert(
    fc.property(fc.double(), (seen) => {
      if (Number.isNaN(seen)) return
      expect(priority('known', seen)).toBeLessThan(priority('known', undefined, true))
      expect(priority('kept', seen)).toBeLessThan(priority('user'))
      expect(priority('known', seen)).toBeGreaterThanOrEqual(priority('known'))
    }),
    { seed: 1 },
  )
})
