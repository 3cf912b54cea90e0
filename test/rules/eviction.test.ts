import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { selectEviction, type EvictionCandidate } from '../../src/rules/eviction.js'

/** Sixteen to thirty-one: one is protected by each thing, and half of the rest by its age. */
const crowd = (count: number, subnet = 'large'): EvictionCandidate[] =>
  Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    subnet,
    roundTripMs: 100 + index,
    establishedAtMs: 1_000 + index,
    usefulAtMs: undefined,
    isReserved: false,
  }))
const stranger = { subnet: 'elsewhere' }
const select = (candidates: readonly EvictionCandidate[], newcomer = stranger) =>
  selectEviction(candidates, newcomer, 'salt')
const change = (
  candidates: readonly EvictionCandidate[],
  id: number,
  to: Partial<EvictionCandidate>,
): EvictionCandidate[] => candidates.map((other) => (other.id === id ? { ...other, ...to } : other))

describe('who makes room', () => {
  test('is the youngest of the largest subnet', () => {
    expect(select(crowd(20))).toBe(20)
    const mixed = crowd(20).map((other) => (other.id > 14 ? { ...other, subnet: 'small' } : other))
    expect(select(mixed)).toBe(14)
  })

  test.each<{ why: string; to: Partial<EvictionCandidate> }>([
    { why: 'is kept or allowed', to: { isReserved: true } },
    { why: 'has the lowest round trip', to: { roundTripMs: 1 } },
    { why: 'was last of use', to: { usefulAtMs: 5 } },
    { why: 'is connected longest', to: { establishedAtMs: 1 } },
  ])('is nobody who $why', ({ to }) => {
    expect(select(change(crowd(20), 20, to))).not.toBe(20)
    expect(select(change(crowd(20), 20, to))).toBeDefined()
  })

  test('is nobody of the half that is connected longest, be its subnet the largest', () => {
    const oldAndMany = crowd(20).map((other) =>
      other.id > 8 ? { ...other, subnet: `subnet ${other.id}` } : other,
    )
    expect(select(oldAndMany)).toBeGreaterThan(8)
  })

  test('is, of each subnet that this node prefers in secret, not the first', () => {
    // All alone in their subnets: whom the salt prefers differs from node to node.
    const alone = crowd(20).map((other) => ({ ...other, subnet: `subnet ${other.id}` }))
    const evicted = Array.from({ length: 200 }, (_, n) => selectEviction(alone, stranger, `${n}`))
    expect(new Set(evicted)).toEqual(new Set([20, 19]))
  })

  test('is nobody when the newcomer’s own subnet is as large', () => {
    expect(select(crowd(20), { subnet: 'large' })).toBeUndefined()
    const alone = crowd(20).map((other) => ({ ...other, subnet: `subnet ${other.id}` }))
    expect(select(alone, { subnet: 'subnet 3' })).toBeUndefined()
    expect(select(alone)).toBeDefined()
  })

  test('is nobody when there are too few for anybody to be unprotected, or all are reserved', () => {
    expect(select([])).toBeUndefined()
    expect(select(crowd(2))).toBeUndefined()
    expect(select(crowd(20).map((other) => ({ ...other, isReserved: true })))).toBeUndefined()
  })

  test('is never reserved, and never leaves fewer subnets than there were, whatever the candidates are', () => {
    const candidate = fc.record({
      subnet: fc.constantFrom('a', 'b', 'c', 'd'),
      roundTripMs: fc.option(fc.nat(500), { nil: undefined }),
      establishedAtMs: fc.nat(1e6),
      usefulAtMs: fc.option(fc.nat(1e6), { nil: undefined }),
      isReserved: fc.boolean(),
    })
    fc.assert(
      fc.property(
        fc.array(candidate, { maxLength: 60 }),
        fc.constantFrom('a', 'e'),
        fc.string(),
        (drawn, subnet, salt) => {
          const candidates = drawn.map((other, id) => ({ ...other, id }))
          const evicted = candidates.find(
            ({ id }) => id === selectEviction(candidates, { subnet }, salt),
          )
          if (evicted === undefined) return
          expect(evicted.isReserved).toBe(false)
          const subnets = (of: readonly { readonly subnet: string }[]): number =>
            new Set(of.map((other) => other.subnet)).size
          const after = [...candidates.filter((other) => other !== evicted), { subnet }]
          expect(subnets(after)).toBeGreaterThanOrEqual(subnets(candidates))
        },
      ),
      { seed: 9, numRuns: 500 },
    )
  })
})
