import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RoundTrips } from '../../src/connection/round-trips.js'
import type { Clock, Timer } from '../../src/contracts/clock.js'
import type { CloseReason } from '../../src/contracts/close-reason.js'
import type { RoundTrip, ServicePeer } from '../../src/contracts/peer-service.js'
import type { HoldfastError } from '../../src/errors.js'
import { patientClock } from '../../src/patient-clock.js'
import { PingMonitor, type PingMonitorOptions } from '../../src/ping-monitor.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { startPings } from '../../src/rules/ping-schedule.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'

/** An established connection as a service sees it, whose remote answers as the test likes. */
class FakePeer {
  readonly key: string
  readonly pingsSentMs: number[] = []
  isConnected = true
  lastReceivedAtMs = 0
  readPausedMs = 0
  bytesSent = 0
  reason: CloseReason | undefined
  closedAtMs = Number.NaN
  /** How long after the ping with this number its pong comes; undefined: never. */
  pongAfterMs: (ping: number) => number | undefined = () => undefined
  readonly #roundTrips = new RoundTrips()
  readonly #clock: Clock
  readonly #monitor: PingMonitor
  #nonce = 0n

  constructor(key: string, clock: Clock, monitor: PingMonitor) {
    this.key = key
    this.#clock = clock
    this.#monitor = monitor
  }

  get service(): ServicePeer {
    return this as unknown as ServicePeer
  }

  get roundTrip(): RoundTrip {
    return this.#roundTrips
  }

  connect(): this {
    this.#monitor.peerConnected(this.service)
    return this
  }

  ping(): bigint {
    this.#nonce += 1n
    const nonce = this.#nonce
    const afterMs = this.pongAfterMs(this.pingsSentMs.length)
    this.pingsSentMs.push(this.#clock.now())
    this.#roundTrips.pingSent(nonce, this.#clock.now())
    if (afterMs !== undefined) {
      this.#clock.setTimer(afterMs, () => {
        this.pong(nonce)
      })
    }
    return nonce
  }

  pong(nonce: bigint): void {
    if (!this.isConnected) return
    this.lastReceivedAtMs = this.#clock.now()
    const answered = this.#roundTrips.pongReceived(nonce, this.#clock.now())
    if (answered === undefined) return
    this.#monitor.peerMessage(this.service, { kind: 'pong', nonce, ...answered })
  }

  closeFor(reason: CloseReason): void {
    if (!this.isConnected) return
    this.isConnected = false
    this.reason = reason
    this.closedAtMs = this.#clock.now()
    this.#monitor.peerDisconnected(this.service, reason)
  }
}

function setUp(options: PingMonitorOptions = {}) {
  const real = new SimulatedClock()
  const random = options.random ?? new SeededRandom(1)
  const monitor = new PingMonitor({ clock: real, random, ...options })
  const missed: number[] = []
  monitor.on('pongMissed', (event) => missed.push(event.missed))
  const peer = (key = '10.0.0.9') => new FakePeer(key, patientClock(real), monitor)
  return { real, monitor, peer, missed }
}

/** Dice that always fall the same. */
const dice = (value: number) => ({
  next: () => value,
  bytes: (length: number) => new Uint8Array(length),
})

describe('a silent peer', () => {
  test('is closed with ping-timeout exactly when its third missed pong is due (F46)', () => {
    const { real, peer, missed } = setUp({ random: dice(0.5) })
    const silent = peer().connect()
    real.advanceSync(84_999)
    expect(silent.isConnected).toBe(true)
    expect(missed).toEqual([1, 2])
    real.advanceSync(1)
    expect(silent.reason).toEqual({ kind: 'ping-timeout', by: 'us', missed: 3 })
    expect(missed).toEqual([1, 2, 3])
    expect(real.pendingTimers).toBe(0)
  })

  test('is closed for every interval and timeout at the time computed from them (F47)', () => {
    const interval = fc.constantFrom(5, 100, 1_000, 30_000, 90_000)
    // From far below to far above the interval.
    const intervals = fc.constantFrom(0.2, 0.333, 0.999, 1, 1.001, 1.5, 2, 5, 29.9, 30)
    fc.assert(
      fc.property(
        interval,
        intervals,
        fc.integer({ min: 1, max: 30 }),
        (pingIntervalMs, timeoutIntervals, missedPongsMax) => {
          const pongTimeoutMs = timeoutIntervals * pingIntervalMs
          const limits = { pingIntervalMs, pongTimeoutMs, missedPongsMax }
          const { real, peer } = setUp({ ...limits, random: dice(0.25) })
          const silent = peer().connect()
          const { nextPingMs: firstMs } = startPings(0, 0.25, limits)
          const dueMs = firstMs + (missedPongsMax - 1) * pingIntervalMs + pongTimeoutMs
          real.advanceSync(dueMs - 0.01)
          expect(silent.isConnected).toBe(true)
          real.advanceSync(0.02)
          expect(silent.reason).toMatchObject({ kind: 'ping-timeout', missed: missedPongsMax })
        },
      ),
      { seed: 2, numRuns: 300 },
    )
  })

  test('among a thousand live ones is closed alone, and all share one timer (F50)', () => {
    const { real, monitor, peer } = setUp()
    const peers = Array.from({ length: 1_000 }, (_, n) => {
      const one = peer(`peer ${n}`)
      if (n !== 500) one.pongAfterMs = () => 0
      return one.connect()
    })
    expect(real.pendingTimers).toBe(1)
    real.advanceSync(130_000)
    expect(peers.filter((one) => !one.isConnected)).toEqual([peers[500]])
    expect(real.pendingTimers).toBe(1)
    for (const one of peers) one.closeFor({ kind: 'shutdown', by: 'us' })
    expect(real.pendingTimers).toBe(0)
    expect(monitor.statsOf(peers[0]!.service)).toBeUndefined()
  })
})

