import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import type { Connection, Endpoint, Transport } from '../../src/contracts/transport.js'
import { hearOf } from '../../src/peer-registry.js'
import { backoffCeilingMs } from '../../src/rules/dial-policy.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { parsePeerAddress } from '../../src/rules/peer-ip.js'
import type { SimulatedClock } from '../../src/testing/simulated-clock.js'
import type { RawConnection, RawPeer } from '../support/raw-peer.js'
import { HeldDials, World, type SimulatedNode } from '../support/simulated-node.js'

const { backoffMaxMs, dialTimeoutMs, handshakeTimeoutMs, longRestMs, patienceMs } =
  defaultConnectionLimits
const lower = '10.0.0.1'
const higher = '10.0.0.9'
const hourMs = 3_600_000

interface Dial {
  readonly address: Endpoint
  readonly atMs: number
  readonly signal: AbortSignal
  isSettled: boolean
}

/** Writes down every dial that a node asks of its transport; one that was aborted is over. */
class DialLog {
  readonly dials: Dial[] = []
  maxInFlight = 0
  onDial: (dial: Dial) => void = () => {}
  readonly #clock: SimulatedClock

  constructor(clock: SimulatedClock) {
    this.#clock = clock
  }

  get times(): number[] {
    return this.dials.map(({ atMs }) => atMs)
  }

  readonly wrap = (transport: Transport): Transport => ({
    name: transport.name,
    defaultPort: transport.defaultPort,
    ...(transport.listen && { listen: transport.listen.bind(transport) }),
    dial: (address, options) => this.#dial(transport, address, options),
  })

