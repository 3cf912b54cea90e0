import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CloseReason, CloseReasonKind } from '../../src/contracts/close-reason.js'
import {
  afterConnectionLost,
  afterDialEnded,
  afterInboundHandshakes,
  afterUnwanted,
  afterWanted,
  backoffCeilingMs,
  backoffDelayMs,
  dialsFirst,
  initialDialState,
  judgeDial,
  outcomeOf,
  type DialOutcome,
  type DialPolicyLimits,
  type DialState,
} from '../../src/rules/dial-policy.js'
import { parsePeerIp } from '../../src/rules/peer-ip.js'

const seed = 5
const limits: DialPolicyLimits = {
  patienceMs: 5_000,
  handshakeTimeoutMs: 20_000,
  backoffBaseMs: 1_000,
  backoffMaxMs: 300_000,
  stableAfterMs: 120_000,
  longRestMs: 3_600_000,
}
const lower = parsePeerIp('10.0.0.1')
const higher = parsePeerIp('10.0.0.9')

/** As the higher IP, with a free slot; what a test cares about is named. */
const facts = (nowMs: number, more: Partial<Parameters<typeof judgeDial>[1]> = {}) => ({
  nowMs,
  isSlotFree: true,
  isConnectedElsewhere: false,
  hasInboundHandshake: false,
  ourIp: higher,
  peerIp: lower,
  ...more,
})
const asLower = { ourIp: lower, peerIp: higher }
const wanted = (nowMs: number): DialState => afterWanted(initialDialState, nowMs)

describe('patience', () => {
  test('the lower IP dials at once', () => {
    expect(judgeDial(wanted(0), facts(0, asLower), limits)).toEqual({ kind: 'dial' })
  })

  test('the higher IP dials after its patience when the lower one stays silent (F21)', () => {
    const state = wanted(1_000)
    const wait = { kind: 'wait', untilMs: 6_000 }
    expect(judgeDial(state, facts(1_000), limits)).toEqual(wait)
    expect(judgeDial(state, facts(5_999), limits)).toEqual(wait)
    expect(judgeDial(state, facts(6_000), limits)).toEqual({ kind: 'dial' })
  })

  test('nobody is dialled whose machine is connected under another address', () => {
    const connectedElsewhere = facts(60_000, { isConnectedElsewhere: true })
    expect(judgeDial(wanted(0), connectedElsewhere, limits)).toEqual({ kind: 'rest' })
  })

  test('counts once: being wanted again does not begin it anew (F22)', () => {
    expect(afterWanted(wanted(1_000), 4_000)).toEqual(wanted(1_000))
  })

  test('begins anew only after a connection (F22)', () => {
    const connected = afterUnwanted(wanted(0))
    expect(connected.wantedSinceMs).toBeUndefined()
    expect(judgeDial(afterWanted(connected, 50_000), facts(50_000), limits)).toEqual({
      kind: 'wait',
      untilMs: 55_000,
    })
  })

  test('is reset by no inbound handshake, however often these begin and fail (F22)', () => {
    const handshakes = fc.array(
      fc.record({ pauseMs: fc.nat({ max: 8_000 }), lastsMs: fc.integer({ min: 1, max: 20_000 }) }),
      { minLength: 1, maxLength: 40 },
    )
    fc.assert(
      fc.property(handshakes, (handshakes) => {
        let state = wanted(0)
        let nowMs = 0
        for (const { pauseMs, lastsMs } of handshakes) {
          const pause = judgeDial(state, facts(nowMs), limits)
          const dialsAtMs = pause.kind === 'wait' ? pause.untilMs : nowMs
          if (dialsAtMs <= nowMs + pauseMs) {
            // The dial leaves in the first pause after the patience.
            expect(dialsAtMs).toBe(Math.max(limits.patienceMs, nowMs))
            return
          }
          nowMs += pauseMs
          state = afterInboundHandshakes(state, true, nowMs)
          const during = judgeDial(state, facts(nowMs, { hasInboundHandshake: true }), limits)
          expect(during.kind).toBe('wait')
          nowMs += lastsMs
          state = afterInboundHandshakes(state, false, nowMs)
          expect(state.wantedSinceMs).toBe(0)
        }
        expect(nowMs).toBeLessThan(limits.patienceMs + limits.handshakeTimeoutMs + 8_000 + 20_000)
      }),
      { seed, numRuns: 500 },
    )
  })
})