describe('a live peer', () => {
  test('gets one ping in each interval from the first on, and is never closed (F49, F51)', () => {
    const { real, monitor, peer, missed } = setUp()
    const live = peer()
    live.pongAfterMs = () => 120
    live.connect()
    real.advanceSync(100 * 30_000 - 1)
    const intervals = live.pingsSentMs.map((atMs) => Math.floor(atMs / 30_000))
    expect(intervals).toEqual(Array.from({ length: 100 }, (_, interval) => interval))
    expect(monitor.statsOf(live.service)).toEqual({
      pingsSent: 100,
      pongsReceived: 100,
      missed: 0,
      missedInAll: 0,
      lastMs: 120,
      smoothedMs: 120,
      jitterMs: expect.closeTo(0, 6) as number,
      minMs: 120,
    })
    expect(missed).toEqual([])
  })

  test('that answers in time misses nothing, at whatever time and after whatever delay (F46)', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(1, 3), (seed, missedPongsMax) => {
        const random = new SeededRandom(seed)
        const pingIntervalMs = random.pick([30, 1_000, 30_000])
        const limits = { pingIntervalMs, pongTimeoutMs: pingIntervalMs / 3, missedPongsMax }
        const { real, peer, missed } = setUp({ ...limits, random })
        const live = peer()
        live.pongAfterMs = () => random.next() * limits.pongTimeoutMs * 0.9
        live.connect()
        real.advanceSync(40 * pingIntervalMs)
        expect([live.isConnected, missed]).toEqual([true, []])
      }),
      { seed: 3, numRuns: 300 },
    )
  })

  test('whose pong for an earlier ping comes late is live again (F48)', () => {
    const { real, monitor, peer } = setUp({ random: dice(0) })
    const slow = peer()
    slow.pongAfterMs = (ping) => (ping % 2 === 0 ? 45_000 : undefined)
    slow.connect()
    real.advanceSync(3_600_000)
    expect(slow.isConnected).toBe(true)
    expect(monitor.statsOf(slow.service)?.missed).toBeLessThan(3)
  })
})

describe('after a freeze of the process', () => {
  test('nobody is closed, and one ping per connection follows, not a burst', () => {
    const { real, peer, missed } = setUp({ random: dice(0.5) })
    const peers = ['a', 'b'].map((key) => {
      const one = peer(key)
      one.pongAfterMs = () => 50
      return one.connect()
    })
    real.advanceSync(200_000)
    const before = peers.map((one) => one.pingsSentMs.length)
    real.jump(3_600_000)
    real.advanceSync(29_000)
    expect(peers.map((one) => one.pingsSentMs.length - (before[0] ?? 0))).toEqual([1, 1])
    expect(missed).toEqual([])
    real.advanceSync(600_000)
    expect(peers.every((one) => one.isConnected)).toBe(true)
  })

  test('a timeout longer than the interval blames nobody for it', () => {
    const { real, peer } = setUp({
      random: dice(0),
      pingIntervalMs: 10_000,
      pongTimeoutMs: 60_000,
    })
    const slow = peer()
    slow.pongAfterMs = () => 45_000
    slow.connect()
    real.advanceSync(100_500)
    real.jump(600_000)
    // The bytes that waited are read first, as an event loop does.
    slow.lastReceivedAtMs = patientClock(real).now()
    real.advanceSync(600_000)
    expect(slow.reason).toBeUndefined()
  })

  test('pings go on at once, also when input was read first', () => {
    const { real, peer } = setUp({ random: dice(0) })
    const live = peer()
    live.pongAfterMs = () => 50
    live.connect()
    real.advanceSync(100_000)
    real.jump(8 * 3_600_000)
    live.lastReceivedAtMs = patientClock(real).now()
    real.advanceSync(0)
    const before = live.pingsSentMs.length
    real.advanceSync(600_000)
    expect(live.pingsSentMs.length - before).toBeGreaterThanOrEqual(19)
  })
})

