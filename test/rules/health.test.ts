import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judgeHealth, type HealthFacts } from '../../src/rules/health.js'

const running: HealthFacts = {
  state: 'running',
  connected: 0,
  isAnyWanted: false,
  isDialing: false,
  aloneMs: 0,
}

describe('health tells "connecting", "no peers" and "isolated" apart (F114)', () => {
  test.each<{ facts: Partial<HealthFacts>; health: string }>([
    { facts: { state: 'stopped' }, health: 'stopped' },
    { facts: { state: 'starting', isAnyWanted: true }, health: 'starting' },
    { facts: { state: 'stopping', connected: 3 }, health: 'stopping' },
    { facts: {}, health: 'no-peers' },
    { facts: { aloneMs: 1e9 }, health: 'no-peers' },
    { facts: { isDialing: true }, health: 'connecting' },
    { facts: { isAnyWanted: true }, health: 'connecting' },
    { facts: { isAnyWanted: true, isDialing: true, aloneMs: 59_999 }, health: 'connecting' },
    { facts: { isAnyWanted: true, isDialing: true, aloneMs: 60_000 }, health: 'isolated' },
    { facts: { isAnyWanted: true, aloneMs: 60_000 }, health: 'isolated' },
    { facts: { connected: 1 }, health: 'connected' },
    { facts: { connected: 1, isAnyWanted: true, aloneMs: 1e9 }, health: 'connected' },
  ])('$facts is $health', ({ facts, health }) => {
    expect(judgeHealth({ ...running, ...facts }, 60_000)).toBe(health)
  })

  test('a node with an established connection is never reported as isolated (F114)', () => {
    fc.assert(
      fc.property(
        fc.record({
          state: fc.constantFrom('stopped', 'starting', 'running', 'stopping'),
          connected: fc.integer({ min: 1, max: 200 }),
          isAnyWanted: fc.boolean(),
          isDialing: fc.boolean(),
          aloneMs: fc.nat(),
        }),
        fc.nat(),
        (facts, isolatedAfterMs) => {
          expect(judgeHealth(facts, isolatedAfterMs)).not.toBe('isolated')
        },
      ),
      { seed: 1 },
    )
  })
})
