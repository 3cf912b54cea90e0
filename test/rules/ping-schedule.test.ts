import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  afterPong,
  checkPingLimits,
  startPings,
  stepPings,
  type PingLimits,
  type PingSchedule,
} from '../../src/rules/ping-schedule.js'

const seed = 3
const defaults: PingLimits = { pingIntervalMs: 30_000, pongTimeoutMs: 10_000, missedPongsMax: 3 }

interface Conduct {
  readonly limits?: PingLimits
  readonly dice?: number
  readonly untilMs?: number
  /** When bytes were last read, seen at a time. */
  readonly lastReceivedMs?: (nowMs: number) => number
  readonly readPausedMs?: (nowMs: number) => number
  readonly bytesSent?: (nowMs: number) => number
  /** How long after each ping its pong comes; undefined: never. */
  readonly pongAfterMs?: (ping: number) => number | undefined
}

/** Lets the schedule run from look to look, as PingMonitor does. */
function run(conduct: Conduct): {
  pings: number[]
  gaveUpMs: number | undefined
  missed: number[]
} {
  const { limits = defaults, dice = 0.5, untilMs = 1e9 } = conduct
  let schedule: PingSchedule = startPings(0, dice, limits)
  let nextMs = schedule.nextPingMs
  const pings: number[] = []
  const missed: number[] = []
  const pongs: { dueMs: number; sentMs: number }[] = []
  for (let look = 0; nextMs <= untilMs; look++) {
    if (look > 5_000) throw new Error(`still not given up at ${nextMs}`)
    const pong = pongs[0]
    if (pong !== undefined && pong.dueMs <= nextMs) {
      pongs.shift()
      schedule = afterPong(schedule, pong.sentMs)
      continue
    }
    const nowMs = nextMs
    const facts = {
      nowMs,
      lastReceivedMs: conduct.lastReceivedMs?.(nowMs) ?? 0,
      readPausedMs: conduct.readPausedMs?.(nowMs) ?? 0,
      bytesSent: conduct.bytesSent?.(nowMs) ?? 0,
    }
    const step = stepPings(schedule, facts, limits)
    if (step.schedule.missed > schedule.missed) missed.push(nowMs)
    schedule = step.schedule
    if (step.action.kind === 'giveUp') {
      expect(step.action.missed).toBeGreaterThanOrEqual(limits.missedPongsMax)
      return { pings, gaveUpMs: nowMs, missed }
    }
    if (step.action.kind === 'ping') {
      const afterMs = conduct.pongAfterMs?.(pings.length)
      pings.push(nowMs)
      if (afterMs !== undefined) pongs.push({ dueMs: nowMs + afterMs, sentMs: nowMs })
      pongs.sort((a, b) => a.dueMs - b.dueMs)
    }
    if (!(step.nextCheckMs > nowMs)) throw new Error(`looks again at ${nowMs} for ever`)
    nextMs = step.nextCheckMs
  }
  return { pings, gaveUpMs: undefined, missed }
}

const limitsArbitrary = fc.record({
  pingIntervalMs: fc.constantFrom(1, 7, 100, 999, 1_000, 10_000, 30_000, 600_000),
  pongTimeoutMs: fc.constantFrom(1, 7, 100, 999, 1_000, 10_000, 30_000, 600_000),
  missedPongsMax: fc.integer({ min: 1, max: 30 }),
})

