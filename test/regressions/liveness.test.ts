import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Connection, ConnectionHandlers, Transport } from '../../src/contracts/transport.js'
import { defaultPingLimits } from '../../src/ping-monitor.js'
import { World, directions, establish, type SimulatedNode } from '../support/simulated-node.js'

const host = '10.0.0.9'
const { pingIntervalMs, pongTimeoutMs } = defaultPingLimits

/** When a node that was silent sends pings from now on, and when its pongs are due. */
async function nextPingMs(world: World, node: SimulatedNode): Promise<number> {
  const { pingsSent } = node.peer.roundTrip
  await world.clock.runUntil(() => node.peer.roundTrip.pingsSent > pingsSent, { maxMs: 100_000 })
  return world.clock.now()
}

describe.each(directions)('over an %s connection', (direction) => {
  test('a silent peer is closed after exactly three missed pongs (F46)', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const raw = await establish(direction, node, world)
    raw.answersPings = false
    const missed: number[] = []
    node.pings.on('pongMissed', (event) => void missed.push(event.missed))
    const firstMs = await nextPingMs(world, node)
    const dueMs = firstMs + 2 * pingIntervalMs + pongTimeoutMs
    await world.advance(dueMs - world.clock.now() - 1)
    expect([raw.isOpen, node.reasons, missed]).toEqual([true, [], [1, 2]])
    await world.advance(1)
    expect(node.reasons).toEqual([{ kind: 'ping-timeout', by: 'us', missed: 3 }])
    expect(missed).toEqual([1, 2, 3])
    await world.advance(100)
    expect(raw.farewell).toMatchObject({ code: 9 })
    expect(raw.all('ping')).toHaveLength(3)
  })

  test.each(
    [1_000, 30_000, 90_000].flatMap((intervalMs) =>
      [0.1, 1, 7.5].map((intervals) => ({ intervalMs, timeoutMs: intervals * intervalMs })),
    ),
  )(
    'the timeout fires with an interval of $intervalMs ms and a timeout of $timeoutMs ms (F47)',
    async ({ intervalMs, timeoutMs }) => {
      const world = new World()
      const limits = { pingIntervalMs: intervalMs, pongTimeoutMs: timeoutMs }
      const node = await world.running('10.0.0.1', limits)
      const raw = await establish(direction, node, world)
      await world.advance(10 * intervalMs)
      expect(node.disconnected).toEqual([])
      const { roundTrip } = node.peer
      await world.clock.runUntil(() => roundTrip.pingsSent === roundTrip.pongsReceived)
      raw.answersPings = false
      const dueMs = (await nextPingMs(world, node)) + 2 * intervalMs + timeoutMs
      await world.advance(dueMs - world.clock.now() - 1)
      expect([raw.isOpen, node.reasons]).toEqual([true, []])
      await world.advance(1)
      expect(node.reasons).toEqual([{ kind: 'ping-timeout', by: 'us', missed: 3 }])
    },
  )

  test('a pong for an earlier ping counts (F48)', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1', { pingIntervalMs: 3_000 })
    const raw = await establish(direction, node, world)
    raw.answersPings = false
    await nextPingMs(world, node)
    await world.advance(9_100)
    const pings = raw.all('ping')
    // Pings 1 to 4 were sent, and the first was missed at 10,000.
    expect(pings).toHaveLength(4)
    await world.advance(1_000)
    expect(node.pings.statsOf(node.peer)).toMatchObject({ missed: 1, pongsReceived: 0 })
    raw.send({ kind: 'pong', nonce: pings[1]!.nonce })
    await world.advance(20)
    expect(node.pings.statsOf(node.peer)).toMatchObject({ missed: 0, pongsReceived: 1 })
    expect(node.peer.roundTrip.lastMs).toBeGreaterThan(7_000)
    expect(raw.isOpen).toBe(true)
  })

  test('both ends ping and both ends answer (F49)', async () => {
    const world = new World({ latencyMs: 40 })
    const node = await world.running('10.0.0.1')
    const other = await world.running(host)
    const [dialler, acceptor] = direction === 'outbound' ? [node, other] : [other, node]
    void dialler.connections.connect(acceptor.host)
    await world.advance(300)
    expect(node.directions).toEqual([direction])
    const roundTrips: number[] = []
    for (const one of [node, other]) {
      one.pings.on('ponged', ({ roundTripMs }) => void roundTrips.push(roundTripMs))
    }
    const startMs = node.peer.establishedAtMs
    await world.advance(startMs + 100 * pingIntervalMs - 1 - world.clock.now())
    for (const one of [node, other]) {
      const stats = one.pings.statsOf(one.peer)
      expect(stats?.pingsSent).toBe(100)
      // The last pong may be on its way still.
      expect(stats?.pongsReceived).toBeGreaterThanOrEqual(99)
      expect([stats?.missedInAll, one.disconnected]).toEqual([0, []])
    }
    await world.advance(100)
    expect(node.peer.roundTrip.pongsReceived + other.peer.roundTrip.pongsReceived).toBe(
      roundTrips.length,
    )
    expect(roundTrips.length).toBeGreaterThanOrEqual(200)
    expect(new Set(roundTrips)).toEqual(new Set([80]))
  })

  test('there is one ping per interval, from the first interval on (F51)', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const raw = await establish(direction, node, world)
    const startMs = node.peer.establishedAtMs
    for (let interval = 1; interval <= 50; interval += 1) {
      await world.advance(startMs + interval * pingIntervalMs - 1 - world.clock.now())
      expect(node.peer.roundTrip.pingsSent).toBe(interval)
    }
    await world.advance(100)
    expect(raw.all('ping').length).toBeGreaterThanOrEqual(50)
    expect(node.disconnected).toEqual([])
  })

  test('bulk does not cause false timeouts, in whichever direction it goes', async () => {
    // 3 MB are on their way at 50 kB/s: a ping or its pong stands behind them for 60 s, and without
    // regard for that its peer would be given up after 40 s.
    const world = new World({ maxInFlightBytes: 3e6, highWaterBytes: 1e6 })
    const node = await world.running('10.0.0.1', { pingIntervalMs: 10_000, pongTimeoutMs: 20_000 })
    // Pings of the other end are signs of life too, so it sends few.
    const other = await world.running(host, { pingIntervalMs: 300_000 })
    const [dialler, acceptor] = direction === 'outbound' ? [node, other] : [other, node]
    void dialler.connections.connect(acceptor.host)
    await world.advance(1_000)
    world.network.faults.limitBandwidth({ from: node.host, to: host }, 50_000)
    let received = 0
    other.connections.handle('bulk', (bytes) => void (received += bytes.length))
    let longestMs = 0
    node.pings.on('ponged', ({ roundTripMs }) => (longestMs = Math.max(longestMs, roundTripMs)))
    for (let second = 0; second < 1_200; second += 1) {
      while (node.peer.queuedBytes < 3e6) node.peer.send('bulk', new Uint8Array(50_000))
      await world.advance(1_000)
    }
    expect([node.disconnected, other.disconnected]).toEqual([[], []])
    expect(received).toBeGreaterThan(1_100 * 50_000)
    expect(longestMs).toBeGreaterThan(50_000)
    // A peer that dies in the middle of it is found in bounded time all the same.
    world.network.faults.partition([node.host], [host])
    const silentMs = world.clock.now()
    await world.clock.runUntil(() => node.disconnected.length > 0, { maxMs: 600_000 })
    expect(world.clock.now() - silentMs).toBeLessThanOrEqual(3 * 10_000 + 10 * 20_000)
  })

  test('a freeze of the process causes no burst of pings and no false timeout', async () => {
    for (const frozenMs of [900, 5_000, 29_000, 65_000]) {
      const world = new World()
      const process = world.clock.process()
      const node = world.node('10.0.0.1', { clock: process })
      await node.connections.start()
      const raw = await establish(direction, node, world)
      await world.advance(100_000)
      process.freeze(frozenMs)
      await world.advance(frozenMs)
      const { length } = raw.all('ping')
      await world.advance(1_000)
      expect(raw.all('ping').length - length).toBeLessThanOrEqual(1)
      await world.advance(600_000)
      expect(node.disconnected).toEqual([])
      const pings = raw.all('ping').length - length
      expect(pings).toBeGreaterThanOrEqual(20)
      expect(pings).toBeLessThanOrEqual(21)
    }
  })

  test('a jump of the wall clock, forwards or backwards, changes nothing', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const raw = await establish(direction, node, world)
    const startMs = node.peer.establishedAtMs
    for (const shiftMs of [86_400_000, -2 * 86_400_000, 3_600_000, -1]) {
      world.clock.shiftUnixMs(shiftMs)
      await world.advance(150_000)
    }
    await world.advance(startMs + 21 * pingIntervalMs - 1 - world.clock.now())
    expect(node.peer.roundTrip.pingsSent).toBe(21)
    expect([raw.isOpen, node.disconnected]).toEqual([true, []])
  })
})