describe('an inbound handshake', () => {
  const deferred = afterInboundHandshakes(wanted(0), true, 1_000)

  test('defers our dial for at most the handshake timeout (F17)', () => {
    const during = (nowMs: number) =>
      judgeDial(deferred, facts(nowMs, { ...asLower, hasInboundHandshake: true }), limits)
    expect(during(1_000)).toEqual({ kind: 'wait', untilMs: 21_000 })
    expect(during(20_999)).toEqual({ kind: 'wait', untilMs: 21_000 })
    expect(during(21_000)).toEqual({ kind: 'dial' })
  })

  test('that another one relays does not begin the deferral anew (F17)', () => {
    const relayed = afterInboundHandshakes(deferred, true, 15_000)
    expect(relayed).toEqual(deferred)
  })

  test('that is over defers nothing, even before its end was noted (F17)', () => {
    expect(judgeDial(deferred, facts(3_000, asLower), limits)).toEqual({ kind: 'dial' })
  })

  test('that failed defers nothing any more: the next look may dial (F17)', () => {
    const failed = afterInboundHandshakes(deferred, false, 3_000)
    expect(judgeDial(failed, facts(3_000, asLower), limits)).toEqual({ kind: 'dial' })
  })
})

describe('a peer that must not be dialled now', () => {
  test('costs no attempt and no timer (F26)', () => {
    const rest = { kind: 'rest' }
    expect(judgeDial(initialDialState, facts(1e9, asLower), limits)).toEqual(rest)
    expect(judgeDial(afterUnwanted(wanted(0)), facts(1e9, asLower), limits)).toEqual(rest)
    expect(judgeDial(wanted(0), facts(1e9, { ...asLower, isSlotFree: false }), limits)).toEqual(
      rest,
    )
  })

  test('is looked at again exactly when it may be dialled (F26)', () => {
    const state = fc.record<DialState>({
      wantedSinceMs: fc.nat({ max: 1e6 }),
      deferredSinceMs: fc.option(fc.nat({ max: 1e6 }), { nil: undefined }),
      notBeforeMs: fc.oneof(fc.constant(Number.NEGATIVE_INFINITY), fc.nat({ max: 1e7 })),
      restUntilMs: fc.constant(Number.NEGATIVE_INFINITY),
      backoffSteps: fc.nat({ max: 50 }),
      failures: fc.nat({ max: 50 }),
    })
    fc.assert(
      fc.property(
        state,
        fc.nat({ max: 1e7 }),
        fc.boolean(),
        (state, nowMs, hasInboundHandshake) => {
          const verdict = judgeDial(state, facts(nowMs, { hasInboundHandshake }), limits)
          if (verdict.kind !== 'wait') {
            expect(verdict).toEqual({ kind: 'dial' })
            return
          }
          const { untilMs } = verdict
          expect(untilMs).toBeGreaterThan(nowMs)
          expect(Number.isFinite(untilMs)).toBe(true)
          const at = (atMs: number) =>
            judgeDial(state, facts(atMs, { hasInboundHandshake }), limits)
          expect(at(untilMs)).toEqual({ kind: 'dial' })
          expect(at(untilMs - 0.5)).toEqual(verdict)
        },
      ),
      { seed, numRuns: 500 },
    )
  })
})

describe('who dials first', () => {
  test.each([
    [undefined, '10.0.0.1', true],
    ['0.0.0.0', '10.0.0.1', true],
    ['::', '2a00::1', true],
    ['127.0.0.1', '10.0.0.1', true],
    ['192.168.0.9', '8.8.8.8', true],
    ['8.8.8.8', '192.168.0.9', true],
    ['10.0.0.9', '9.9.9.9', true],
    ['10.0.0.1', '10.0.0.9', true],
    ['10.0.0.9', '10.0.0.1', false],
    ['9.255.255.255', '11.0.0.0', true],
    ['50.28.104.50', '165.84.215.117', true],
    ['165.84.215.117', '50.28.104.50', false],
    ['8.8.8.8', '2a00::1', true],
    ['2a00::1', '8.8.8.8', false],
    ['127.0.0.2', '127.0.0.1', false],
  ])('with own IP %s and peer %s is us: %s (F07)', (ourIp, peerIp, isUs) => {
    const own = ourIp === undefined ? undefined : parsePeerIp(ourIp)
    expect(dialsFirst(own, parsePeerIp(peerIp))).toBe(isUs)
  })
})