describe('a silent peer', () => {
  test('is given up exactly when the third missed pong is due (F46)', () => {
    const { pings, gaveUpMs, missed } = run({ dice: 0.5 })
    expect(pings).toEqual([15_000, 45_000, 75_000])
    expect(missed).toEqual([25_000, 55_000, 85_000])
    expect(gaveUpMs).toBe(85_000)
  })

  test('is given up for every interval and timeout, at the time computed from them (F47)', () => {
    fc.assert(
      fc.property(limitsArbitrary, fc.constantFrom(0, 0.25, 0.5, 0.999), (limits, dice) => {
        const { pingIntervalMs, pongTimeoutMs, missedPongsMax } = limits
        const { nextPingMs: firstMs } = startPings(0, dice, limits)
        const expectedMs = firstMs + (missedPongsMax - 1) * pingIntervalMs + pongTimeoutMs
        expect(run({ limits, dice }).gaveUpMs).toBeCloseTo(expectedMs, 3)
      }),
      { seed, numRuns: 600 },
    )
  })

  test('that trickles bytes moves each deadline, to at most ten times its length (F47)', () => {
    fc.assert(
      fc.property(limitsArbitrary, (limits) => {
        const { pingIntervalMs, pongTimeoutMs, missedPongsMax } = limits
        const { gaveUpMs } = run({ limits, dice: 0, lastReceivedMs: (nowMs) => nowMs })
        const expectedMs = (missedPongsMax - 1) * pingIntervalMs + 10 * pongTimeoutMs
        expect(gaveUpMs).toBeCloseTo(expectedMs, 3)
      }),
      { seed, numRuns: 300 },
    )
  })

  test('that sent bytes for a while has one timeout from the last of them', () => {
    // Pings at 0, 30,000 and 60,000; bytes until 62,000 move only the deadline of the last.
    const lastReceivedMs = (nowMs: number) => (nowMs < 60_000 ? 0 : Math.min(nowMs, 62_000))
    expect(run({ dice: 0, lastReceivedMs }).gaveUpMs).toBe(72_000)
  })

  test('that takes bulk of ours moves each deadline, to at most ten times its length (F47)', () => {
    fc.assert(
      fc.property(limitsArbitrary, (limits) => {
        const { pingIntervalMs, pongTimeoutMs, missedPongsMax } = limits
        const bytesPerMs = (16 * 1_024) / pongTimeoutMs
        const bytesSent = (nowMs: number) => Math.ceil(nowMs * bytesPerMs)
        const { gaveUpMs } = run({ limits, dice: 0, bytesSent })
        const expectedMs = (missedPongsMax - 1) * pingIntervalMs + 10 * pongTimeoutMs
        expect(gaveUpMs).toBeCloseTo(expectedMs, 3)
      }),
      { seed, numRuns: 300 },
    )
  })

  test('is given up in time although it takes small talk of ours (F46)', () => {
    // 16 KiB less one byte within each timeout.
    const bytesSent = (nowMs: number) => (nowMs * (16 * 1_024 - 1)) / 10_000
    expect(run({ dice: 0.5, bytesSent }).gaveUpMs).toBe(85_000)
  })

  test('is given up within two timeouts of the last bulk that it took', () => {
    // The pongs are due at 10,000, 40,000 and 70,000; what it takes until 75,000 moves the last one.
    const bytesSent = (nowMs: number) => (nowMs < 60_000 ? 0 : 1_000 * Math.min(nowMs, 75_000))
    expect(run({ dice: 0, bytesSent }).gaveUpMs).toBe(90_000)
  })

  test('is not blamed for time in which we read nothing from it (F57)', () => {
    const readPausedMs = (nowMs: number) => Math.max(0, Math.min(nowMs, 65_000) - 61_000)
    expect(run({ dice: 0, readPausedMs }).gaveUpMs).toBe(74_000)
  })

  test('that answers seldom enough to be missed twice in a row is never given up', () => {
    const pongAfterMs = (ping: number) => (ping % 3 === 2 ? 50 : undefined)
    const { gaveUpMs, missed } = run({ dice: 0, untilMs: 3_600_000, pongAfterMs })
    expect(gaveUpMs).toBeUndefined()
    expect(missed.length).toBeGreaterThan(50)
  })
})