  async #dial(
    transport: Transport,
    address: Endpoint,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Connection> {
    const dial: Dial = { address, atMs: this.#clock.now(), signal, isSettled: false }
    this.dials.push(dial)
    const inFlight = this.dials.filter(
      (other) => other.address.host === address.host && !other.isSettled && !other.signal.aborted,
    )
    this.maxInFlight = Math.max(this.maxInFlight, inFlight.length)
    this.onDial(dial)
    try {
      return await transport.dial(address, { signal })
    } finally {
      dial.isSettled = true
    }
  }
}

describe('patience', () => {
  test('when the lower IP stays silent, the higher IP dials after its patience (F21)', async () => {
    const world = new World()
    const log = new DialLog(world.clock)
    const hole = world.network.faults.holdDials({ from: lower, to: higher })
    const a = world.node(lower, { localIp: lower })
    const b = world.node(higher, { localIp: higher, wrapTransport: log.wrap })
    a.connections.keep(higher)
    b.connections.keep(lower)
    await Promise.all([a.connections.start(), b.connections.start()])
    await world.advance(patienceMs - 1)
    expect(log.dials).toEqual([])
    await world.advance(10_000)
    // Counted from the first moment: b dialled in the "wrong" direction, and a accepted.
    expect(log.times).toEqual([patienceMs])
    expect([a.directions, b.directions]).toEqual([['inbound'], ['outbound']])
    const link = world.linkOf(a, higher)
    const dialled = world.network.dials(lower, higher).dialled

    hole.heal()
    await world.advance(hourMs)
    expect(world.linkOf(a, higher)).toBe(link)
    expect(world.linkOf(b, lower)).toBe(link)
    expect([a.disconnected, b.disconnected]).toEqual([[], []])
    expect(world.network.dials(lower, higher).dialled).toBe(dialled)
    expect(log.dials).toHaveLength(1)
  })

  test('a higher IP whose peer is connected in time never dials (F21)', async () => {
    const world = new World()
    const a = world.node(lower, { localIp: lower })
    const b = world.node(higher, { localIp: higher })
    a.connections.keep(higher)
    b.connections.keep(lower)
    await Promise.all([a.connections.start(), b.connections.start()])
    await world.advance(hourMs)
    expect([a.directions, b.directions]).toEqual([['outbound'], ['inbound']])
    expect(world.network.dials(higher, lower).dialled).toBe(0)
  })

  /** Ways to fail a handshake; each is over long before the next dial. */
  const failures: { how: string; fail: (raw: RawConnection) => void }[] = [
    { how: 'closes before its HELLO', fail: (raw) => raw.close() },
    { how: 'is reset before its HELLO', fail: (raw) => raw.destroy() },
    { how: 'is of another network', fail: (raw) => raw.hello({ network: 'other' }) },
    {
      how: 'closes after a valid HELLO',
      fail: (raw) => {
        raw.hello()
        raw.onMessage = () => raw.close()
      },
    },
    {
      how: 'says no to our HELLO',
      fail: (raw) => {
        raw.hello()
        raw.onMessage = () => raw.bye(byeCodes.busy!, 'not now')
      },
    },
    { how: 'sends what is no HELLO', fail: (raw) => raw.sendBytes(new Uint8Array(64).fill(0xff)) },
  ]

  test.each(failures)(
    'patience is reset only by an established connection, not by an inbound that $how (F22)',
    async ({ fail }) => {
      const world = new World()
      const log = new DialLog(world.clock)
      const options = { localIp: higher, patienceMs: 12_000, wrapTransport: log.wrap }
      const b = world.node(higher, options)
      const raw = world.raw(lower, { listen: false })
      b.connections.keep(lower)
      await b.connections.start()
      for (let second = 0; second < 60; second += 5) {
        fail(raw.dial(higher))
        await world.advance(5_000)
      }
      expect(b.connected).toEqual([])
      expect(log.times[0]).toBe(12_000)
    },
  )

  test('inbounds that stay in handshake for ever defer a dial at most one handshake timeout (F22)', async () => {
    const world = new World()
    const log = new DialLog(world.clock)
    const b = world.node(higher, { localIp: higher, wrapTransport: log.wrap })
    const raw = world.raw(lower, { listen: false })
    b.connections.keep(lower)
    await b.connections.start()
    // At every moment there is one whose HELLO was valid and whose READY does not come.
    for (let second = 0; second < 60; second += 5) {
      raw.dial(higher).hello()
      await world.advance(5_000)
    }
    expect(b.connected).toEqual([])
    expect(log.times[0]).toBeGreaterThan(patienceMs)
    expect(log.times[0]).toBeLessThanOrEqual(handshakeTimeoutMs + 100)
  })

  test('an established connection begins patience anew (F22)', async () => {
    const world = new World()
    const log = new DialLog(world.clock)
    const b = world.node(higher, { localIp: higher, wrapTransport: log.wrap })
    const raw = world.raw(lower, { listen: false })
    b.connections.keep(lower)
    await b.connections.start()
    await world.advance(4_000)
    const connection = raw.dial(higher).shakeHands({ decides: true })
    await world.advance(200_000)
    expect(log.dials).toEqual([])
    connection.destroy()
    await world.clock.runUntil(() => b.disconnected.length === 1)
    const lostMs = world.clock.now()
    await world.advance(10_000)
    expect(log.times[0]).toBe(lostMs + patienceMs)
  })
})

describe('a dial that never settles', () => {
  test('a dial that never settles ends at the connect timeout (F23)', async () => {
    const world = new World()
    const log = new DialLog(world.clock)
    const raw = world.raw(higher)
    await raw.listen()
    const hole = world.network.faults.holdDials({ from: lower })
    const node = await world.running(lower, { wrapTransport: log.wrap })
    const connecting = expect(node.connections.connect(higher)).rejects.toMatchObject({
      code: 'DIAL_TIMEOUT',
    })
    await world.advance(dialTimeoutMs - 1)
    expect(node.dialFailed).toEqual([])
    expect(node.connections.status().dialing).toBe(1)
    await world.advance(1)
    await connecting
    expect(node.failures.map(({ code }) => code)).toEqual(['DIAL_TIMEOUT'])
    expect(node.registry.get(higher)).toMatchObject({ failures: 1 })
    expect(node.entry(higher).slot.state.candidates).toEqual([])
    expect(node.connections.status()).toMatchObject({ dialing: 0, queuedDials: 0 })
    // The transport was told to give it up, and nothing comes of it when the way is free again.
    expect(log.dials[0]!.signal.aborted).toBe(true)
    expect(world.clock.pendingTimers).toBe(0)
    hole.heal()
    await world.advance(hourMs)
    expect(raw.accepted).toEqual([])
    expect([node.dialFailed.length, log.dials.length, node.connected.length]).toEqual([1, 1, 0])
  })

  test('the late success of a dial is discarded (F23)', async () => {
    const { world, node, raw, held } = await timedOutDial()
    held.succeed()
    await world.advance(1_000)
    expect(raw.accepted).toHaveLength(1)
    expect(raw.accepted[0]!.isClosed).toBe(true)
    expect(raw.accepted[0]!.received).toEqual([])
    expect(node.connected).toEqual([])
    expect(node.dialFailed).toHaveLength(1)
  })

  test('the late success of a dial never becomes a second connection (F23)', async () => {
    const { world, node, raw, held } = await timedOutDial()
    const inbound = raw.dial(lower).shakeHands({ decides: false })
    await world.advance(1_000)
    expect(node.peer.remote).toEqual(inbound.local)
    held.succeed()
    await world.advance(200_000)
    expect(raw.accepted[0]!.isClosed).toBe(true)
    expect(raw.accepted[0]!.received).toEqual([])
    expect(node.peer.remote).toEqual(inbound.local)
    expect([node.connected.length, node.disconnected.length]).toEqual([1, 0])
  })

  async function timedOutDial(): Promise<{
    world: World
    node: SimulatedNode
    raw: RawPeer
    held: HeldDials
  }> {
    const world = new World()
    let held: HeldDials | undefined
    const node = await world.running(lower, {
      wrapTransport: (transport) => (held = new HeldDials(transport)),
    })
    const raw = world.raw(higher)
    await raw.listen((connection) => void connection.shakeHands({ decides: false }))
    const connecting = expect(node.connections.connect(higher)).rejects.toThrow('did not answer')
    await world.advance(dialTimeoutMs)
    await connecting
    expect(node.dialFailed).toHaveLength(1)
    return { world, node, raw, held: held! }
  }
})

describe('a decision not to dial leaves no state behind', () => {
  /** All that is kept of a peer, and all that is under way. */
  function stateOf({ world, node }: { world: World; node: SimulatedNode }) {
    const { dial, slot, isDialPaused, isKept } = node.entry(higher)
    const { dialing, queuedDials, handshaking } = node.connections.status()
    return {
      dial,
      slot: slot.state,
      info: node.registry.get(higher),
      flags: { isDialPaused, isKept },
      counts: { dialing, queuedDials, handshaking },
      timers: world.clock.pendingTimers,
    }
  }

  test('when the peer is banned (F24)', async () => {
    const world = new World()
    const node = await world.running(lower)
    node.registry.ban(higher, { reason: 'test' })
    node.connections.keep(higher)
    const before = stateOf({ world, node })
    node.connections.keep(higher)
    node.registry.add(higher)
    await expect(node.connections.connect(higher)).rejects.toMatchObject({ code: 'BANNED' })
    expect(stateOf({ world, node })).toEqual(before)
    expect(node.transport.dialled).toEqual([])
  })

  test('when the user sent the peer away (F24)', async () => {
    const world = new World()
    const node = await world.running(lower)
    const raw = world.raw(higher, { listen: false })
    const inbound = raw.dial(lower)
    inbound.shakeHands({ decides: false })
    await world.advance(1_000)
    node.connections.disconnect(higher)
    await world.advance(2_000)
    const before = stateOf({ world, node })
    node.connections.disconnect(higher)
    node.registry.add(`${higher}:24100`)
    await world.advance(hourMs)
    expect(stateOf({ world, node })).toEqual({
      ...before,
      info: { ...before.info, source: 'added', listeningPort: 24_100, isDialable: true },
    })
    expect(node.transport.dialled).toEqual([])
  })

  test('when the peer is connected (F24)', async () => {
    const world = new World()
    const node = await world.running(lower)
    world.raw(higher).dial(lower).shakeHands({ decides: false })
    await world.advance(1_000)
    node.connections.keep(higher)
    const peer = node.peer
    const before = stateOf({ world, node })
    node.connections.keep(higher)
    node.registry.add(higher)
    expect(await node.connections.connect(higher)).toBe(peer)
    await world.advance(0)
    expect(omitInfo(stateOf({ world, node }))).toEqual(omitInfo(before))
    expect(node.transport.dialled).toEqual([])
  })

  test('while an inbound is in handshake (F24)', async () => {
    const world = new World()
    const node = world.node(lower)
    await node.connections.start()
    const raw = world.raw(higher, { listen: false })
    const inbound = raw.dial(lower)
    inbound.hello()
    await world.advance(100)
    node.connections.keep(higher)
    const before = stateOf({ world, node })
    expect(before.counts).toEqual({ dialing: 0, queuedDials: 0, handshaking: 1 })
    node.connections.keep(higher)
    node.registry.add(higher)
    await world.advance(0)
    expect(omitInfo(stateOf({ world, node }))).toEqual(omitInfo(before))
    expect(node.transport.dialled).toEqual([])
    // Nor afterwards: it is dialled in the moment in which the inbound has failed.
    inbound.destroy()
    await world.clock.runUntil(() => node.transport.dialled.length > 0, { maxMs: 100 })
    expect(node.transport.dialled).toHaveLength(1)
  })

  test('when there is no room for another outbound connection (F24)', async () => {
    const world = new World()
    const node = await world.running(lower, { maxOutbound: 1 })
    const other = world.raw('10.0.0.5')
    await other.listen((connection) => void connection.shakeHands({ decides: false }))
    node.registry.add('10.0.0.5')
    await world.advance(1_000)
    expect(node.connected).toHaveLength(1)
    const raw = world.raw(higher)
    await raw.listen((connection) => void connection.shakeHands({ decides: false }))
    node.registry.add(higher)
    await world.advance(0)
    const before = stateOf({ world, node })
    expect(before.counts).toEqual({ dialing: 0, queuedDials: 0, handshaking: 0 })
    expect(before.info).toMatchObject({ failures: 0, lastFailure: undefined })
    node.registry.add(higher)
    await world.advance(0)
    expect(stateOf({ world, node })).toEqual(before)
    expect(node.transport.dialled).toHaveLength(1)
    // Room is enough: nothing has to be swept away first.
    node.connections.disconnect('10.0.0.5')
    await world.advance(1_000)
    expect(node.connections.peer(higher)?.isConnected).toBe(true)
  })

  test('when its turn in the queue comes and the peer has come by itself (F24)', async () => {
    const world = new World()
    const node = await world.running(lower, { maxConcurrentDials: 1, dialTimeoutMs: 5_000 })
    world.network.faults.holdDials({ to: '10.0.0.5' })
    node.registry.add('10.0.0.5')
    node.connections.keep(higher)
    await world.advance(0)
    expect(node.connections.status()).toMatchObject({ dialing: 1, queuedDials: 1 })
    world.raw(higher, { listen: false }).dial(lower).shakeHands({ decides: false })
    await world.advance(1_000)
    expect(node.peer.ip).toBe(higher)
    expect(node.connections.status()).toMatchObject({ dialing: 1, queuedDials: 0 })
    const { dial } = node.entry(higher)
    await world.advance(10_000)
    expect(node.entry(higher).dial).toEqual(dial)
    expect(node.transport.dialled.filter(({ host }) => host === higher)).toEqual([])
  })

  test.each([
    { when: 'while it waits for its turn', maxConcurrentDials: 1, dialled: 0 },
    { when: 'while it is on its way', maxConcurrentDials: 2, dialled: 2 },
  ])('when the caller aborts $when (F24)', async ({ maxConcurrentDials, dialled }) => {
    const world = new World()
    const node = await world.running(lower, { maxConcurrentDials, dialTimeoutMs: hourMs })
    world.network.faults.holdDials({ from: lower })
    node.connections.keep('10.0.0.5')
    const first = new AbortController()
    const connectingFirst = node.connections.connect(higher, { signal: first.signal })
    first.abort(new Error('never mind'))
    await expect(connectingFirst).rejects.toThrow('never mind')
    await world.advance(1_000)
    const before = stateOf({ world, node })
    const controller = new AbortController()
    const connecting = node.connections.connect(higher, { signal: controller.signal })
    await world.advance(1_000)
    expect(stateOf({ world, node })).not.toEqual(before)
    controller.abort(new Error('never mind'))
    await expect(connecting).rejects.toThrow('never mind')
    await world.advance(1_000)
    expect(stateOf({ world, node })).toEqual(before)
    expect(before.dial).toMatchObject({ failures: 0, backoffSteps: 0 })
    expect(node.dialFailed).toEqual([])
    const toPeer = node.transport.dialled.filter(({ host }) => host === higher)
    expect(toPeer).toHaveLength(dialled)
  })
})

function omitInfo<State extends { readonly info: unknown }>(state: State): Omit<State, 'info'> {
  const { info: _, ...rest } = state
  return rest
}

describe('one dial at a time', () => {
  type Call =
    | 'connect'
    | 'connect and abort'
    | 'add'
    | 'keep'
    | 'unkeep'
    | 'disconnect'
    | 'ban'
    | 'unban'
    | 'inbound'
    | 'inbound that fails'
    | 'reset'
    | 'wait'
  const calls: Call[] = [
    ...(['connect', 'connect and abort', 'add', 'keep', 'unkeep', 'disconnect'] as const),
    ...(['ban', 'unban', 'inbound', 'inbound that fails', 'reset', 'wait'] as const),
  ]
  /** One that answers, one that refuses, one that never says anything, one that hangs up. */
  const hosts = ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'] as const

  test('at most one dial per IP is in flight (F25)', async () => {
    let dials = 0
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(
          fc.record({
            call: fc.constantFrom(...calls),
            host: fc.constantFrom(...hosts),
            waitMs: fc.constantFrom(0, 0, 1, 25, 600, 11_000),
          }),
          { minLength: 1_000, maxLength: 1_000 },
        ),
        async (seed, steps) => {
          const world = new World({ seed, latencyMs: [1, 40] })
          const log = new DialLog(world.clock)
          const node = await world.running('10.0.0.3', {
            wrapTransport: log.wrap,
            localIp: '10.0.0.3',
            maxConcurrentDials: 3,
            patienceMs: 500,
          })
          const peers = await unlikePeers(world)
          for (const { call, host, waitMs } of steps) {
            const target = host === node.host ? '10.0.0.6' : host
            act(call, target, { world, node, raw: peers.get(target)! })
            if (call === 'wait') await world.advance(waitMs)
          }
          await world.advance(60_000)
          dials += log.dials.length
          expect(log.maxInFlight).toBe(1)
          expect(node.bugs).toEqual([])
          await Promise.all([node.connections.stop(), world.advance(30_000)])
          expect(log.dials.filter(({ isSettled }) => !isSettled)).toEqual([])
        },
      ),
      { numRuns: 8, seed: 25 },
    )
    // It was no idle test.
    expect(dials).toBeGreaterThan(400)
  })

