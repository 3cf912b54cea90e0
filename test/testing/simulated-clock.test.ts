import { fc, test as property } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { SimulatedClock } from 'holdfast/testing'

describe('SimulatedClock', () => {
  test('timers run when they fall due, in order, and in the order they were set among equals', async () => {
    const clock = new SimulatedClock()
    const ran: string[] = []
    for (const [name, delayMs] of [
      ['c', 20],
      ['a', 10],
      ['d', 20],
      ['b', 10.5],
    ] as const) {
      clock.setTimer(delayMs, () => ran.push(`${name} at ${clock.now()}`))
    }
    await clock.advance(19)
    expect(ran).toEqual(['a at 10', 'b at 10.5'])
    await clock.advance(1)
    expect(ran).toEqual(['a at 10', 'b at 10.5', 'c at 20', 'd at 20'])
  })

  test('a timer never runs from inside setTimer, not even with a delay of 0', async () => {
    const clock = new SimulatedClock()
    let hasRun = false
    clock.setTimer(0, () => (hasRun = true))
    expect(hasRun).toBe(false)
    await clock.advance(0)
    expect(hasRun).toBe(true)
  })

  test('a timer that was cancelled does not run, not even at the same instant', async () => {
    const clock = new SimulatedClock()
    const ran: string[] = []
    clock.setTimer(5, () => second.cancel())
    const second = clock.setTimer(5, () => ran.push('second'))
    const third = clock.setTimer(6, () => ran.push('third'))
    third.cancel()
    third.cancel()
    await clock.advance(100)
    expect(ran).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('cancelling a timer that has run does nothing', async () => {
    const clock = new SimulatedClock()
    const timer = clock.setTimer(1, () => {})
    clock.setTimer(5, () => {})
    await clock.advance(1)
    timer.cancel()
    expect(clock.pendingTimers).toBe(1)
  })

  test('what promises have to do is done between any two timers', async () => {
    const clock = new SimulatedClock()
    const order: string[] = []
    const chain = async (name: string): Promise<void> => {
      for (let link = 0; link < 50; link++) await Promise.resolve()
      order.push(`${name} done`)
    }
    for (const name of ['a', 'b']) {
      clock.setTimer(1, () => {
        order.push(name)
        void chain(name)
      })
    }
    await clock.advance(1)
    expect(order).toEqual(['a', 'a done', 'b', 'b done'])
  })

  test('a timer that is set while time passes runs within the same advance if it falls due', async () => {
    const clock = new SimulatedClock()
    const at: number[] = []
    const again = (): void => {
      at.push(clock.now())
      clock.setTimer(30, again)
    }
    clock.setTimer(10, again)
    await clock.advance(100)
    expect(at).toEqual([10, 40, 70, 100])
    expect(clock.now()).toBe(100)
  })

  test('a timer set by a promise chain counts from when the chain ran', async () => {
    const clock = new SimulatedClock()
    let firedAtMs = 0
    clock.setTimer(10, () => {
      void Promise.resolve().then(() => clock.setTimer(5, () => (firedAtMs = clock.now())))
    })
    await clock.advance(100)
    expect(firedAtMs).toBe(15)
  })

  test('delays may be longer than 2^31 ms', async () => {
    const clock = new SimulatedClock()
    let hasRun = false
    clock.setTimer(2 ** 40, () => (hasRun = true))
    await clock.advance(2 ** 40 - 1)
    expect(hasRun).toBe(false)
    await clock.advance(1)
    expect(hasRun).toBe(true)
  })

  test('delays that are not finite or below 0 are refused', () => {
    const clock = new SimulatedClock()
    for (const delayMs of [-1, Number.NaN, Infinity]) {
      expect(() => clock.setTimer(delayMs, () => {})).toThrow(RangeError)
      expect(() => clock.jump(delayMs)).toThrow(RangeError)
      expect(() => clock.advanceSync(delayMs)).toThrow(RangeError)
    }
  })

  test('runUntilIdle stops where the last timer was, and refuses to run for ever', async () => {
    const clock = new SimulatedClock()
    clock.setTimer(10, () => clock.setTimer(10, () => {}))
    await clock.runUntilIdle()
    expect(clock.now()).toBe(20)
    const again = (): void => void clock.setTimer(1_000, again)
    again()
    await expect(clock.runUntilIdle({ maxMs: 10_000 })).rejects.toThrow(/1 timers are still set/)
    expect(clock.now()).toBe(10_020)
  })

  test('runUntil stops at the timer after which the condition holds, and says whether it does', async () => {
    const clock = new SimulatedClock()
    let count = 0
    const again = (): void => {
      count += 1
      clock.setTimer(10, again)
    }
    clock.setTimer(10, again)
    expect(await clock.runUntil(() => count === 3)).toBe(true)
    expect(clock.now()).toBe(30)
    expect(await clock.runUntil(() => count === 100, { maxMs: 50 })).toBe(false)
    expect(clock.now()).toBe(80)
    expect(await new SimulatedClock().runUntil(() => false)).toBe(false)
  })

  test('after a jump timers fire late, in order, and once', async () => {
    const clock = new SimulatedClock()
    const ran: string[] = []
    clock.setTimer(10, () => ran.push(`a at ${clock.now()}`))
    clock.setTimer(5, () => ran.push(`b at ${clock.now()}`))
    clock.jump(1_000)
    expect(ran).toEqual([])
    await clock.advance(0)
    expect(ran).toEqual(['b at 1000', 'a at 1000'])
  })

  test('the wall clock goes with time, and can be shifted without it', async () => {
    const clock = new SimulatedClock({ unixMs: 1_000_000 })
    let hasRun = false
    clock.setTimer(500, () => (hasRun = true))
    clock.shiftUnixMs(-900)
    expect(clock.unixMs()).toBe(999_100)
    expect(clock.now()).toBe(0)
    await clock.advance(499)
    expect(hasRun).toBe(false)
    expect(clock.unixMs()).toBe(999_599)
  })

  test('what a timer throws comes out of advance, and the clock goes on from there', async () => {
    const clock = new SimulatedClock()
    const ran: string[] = []
    clock.setTimer(5, () => {
      throw new Error('a bug')
    })
    clock.setTimer(5, () => ran.push('next'))
    await expect(clock.advance(10)).rejects.toThrow('a bug')
    expect(clock.now()).toBe(5)
    await clock.advance(5)
    expect(ran).toEqual(['next'])
  })

  test('advancing twice at once, or from inside a timer, is an error', async () => {
    const clock = new SimulatedClock()
    clock.setTimer(1, () => {
      expect(() => clock.advanceSync(1)).toThrow(/already/)
    })
    const first = clock.advance(1)
    await expect(clock.advance(1)).rejects.toThrow(/already/)
    await first
  })

  test('timers that never let time pass are an error, not a hang', () => {
    const clock = new SimulatedClock()
    const again = (): void => void clock.setTimer(0, again)
    again()
    expect(() => clock.advanceSync(1)).toThrow(/more than 100000 timers fired at 0 ms/)
  })

  property.prop([fc.array(fc.record({ delayMs: fc.nat(20), isCancelled: fc.boolean() }))])(
    'timers run exactly as a sorted list of them would',
    (timers) => {
      const clock = new SimulatedClock()
      const ran: number[] = []
      for (const [index, { delayMs, isCancelled }] of timers.entries()) {
        const timer = clock.setTimer(delayMs, () => ran.push(index))
        if (isCancelled) timer.cancel()
      }
      const expected = timers
        .map(({ delayMs, isCancelled }, index) => ({ delayMs, isCancelled, index }))
        .filter(({ isCancelled }) => !isCancelled)
        .sort((a, b) => a.delayMs - b.delayMs || a.index - b.index)
      expect(clock.pendingTimers).toBe(expected.length)
      clock.advanceSync(20)
      expect(ran).toEqual(expected.map(({ index }) => index))
      expect(clock.pendingTimers).toBe(0)
    },
  )
})

describe('ProcessClock', () => {
  test('a frozen process fires its timers late and in order, while others go on', async () => {
    const clock = new SimulatedClock()
    const process = clock.process()
    const ran: string[] = []
    process.setTimer(30, () => ran.push(`frozen 30 at ${process.now()}`))
    process.setTimer(20, () => ran.push(`frozen 20 at ${process.now()}`))
    process.setTimer(100, () => ran.push(`frozen 100 at ${process.now()}`))
    clock.setTimer(25, () => ran.push(`other at ${clock.now()}`))
    process.freeze(100)
    await clock.advance(100)
    expect(ran).toEqual([
      'other at 25',
      'frozen 20 at 100',
      'frozen 30 at 100',
      'frozen 100 at 100',
    ])
  })

  test('a timer that is cancelled between falling due and firing late does not run', async () => {
    const clock = new SimulatedClock()
    const process = clock.process()
    const ran: string[] = []
    process.setTimer(10, () => {
      ran.push('first')
      second.cancel()
    })
    const second = process.setTimer(20, () => ran.push('second'))
    process.setTimer(30, () => ran.push('third'))
    process.freeze(50)
    await clock.advance(50)
    expect(ran).toEqual(['first', 'third'])
  })

  test('freezing again lengthens the freeze, and never shortens it', async () => {
    const clock = new SimulatedClock()
    const process = clock.process()
    let firedAtMs = 0
    process.setTimer(10, () => (firedAtMs = process.now()))
    process.freeze(50)
    await clock.advance(20)
    process.freeze(5)
    process.freeze(80)
    await clock.advance(1_000)
    expect(firedAtMs).toBe(100)
  })

  test('a process that is not frozen is as punctual as its clock', async () => {
    const clock = new SimulatedClock({ unixMs: 5 })
    const process = clock.process()
    let firedAtMs = 0
    process.setTimer(10, () => (firedAtMs = process.now()))
    await clock.advance(10)
    expect(firedAtMs).toBe(10)
    expect(process.unixMs()).toBe(15)
  })
})
