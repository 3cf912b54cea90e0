import fc from 'fast-check'
import { expect, test } from 'vitest'
import { patientClock } from '../../src/patient-clock.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'

/** Milliseconds as they come of adding up latencies and shares of intervals: with all their digits. */
const anyMs = fc.double({ min: 0, max: 2 ** 22, noNaN: true, noDefaultInfinity: true })

test('a timer that fires finds that its time has come, whatever was rounded after a freeze', () => {
  fc.assert(
    fc.property(anyMs, anyMs, anyMs, (startMs, frozenMs, delayMs) => {
      const real = new SimulatedClock()
      const clock = patientClock(real)
      real.advanceSync(startMs)
      clock.setTimer(0, () => {})
      real.jump(frozenMs)
      real.advanceSync(0)
      const dueMs = clock.now() + delayMs
      let firings = 0
      const wait = (): void => {
        firings += 1
        if (clock.now() < dueMs && firings < 100) clock.setTimer(dueMs - clock.now(), wait)
      }
      wait()
      real.advanceSync(delayMs + 1)
      expect(clock.now()).toBeGreaterThanOrEqual(dueMs)
      expect(firings).toBeLessThan(5)
    }),
    { numRuns: 2_000, seed: 1 },
  )
})
