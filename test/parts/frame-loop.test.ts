import { expect, test } from 'vitest'
import { FrameLoop } from '../../src/connection/frame-loop.js'
import { encodeMessage } from '../../src/wire/message-codec.js'

const ping = Buffer.concat(encodeMessage({ kind: 'ping', nonce: 1n }).parts)

/** A loop of which each message takes `costMs`. */
function loopWith(costMs: number) {
  const seen = { received: 0, yields: 0, isPaused: false, nowMs: 0 }
  const loop = new FrameLoop(
    {
      run: (input) => {
        input()
      },
      mayRead: () => !seen.isPaused,
      now: () => seen.nowMs,
      yield: () => {
        seen.yields += 1
        seen.isPaused = true
      },
      isEstablished: () => true,
      receive: () => {
        seen.received += 1
        seen.nowMs += costMs
      },
      unknownFrame: () => undefined,
      fault: (what) => {
        throw new Error(what)
      },
    },
    1_024,
  )
  return { loop, seen }
}

test('a chunk of thousands of small frames is read in slices, so that the others get their turn', () => {
  const { loop, seen } = loopWith(0.25)
  loop.push(Buffer.concat(Array.from({ length: 1_000 }, () => ping)))
  let longest = 0
  while (seen.isPaused) {
    longest = Math.max(longest, seen.received)
    const before = seen.nowMs
    seen.isPaused = false
    loop.read()
    // Two milliseconds, and what is read between two looks at the clock.
    expect(seen.nowMs - before).toBeLessThanOrEqual(2 + 2 * 16 * 0.25)
  }
  expect(seen.received).toBe(1_000)
  expect(seen.yields).toBeGreaterThan(20)
})

test('frames that cost next to nothing are read in one go', () => {
  const { loop, seen } = loopWith(0.001)
  loop.push(Buffer.concat(Array.from({ length: 1_000 }, () => ping)))
  expect(seen).toMatchObject({ received: 1_000, yields: 0 })
})
