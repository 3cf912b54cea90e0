import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  evictionRank,
  mayDisplace,
  neverGoes,
  type KnownPeer,
} from '../../src/rules/known-peers.js'

const peer = (changes: Partial<KnownPeer> = {}): KnownPeer => ({
  isKept: false,
  isOpen: false,
  isBanned: false,
  isHearsay: false,
  timesConnected: 0,
  failures: 0,
  seenUnixMs: 1_000,
  ...changes,
})

const told = peer({ isHearsay: true })
const named = peer()
const met = peer({ timesConnected: 1 })
const banned = peer({ timesConnected: 1, isBanned: true })

describe('who makes room', () => {
  test.each([
    { first: 'hearsay that never connected', one: told, then: named },
    { first: 'a peer that was only named', one: named, then: met },
    { first: 'a peer that was connected once', one: met, then: banned },
    { first: 'hearsay seen just now', one: { ...told, seenUnixMs: 9_000 }, then: named },
    { first: 'the one that failed more often', one: { ...met, failures: 3 }, then: met },
    { first: 'the one seen less recently', one: { ...met, seenUnixMs: 999 }, then: met },
    {
      first: 'the one that failed more often, though it was seen later',
      one: { ...told, failures: 1, seenUnixMs: 9_000 },
      then: told,
    },
  ])('$first goes before the other', ({ one, then }) => {
    expect(evictionRank(one)).toBeLessThan(evictionRank(then))
  })

  test('neither a kept peer nor a connected one does, whatever else is true of it', () => {
    const failing = { failures: 99, seenUnixMs: 0 }
    for (const held of [
      peer({ isKept: true, ...failing }),
      { ...told, isOpen: true, ...failing },
    ]) {
      expect(evictionRank(held)).toBe(neverGoes)
      expect(mayDisplace({ isHearsay: false }, evictionRank(held))).toBe(false)
    }
    expect(mayDisplace({ isHearsay: false }, evictionRank(banned))).toBe(true)
  })

  test('the order holds for any number of failures and any time of a clock', () => {
    const failures = fc.oneof(fc.nat(63), fc.nat())
    const seenUnixMs = fc.oneof(fc.nat(), fc.integer({ min: -1, max: 2 ** 42 - 1 }))
    const facts = fc.record({
      isBanned: fc.boolean(),
      isHearsay: fc.boolean(),
      timesConnected: fc.nat(2),
      failures,
      seenUnixMs,
    })
    const standing = (one: KnownPeer): number =>
      one.isBanned ? 3 : one.timesConnected > 0 ? 2 : one.isHearsay ? 0 : 1
    fc.assert(
      fc.property(facts, facts, (a, b) => {
        const [one, other] = [peer(a), peer(b)]
        const order =
          standing(one) - standing(other) ||
          Math.min(63, b.failures) - Math.min(63, a.failures) ||
          Math.max(0, a.seenUnixMs) - Math.max(0, b.seenUnixMs)
        expect(Math.sign(evictionRank(one) - evictionRank(other))).toBe(Math.sign(order))
      }),
      { seed: 33, numRuns: 1_000 },
    )
  })

  test('for hearsay, only hearsay that was dialled in vain makes room (F32)', () => {
    const facts = fc.record({
      isKept: fc.boolean(),
      isOpen: fc.boolean(),
      isBanned: fc.boolean(),
      isHearsay: fc.boolean(),
      timesConnected: fc.nat(1),
      failures: fc.nat(2),
      seenUnixMs: fc.nat(3),
    })
    let displaced = 0
    fc.assert(
      fc.property(facts, (one) => {
        const isFruitlessHearsay =
          one.isHearsay &&
          one.timesConnected === 0 &&
          one.failures > 0 &&
          !(one.isKept || one.isOpen || one.isBanned)
        expect(mayDisplace({ isHearsay: true }, evictionRank(one))).toBe(isFruitlessHearsay)
        displaced += isFruitlessHearsay ? 1 : 0
      }),
      { seed: 32, numRuns: 1_000 },
    )
    expect(displaced).toBeGreaterThan(10)
  })
})