describe('a live peer', () => {
  test('gets one ping per interval, from the first interval on (F51)', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.constantFrom(1_000, 30_000, 60_000),
        (dice, pingIntervalMs) => {
          const limits = { ...defaults, pingIntervalMs }
          const untilMs = 50 * pingIntervalMs - 1
          const { pings, missed } = run({ limits, dice, untilMs, pongAfterMs: () => 20 })
          const intervals = pings.map((atMs) => Math.floor(atMs / pingIntervalMs + 1e-9))
          expect(intervals).toEqual(Array.from({ length: 50 }, (_, interval) => interval))
          expect(missed).toEqual([])
        },
      ),
      { seed, numRuns: 100 },
    )
  })

  test('is never missed whatever the settings, when its pongs come in time', () => {
    fc.assert(
      fc.property(
        limitsArbitrary,
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (limits, part) => {
          const pongAfterMs = () => part * limits.pongTimeoutMs
          const untilMs = 200 * limits.pingIntervalMs
          const { gaveUpMs, missed } = run({ limits, dice: 0, untilMs, pongAfterMs })
          expect(gaveUpMs).toBeUndefined()
          expect(missed).toEqual([])
        },
      ),
      { seed, numRuns: 200 },
    )
  })
})

describe('a pong', () => {
  const facts = (nowMs: number) => ({ nowMs, lastReceivedMs: 0, readPausedMs: 0, bytesSent: 0 })
  /** Three pings, at 0, 1,000 and 2,000, with a timeout of 10,000. */
  const limits = { ...defaults, pingIntervalMs: 1_000 }
  const pinged = [0, 1_000, 2_000].reduce(
    (schedule, nowMs) => stepPings(schedule, facts(nowMs), limits).schedule,
    startPings(0, 0, limits),
  )

  test('for an earlier ping counts, and later pings are still awaited (F48)', () => {
    const missed = stepPings(pinged, facts(10_000), limits).schedule
    expect(missed.missed).toBe(1)
    const answered = afterPong(missed, 1_000)
    expect(answered.missed).toBe(0)
    expect(answered.awaited.map(({ sentMs }) => sentMs)).toEqual([2_000, 10_000])
  })

  test('for a ping that was missed already ends the row (F48)', () => {
    const missed = stepPings(pinged, facts(11_000), limits).schedule
    expect(missed.missed).toBe(2)
    expect(afterPong(missed, 0)).toMatchObject({ missed: 0, awaited: missed.awaited })
  })

  test('does not put the next ping off (F51)', () => {
    expect(afterPong(pinged, 2_000).nextPingMs).toBe(pinged.nextPingMs)
  })
})

describe('the schedule', () => {
  test('begins where the dice say, on a grid that is fine beside the interval', () => {
    const aMoment = fc.double({ min: 0, max: 1e9, noNaN: true })
    const someDice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(limitsArbitrary, aMoment, someDice, (limits, nowMs, dice) => {
        const { pingIntervalMs } = limits
        const { nextPingMs } = startPings(nowMs, dice, limits)
        const earlyMs = nowMs + dice * pingIntervalMs - nextPingMs
        expect(nextPingMs).toBeGreaterThanOrEqual(nowMs)
        expect(earlyMs).toBeGreaterThanOrEqual(-1e-3)
        expect(earlyMs).toBeLessThanOrEqual(Math.min(20, pingIntervalMs / 50) + 1e-3)
      }),
      { seed, numRuns: 600 },
    )
  })

  test('wakes the process for many connections at a time: at most 50 times in a second', () => {
    const limits = { ...defaults, pingIntervalMs: 1_000 }
    const first = Array.from(
      { length: 2_000 },
      (_, n) => startPings(0, n / 2_000, limits).nextPingMs,
    )
    expect(new Set(first).size).toBe(50)
  })

  test('sends one ping after a freeze of any length, not one for each interval (F51)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), (frozenMs) => {
        const nowMs = 30_000 + frozenMs
        const facts = { nowMs, lastReceivedMs: 0, readPausedMs: 0, bytesSent: 0 }
        const first = stepPings({ nextPingMs: 30_000, awaited: [], missed: 0 }, facts, defaults)
        expect(first.action).toEqual({ kind: 'ping' })
        const second = stepPings(first.schedule, facts, defaults)
        expect(second.action).toEqual({ kind: 'none' })
        expect(first.schedule.nextPingMs).toBeGreaterThan(nowMs)
        expect(first.schedule.nextPingMs).toBeLessThanOrEqual(nowMs + defaults.pingIntervalMs)
      }),
      { seed },
    )
  })

  test('keeps its rhythm when a timer fires a little late (F51)', () => {
    const facts = { nowMs: 30_400, lastReceivedMs: 0, readPausedMs: 0, bytesSent: 0 }
    const { schedule } = stepPings({ nextPingMs: 30_000, awaited: [], missed: 0 }, facts, defaults)
    expect(schedule.nextPingMs).toBe(60_000)
  })

  test('does nothing before the time at which it wants to be looked at', () => {
    fc.assert(
      fc.property(
        limitsArbitrary,
        fc.array(fc.double({ min: 0.001, max: 0.999, noNaN: true }), { maxLength: 20 }),
        (limits, parts) => {
          let schedule = startPings(0, 0, limits)
          let nowMs = 0
          for (const part of parts) {
            const facts = { nowMs, lastReceivedMs: 0, readPausedMs: 0, bytesSent: 0 }
            const step = stepPings(schedule, facts, limits)
            if (step.action.kind === 'giveUp') return
            const earlyMs = nowMs + part * (step.nextCheckMs - nowMs)
            const early = stepPings(step.schedule, { ...facts, nowMs: earlyMs }, limits)
            expect(early.action).toEqual({ kind: 'none' })
            expect(early.schedule).toEqual(step.schedule)
            schedule = step.schedule
            nowMs = step.nextCheckMs
          }
        },
      ),
      { seed, numRuns: 300 },
    )
  })

  test('has at most 32 pings on their way, however short the interval', () => {
    const limits = { pingIntervalMs: 1, pongTimeoutMs: 1e6, missedPongsMax: 30 }
    const { pings } = run({ limits, dice: 0, untilMs: 1_000 })
    expect(pings).toHaveLength(32)
    expect(run({ limits, dice: 0 }).gaveUpMs).toBe(29 + 1e6)
  })
})