  test('1,000 concurrent calls, updates, hints and ticks for one IP are one dial (F25)', async () => {
    const world = new World()
    let held: HeldDials | undefined
    const node = await world.running(lower, {
      wrapTransport: (transport) => (held = new HeldDials(transport)),
      dialTimeoutMs: 60_000,
    })
    const raw = world.raw(higher)
    await raw.listen((connection) => void connection.shakeHands({ decides: false }))
    const notations = [higher, `${higher}:24100`, `::ffff:${higher}`, `[::ffff:${higher}]:24100`]
    const connecting: Promise<unknown>[] = []
    for (let call = 0; call < 1_000; call += 1) {
      const text = notations[call % 4]!
      connecting.push(node.connections.connect(text))
      if (call % 3 === 0) node.registry.add(text)
      if (call % 5 === 0) node.connections.keep(text)
      if (call % 7 === 0) node.connections.hurry(text)
      if (call % 11 === 0) hearOf(node.registry, parsePeerAddress(text))
      // An inbound that comes and fails: the slot is looked at anew each time.
      if (call % 50 === 0) raw.dial(lower).hello({ network: 'other' })
      if (call % 20 === 0) await world.advance(7)
    }
    await world.advance(1_000)
    expect([node.transport.dialled.length, node.transport.inFlight, held!.count]).toEqual([1, 1, 1])
    held!.succeed()
    await world.advance(1_000)
    expect(new Set(await Promise.all(connecting))).toEqual(new Set([node.peer]))
    await world.advance(hourMs)
    expect(node.transport.dialled).toHaveLength(1)
  })

