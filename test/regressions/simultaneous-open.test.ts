import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { ScheduledPair, interleavings } from '../support/scheduled-pair.js'
import { HeldDials, World, type SimulatedNode } from '../support/simulated-node.js'

const lower = '10.0.0.1'
const higher = '10.0.0.9'
const { handshakeTimeoutMs: handshakeMs } = defaultConnectionLimits

/** Nothing of a lost dial stays with a peer. */
function expectNoCost(node: SimulatedNode, ip: string): void {
  const { failures, backoffSteps } = node.entry(ip).dial
  expect({ failures, backoffSteps }).toEqual({ failures: 0, backoffSteps: 0 })
  expect(node.registry.get(ip)).toMatchObject({ failures: 0, lastFailure: undefined })
  expect([node.dialFailed, node.inboundRefused]).toEqual([[], []])
}

describe('simultaneous open', () => {
  test('simultaneous open leaves one connection, the same one at both ends (F10)', async () => {
    // The dial, its acceptance, HELLO and HELLO on both; then READY and READY where A dialled.
    const schedules = interleavings(6, 4)
    expect(schedules).toHaveLength(210)
    for (const schedule of schedules) {
      const pair = new ScheduledPair({ a: lower, b: higher }, schedule)
      const order = schedule.join('')
      await pair.start()
      await pair.clock.advance(500)
      const { a, b } = pair
      expect(pair.dials.toSorted(), order).toEqual([lower, higher])
      expect([a.directions, b.directions], order).toEqual([['outbound'], ['inbound']])
      expect(b.peer.remote, order).toEqual(a.peer.local)
      expect(a.peer.remote, order).toEqual(b.peer.local)
      await pair.clock.advance(600_000)
      expect(pair.dials, order).toHaveLength(2)
      expect([a.disconnected, b.disconnected], order).toEqual([[], []])
      expect([a, b].map((node) => node.connections.status().handshaking)).toEqual([0, 0])
      expect(a.peer.isConnected && b.peer.isConnected, order).toBe(true)
    }
  })

  test('the loser of an election is neither announced nor penalised (F11)', async () => {
    const world = new World({ latencyMs: [5, 50] })
    const a = await world.running(lower)
    const b = await world.running(higher)
    for (let round = 1; round <= 100; round += 1) {
      const connecting = [a.connections.connect(b.host), b.connections.connect(a.host)]
      await world.advance(2_000)
      const [peerOfA, peerOfB] = await Promise.all(connecting)
      expect(peerOfA!.local).toEqual(peerOfB!.remote)
      expect([a.connected.length, b.connected.length]).toEqual([round, round])
      expect([a.disconnected.length, b.disconnected.length]).toEqual([round - 1, round - 1])
      expect(world.network.dials(a.host, b.host).dialled).toBe(round)
      expect(world.network.dials(b.host, a.host).dialled).toBe(round)
      expectNoCost(a, b.host)
      expectNoCost(b, a.host)
      const duplicates =
        a.connections.status().duplicatesRefused + b.connections.status().duplicatesRefused
      expect(duplicates).toBeGreaterThanOrEqual(round)
      // Only a stable connection ends without a cost of its own.
      await world.advance(121_000)
      world.network.resetBetween(a.host, b.host)
      await world.clock.runUntil(
        () => a.disconnected.length === round && b.disconnected.length === round,
      )
    }
  })

  test('the loser of an election is told that it is a duplicate (F11)', async () => {
    const world = new World()
    const node = await world.running(lower)
    const raw = world.raw(higher)
    await raw.listen((winner) => {
      winner.hello()
    })
    const connecting = node.connections.connect(higher)
    const loser = raw.dial(lower)
    loser.hello()
    await world.advance(100)
    const [winner] = raw.accepted
    expect([winner!.kinds, loser.kinds]).toEqual([['hello', 'ready'], ['hello']])
    winner!.ready()
    await world.advance(100)
    await connecting
    expect(loser.farewell?.code).toBe(byeCodes.duplicate)
    expect(loser.isClosed && winner!.isOpen).toBe(true)
    expect(node.directions).toEqual(['outbound'])
    expectNoCost(node, higher)
  })

  test('nobody is refused before the winner works in both directions', async () => {
    const world = new World()
    const node = await world.running(lower)
    const raw = world.raw(higher)
    await raw.listen()
    const connecting = node.connections.connect(higher)
    const other = raw.dial(lower)
    other.hello()
    await world.advance(100)
    const [winner] = raw.accepted
    winner!.hello()
    await world.advance(100)
    expect(winner!.kinds).toEqual(['hello', 'ready'])
    expect(other.isOpen).toBe(true)
    // The elected one dies unanswered: the other is elected, and loses nothing.
    winner!.destroy()
    await world.advance(100)
    expect(other.kinds).toEqual(['hello', 'ready'])
    other.ready()
    await world.advance(100)
    expect((await connecting).direction).toBe('inbound')
    expect(node.directions).toEqual(['inbound'])
    expect(node.disconnected).toEqual([])
  })

  test('whoever is elected is connected only when READY came back', async () => {
    const world = new World()
    const node = await world.running(lower)
    const raw = world.raw(higher)
    const connection = raw.dial(lower)
    connection.hello()
    await world.advance(1_000)
    expect(connection.kinds).toEqual(['hello', 'ready'])
    expect(node.connected).toEqual([])
    connection.ready()
    await world.advance(100)
    expect(node.directions).toEqual(['inbound'])
  })

  test('READY of an end that does not decide, on a connection not elected, is a violation', async () => {
    const world = new World()
    const node = await world.running(lower)
    const raw = world.raw(higher)
    const [first, second] = [raw.dial(lower), raw.dial(lower)]
    first.hello()
    second.hello()
    await world.advance(100)
    const elected = [first, second].filter(({ hasReady }) => hasReady)
    expect(elected).toHaveLength(1)
    const other = elected[0] === first ? second : first
    other.ready()
    await world.advance(100)
    expect(other.farewell?.code).toBe(byeCodes.misbehaved)
    elected[0]!.ready()
    await world.advance(100)
    expect(node.connected).toHaveLength(1)
  })

  describe.each([
    { who: 'the lower IP', dialler: lower, other: higher },
    { who: 'the higher IP', dialler: higher, other: lower },
  ])('while the dial of $who never settles', ({ dialler, other }) => {
    test('a dial in progress never rejects a completed handshake (F12)', async () => {
      const world = new World()
      let held: HeldDials | undefined
      const a = await world.running(dialler, {
        wrapTransport: (transport) => (held = new HeldDials(transport)),
      })
      const b = await world.running(other)
      const connecting = a.connections.connect(b.host)
      await world.advance(1_000)
      expect(held!.count).toBe(1)
      const startedMs = world.clock.now()
      const accepted = b.connections.connect(a.host)
      await world.clock.runUntil(() => a.connected.length > 0 && b.connected.length > 0, {
        maxMs: handshakeMs,
      })
      expect(world.clock.now() - startedMs).toBeLessThan(handshakeMs)
      expect((await connecting).direction).toBe('inbound')
      expect((await accepted).direction).toBe('outbound')
      expectNoCost(a, b.host)
      expect(a.connections.status().dialing).toBe(0)
      // Its late success is discarded.
      held!.succeed()
      await world.advance(1_000)
      expect(world.network.connections(a.host, b.host)).toHaveLength(1)
      await world.advance(60_000)
      expect([a.connected.length, b.connected.length]).toEqual([1, 1])
      expect([a.disconnected, b.disconnected]).toEqual([[], []])
      expectNoCost(a, b.host)
    })

    test.each(['fails', 'succeeds', 'times out'])(
      'a dial that %s late does not undo an inbound accepted meanwhile (F16)',
      async (end) => {
        const world = new World()
        let held: HeldDials | undefined
        const a = await world.running(dialler, {
          wrapTransport: (transport) => (held = new HeldDials(transport)),
        })
        const b = await world.running(other)
        let answer: ((bytes: Uint8Array) => void) | undefined
        b.connections.handle('slow', () => new Promise<Uint8Array>((resolve) => (answer = resolve)))
        const connecting = a.connections.connect(b.host)
        void b.connections.connect(a.host)
        await world.advance(5_000)
        const peer = await connecting
        const request = peer.request('slow', Uint8Array.of(1), { timeoutMs: 60_000 })
        await world.advance(1_000)
        if (end === 'fails') held!.fail()
        if (end === 'succeeds') held!.succeed()
        await world.advance(30_000)
        expect(a.peer).toBe(peer)
        answer!(Uint8Array.of(2))
        await world.advance(1_000)
        expect(await request).toEqual(Uint8Array.of(2))
        expect([a.connected.length, a.disconnected.length]).toEqual([1, 0])
        expectNoCost(a, b.host)
      },
    )
  })

  test('the hold for our own dial ends in time, also when no connection is left meanwhile', async () => {
    const { electionHoldMs } = defaultConnectionLimits
    const world = new World()
    const node = await world.running(lower)
    world.network.faults.holdDials({ from: lower })
    void node.connections.connect(higher).catch(() => undefined)
    const raw = world.raw(higher)
    const first = raw.dial(lower)
    first.hello()
    await world.advance(500)
    first.destroy()
    await world.advance(500)
    expect([node.connections.status().dialing, first.hasReady]).toEqual([1, false])
    // The hold counts from the first candidate that was admitted, whatever became of it.
    const second = raw.dial(lower)
    second.hello()
    await world.advance(electionHoldMs - 1_000 + 100)
    expect(second.hasReady).toBe(true)
    expect(node.connections.status().dialing).toBe(1)
  })

  describe('while an inbound that said a valid HELLO is in handshake, its peer is not dialled (F17)', () => {
    test.each([
      {
        point: 'HELLO came, and its READY is awaited',
        node: higher,
        raw: lower,
        kinds: ['hello'],
        deadlineMs: handshakeMs,
      },
      {
        point: 'READY was sent, and its answer is awaited',
        node: lower,
        raw: higher,
        kinds: ['hello', 'ready'],
        deadlineMs: defaultConnectionLimits.confirmTimeoutMs,
      },
    ])('suspended where $point', async ({ deadlineMs, ...scene }) => {
      const world = new World()
      const node = await world.running(scene.node)
      const raw = world.raw(scene.raw)
      const inbound = raw.dial(scene.node)
      inbound.hello()
      await world.advance(100)
      expect(inbound.kinds).toEqual(scene.kinds)
      node.connections.keep(scene.raw)
      await world.clock.runUntil(() => node.transport.dialled.length > 0)
      // It ended by its own deadline, and only then a dial left, one.
      expect(world.clock.now()).toBeGreaterThanOrEqual(deadlineMs)
      expect(world.clock.now()).toBeLessThanOrEqual(deadlineMs + 100)
      expect(node.transport.dialled).toHaveLength(1)
      expect(node.transport.maxInFlightPerHost).toBe(1)
    })

    test('and when that handshake fails, the next tick may dial', async () => {
      const world = new World()
      const node = await world.running(higher)
      const inbound = world.raw(lower).dial(higher)
      inbound.hello()
      await world.advance(100)
      node.connections.keep(lower)
      await world.advance(5_000)
      expect(node.transport.dialled).toEqual([])
      inbound.destroy()
      await world.advance(20)
      expect(node.transport.dialled).toHaveLength(1)
    })

    test('for at most the handshake timeout in all, however many handshakes follow each other', async () => {
      const world = new World()
      const node = await world.running(higher)
      const raw = world.raw(lower)
      let previous = raw.dial(higher)
      previous.hello()
      await world.advance(100)
      node.connections.keep(lower)
      const startedMs = world.clock.now()
      while (node.transport.dialled.length === 0 && world.clock.now() < 200_000) {
        await world.advance(5_000)
        const next = raw.dial(higher)
        next.hello()
        await world.advance(100)
        previous.destroy()
        previous = next
      }
      expect(world.clock.now() - startedMs).toBeGreaterThanOrEqual(handshakeMs - 200)
      expect(world.clock.now() - startedMs).toBeLessThan(handshakeMs + 6_000)
    })

    test('but a silent socket defers nothing', async () => {
      const world = new World()
      const node = await world.running(higher)
      const silent = world.raw(lower).dial(higher)
      await world.advance(100)
      node.connections.keep(lower)
      await world.advance(10)
      expect(silent.isOpen).toBe(true)
      expect(node.transport.dialled).toHaveLength(1)
    })
  })
})