describe('settings', () => {
  const hour = 3_600_000

  test('that make sense are taken, whichever of interval and timeout is the longer', () => {
    for (const [pingIntervalMs, pongTimeoutMs] of [
      [1, 1],
      [1, 30],
      [30_000, 10_000],
      [10_000, 60_000],
      [24 * hour, 24 * hour],
      [24 * hour, 1],
    ] as const) {
      expect(() => {
        checkPingLimits({ pingIntervalMs, pongTimeoutMs, missedPongsMax: 3 })
      }).not.toThrow()
    }
  })

  test.each<{ change: Partial<PingLimits>; names: readonly string[] }>([
    { change: { pingIntervalMs: 0 }, names: ['pingIntervalMs', 'not 0'] },
    { change: { pingIntervalMs: 0.5 }, names: ['pingIntervalMs', 'not 0.5'] },
    { change: { pingIntervalMs: 25 * hour }, names: ['pingIntervalMs', 'not 90000000'] },
    { change: { pingIntervalMs: Number.NaN }, names: ['pingIntervalMs', 'not NaN'] },
    { change: { pongTimeoutMs: -1 }, names: ['pongTimeoutMs', 'not -1'] },
    { change: { pongTimeoutMs: Infinity }, names: ['pongTimeoutMs', 'not Infinity'] },
    { change: { missedPongsMax: 0 }, names: ['missedPongsMax', 'not 0'] },
    { change: { missedPongsMax: 2.5 }, names: ['missedPongsMax', 'not 2.5'] },
    { change: { missedPongsMax: 31 }, names: ['missedPongsMax', 'not 31'] },
    {
      change: { pongTimeoutMs: 900_001 },
      names: ['pongTimeoutMs (900001)', 'pingIntervalMs (30000)'],
    },
    { change: { pingIntervalMs: 300 }, names: ['pongTimeoutMs (10000)', 'pingIntervalMs (300)'] },
  ])('that make no sense are refused by name: $change (F47)', ({ change, names }) => {
    const check = (): void => {
      checkPingLimits({ ...defaults, ...change })
    }
    expect(check).toThrow(RangeError)
    for (const name of names) expect(check).toThrow(name)
  })
})