  async function unlikePeers(world: World): Promise<Map<string, RawPeer>> {
    const peers = new Map<string, RawPeer>()
    const listen = async (host: string, onConnection?: (raw: RawConnection) => void) => {
      const raw = world.raw(host)
      peers.set(host, raw)
      await raw.listen(onConnection)
    }
    await listen('10.0.0.2', (raw) => void raw.shakeHands({ decides: true }))
    await listen('10.0.0.4')
    await listen('10.0.0.5', (raw) => raw.close())
    await listen('10.0.0.6')
    world.network.faults.refuseDials({ to: '10.0.0.6' })
    world.network.faults.holdDials({ to: '10.0.0.4' })
    return peers
  }

  function act(
    call: Call,
    host: string,
    { world, node, raw }: { world: World; node: SimulatedNode; raw: RawPeer },
  ): void {
    const { connections, registry } = node
    switch (call) {
      case 'connect':
        connections.connect(host).catch(() => undefined)
        return
      case 'connect and abort': {
        const controller = new AbortController()
        connections.connect(host, { signal: controller.signal }).catch(() => undefined)
        controller.abort()
        return
      }
      case 'add':
        registry.add(host)
        return
      case 'keep':
        connections.keep(host)
        return
      case 'unkeep':
        connections.unkeep(host)
        return
      case 'disconnect':
        connections.disconnect(host)
        return
      case 'ban':
        registry.ban(host, { reason: 'test', durationMs: 5_000 })
        return
      case 'unban':
        registry.unban(host)
        return
      case 'inbound':
        raw.dial(node.host).shakeHands({ decides: host < node.host })
        return
      case 'inbound that fails': {
        const connection = raw.dial(node.host)
        connection.hello()
        connection.onMessage = () => {
          connection.close()
        }
        return
      }
      case 'reset':
        world.network.resetBetween(host, node.host)
        return
      case 'wait':
        return
      default:
        call satisfies never
    }
  }
})

