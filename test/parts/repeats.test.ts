import { describe, expect, test } from 'vitest'
import { Repeats } from '../../src/repeats.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import { World } from '../support/simulated-node.js'

describe('a repeated condition is one event with a count (F115)', () => {
  test('the first at once, 10,000 more in an interval as one, and none is lost', async () => {
    const clock = new SimulatedClock()
    const told: [string, number, number][] = []
    const repeats = new Repeats<string>({
      clock,
      intervalMs: 10_000,
      tell: (event, count) => void told.push([event, count, clock.now()]),
    })
    repeats.note('full', 'first')
    expect(told).toEqual([['first', 1, 0]])
    for (let n = 1; n <= 10_000; n += 1) {
      repeats.note('full', `repetition ${n}`)
      if (n % 100 === 0) await clock.advance(99)
    }
    // Another condition is another event.
    repeats.note('other', 'other')
    await clock.advance(60_000)
    expect(told).toEqual([
      ['first', 1, 0],
      ['other', 1, 9_900],
      ['repetition 10000', 10_000, 10_000],
    ])
    // When it is over nothing waits, and it begins anew.
    expect(clock.pendingTimers).toBe(0)
    repeats.note('full', 'again')
    expect(told.at(-1)).toEqual(['again', 1, 69_900])
  })

  test('and what is not told yet is told when nothing more can come', async () => {
    const clock = new SimulatedClock()
    const told: [string, number][] = []
    const repeats = new Repeats<string>({
      clock,
      intervalMs: 10_000,
      tell: (event, count) => void told.push([event, count]),
    })
    for (const event of ['a', 'b', 'c']) repeats.note('full', event)
    repeats.flush()
    expect(told).toEqual([
      ['a', 1],
      ['c', 2],
    ])
    expect(clock.pendingTimers).toBe(0)
    await clock.advance(20_000)
    expect(told).toHaveLength(2)
  })

  test('also for inbound connections that are refused', async () => {
    const world = new World({ latencyMs: 1 })
    const node = await world.running('10.0.0.1')
    for (let n = 0; n < 1_000; n += 1) {
      world
        .raw(`10.1.${n >> 8}.${n & 255}`)
        .dial(node.host)
        .hello({ network: 'other' })
      if (n % 10 === 9) await world.advance(10)
    }
    await world.advance(30_000)
    expect(node.inboundRefused.map(({ count }) => count)).toEqual([1, 999])
    const stopping = node.connections.stop()
    await world.advance(2_000)
    await stopping
    expect(world.clock.pendingTimers).toBe(0)
  })
})