/** Whatever a user may say of a peer, and of how it is treated. */
const treatment = fc.record({
  direction: fc.constantFrom(...directions),
  isKept: fc.boolean(),
  isAdded: fc.boolean(),
  isAllowed: fc.boolean(),
  isHurried: fc.boolean(),
  isUseful: fc.boolean(),
  isAuthorized: fc.boolean(),
  evictsInbound: fc.boolean(),
  stableAfterMs: fc.constantFrom(101_000, 120_000, 10_000_000),
  maxInbound: fc.constantFrom(1, 125),
  localIp: fc.constantFrom(undefined, '10.0.0.1', '0.0.0.0'),
  talksUntilMs: fc.nat({ max: 400_000 }),
})

test('no peer is exempt from the ping timeout (F50)', async () => {
  await fc.assert(
    fc.asyncProperty(treatment, async (treated) => {
      const { direction, isKept, isAdded, talksUntilMs, localIp, ...rest } = treated
      const { isAllowed, isHurried, isUseful, isAuthorized, ...limits } = rest
      const world = new World()
      const node = await world.running('10.0.0.1', {
        ...limits,
        ...(localIp === undefined ? {} : { localIp }),
        ...(isAuthorized ? { authorize: () => true } : {}),
      })
      if (isAllowed) node.registry.access.allow(host)
      if (isAdded) node.registry.add(host)
      const raw = await establish(direction, node, world)
      if (isKept) node.connections.keep(host)
      if (isHurried) node.connections.hurry(host)
      if (isUseful) node.peer.useful()
      await world.advance(talksUntilMs)
      expect([node.connected.length, node.disconnected]).toEqual([1, []])
      raw.answersPings = false
      const firstMs = await nextPingMs(world, node)
      await world.clock.runUntil(() => node.disconnected.length > 0, { maxMs: 600_000 })
      expect(world.clock.now() - firstMs).toBeCloseTo(2 * pingIntervalMs + pongTimeoutMs, 3)
      expect(node.reasons).toMatchObject([{ kind: 'ping-timeout', missed: 3 }])
    }),
    { seed: 1, numRuns: 60 },
  )
})

