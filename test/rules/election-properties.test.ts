import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  arbiterOf,
  emptySlot,
  mayStartDial,
  stepElection,
  type SlotEvent,
} from '../../src/rules/election.js'
import { parsePeerIp } from '../../src/rules/peer-ip.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { ElectionWorld } from './support/election-world.js'

const seed = 7

describe('in every order of events that real connections allow', () => {
  test('there is at most one incumbent, never replaced before it is lost, and nothing is left dangling (F20)', () => {
    const met = new Map<string, number>()
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 60 }), (worldSeed, steps) => {
        const world = new ElectionWorld()
        const random = new SeededRandom(worldSeed)
        for (let step = 0; step < steps; step++) world.step(() => random.next())
        for (const [what, count] of world.counts) met.set(what, (met.get(what) ?? 0) + count)
      }),
      { seed, numRuns: 2_000 },
    )
    // A property that never meets a rule says nothing about it.
    for (const what of [
      'abortDial',
      'sendReady',
      'close',
      'established',
      'lost',
      'challenge',
      'setTimer',
      'cancelTimer',
      'dialConnected',
      'readyReceived',
      'challengeAnswered',
      'handshakeExpired',
      'confirmExpired',
      'holdExpired',
      'heldExpired',
      'challengeExpired',
    ]) {
      expect(met.get(what) ?? 0, what).toBeGreaterThan(100)
    }
  })

  test('the same events give the same effects, and the state before is left as it was', () => {
    fc.assert(
      fc.property(fc.array(arbitraryEvent(), { maxLength: 40 }), (events) => {
        let state = emptySlot
        for (const event of events) {
          const before = structuredClone(state)
          const step = stepElection(deepFreeze(state), event)
          expect(state).toEqual(before)
          expect(stepElection(before, event)).toEqual(step)
          state = step.state
        }
      }),
      { seed, numRuns: 500 },
    )
  })
})

/** Not only what real connections do: any event about any of a few ids, again and again. */
test('in any order of any events at all there is at most one incumbent, one dial and the limit of candidates (F20)', () => {
  fc.assert(
    fc.property(fc.array(arbitraryEvent(), { maxLength: 60 }), (events) => {
      let state = emptySlot
      for (const event of events) {
        const before = state
        const { state: next, effects } = stepElection(before, event)
        state = next
        let incumbent = before.incumbent?.id
        for (const effect of effects) {
          if (effect.kind === 'lost') {
            expect(effect.id).toBe(incumbent)
            incumbent = undefined
          } else if (effect.kind === 'established') {
            expect(incumbent).toBeUndefined()
            incumbent = effect.id
          }
        }
        expect(state.incumbent?.id).toBe(incumbent)
        const origins = state.candidates.map(({ origin }) => origin)
        expect(origins.filter((origin) => origin === 'dial').length).toBeLessThanOrEqual(1)
        expect(origins.filter((origin) => origin === 'inbound').length).toBeLessThanOrEqual(2)
        expect(mayStartDial(state)).toBe(state.incumbent === null && !origins.includes('dial'))
      }
    }),
    { seed, numRuns: 1_000 },
  )
})

test('the two ends of a connection never both decide, and never neither (F03)', () => {
  const ip = fc
    .oneof(
      fc.ipV4(),
      fc.ipV6().filter((text) => !text.includes('.')),
    )
    .map(parsePeerIp)
  fc.assert(
    fc.property(ip, ip, fc.boolean(), (one, other, isSame) => {
      const [ourIp, theirIp] = [one, isSame ? one : other]
      const ours = { ourIp, theirIp, ourInstanceId: '0a', theirInstanceId: '0b' }
      const theirs = {
        ourIp: theirIp,
        theirIp: ourIp,
        ourInstanceId: '0b',
        theirInstanceId: '0a',
      }
      expect(new Set([arbiterOf(ours), arbiterOf(theirs)])).toEqual(new Set(['us', 'them']))
    }),
    { seed, numRuns: 1_000 },
  )
})

function arbitraryEvent(): fc.Arbitrary<SlotEvent> {
  const id = fc.integer({ min: 1, max: 6 })
  return fc.oneof(
    fc.record({
      kind: fc.constantFrom(
        'dialStarted' as const,
        'dialConnected' as const,
        'readyReceived' as const,
        'closed' as const,
        'handshakeExpired' as const,
        'confirmExpired' as const,
        'holdExpired' as const,
        'heldExpired' as const,
      ),
      id,
    }),
    fc.record({
      kind: fc.constant('helloAccepted' as const),
      id,
      origin: fc.constantFrom('dial' as const, 'inbound' as const),
      arbiter: fc.constantFrom('us' as const, 'them' as const),
      instanceId: fc.constantFrom('x', 'y'),
    }),
    fc.record({ kind: fc.constant('readyReceived' as const), id }),
    fc.record({
      kind: fc.constant('challengeAnswered' as const),
      id,
      ping: fc.integer({ min: 1, max: 5 }),
    }),
    fc.record({ kind: fc.constant('challengeExpired' as const), id, isSilent: fc.boolean() }),
  )
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}
