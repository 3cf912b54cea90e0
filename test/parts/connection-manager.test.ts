import { describe, expect, test } from 'vitest'
import { ConnectionManager } from '../../src/connection-manager.js'
import type { ConnectionManagerOptions } from '../../src/connection/connection-options.js'
import type { Peer, PeerService } from '../../src/contracts/peer-service.js'
import { PeerRegistry } from '../../src/peer-registry.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { HeldDials, World, establish } from '../support/simulated-node.js'

const other = '10.0.0.9'
const nobody = '10.0.0.200'
const code = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code

/** What becomes of a promise, to be looked at while it is on its way. */
function watched<Value>(promise: Promise<Value>) {
  const result: { value?: Value; error?: unknown; isSettled: boolean } = { isSettled: false }
  promise.then(
    (value) => Object.assign(result, { value, isSettled: true }),
    (error: unknown) => Object.assign(result, { error, isSettled: true }),
  )
  return result
}

describe('connect', () => {
  test('calls for one peer join the same attempt, in any notation', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    await world.running(other)
    const calls = [other, `${other}:24100`, `::ffff:${other}`].map((address) =>
      node.connections.connect(address),
    )
    await world.advance(100)
    const peers = await Promise.all(calls)
    expect(new Set(peers).size).toBe(1)
    expect(node.transport.dialled).toHaveLength(1)
    expect(await node.connections.connect(other)).toBe(peers[0])
  })

  test('a thousand calls, closes and updates at once never put two dials to one IP in flight (F25)', async () => {
    const world = new World({ latencyMs: [1, 30] })
    const node = await world.running('10.0.0.1', { backoffMaxMs: 2_000 })
    await world.running(other)
    const ips = [other, nobody, '10.0.0.201']
    for (let call = 0; call < 1_000; call += 1) {
      const ip = ips[call % 3]!
      node.connections.connect(ip).catch(() => undefined)
      if (call % 7 === 0) node.connections.disconnect(ip)
      if (call % 5 === 0) node.registry.add(ip)
      if (call % 11 === 0) node.connections.keep(ip)
      if (call % 13 === 0) world.network.resetBetween('10.0.0.1', other)
      if (call % 3 === 0) await world.advance(call % 4 === 0 ? 0 : 7)
    }
    expect(node.transport.maxInFlightPerHost).toBe(1)
    expect(node.transport.dialled.length).toBeGreaterThan(20)
    expect(node.bugs).toEqual([])
  })

  test('an abort ends the wait of its caller alone, and the last one ends the dial', async () => {
    const world = new World()
    world.network.faults.holdDials({ to: other })
    const node = await world.running('10.0.0.1')
    const [first, second] = [new AbortController(), new AbortController()]
    const one = watched(node.connections.connect(other, { signal: first.signal }))
    const two = watched(node.connections.connect(other, { signal: second.signal }))
    await world.advance(100)
    first.abort(new Error('first gave up'))
    await world.advance(100)
    expect([one.error, two.isSettled]).toEqual([new Error('first gave up'), false])
    expect(node.transport.inFlight).toBe(1)
    second.abort(new Error('second gave up'))
    await world.advance(100)
    expect(two.error).toEqual(new Error('second gave up'))
    expect(node.transport.inFlight).toBe(0)
    expect(node.connections.status()).toMatchObject({ dialing: 0, queuedDials: 0 })
    expect(node.dialFailed).toEqual([])
    expect(node.registry.get(other)).toMatchObject({ failures: 0 })
  })

  test('an abort after the connection is there changes nothing', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    await world.running(other)
    const controller = new AbortController()
    const connecting = node.connections.connect(other, { signal: controller.signal })
    await world.advance(100)
    const peer = await connecting
    controller.abort()
    await world.advance(1_000)
    expect(peer.isConnected).toBe(true)
    await expect(node.connections.connect(other, { signal: controller.signal })).rejects.toThrow(
      /aborted/,
    )
  })

  test('an inbound winner resolves it', async () => {
    const world = new World()
    world.network.faults.holdDials({ from: '10.0.0.1' })
    const node = await world.running('10.0.0.1')
    const peer = await world.running(other)
    const connecting = watched(node.connections.connect(other))
    await world.advance(1_000)
    peer.connections.connect(node.host).catch(() => undefined)
    await world.advance(5_000)
    expect(connecting.value?.direction).toBe('inbound')
    expect(node.transport.inFlight).toBe(0)
    expect(node.dialFailed).toEqual([])
  })

  test('waits for its queued dial although an inbound handshake failed meanwhile', async () => {
    const world = new World()
    const dials = world.network.faults.holdDials({ to: nobody })
    const node = await world.running('10.0.0.1', { maxConcurrentDials: 1 })
    node.connections.connect(nobody).catch(() => undefined)
    const connecting = watched(node.connections.connect(other))
    await world.advance(10)
    expect(node.connections.status()).toMatchObject({ dialing: 1, queuedDials: 1 })
    const failing = world.raw(other, { listen: false }).dial(node.host)
    failing.hello()
    await world.advance(100)
    failing.destroy()
    await world.advance(100)
    expect(connecting.isSettled).toBe(false)
    await world.running(other)
    await world.advance(12_000)
    expect(connecting.value?.ip).toBe(other)
    dials.heal()
  })

  test('settles when the user disconnects the peer in the middle of the dial', async () => {
    const world = new World()
    world.network.faults.holdDials({ to: other })
    const node = await world.running('10.0.0.1', { maxConcurrentDials: 1 })
    const underWay = watched(node.connections.connect(other))
    const queued = watched(node.connections.connect(nobody))
    await world.advance(100)
    node.connections.disconnect(other)
    node.connections.disconnect(nobody)
    await world.advance(60_000)
    expect(code(underWay.error)).toBe('CONNECT_FAILED')
    expect(code(queued.error)).toBe('CONNECT_FAILED')
  })

  test('rejects with a code that says what happened', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const failure = async (address: string): Promise<unknown> => {
      const call = watched(node.connections.connect(address))
      await world.advance(30_000)
      return call.error
    }
    expect(code(await failure('no address'))).toBe('INVALID_ADDRESS')
    expect(code(await failure('nonsense'))).toBe('RESOLVE_FAILED')
    expect(code(await failure('10.0.0.1'))).toBe('SELF')
    node.registry.ban('10.0.0.66', { reason: 'test' })
    expect(code(await failure('10.0.0.66:1'))).toBe('BANNED')
    const refused = await failure(nobody)
    expect(code(refused)).toBe('DIAL_FAILED')
    expect((refused as Error).cause).toMatchObject({ code: 'ECONNREFUSED' })
    world.network.faults.holdDials({ to: '10.0.0.67' })
    expect(code(await failure('10.0.0.67'))).toBe('DIAL_TIMEOUT')
    await world.running('10.0.0.68', { network: 'another' })
    const mismatch = await failure('10.0.0.68')
    expect(mismatch).toMatchObject({
      code: 'CONNECT_FAILED',
      reason: { kind: 'wrong-network', by: 'peer' },
    })
    const stopping = node.connections.stop()
    await world.advance(2_000)
    await stopping
    expect(code(await failure(other))).toBe('NOT_RUNNING')
  })

  test('is rejected when the node stops', async () => {
    const world = new World()
    world.network.faults.holdDials({ to: other })
    const node = await world.running('10.0.0.1')
    const connecting = watched(node.connections.connect(other))
    await world.advance(10)
    const stopping = node.connections.stop()
    await world.advance(10)
    await stopping
    expect(code(connecting.error)).toBe('NOT_RUNNING')
  })
})

