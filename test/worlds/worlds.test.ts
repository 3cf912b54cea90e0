import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Coverage } from './coverage.js'
import { scheduledWorldsHold, worldsHold } from './properties.js'

const seed = 1
const timeout = 180_000

describe('whole nodes in worlds that fail at random', () => {
  test(
    'have one connection per pair, the same at both ends, that nothing but a fault ends (G1 to G5)',
    { timeout },
    async () => {
      const coverage = new Coverage()
      await fc.assert(worldsHold(coverage), { seed, numRuns: 300 })
      expect(coverage.below(0.02), coverage.report()).toEqual([])
    },
  )

  test(
    'have so too when dials and listeners settle late and in any order',
    { timeout },
    async () => {
      await fc.assert(scheduledWorldsHold(new Coverage()), { seed, numRuns: 60 })
    },
  )
})
