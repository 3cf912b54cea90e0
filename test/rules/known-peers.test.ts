import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chooseEvicted, compareForEviction, type KnownPeer } from '../../src/rules/known-peers.js'

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
    expect(compareForEviction(one, then)).toBeLessThan(0)
    expect(compareForEviction(then, one)).toBeGreaterThan(0)
    expect(chooseEvicted([then, one, then], { isHearsay: false })).toBe(one)
  })

  test('neither a kept peer nor a connected one does, whatever else is true of it', () => {
    const failing = { failures: 99, seenUnixMs: 0 }
    const held = [peer({ isKept: true, ...failing }), { ...told, isOpen: true, ...failing }]
    expect(chooseEvicted(held, { isHearsay: false })).toBeUndefined()
    expect(chooseEvicted([...held, banned], { isHearsay: false })).toBe(banned)
  })

  const seldom = fc.nat(4).map((number) => number === 0)
  const anyPeer: fc.Arbitrary<KnownPeer> = fc.record({
    isKept: seldom,
    isOpen: seldom,
    isBanned: seldom,
    isHearsay: fc.boolean(),
    timesConnected: fc.nat(2),
    failures: fc.nat(3),
    seenUnixMs: fc.nat(3),
  })

  test('for hearsay, only hearsay that was dialled in vain makes room (F32)', () => {
    let displaced = 0
    fc.assert(
      fc.property(fc.array(anyPeer), (peers) => {
        const evicted = chooseEvicted(peers, { isHearsay: true })
        const mayGo = peers.filter(
          (one) =>
            one.isHearsay &&
            one.timesConnected === 0 &&
            one.failures > 0 &&
            !(one.isKept || one.isOpen || one.isBanned),
        )
        if (mayGo.length === 0) expect(evicted).toBeUndefined()
        else expect(mayGo).toContain(evicted)
        displaced += mayGo.length > 0 ? 1 : 0
      }),
      { seed: 32, numRuns: 500 },
    )
    expect(displaced).toBeGreaterThan(50)
  })

  test('it is the lowest of a total order, and nobody is chosen only when nobody may go', () => {
    fc.assert(
      fc.property(fc.array(anyPeer, { minLength: 1 }), (peers) => {
        const evicted = chooseEvicted(peers, { isHearsay: false })
        const mayGo = peers.filter(({ isKept, isOpen }) => !isKept && !isOpen)
        expect(evicted === undefined).toBe(mayGo.length === 0)
        if (evicted === undefined) return
        for (const other of mayGo) {
          expect(compareForEviction(evicted, other)).toBeLessThanOrEqual(0)
          expect(Math.sign(compareForEviction(other, evicted))).toBe(
            -Math.sign(compareForEviction(evicted, other)) + 0,
          )
        }
      }),
      { seed: 33 },
    )
  })
})