describe('a peer that must not be dialled costs no attempts', () => {
  /** Looks at every moment of an hour. */
  async function expectAnHourOfRest(
    world: World,
    node: SimulatedNode,
    fromMs = world.clock.now(),
  ): Promise<void> {
    const dialled = node.transport.dialled.length
    const endMs = fromMs + hourMs - 1
    let maxTimers = 0
    await world.clock.runUntil(
      () => {
        maxTimers = Math.max(maxTimers, world.clock.pendingTimers)
        return false
      },
      { maxMs: endMs - world.clock.now() },
    )
    await world.advance(endMs - world.clock.now())
    expect(node.transport.dialled).toHaveLength(dialled)
    expect(maxTimers).toBeLessThanOrEqual(1)
    const { dialing, queuedDials } = node.connections.status()
    expect({ dialing, queuedDials }).toEqual({ dialing: 0, queuedDials: 0 })
  }

  test('while it is banned, and is dialled in the tick in which the ban ends (F26)', async () => {
    const world = new World()
    const log = new DialLog(world.clock)
    const node = await world.running(lower, { wrapTransport: log.wrap })
    node.registry.ban(higher, { reason: 'test', durationMs: hourMs })
    node.connections.keep(higher)
    await expectAnHourOfRest(world, node)
    await world.advance(1)
    expect(log.times).toEqual([hourMs])
  })

  test('after the user sent it away (F26)', async () => {
    const world = new World()
    const node = await world.running(lower)
    const raw = world.raw(higher)
    await raw.listen((connection) => void connection.shakeHands({ decides: false }))
    node.connections.keep(higher)
    await world.advance(1_000)
    node.connections.disconnect(higher)
    await world.advance(2_000)
    await expectAnHourOfRest(world, node)
    expect(world.clock.pendingTimers).toBe(0)
  })

  test('when it is known only because it came by itself, and does not listen (F26)', async () => {
    const world = new World()
    const node = await world.running(lower)
    const raw = world.raw(higher, { listen: false })
    const inbound = raw.dial(lower).shakeHands({ decides: false })
    await world.advance(1_000)
    expect(node.connected).toHaveLength(1)
    inbound.destroy()
    await world.clock.runUntil(() => node.disconnected.length === 1)
    await expectAnHourOfRest(world, node)
  })

  test('when it is of another network, until it has rested for long (F26)', async () => {
    const world = new World()
    const node = await world.running(lower)
    const raw = world.raw(higher, { network: 'other' })
    await raw.listen((connection) => {
      connection.hello()
    })
    node.connections.keep(higher)
    await world.clock.runUntil(() => node.dialFailed.length === 1)
    // The remains of the connection are gone.
    const endedMs = world.clock.now()
    await world.clock.runUntil(() => world.clock.pendingTimers === 1)
    expect(world.clock.now() - endedMs).toBeLessThan(2_000)
    await expectAnHourOfRest(world, node, endedMs)
    expect(longRestMs).toBe(hourMs)
    await world.advance(1)
    expect(node.transport.dialled).toHaveLength(2)
  })
})