describe('keep and disconnect', () => {
  test('a kept peer is dialled again after each real end, and from the moment it is there', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1', { backoffMaxMs: 10_000 })
    node.connections.keep(other)
    await world.advance(60_000)
    expect(node.transport.dialled.length).toBeGreaterThan(5)
    await world.running(other)
    await world.advance(11_000)
    for (let round = 1; round <= 5; round += 1) {
      expect(node.connected).toHaveLength(round)
      world.network.resetBetween(node.host, other)
      await world.advance(12_000)
    }
  })

  test('a peer that its user disconnected is not dialled until he names it again', async () => {
    const world = new World()
    const { a, b } = await world.pair()
    a.connections.keep(b.host)
    a.connections.disconnect(b.host, 'maintenance')
    await world.advance(100)
    expect(a.reasons).toEqual([{ kind: 'disconnected', by: 'us', text: 'maintenance' }])
    expect(b.reasons).toEqual([{ kind: 'disconnected', by: 'peer', text: 'maintenance' }])
    await world.advance(3_600_000)
    expect(a.transport.dialled).toHaveLength(1)
    expect(b.transport.dialled).toHaveLength(0)
    a.connections.keep(b.host)
    await world.advance(1_000)
    expect(a.connected).toHaveLength(2)
  })

  test('a peer that is no longer kept goes on, and is not dialled after its end', async () => {
    const world = new World()
    const { a, b } = await world.pair({ b: { listen: true } })
    a.connections.keep(b.host)
    a.connections.unkeep(b.host)
    await world.advance(1_000)
    expect(a.peer.isConnected).toBe(true)
    b.connections.unkeep(a.host)
    world.network.resetBetween(a.host, b.host)
    await world.advance(3_600_000)
    expect(a.transport.dialled).toHaveLength(1)
    expect(a.connections.peers()).toEqual([])
  })

  test('one that does not know the peer does nothing', () => {
    const world = new World()
    const node = world.node('10.0.0.1')
    node.connections.disconnect(other)
    node.connections.unkeep(other)
    expect(node.registry.size).toBe(0)
  })

  test('a ban that runs out lets a kept peer in again', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    await world.running(other)
    node.registry.ban(other, { reason: 'test', durationMs: 600_000 })
    node.connections.keep(other)
    await world.advance(590_000)
    expect(node.transport.dialled).toEqual([])
    await world.advance(400_000)
    expect(node.connected).toHaveLength(1)
  })

  test('an inbound of a banned peer is closed as banned, before it says anything', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    node.registry.ban(other, { reason: 'test' })
    const raw = world.raw(other).dial(node.host)
    await world.advance(100)
    expect(raw.kinds).toEqual(['bye'])
    expect(raw.farewell?.code).toBe(byeCodes.banned)
    expect(node.inboundRefused).toMatchObject([{ reason: { kind: 'banned', by: 'us' } }])
  })
})

