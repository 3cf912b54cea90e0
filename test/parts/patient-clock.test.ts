import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Timer } from '../../src/contracts/clock.js'
import { patientClock } from '../../src/patient-clock.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'

function setUp() {
  const real = new SimulatedClock()
  return { real, clock: patientClock(real) }
}

describe('a patient clock', () => {
  test('is the same one for the same clock, so that the parts of a node share it', () => {
    const { real, clock } = setUp()
    expect(patientClock(real)).toBe(clock)
    expect(patientClock(clock)).toBe(clock)
    expect(patientClock(new SimulatedClock())).not.toBe(clock)
  })

  test('goes like the clock under it while nothing is late', () => {
    const { real, clock } = setUp()
    const fired: number[] = []
    clock.setTimer(500, () => fired.push(clock.now()))
    clock.setTimer(1_500, () => fired.push(clock.now()))
    real.advanceSync(10_000)
    expect(fired).toEqual([500, 1_500])
    expect(clock.now()).toBe(10_000)
    expect(clock.unixMs()).toBe(real.unixMs())
  })

  test('stands still while the process did: every deadline moves by the lateness (F57)', () => {
    const { real, clock } = setUp()
    const fired: string[] = []
    clock.setTimer(1_000, () => fired.push(`first at ${clock.now()}`))
    clock.setTimer(5_000, () => fired.push(`second at ${clock.now()}`))
    real.jump(61_000)
    // The first timer is 60 s late; the second would be 56 s late, and is not judged yet.
    real.advanceSync(0)
    expect(fired).toEqual(['first at 1000'])
    expect(clock.now()).toBe(1_000)
    real.advanceSync(3_999)
    expect(fired).toHaveLength(1)
    real.advanceSync(1)
    expect(fired).toEqual(['first at 1000', 'second at 5000'])
  })

  test('lets what arrived meanwhile be read before anything late is judged', () => {
    const { real, clock } = setUp()
    const seen: string[] = []
    clock.setTimer(1_000, () => seen.push('deadline'))
    real.jump(30_000)
    // Input that waited comes after the late timer fires, in the same turn of the event loop.
    real.setTimer(0, () => seen.push('input'))
    real.advanceSync(0)
    expect(seen).toEqual(['input', 'deadline'])
  })

  test('stands still as well when the first thing after the freeze is input that reads the clock', () => {
    const { real, clock } = setUp()
    const fired: number[] = []
    clock.setTimer(1_000, () => fired.push(clock.now()))
    clock.setTimer(5_000, () => fired.push(clock.now()))
    real.advanceSync(500)
    real.jump(60_000)
    // A socket that has bytes is read before the timers that are late.
    expect(clock.now()).toBeLessThanOrEqual(2_000)
    real.advanceSync(0)
    expect(fired).toHaveLength(1)
    expect(fired[0]).toBeLessThanOrEqual(2_000)
    expect(clock.now()).toBeLessThanOrEqual(2_000)
    real.advanceSync(4_000)
    expect(fired).toHaveLength(2)
  })

  test('goes on at once after a freeze of a night, also when input reads the clock first', () => {
    const { real, clock } = setUp()
    clock.setTimer(1_000, () => {})
    real.jump(8 * 3_600_000)
    clock.now()
    real.advanceSync(0)
    const resumedMs = clock.now()
    real.advanceSync(60_000)
    expect(clock.now() - resumedMs).toBe(60_000)
  })

  test('goes on from where it was when the clock under it jumps back', () => {
    const real = new SimulatedClock()
    let shiftMs = 0
    const clock = patientClock({
      now: () => real.now() + shiftMs,
      unixMs: () => real.unixMs(),
      setTimer: (delayMs, callback) => real.setTimer(delayMs, callback),
    })
    const fired: string[] = []
    for (const delayMs of [500, 30_000, 90_000]) {
      clock.setTimer(delayMs, () => fired.push(`${delayMs} at ${real.now()}, seen ${clock.now()}`))
    }
    real.advanceSync(1_000)
    shiftMs = -3_600_000
    real.advanceSync(500_000)
    expect(fired).toEqual([
      '500 at 500, seen 500',
      '30000 at 30000, seen 30000',
      '90000 at 90000, seen 90000',
    ])
    const seenMs = clock.now()
    real.advanceSync(60_000)
    expect(clock.now() - seenMs).toBe(60_000)
  })

  test('takes lateness of up to a second for an ordinary delay', () => {
    const { real, clock } = setUp()
    const fired: number[] = []
    clock.setTimer(1_000, () => fired.push(clock.now()))
    real.jump(2_000)
    real.advanceSync(0)
    expect(fired).toEqual([2_000])
  })

  test('cancels a timer, also one that was late and waits for another turn', () => {
    const { real, clock } = setUp()
    let isFired = false
    const timer = clock.setTimer(1_000, () => {
      isFired = true
    })
    real.jump(60_000)
    real.setTimer(0, () => {
      timer.cancel()
    })
    real.advanceSync(100_000)
    expect(isFired).toBe(false)
    expect(real.pendingTimers).toBe(0)
  })

  test('never goes backwards, and runs every timer once, about when it is due, through any freezes', () => {
    const steps = fc.array(
      fc.record({
        what: fc.constantFrom('set', 'advance', 'freeze', 'cancel'),
        ms: fc.oneof(fc.nat({ max: 5_000 }), fc.double({ min: 0, max: 5_000, noNaN: true })),
      }),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(steps, (steps) => {
        const { real, clock } = setUp()
        const timers: { timer: Timer; fired: number; isCancelled: boolean }[] = []
        let latestMs = 0
        const look = (): number => {
          const nowMs = clock.now()
          expect(nowMs).toBeGreaterThanOrEqual(latestMs)
          latestMs = nowMs
          return nowMs
        }
        for (const { what, ms } of steps) {
          look()
          if (what === 'set') {
            const entry = { fired: 0, isCancelled: false }
            const dueMs = clock.now() + ms
            const timer = clock.setTimer(ms, () => {
              entry.fired += 1
              // Two timers that were late at once may be judged up to a millisecond early.
              expect(look()).toBeGreaterThanOrEqual(dueMs - 1)
              expect(clock.now()).toBeLessThanOrEqual(dueMs + 1_001)
            })
            timers.push(Object.assign(entry, { timer }))
          } else if (what === 'advance') real.advanceSync(ms)
          else if (what === 'freeze') {
            real.jump(10 * ms)
            real.advanceSync(0)
          } else {
            const entry = timers[Math.floor(ms) % Math.max(1, timers.length)]
            entry?.timer.cancel()
            if (entry?.fired === 0) entry.isCancelled = true
          }
        }
        real.advanceSync(200_000)
        for (const { fired, isCancelled } of timers) expect(fired).toBe(isCancelled ? 0 : 1)
        expect(real.pendingTimers).toBe(0)
      }),
      { seed: 6, numRuns: 500 },
    )
  })
})