describe('backoff', () => {
  /** Ways in which a peer that is there can be of no use; all of them in virtual seconds at most. */
  const ways = ['refuses', 'does not answer', 'hangs up', 'is busy', 'talks nonsense'] as const
  type Way = (typeof ways)[number]

  async function uselessPeer(world: World, way: Way): Promise<{ returns: () => void }> {
    const raw = world.raw(higher)
    const { faults } = world.network
    let isBack = false
    const fault =
      way === 'refuses'
        ? faults.refuseDials({ to: higher })
        : way === 'does not answer'
          ? faults.holdDials({ to: higher })
          : undefined
    await raw.listen((connection) => {
      if (isBack) connection.shakeHands({ decides: false })
      else if (way === 'hangs up') connection.close()
      else if (way === 'is busy') connection.bye(byeCodes.busy!, 'later')
      else connection.sendBytes(new Uint8Array(64).fill(0xff))
    })
    return {
      returns: () => {
        isBack = true
        fault?.heal()
      },
    }
  }

  test('backoff grows to its cap and never ends: whatever fails, a peer that returns is established within one cap (F27)', async () => {
    const firstDelays = new Set<number>()
    let longestMs = 0
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.constantFrom(...ways),
        fc.integer({ min: 1, max: 8 * hourMs }),
        async (seed, way, downMs) => {
          const world = new World({ seed })
          const log = new DialLog(world.clock)
          const node = await world.running(lower, { wrapTransport: log.wrap })
          const steps: number[] = []
          log.onDial = () => steps.push(node.entry(higher).dial.backoffSteps)
          const peer = await uselessPeer(world, way)
          node.connections.keep(higher)
          await world.advance(downMs)
          const before = log.times.length
          peer.returns()
          const returnedMs = world.clock.now()
          await world.clock.runUntil(() => node.connected.length === 1, { maxMs: 24 * hourMs })

          // The base grows with each failure and is never given back before it works.
          expect(steps).toEqual(steps.map((_, index) => index))
          const dialMs = way === 'does not answer' ? dialTimeoutMs : 100
          for (const [index, atMs] of log.times.entries()) {
            if (index === 0) continue
            const restMs = atMs - log.times[index - 1]!
            const ceilingMs = backoffCeilingMs(index - 1, defaultConnectionLimits)
            expect(ceilingMs).toBeLessThanOrEqual(backoffMaxMs)
            expect(restMs).toBeLessThanOrEqual(ceilingMs + dialMs)
            longestMs = Math.max(longestMs, restMs)
            if (index === 1) firstDelays.add(restMs)
          }
          // Nobody was given up, and nothing was dialled more often than that.
          expect(before).toBeGreaterThanOrEqual(Math.floor(downMs / (backoffMaxMs + dialMs)))
          expect(world.clock.now() - returnedMs).toBeLessThanOrEqual(backoffMaxMs + dialMs + 100)
        },
      ),
      { numRuns: 40, seed: 27 },
    )
    // Jitter: no two alike, and near the cap as well as far below it.
    expect(firstDelays.size).toBeGreaterThan(20)
    expect(longestMs).toBeGreaterThan(0.95 * backoffMaxMs)
  })
})