describe('room', () => {
  test('one inbound more than maxInbound is refused as busy, a kept peer is not', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1', { maxInbound: 2 })
    await establish('inbound', node, world, '10.0.0.2')
    await establish('inbound', node, world, '10.0.0.3')
    const third = world.raw('10.0.0.4').dial(node.host).shakeHands({ decides: false })
    await world.advance(100)
    expect(third.farewell?.code).toBe(byeCodes.busy)
    world.network.faults.holdDials({ from: node.host })
    node.connections.keep('10.0.0.5')
    world.raw('10.0.0.5').dial(node.host).shakeHands({ decides: false })
    await world.advance(5_000)
    expect(node.connections.peers().map(({ ip }) => ip)).toEqual([
      '10.0.0.2',
      '10.0.0.3',
      '10.0.0.5',
    ])
  })

  test('known peers fill no more than maxOutbound, and the next is dialled when one ends', async () => {
    const world = new World()
    const node = world.node('10.0.0.1', { maxOutbound: 2 })
    const hosts = ['10.0.0.2', '10.0.0.3', '10.0.0.4']
    for (const host of hosts) {
      await world.raw(host).listen((raw) => void raw.shakeHands({ decides: false }))
      node.registry.add(host)
    }
    await node.connections.start()
    await world.advance(5_000)
    expect(node.connections.peers().map(({ ip }) => ip)).toEqual(hosts.slice(0, 2))
    node.connections.disconnect('10.0.0.2')
    await world.advance(5_000)
    expect(node.connections.peers().map(({ ip }) => ip)).toEqual(hosts.slice(1))
  })

  test.each(['refuse', 'close in the handshake'])(
    'dials that come to nothing leave their room to the next known peer: they %s',
    async (how) => {
      const world = new World()
      const node = world.node('10.0.0.1', { maxOutbound: 2, maxConcurrentDials: 8 })
      const dead = ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5']
      for (const host of dead) {
        if (how !== 'refuse') await world.raw(host).listen((raw) => raw.destroy())
        node.registry.add(host)
      }
      await world.raw('10.0.0.6').listen((raw) => void raw.shakeHands({ decides: false }))
      node.registry.add('10.0.0.6')
      await node.connections.start()
      // At once, not when the first of the dead is to be dialled again.
      await world.advance(900)
      expect(node.connections.peers().map(({ ip }) => ip)).toEqual(['10.0.0.6'])
    },
  )
})

