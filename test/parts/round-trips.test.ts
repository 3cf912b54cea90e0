import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RoundTrips } from '../../src/connection/round-trips.js'

/** One ping and its pong for each round trip, in turn. */
function after(samples: readonly number[]): RoundTrips {
  const roundTrips = new RoundTrips()
  let nowMs = 0
  for (const [index, roundTripMs] of samples.entries()) {
    roundTrips.pingSent(BigInt(index), nowMs)
    roundTrips.pongReceived(BigInt(index), (nowMs += roundTripMs))
  }
  return roundTrips
}

describe('round trips', () => {
  /*
   * RFC 6298, section 2, by hand, with alpha = 1/8 and beta = 1/4. First: SRTT = R, RTTVAR = R/2. Then
   * RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R| with the old SRTT, and after it SRTT = 7/8 SRTT + 1/8 R.
   */
  test.each([
    { samples: [100], smoothedMs: 100, jitterMs: 50, minMs: 100 },
    { samples: [100, 100], smoothedMs: 100, jitterMs: 37.5, minMs: 100 },
    { samples: [100, 180], smoothedMs: 110, jitterMs: 57.5, minMs: 100 },
    { samples: [100, 20], smoothedMs: 90, jitterMs: 57.5, minMs: 20 },
    { samples: [100, 180, 30], smoothedMs: 100, jitterMs: 63.125, minMs: 30 },
    { samples: [100, 180, 30, 900], smoothedMs: 200, jitterMs: 247.34375, minMs: 30 },
    { samples: [0, 8], smoothedMs: 1, jitterMs: 2, minMs: 0 },
  ])('of $samples are smoothed as RFC 6298 says', ({ samples, smoothedMs, jitterMs, minMs }) => {
    const roundTrips = after(samples)
    expect(roundTrips.smoothedMs).toBeCloseTo(smoothedMs, 9)
    expect(roundTrips.jitterMs).toBeCloseTo(jitterMs, 9)
    expect([roundTrips.minMs, roundTrips.lastMs]).toEqual([minMs, samples.at(-1)])
  })

  test('stay within their samples, and settle on a steady one', () => {
    const sample = fc.nat({ max: 60_000 })
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 50 }), sample, (samples, steady) => {
        const { smoothedMs, jitterMs, minMs } = after(samples)
        expect(minMs).toBe(Math.min(...samples))
        expect(smoothedMs).toBeGreaterThanOrEqual(Math.min(...samples) - 1e-6)
        expect(smoothedMs).toBeLessThanOrEqual(Math.max(...samples) + 1e-6)
        expect(jitterMs).toBeLessThanOrEqual(Math.max(...samples) + 1e-6)
        const settled = after([...samples, ...Array.from({ length: 300 }, () => steady)])
        expect(settled.smoothedMs).toBeCloseTo(steady, 3)
        expect(settled.jitterMs).toBeCloseTo(0, 3)
      }),
      { seed: 1, numRuns: 200 },
    )
  })

  test('are unknown before the first pong, and pongs that match no ping change nothing', () => {
    const roundTrips = new RoundTrips()
    roundTrips.pingSent(1n, 0)
    expect(roundTrips.pongReceived(2n, 10)).toBeUndefined()
    expect(roundTrips).toMatchObject({ pingsSent: 1, pongsReceived: 0 })
    expect([roundTrips.lastMs, roundTrips.smoothedMs, roundTrips.minMs]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(roundTrips.pongReceived(1n, 40)).toEqual({ sentMs: 0, roundTripMs: 40 })
    // The same pong a second time matches nothing any more.
    expect(roundTrips.pongReceived(1n, 50)).toBeUndefined()
    expect(roundTrips).toMatchObject({ pongsReceived: 1, lastMs: 40 })
  })

  test('are measured for late pongs and in any order, for the last 64 pings', () => {
    const roundTrips = new RoundTrips()
    for (let ping = 0; ping < 65; ping += 1) roundTrips.pingSent(BigInt(ping), ping)
    expect(roundTrips.pongReceived(0n, 1_000)).toBeUndefined()
    expect(roundTrips.pongReceived(64n, 1_000)).toEqual({ sentMs: 64, roundTripMs: 936 })
    expect(roundTrips.pongReceived(1n, 1_000)).toEqual({ sentMs: 1, roundTripMs: 999 })
    expect(roundTrips).toMatchObject({ pingsSent: 65, pongsReceived: 2, minMs: 936, lastMs: 999 })
  })
})