describe('backoff', () => {
  const anyLimits = fc
    .record({
      backoffBaseMs: fc.integer({ min: 1, max: 10_000 }),
      growth: fc.integer({ min: 1, max: 1e6 }),
    })
    .map(({ backoffBaseMs, growth }) => ({
      ...limits,
      backoffBaseMs,
      backoffMaxMs: backoffBaseMs * growth,
    }))

  test('has a ceiling that doubles, never decreases and never passes the cap (F27)', () => {
    expect([0, 1, 2, 8, 9, 1e6].map((steps) => backoffCeilingMs(steps, limits))).toEqual([
      1_000, 2_000, 4_000, 256_000, 300_000, 300_000,
    ])
    fc.assert(
      fc.property(anyLimits, fc.nat({ max: 1e6 }), (limits, steps) => {
        const ceilingMs = backoffCeilingMs(steps, limits)
        expect(backoffCeilingMs(steps + 1, limits)).toBeGreaterThanOrEqual(ceilingMs)
        expect(ceilingMs).toBeGreaterThanOrEqual(limits.backoffBaseMs)
        expect(ceilingMs).toBeLessThanOrEqual(limits.backoffMaxMs)
      }),
      { seed, numRuns: 500 },
    )
  })

  test('is jittered over the whole range below the ceiling, and never nothing (F27, F60)', () => {
    expect(backoffDelayMs(3, 0.25, limits)).toBe(2_000)
    expect(backoffDelayMs(3, 0, limits)).toBe(100)
    fc.assert(
      fc.property(
        anyLimits,
        fc.nat({ max: 100 }),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        (limits, steps, dice) => {
          const delayMs = backoffDelayMs(steps, dice, limits)
          const ceilingMs = backoffCeilingMs(steps, limits)
          expect(delayMs).toBeLessThanOrEqual(ceilingMs)
          expect(delayMs).toBeGreaterThanOrEqual(Math.min(100, ceilingMs))
          expect(delayMs).toBeGreaterThanOrEqual(dice * ceilingMs)
        },
      ),
      { seed, numRuns: 500 },
    )
  })

  test('never ends: a peer that failed any number of times is dialled again within one cap (F27)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 0.999999, noNaN: true }), { maxLength: 200 }),
        (allDice) => {
          let state = wanted(0)
          let nowMs = 0
          for (const [index, dice] of allDice.entries()) {
            state = afterDialEnded(state, { nowMs, dice, outcome: { kind: 'failed' } }, limits)
            expect(state.backoffSteps).toBe(index + 1)
            expect(state.failures).toBe(index + 1)
            expect(state.notBeforeMs).toBeLessThanOrEqual(nowMs + limits.backoffMaxMs)
            expect(state.notBeforeMs).toBeGreaterThan(nowMs)
            nowMs = state.notBeforeMs
            expect(judgeDial(state, facts(nowMs, asLower), limits)).toEqual({ kind: 'dial' })
          }
        },
      ),
      { seed, numRuns: 200 },
    )
  })
})