describe('start and stop', () => {
  test('both are idempotent, and stop leaves nothing behind', async () => {
    const world = new World()
    const { a, b } = await world.pair()
    world.network.faults.holdDials({ to: nobody })
    a.connections.keep(nobody)
    world.raw('10.0.0.77').dial(a.host)
    await world.advance(100)
    await Promise.all([a.connections.start(), a.connections.start()])
    expect(a.transport.openListeners).toBe(1)
    const stopping = [a.connections.stop(), a.connections.stop()]
    await world.advance(2_000)
    await Promise.all(stopping)
    await a.connections.stop()
    expect(b.reasons).toMatchObject([{ kind: 'shutdown', by: 'peer' }])
    expect(a.reasons).toMatchObject([{ kind: 'shutdown', by: 'us' }])
    expect(a.connections.status()).toMatchObject({
      state: 'stopped',
      endpoints: [],
      inbound: 0,
      outbound: 0,
      handshaking: 0,
      dialing: 0,
      queuedDials: 0,
    })
    expect([a.transport.openListeners, a.transport.inFlight]).toEqual([0, 0])
    const stoppingB = b.connections.stop()
    await world.advance(2_000)
    await stoppingB
    expect(world.clock.pendingTimers).toBe(0)
    expect(world.network.connections()).toEqual([])
  })

  test('it works again after a stop, with the same handlers and services', async () => {
    const world = new World()
    const { a, b } = await world.pair()
    const got: number[] = []
    b.connections.handle('n', (bytes) => void got.push(bytes[0]!))
    for (let round = 1; round <= 5; round += 1) {
      const stopping = b.connections.stop()
      await world.advance(2_000)
      await stopping
      await b.connections.start()
      const connecting = a.connections.connect(b.host)
      await world.advance(1_000)
      ;(await connecting).send('n', Uint8Array.of(round))
      await world.advance(1_000)
      expect(await pingOf(world, a.pings.ping(a.peer))).toBeGreaterThan(0)
    }
    expect(got).toEqual([1, 2, 3, 4, 5])
  })

  test.each([
    { calls: ['start', 'stop'], ends: 'stopped' },
    { calls: ['start', 'stop', 'start'], ends: 'running' },
    { calls: ['stop', 'start', 'stop'], ends: 'stopped' },
    { calls: ['start', 'start', 'stop', 'stop', 'start', 'stop'], ends: 'stopped' },
  ] as const)('the last of $calls in one tick counts', async ({ calls, ends }) => {
    for (const listen of [true, false]) {
      for (const before of ['stopped', 'running'] as const) {
        const world = new World()
        const node = world.node('10.0.0.1', { listen })
        if (before === 'running') await node.connections.start()
        const all = calls.map((call) => node.connections[call]())
        await world.advance(5_000)
        await Promise.all(all)
        expect(node.connections.status().state).toBe(ends)
        expect(node.transport.openListeners).toBe(ends === 'running' && listen ? 1 : 0)
      }
    }
  })

  test('a stop in the middle of every phase of a connection leaves nothing behind', async () => {
    for (let atMs = 0; atMs <= 80; atMs += 1) {
      const world = new World()
      const a = await world.running('10.0.0.1')
      const b = await world.running(other)
      a.connections.connect(b.host).catch(() => undefined)
      b.connections.connect(a.host).catch(() => undefined)
      await world.advance(atMs)
      const stopping = [a.connections.stop(), b.connections.stop()]
      await world.advance(3_000)
      await Promise.all(stopping)
      expect(world.clock.pendingTimers, `stopped at ${atMs} ms`).toBe(0)
      expect(world.network.connections()).toEqual([])
      expect(a.connected.length).toBe(a.disconnected.length)
      expect(b.connected.length).toBe(b.disconnected.length)
    }
  })

  test('a start that cannot listen rejects, is stopped, and works later', async () => {
    const world = new World()
    const first = await world.running('10.0.0.1')
    const second = world.node('10.0.0.1')
    await expect(second.connections.start()).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
    expect(second.connections.status().state).toBe('stopped')
    const stopping = first.connections.stop()
    await world.advance(2_000)
    await stopping
    await second.connections.start()
    expect(second.connections.status().state).toBe('running')
  })

  test('a dial under way when it stops gives a connection that is closed at once', async () => {
    const world = new World()
    let held: HeldDials | undefined
    const node = await world.running('10.0.0.1', {
      wrapTransport: (transport) => (held = new HeldDials(transport)),
    })
    await world.running(other)
    node.connections.connect(other).catch(() => undefined)
    await world.advance(10)
    await node.connections.stop()
    held!.succeed()
    await world.advance(5_000)
    expect(world.network.connections()).toEqual([])
    expect(node.connected).toEqual([])
  })
})