/** A transport whose connections can die without a word: they take everything, and tell nothing any more. */
class Mute implements Transport {
  readonly name = 'mute'
  readonly defaultPort: number
  readonly listen?: NonNullable<Transport['listen']>
  readonly #transport: Transport
  readonly #connections = new Set<{ isDead: boolean }>()

  constructor(transport: Transport) {
    this.#transport = transport
    this.defaultPort = transport.defaultPort
    if (transport.listen !== undefined) {
      const listen = transport.listen.bind(transport)
      this.listen = (onConnection) =>
        listen((connection) => {
          onConnection(this.#wrapped(connection))
        })
    }
  }

  async dial(...parameters: Parameters<Transport['dial']>): Promise<Connection> {
    return this.#wrapped(await this.#transport.dial(...parameters))
  }

  /** All connections that there are die. */
  die(): void {
    for (const state of this.#connections) state.isDead = true
  }

  #wrapped(connection: Connection): Connection {
    const state = { isDead: false }
    this.#connections.add(state)
    const unlessDead = (act: () => void) => (): void => {
      if (!state.isDead) act()
    }
    return {
      local: connection.local,
      remote: connection.remote,
      get bufferedBytes() {
        return state.isDead ? 0 : connection.bufferedBytes
      },
      open: (handlers: ConnectionHandlers) => {
        connection.open({
          data: (chunk) => {
            if (!state.isDead) handlers.data(chunk)
          },
          drained: unlessDead(() => {
            handlers.drained()
          }),
          closed: (error) => {
            if (!state.isDead) handlers.closed(error)
          },
        })
      },
      write: (chunks) => state.isDead || connection.write(chunks),
      pause: unlessDead(() => {
        connection.pause()
      }),
      resume: unlessDead(() => {
        connection.resume()
      }),
      close: unlessDead(() => {
        connection.close()
      }),
      destroy: unlessDead(() => {
        connection.destroy()
      }),
    }
  }
}

test.each(directions)(
  'a transport that dies without saying so is reaped by the pings: %s (F53)',
  async (direction) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(10_000), fc.nat({ max: 100_000 }), async (seed, diesAfterMs) => {
        const world = new World({ seed })
        let transport: Mute | undefined
        const node = await world.running('10.0.0.1', {
          wrapTransport: (inner) => (transport = new Mute(inner)),
        })
        // The other end notices nothing: its own dial would find the dead connection before the pings do.
        const other = await world.running(host, { pingIntervalMs: 600_000 })
        const [dialler, acceptor] = direction === 'outbound' ? [node, other] : [other, node]
        void dialler.connections.connect(acceptor.host)
        await world.advance(1_000 + diesAfterMs)
        node.connections.keep(host)
        expect(node.directions).toEqual([direction])
        const dialled = node.transport.dialled.length
        // A ping whose pong dies with the transport is the first that is missed, and not the next one.
        const { pingsSent, pongsReceived } = node.peer.roundTrip
        transport!.die()
        const nextMs = await nextPingMs(world, node)
        const firstMs = pingsSent > pongsReceived ? nextMs - pingIntervalMs : nextMs
        await world.clock.runUntil(() => node.disconnected.length > 0, { maxMs: 600_000 })
        expect(world.clock.now() - firstMs).toBeCloseTo(2 * pingIntervalMs + pongTimeoutMs, 3)
        expect(node.reasons).toEqual([{ kind: 'ping-timeout', by: 'us', missed: 3 }])
        // The other end is alive and holds the dead connection; the dial takes its place, and stays.
        await world.advance(60_000)
        expect(node.transport.dialled.length).toBeGreaterThan(dialled)
        expect(node.connected).toHaveLength(2)
        await world.advance(600_000)
        expect(node.disconnected).toHaveLength(1)
        expect(node.connections.peers()).toHaveLength(1)
      }),
      // The dice of which a pong was on its way, at one end or at both.
      {
        seed: 53,
        numRuns: 20,
        examples: [
          [154, 0],
          [290, 0],
        ],
      },
    )
  },
)