describe('the end of a dial', () => {
  const before: DialState = { ...wanted(0), backoffSteps: 3, failures: 2 }
  const after = (outcome: DialOutcome, state = before): DialState =>
    afterDialEnded(state, { nowMs: 10_000, dice: 0.5, outcome }, limits)

  test('in failure is a backoff step and a failure', () => {
    expect(after({ kind: 'failed' })).toEqual({
      ...before,
      backoffSteps: 4,
      failures: 3,
      notBeforeMs: 14_000,
    })
  })

  test('as a duplicate is a backoff step without a failure (F11)', () => {
    expect(after({ kind: 'duplicate' })).toEqual({
      ...before,
      backoffSteps: 4,
      notBeforeMs: 14_000,
    })
  })

  test('because the peer wants us later waits as long as it says, within our limit', () => {
    const later = (retryAfterMs: number | undefined) =>
      after({ kind: 'later', retryAfterMs }).notBeforeMs
    expect(later(undefined)).toBe(14_000)
    expect(later(1)).toBe(14_000)
    expect(later(60_000)).toBe(70_000)
    expect(later(2 ** 31)).toBe(10_000 + limits.longRestMs)
    expect(after({ kind: 'later', retryAfterMs: 60_000 })).toMatchObject({
      backoffSteps: 4,
      failures: 2,
    })
  })

  test('because we are no match rests for long and counts nothing (F43)', () => {
    const restUntilMs = 3_610_000
    expect(after({ kind: 'mismatch' })).toEqual({
      ...before,
      notBeforeMs: restUntilMs,
      restUntilMs,
    })
  })

  test('because the application refuses rests as after many failures, and counts as one', () => {
    const restUntilMs = 10_000 + 0.75 * limits.backoffMaxMs
    expect(after({ kind: 'refused' })).toEqual({
      ...before,
      backoffSteps: 4,
      failures: 3,
      notBeforeMs: restUntilMs,
      restUntilMs,
    })
  })

  test('never shortens a rest that was longer already', () => {
    const resting = after({ kind: 'mismatch' })
    for (const kind of ['failed', 'duplicate'] as const) {
      expect(after({ kind }, resting).notBeforeMs).toBe(3_610_000)
    }
    expect(after({ kind: 'later', retryAfterMs: 5 }, resting).notBeforeMs).toBe(3_610_000)
  })
})

describe('the end of an established connection', () => {
  const before: DialState = { ...initialDialState, backoffSteps: 5, failures: 4 }
  const lost = (livedMs: number, outcome: DialOutcome = { kind: 'failed' }) =>
    afterConnectionLost(before, { nowMs: 0, livedMs, dice: 0.5, outcome }, limits)

  test('that lived long enough resets the backoff', () => {
    expect(lost(120_000)).toMatchObject({ backoffSteps: 0, failures: 0, notBeforeMs: 500 })
  })

  test('that lived too short for that goes on with it, and is no failed dial', () => {
    expect(lost(119_999)).toMatchObject({ backoffSteps: 6, failures: 4, notBeforeMs: 16_000 })
  })

  test('for a reason with a rest of its own rests as a dial with that end does', () => {
    expect(lost(120_000, { kind: 'mismatch' }).notBeforeMs).toBe(limits.longRestMs)
    expect(lost(120_000, { kind: 'later', retryAfterMs: 9_000 }).notBeforeMs).toBe(9_000)
    expect(lost(120_000, { kind: 'duplicate' })).toMatchObject({ backoffSteps: 1, failures: 0 })
  })

  test('over and over again soon after its beginning slows the dials down (F27)', () => {
    let state = initialDialState
    const ceilings: number[] = []
    for (let round = 0; round < 12; round++) {
      const facts = { nowMs: 0, livedMs: 1_000, dice: 0.999, outcome: { kind: 'failed' } as const }
      state = afterConnectionLost(state, facts, limits)
      ceilings.push(state.notBeforeMs)
    }
    expect(ceilings).toEqual([...ceilings].sort((a, b) => a - b))
    expect(ceilings.at(-1)).toBeGreaterThan(299_000)
  })
})

const outcomes: Record<CloseReasonKind, DialOutcome['kind']> = {
  ended: 'failed',
  'transport-error': 'failed',
  'ping-timeout': 'failed',
  slow: 'failed',
  flood: 'failed',
  misbehaved: 'failed',
  duplicate: 'duplicate',
  self: 'failed',
  'wrong-network': 'mismatch',
  'wrong-version': 'mismatch',
  banned: 'mismatch',
  busy: 'later',
  'handshake-timeout': 'failed',
  'confirm-timeout': 'failed',
  disconnected: 'later',
  shutdown: 'later',
  evicted: 'later',
  refused: 'refused',
}

test.each(Object.entries(outcomes))(
  'a connection that ends as %s costs what `%s` costs',
  (kind, outcome) => {
    const reason = { kind, by: 'peer', what: '' } as unknown as CloseReason
    expect(outcomeOf(reason).kind).toBe(outcome)
  },
)

test('a busy peer says itself when it wants to be asked again', () => {
  expect(outcomeOf({ kind: 'busy', by: 'peer', retryAfterMs: 7_000 })).toEqual({
    kind: 'later',
    retryAfterMs: 7_000,
  })
})