describe('a node that does not listen', () => {
  test('dials, tells no port, and is dialled by nobody', async () => {
    const world = new World()
    const { a, b } = await world.pair({ a: { listen: false } })
    expect(a.connections.endpoints).toEqual([])
    expect(b.peer.listeningPort).toBeUndefined()
    world.network.faults.refuseDials({ from: a.host })
    world.network.resetBetween(a.host, b.host)
    await world.advance(600_000)
    expect(b.transport.dialled).toEqual([])
  })

  test('accepts what the user has accepted himself', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1', { listen: false })
    // The user's own server, at the same host.
    const server = world.network.transport({ host: node.host })
    await server.listen!((connection) => node.connections.accept(connection))
    world.raw(other).dial(node.host).shakeHands({ decides: false })
    await world.advance(100)
    expect(node.directions).toEqual(['inbound'])
    const stopping = node.connections.stop()
    await world.advance(2_000)
    await stopping
    let error: unknown
    const late = world.network.transport({ host: node.host, port: 24_101 })
    await late.listen!((connection) => {
      try {
        node.connections.accept(connection)
      } catch (thrown) {
        error = thrown
        connection.destroy()
      }
    })
    world.raw(other).dial({ host: node.host, port: 24_101 })
    await world.advance(100)
    expect(code(error)).toBe('NOT_RUNNING')
  })
})