describe('`ping`', () => {
  test('resolves with the round trip', async () => {
    const { real, monitor, peer } = setUp({ random: dice(0.9) })
    const live = peer()
    live.pongAfterMs = () => 70
    live.connect()
    const roundTrip = monitor.ping(live.service)
    await real.advance(70)
    expect(await roundTrip).toBe(70)
  })

  test('rejects when there is no connection, or it ends first', async () => {
    const { monitor, peer } = setUp()
    await expect(monitor.ping(peer().service)).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    const live = peer().connect()
    const waiting = monitor.ping(live.service)
    const reason: CloseReason = { kind: 'shutdown', by: 'peer' }
    live.closeFor(reason)
    await expect(waiting).rejects.toMatchObject({ code: 'CONNECTION_CLOSED', reason })
    await expect(monitor.ping(live.service)).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
  })

  test('times out by its own deadline, with the one timer, and ends nothing', async () => {
    const { real, monitor, peer, missed } = setUp({ random: dice(0.9) })
    const slow = peer()
    slow.pongAfterMs = (ping) => (ping === 0 ? 9_999.5 : 5_000)
    slow.connect()
    const failed: unknown[] = []
    const inTime = monitor.ping(slow.service)
    for (const timeoutMs of [1_000, 4_999]) {
      monitor.ping(slow.service, { timeoutMs }).catch((error: unknown) => {
        failed.push([(error as HoldfastError).code, real.now()])
      })
    }
    expect(real.pendingTimers - 3).toBe(1)
    await real.advance(10_000)
    expect(failed).toEqual([
      ['PING_TIMEOUT', 1_000],
      ['PING_TIMEOUT', 4_999],
    ])
    expect(await inTime).toBe(9_999.5)
    expect([slow.isConnected, missed]).toEqual([true, []])
    const unanswered = peer('b').connect()
    const never = monitor.ping(unanswered.service).catch((error: unknown) => error)
    await real.advance(9_999)
    await real.advance(1)
    expect(await never).toMatchObject({ code: 'PING_TIMEOUT' })
    expect(monitor.statsOf(unanswered.service)).toMatchObject({ missed: 0 })
  })

  test.each([0, -1, Number.NaN, Infinity])('refuses a timeout of %s ms', async (timeoutMs) => {
    const { monitor, peer } = setUp()
    const live = peer().connect()
    await expect(monitor.ping(live.service, { timeoutMs })).rejects.toThrow(RangeError)
    expect(live.pingsSentMs).toEqual([])
  })

  test('settles each caller by his own pong, whatever the order', async () => {
    const { real, monitor, peer } = setUp({ random: dice(0.9) })
    const [a, b] = [peer('a'), peer('b')]
    a.pongAfterMs = (ping) => [300, 100, 200][ping]
    b.pongAfterMs = () => 250
    a.connect()
    b.connect()
    const settled: string[] = []
    for (const [name, one] of [
      ['a0', a],
      ['b0', b],
      ['a1', a],
      ['a2', a],
    ] as const) {
      void monitor.ping(one.service).then((roundTripMs) => settled.push(`${name} ${roundTripMs}`))
    }
    await real.advance(1_000)
    expect(settled).toEqual(['a1 100', 'a2 200', 'b0 250', 'a0 300'])
  })

  test("rejects with the signal's reason, and a late pong is no error", async () => {
    const { monitor, peer } = setUp()
    const live = peer().connect()
    const controller = new AbortController()
    const waiting = monitor.ping(live.service, { signal: controller.signal })
    const why = new Error('changed my mind')
    controller.abort(why)
    await expect(waiting).rejects.toBe(why)
    live.pong(1n)
    await expect(monitor.ping(live.service, { signal: controller.signal })).rejects.toBe(why)
  })
})

/** Counts what a monitor asks of its clock. */
class CountingClock implements Clock {
  timersSet = 0
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  unixMs(): number {
    return this.#clock.unixMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    this.timersSet += 1
    return this.#clock.setTimer(delayMs, callback)
  }
}