describe('eligibility', () => {
  const peers = ['10.0.0.2', '10.0.0.8'] as const
  type Change =
    | { readonly kind: 'ban'; readonly durationMs: number }
    | { readonly kind: 'keep' | 'unkeep' | 'add' | 'connect' | 'disconnect' | 'unban' }
    | { readonly kind: 'inbound' | 'reset' }
  const change: fc.Arbitrary<Change> = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('ban' as const),
        durationMs: fc.constantFrom(15, 700, 30_000, 24 * hourMs),
      }),
    },
    {
      weight: 10,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          ...(['keep', 'unkeep', 'add', 'connect', 'disconnect', 'unban'] as const),
          ...(['inbound', 'inbound', 'reset'] as const),
        ),
      }),
    },
  )

  /** Peers as they may be: they listen, they come by themselves, they come back. */
  test('one eligibility rule serves dialler and acceptor: nobody is dialled or greeted who is banned (F30)', async () => {
    const seen = { dials: 0, refusals: 0, connections: 0 }
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(
          fc.record({
            ip: fc.constantFrom(...peers),
            change,
            thenMs: fc.constantFrom(0, 5, 15, 40, 900, 20_000),
          }),
          { minLength: 40, maxLength: 80 },
        ),
        async (seed, script) => {
          const world = new World({ seed })
          const log = new DialLog(world.clock)
          // One dial at a time, and a slow one: the other peer's dial waits for its turn.
          world.network.faults.delayDials({ from: '10.0.0.5' }, 100)
          const options = { wrapTransport: log.wrap, patienceMs: 0, maxConcurrentDials: 1 }
          const node = await world.running('10.0.0.5', options)
          const sentAway = new Set<string>()
          const violations: string[] = []
          /** The one rule, asked wherever this node reaches out. */
          const expectEligible = (ip: string, who: string): void => {
            if (node.registry.isBanned(ip)) violations.push(`${who}: ${ip} is banned`)
          }
          log.onDial = ({ address }) => {
            seen.dials += 1
            expectEligible(address.host, 'dialler')
            if (sentAway.has(address.host)) violations.push(`${address.host} was sent away`)
          }
          const raws = new Map(peers.map((ip) => [ip as string, world.raw(ip)]))
          const decides = (ip: string) => ({ decides: ip === '10.0.0.2' })
          for (const [ip, raw] of raws) {
            await raw.listen((connection) => void connection.shakeHands(decides(ip)))
          }
          node.connections.on('peerConnected', () => (seen.connections += 1))
          for (const { ip, change, thenMs } of script) {
            switch (change.kind) {
              case 'ban':
                node.registry.ban(ip, { reason: 'test', durationMs: change.durationMs })
                break
              case 'unban':
                node.registry.unban(ip)
                break
              case 'keep':
                sentAway.delete(ip)
                node.connections.keep(ip)
                break
              case 'unkeep':
                if (node.registry.get(ip) !== undefined) sentAway.add(ip)
                node.connections.unkeep(ip)
                break
              case 'add':
                node.registry.add(ip)
                break
              case 'connect':
                if (!node.registry.isBanned(ip)) sentAway.delete(ip)
                node.connections.connect(ip).catch(() => undefined)
                break
              case 'disconnect':
                if (node.registry.get(ip) !== undefined) sentAway.add(ip)
                node.connections.disconnect(ip)
                break
              case 'reset':
                world.network.resetBetween(ip, node.host)
                break
              case 'inbound':
                await inbound(world, node, raws.get(ip)!, decides(ip), expectEligible)
                break
              default:
                change satisfies never
            }
            await world.advance(thenMs)
          }
          for (const { reason, count } of node.inboundRefused) {
            if (reason.kind === 'banned') seen.refusals += count
          }
          expect(violations).toEqual([])
          expect(node.bugs).toEqual([])
        },
      ),
      { numRuns: 60, seed: 30 },
    )
    expect(Math.min(seen.dials, seen.refusals, seen.connections)).toBeGreaterThan(100)
  })

  /** A peer comes by itself: greeted exactly when it may be dialled as well. */
  async function inbound(
    world: World,
    node: SimulatedNode,
    raw: RawPeer,
    role: { readonly decides: boolean },
    expectEligible: (ip: string, who: string) => void,
  ): Promise<void> {
    const ip = raw.transport.host
    const wasBanned = node.registry.isBanned(ip)
    const connection = raw.dial(node.host).shakeHands(role)
    await world.clock.runUntil(() => connection.received.length > 0 || connection.isClosed, {
      maxMs: 100,
    })
    if (connection.kinds[0] === 'hello') {
      if (wasBanned) expectEligible(ip, 'acceptor')
    } else if (connection.farewell?.code === byeCodes.banned) {
      expect(wasBanned).toBe(true)
    }
  }

  test.each([
    { role: 'decides', ip: lower, ours: higher },
    { role: 'does not decide', ip: higher, ours: lower },
  ])(
    'a peer that $role and is banned in the middle of its handshake is not connected (F30)',
    async ({ ip, ours }) => {
      const world = new World()
      const node = await world.running(ours)
      const raw = world.raw(ip)
      const connection = raw.dial(ours)
      connection.hello()
      await world.advance(100)
      expect(connection.kinds[0]).toBe('hello')
      node.registry.ban(ip, { reason: 'test' })
      connection.ready()
      await world.advance(1_000)
      expect(node.connected).toEqual([])
      expect(connection.farewell?.code).toBe(byeCodes.banned)
    },
  )
})