describe('close reasons', () => {
  test('a reader that takes nothing is closed as slow, and only above the high-water mark', async () => {
    const world = new World({ maxInFlightBytes: 1_000, highWaterBytes: 1_000 })
    const node = await world.running('10.0.0.1', {
      maxFrameBytes: 100_000,
      sendHighWaterBytes: 50_000,
      sendMaxBytes: 200_000,
      pongTimeoutMs: 900_000,
    })
    const raw = await establish('inbound', node, world)
    raw.pause()
    node.peer.send('bulk', new Uint8Array(40_000))
    await world.advance(120_000)
    expect(node.disconnected).toEqual([])
    const { peer } = node
    const drained = watched(peer.drained())
    expect(drained.isSettled).toBe(false)
    expect(peer.send('bulk', new Uint8Array(40_000))).toBe(false)
    const waiting = watched(peer.drained())
    await world.advance(29_000)
    expect(node.disconnected).toEqual([])
    await world.advance(2_000)
    expect(node.reasons).toMatchObject([{ kind: 'slow', by: 'us' }])
    expect(node.disconnected[0]!.droppedBytes).toBeGreaterThanOrEqual(40_000)
    expect(code(waiting.error)).toBe('CONNECTION_CLOSED')
  })

  test('a reader that takes a little all the time is not slow', async () => {
    const world = new World({ maxInFlightBytes: 1_000, highWaterBytes: 1_000, latencyMs: 500 })
    const node = await world.running('10.0.0.1', {
      maxFrameBytes: 300_000,
      sendHighWaterBytes: 10_000,
      sendMaxBytes: 300_000,
      pongTimeoutMs: 900_000,
    })
    await establish('inbound', node, world)
    await world.advance(10_000)
    node.peer.send('bulk', new Uint8Array(200_000))
    await world.advance(100_000)
    expect(node.disconnected).toEqual([])
  })

  test('a peer with too many requests unanswered is closed as flood', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1', { maxReplies: 100 })
    node.connections.handle('never', () => new Promise<Uint8Array>(() => undefined))
    const raw = await establish('inbound', node, world)
    raw.send({ kind: 'type', number: 0, name: 'never' })
    for (let id = 0; id < 100; id += 1) {
      raw.send({ kind: 'request', id, type: 0, bytes: new Uint8Array(0) })
    }
    await world.advance(1_000)
    expect(node.disconnected).toEqual([])
    raw.send({ kind: 'request', id: 100, type: 0, bytes: new Uint8Array(0) })
    await world.advance(1_000)
    expect(node.reasons).toMatchObject([{ kind: 'flood', by: 'us' }])
    expect(raw.farewell?.code).toBe(byeCodes.flood)
  })

  test('three missed pongs close the connection at both ends with their reason', async () => {
    const world = new World()
    const { a, b } = await world.pair()
    const hole = world.network.faults.blackHole({ from: b.host, to: a.host })
    const startedMs = world.clock.now()
    await world.clock.runUntil(() => a.disconnected.length > 0, { maxMs: 300_000 })
    expect(a.reasons).toMatchObject([{ kind: 'ping-timeout', by: 'us', missed: 3 }])
    expect(world.clock.now() - startedMs).toBeLessThanOrEqual(3 * 30_000 + 10_000)
    await world.advance(1_000)
    expect(b.reasons).toMatchObject([{ kind: 'ping-timeout' }])
    hole.heal()
  })

  test('what ends without a word is told apart from what breaks', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const ended = await establish('inbound', node, world, '10.0.0.8')
    const broken = await establish('inbound', node, world, '10.0.0.9')
    ended.close()
    broken.destroy()
    await world.advance(100)
    expect(node.disconnected.map(({ peer, reason }) => [peer.ip, reason.kind, reason.by])).toEqual(
      expect.arrayContaining([
        ['10.0.0.8', 'ended', 'network'],
        ['10.0.0.9', 'transport-error', 'network'],
      ]),
    )
  })
})