describe('ten thousand connections', () => {
  /** What an hour of pings costs, per ping. */
  function costOf(connections: number) {
    const real = new SimulatedClock()
    const clock = new CountingClock(real)
    const monitor = new PingMonitor({ clock, random: new SeededRandom(1) })
    let [pings, looks, mostTimers] = [0, 0, 0]
    for (let index = 0; index < connections; index += 1) {
      const nonce = BigInt(index)
      const live = {
        key: `peer ${index}`,
        isConnected: true,
        lastReceivedAtMs: 0,
        bytesSent: 0,
        get readPausedMs() {
          looks += 1
          return 0
        },
        ping() {
          const sentMs = real.now()
          pings += 1
          queueMicrotask(() => {
            monitor.peerMessage(service, { kind: 'pong', nonce, sentMs, roundTripMs: 0 })
          })
          return nonce
        },
      }
      const service = live as unknown as ServicePeer
      monitor.peerConnected(service)
      mostTimers = Math.max(mostTimers, real.pendingTimers)
    }
    const setBefore = clock.timersSet
    return async () => {
      for (let minute = 0; minute < 5; minute += 1) {
        await real.advance(60_000)
        mostTimers = Math.max(mostTimers, real.pendingTimers)
      }
      const timersPerPing = (clock.timersSet - setBefore) / pings
      return { pings, looksPerPing: looks / pings, timersPerPing, mostTimers }
    }
  }

  test('share one timer, and a ping costs as much as among ten', async () => {
    const few = await costOf(10)()
    const many = await costOf(10_000)()
    expect([few.mostTimers, many.mostTimers]).toEqual([1, 1])
    expect(many.pings).toBeGreaterThanOrEqual(10 * 10_000)
    // One look for the ping; at most another one for the deadline of the ping before it.
    for (const { looksPerPing, timersPerPing } of [few, many]) {
      expect(looksPerPing).toBeLessThanOrEqual(2)
      expect(timersPerPing).toBeLessThanOrEqual(2)
    }
  })
})

describe('a PingMonitor', () => {
  test.each([
    { options: { pingIntervalMs: 0 }, names: ['pingIntervalMs'] },
    { options: { pongTimeoutMs: Number.NaN }, names: ['pongTimeoutMs'] },
    { options: { missedPongsMax: 31 }, names: ['missedPongsMax'] },
    {
      options: { pingIntervalMs: 100, pongTimeoutMs: 5_000 },
      names: ['pongTimeoutMs (5000)', 'pingIntervalMs (100)'],
    },
  ])(
    'refuses $options at construction, and names what is senseless (F47)',
    ({ options, names }) => {
      expect(() => new PingMonitor(options)).toThrow(RangeError)
      for (const name of names) expect(() => new PingMonitor(options)).toThrow(name)
    },
  )

  test('tells of a recovery once, with the number of misses that it ended', async () => {
    const { real, monitor, peer } = setUp({ random: dice(0) })
    const told: unknown[] = []
    monitor.on('pongMissed', ({ missed }) => told.push(`missed ${missed}`))
    monitor.on('recovered', ({ missed }) => told.push(`recovered after ${missed}`))
    const live = peer()
    live.pongAfterMs = (ping) => ([1, 2, 5].includes(ping) ? undefined : 50)
    live.connect()
    await real.advance(10 * 30_000 - 1)
    expect(told).toEqual([
      'missed 1',
      'missed 2',
      'recovered after 2',
      'missed 1',
      'recovered after 1',
    ])
    expect(monitor.statsOf(live.service)).toMatchObject({ missed: 0, missedInAll: 3 })
  })

  test('tells of a miss when everything is consistent: what is read then is so', () => {
    const { real, monitor, peer } = setUp({ random: dice(0) })
    const [first, second] = [peer('a').connect(), peer('b').connect()]
    const read: unknown[] = []
    monitor.on('pongMissed', ({ peer: missing, missed }) => {
      read.push([missing.key, missed, missing.isConnected, monitor.statsOf(missing)?.missed])
      if (missed === 2 && missing.key === 'a') second.closeFor({ kind: 'disconnected', by: 'us' })
    })
    real.advanceSync(200_000)
    expect(read).toEqual([
      ['a', 1, true, 1],
      ['b', 1, true, 1],
      ['a', 2, true, 2],
      ['b', 2, false, undefined],
      ['a', 3, false, undefined],
    ])
    expect(first.reason).toMatchObject({ kind: 'ping-timeout', missed: 3 })
    expect(real.pendingTimers).toBe(0)
  })

  test('tells of each pong after the turn in which it came', async () => {
    const { real, monitor, peer } = setUp({ random: dice(0) })
    const told: number[] = []
    monitor.on('ponged', ({ roundTripMs }) => told.push(roundTripMs))
    const live = peer()
    live.pongAfterMs = () => 30
    live.connect()
    await real.advance(60_100)
    expect(told).toEqual([30, 30, 30])
  })
})