describe('services and listeners', () => {
  test('services hear of a peer in order, before users do, and one that throws is reported', async () => {
    const world = new World()
    const node = world.node('10.0.0.1')
    const heard: string[] = []
    const service = (name: string): PeerService => ({
      peerConnected: () => void heard.push(`${name} connected`),
      peerMessage: (_peer, message) => void heard.push(`${name} ${message.kind}`),
      peerDisconnected: () => void heard.push(`${name} disconnected`),
    })
    node.connections.serve(service('first'))
    node.connections.serve({
      peerConnected: () => {
        throw new Error('a bug')
      },
    })
    node.connections.serve(service('second'))
    node.connections.on('peerConnected', () => void heard.push('user connected'))
    node.connections.on('peerDisconnected', () => void heard.push('user disconnected'))
    await node.connections.start()
    const raw = await establish('inbound', node, world)
    raw.send({ kind: 'status', chainId: 'c', base: 0, tip: null })
    await world.advance(100)
    raw.close()
    await world.advance(100)
    expect(heard.filter((line) => !line.endsWith('pong'))).toEqual([
      'first connected',
      'second connected',
      'user connected',
      'first status',
      'second status',
      'first disconnected',
      'second disconnected',
      'user disconnected',
    ])
    expect(node.bugs).toEqual([new Error('a bug')])
  })

  test('a service that joins late hears of the peers that are there', async () => {
    const world = new World()
    const { a } = await world.pair()
    const heard: Peer[] = []
    a.connections.serve({ peerConnected: (peer) => void heard.push(peer) })
    expect(heard).toEqual(a.connections.peers())
  })

  test('a listener that throws stops nobody and is reported', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const errors: unknown[] = []
    let later = 0
    node.connections.on('peerConnected', () => {
      throw new Error('listener')
    })
    node.connections.on('peerConnected', () => void (later += 1))
    node.connections.on('listenerError', (info) => void errors.push(info))
    await establish('inbound', node, world)
    expect(errors).toEqual([{ event: 'peerConnected', error: new Error('listener'), count: 1 }])
    expect([later, node.connections.peers().length]).toEqual([1, 1])
  })

  test('a listener that disconnects the peer it hears of leaves a consistent story', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const story: string[] = []
    node.connections.on('peerConnected', ({ peer }) => {
      peer.close('no thanks')
      story.push('closed')
    })
    node.connections.on('peerConnected', ({ peer }) => void story.push(String(peer.isConnected)))
    node.connections.on('peerDisconnected', () => void story.push('disconnected'))
    await establish('inbound', node, world).catch(() => undefined)
    expect(story).toEqual(['closed', 'false', 'disconnected'])
  })
})

describe('options', () => {
  const options = (changes: Partial<ConnectionManagerOptions>): ConnectionManagerOptions => {
    const world = new World()
    return {
      registry: new PeerRegistry(),
      transport: world.network.transport({ host: '10.0.0.1' }),
      network: 'test',
      ...changes,
    }
  }

  test.each([
    { changes: { handshakeTimeoutMs: 0 }, text: /handshakeTimeoutMs .* 0/ },
    {
      changes: { handshakeTimeoutMs: 10_000 },
      text: /handshakeTimeoutMs \(10000\).*challengeTimeout/,
    },
    {
      changes: { confirmTimeoutMs: 5_000 },
      text: /confirmTimeoutMs \(5000\).*challengeTimeoutMaxMs/,
    },
    {
      changes: { challengeTimeoutMaxMs: 1_000 },
      text: /challengeTimeoutMaxMs \(1000\).*challengeTimeoutMs \(3000\)/,
    },
    { changes: { sendMaxBytes: 1_000 }, text: /sendMaxBytes \(1000\).*maxFrameBytes/ },
    {
      changes: { sendHighWaterBytes: 2 ** 25 },
      text: /sendMaxBytes .*sendHighWaterBytes \(33554432\)/,
    },
    { changes: { maxFrameBytes: 100 }, text: /maxFrameBytes \(100\)/ },
    { changes: { maxConcurrentDials: 1.5 }, text: /maxConcurrentDials .* 1.5/ },
    { changes: { backoffMaxMs: 10 }, text: /backoffMaxMs \(10\).*backoffBaseMs \(1000\)/ },
    { changes: { patienceMs: -1 }, text: /patienceMs .* -1/ },
    { changes: { dialTimeoutMs: Infinity }, text: /dialTimeoutMs .* Infinity/ },
    { changes: { network: '' }, text: /network .* 0/ },
    { changes: { agent: 'x'.repeat(129) }, text: /agent .* 128/ },
    { changes: { appData: new Uint8Array(4_097) }, text: /appData .* 4097/ },
    { changes: { localIp: 'here' }, text: /localIp .*here/ },
  ])('$changes is refused with an error that names it', ({ changes, text }) => {
    expect(() => new ConnectionManager(options(changes))).toThrow(RangeError)
    expect(() => new ConnectionManager(options(changes))).toThrow(text)
  })

  test('a transport that cannot listen is not made to', () => {
    const transport = new World().network.transport({ host: '10.0.0.1', listen: false })
    expect(() => new ConnectionManager(options({ transport, listen: true }))).toThrow(TypeError)
    expect(new ConnectionManager(options({ transport })).status().state).toBe('stopped')
  })

  test('what is wrong in a broadcast is the caller’s mistake, also when nobody listens', () => {
    const { connections } = new World().node('10.0.0.1')
    expect(() => connections.broadcast('', new Uint8Array(0))).toThrow(RangeError)
    expect(() => connections.broadcast('x', 'text' as never)).toThrow(TypeError)
    expect(() => connections.handle('', () => undefined)).toThrow(RangeError)
    expect(() => connections.handle('x', 'text' as never)).toThrow(TypeError)
  })
})

async function pingOf(world: World, ping: Promise<number>): Promise<number> {
  await world.advance(200)
  return ping
}

describe('health', () => {
  test('tells "connecting", "no peers" and "isolated" apart in each state of the node (F114)', async () => {
    const world = new World()
    const node = world.node('10.0.0.1')
    const { connections } = node
    expect(connections.health).toBe('stopped')
    const starting = connections.start()
    await Promise.resolve()
    expect(connections.health).toBe('starting')
    await starting
    expect(connections.status()).toMatchObject({ health: 'no-peers' })
    await world.advance(100_000)
    expect(connections.health).toBe('no-peers')
    // From when a peer is wanted it is isolated, for it has been alone for long.
    connections.keep(nobody)
    expect(connections.health).toBe('isolated')
    connections.unkeep(nobody)
    await world.advance(1_000)
    expect(connections.health).toBe('no-peers')

    const connecting = connections.connect(other).catch(() => undefined)
    expect(connections.health).toBe('connecting')
    await world.advance(1_000)
    await connecting
    await world.running(other)
    connections.keep(other)
    await world.clock.runUntil(() => connections.peers().length > 0, { maxMs: 400_000 })
    expect(connections.health).toBe('connected')
    const parted = world.network.faults.partition([node.host], [other])
    await world.clock.runUntil(() => {
      expect(connections.health).toBe(connections.peers().length > 0 ? 'connected' : 'connecting')
      return connections.peers().length === 0
    })
    await world.advance(59_999)
    expect(connections.health).toBe('connecting')
    await world.advance(1)
    expect(connections.health).toBe('isolated')
    parted.heal()
    await world.clock.runUntil(() => connections.peers().length > 0, { maxMs: 400_000 })
    expect(connections.health).toBe('connected')
    const stopping = connections.stop()
    await Promise.resolve()
    expect(connections.health).toBe('stopping')
    await world.advance(2_000)
    await stopping
    expect(connections.health).toBe('stopped')
  })
})

describe('a repeated condition is one event with a count (F115)', () => {
  test('10,000 messages whose handler throws, and a service that throws for each', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const [errors, bugs]: number[][] = [[], []]
    node.connections.on('listenerError', ({ count }) => void errors!.push(count))
    node.connections.on('internalError', ({ count }) => void bugs!.push(count))
    node.connections.handle('bad', () => {
      throw new Error('a bug')
    })
    node.connections.serve({
      peerMessage: () => {
        throw new Error('another bug')
      },
    })
    const raw = await establish('inbound', node, world)
    raw.send({ kind: 'type', number: 0, name: 'bad' })
    for (let index = 0; index < 10_000; index += 1) {
      raw.send({ kind: 'message', type: 0, bytes: Uint8Array.of(1) })
      raw.send({ kind: 'cancel', id: index })
      if (index % 100 === 0) await world.advance(50)
    }
    await world.advance(1_000)
    expect([errors, bugs]).toEqual([[1], [1]])
    await world.advance(9_000)
    expect([errors!.length, bugs!.length]).toEqual([2, 2])
    expect(errors![1]).toBe(9_999)
    // What is held back when it stops is told then, and no timer is left.
    raw.send({ kind: 'message', type: 0, bytes: Uint8Array.of(1) })
    await world.advance(100)
    const stopping = node.connections.stop()
    await world.advance(2_000)
    await stopping
    expect([errors!.length, world.clock.pendingTimers]).toEqual([3, 0])
  })
})
