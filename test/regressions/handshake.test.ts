import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import type { PeerService, ServicePeer } from '../../src/contracts/peer-service.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import type { MessageKind, WireMessage } from '../../src/wire/messages.js'
import { World, directions, establish, type SimulatedNode } from '../support/simulated-node.js'
import type { RawConnection } from '../support/raw-peer.js'

const host = '10.0.0.9'
const { handshakeTimeoutMs } = defaultConnectionLimits

/** A connection on which nothing was said yet, in the direction that the node sees. */
async function silent(
  direction: 'inbound' | 'outbound',
  node: SimulatedNode,
  world: World,
): Promise<RawConnection> {
  const raw = world.raw(host)
  await raw.listen()
  const inbound = direction === 'inbound' ? raw.dial(node.host) : undefined
  if (inbound === undefined) node.connections.connect(host).catch(() => undefined)
  await world.advance(100)
  return inbound ?? raw.accepted[0]!
}

/** Has something to say as soon as anybody is there. */
class Eager implements PeerService {
  peerConnected(peer: ServicePeer): void {
    peer.post({ kind: 'status', chainId: 'c', base: 0, tip: null })
    peer.ping()
    peer.send('greeting', Uint8Array.of(1))
  }
}

describe.each(directions)('over an %s connection', (direction) => {
  test.each([
    { role: 'the node decides', nodeIp: '10.0.0.1' },
    { role: 'the peer decides', nodeIp: '10.0.0.20' },
  ])(
    "the first message out on every connection is the handshake, or an acceptor's refusal: $role (F40)",
    async ({ nodeIp }) => {
      const world = new World()
      const node = await world.running(nodeIp, { pingIntervalMs: 100, pongTimeoutMs: 3_000 })
      node.connections.serve(new Eager())
      const raw = await silent(direction, node, world)
      const broadcast = (): number => node.connections.broadcast('news', Uint8Array.of(2))
      expect(broadcast()).toBe(0)
      raw.hello()
      await world.advance(3_000)
      expect(broadcast()).toBe(0)
      expect(raw.kinds).toEqual(nodeIp === '10.0.0.1' ? ['hello', 'ready'] : ['hello'])
      raw.ready()
      await world.advance(11)
      expect(broadcast()).toBe(1)
      await world.advance(1_000)
      // What was queued in the moment of establishment follows the handshake, in order.
      const bulk = raw.kinds.filter((kind) => kind !== 'ping')
      expect(bulk).toEqual(['hello', 'ready', 'status', 'type', 'message', 'type', 'message'])
      expect(raw.kinds.slice(0, 2)).toEqual(['hello', 'ready'])
      expect(raw.all('message').map(({ bytes }) => bytes[0])).toEqual([1, 2])
    },
  )

  test('when the handshake never completes, nothing else leaves (F40)', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1', { pingIntervalMs: 100, pongTimeoutMs: 3_000 })
    node.connections.serve(new Eager())
    const raw = await silent(direction, node, world)
    raw.hello()
    for (let second = 0; second < 30; second += 1) {
      node.connections.broadcast('news', Uint8Array.of(2))
      await world.advance(1_000)
    }
    expect(raw.kinds).toEqual(['hello', 'ready', 'bye'])
    expect(raw.farewell?.code).toBe(byeCodes['confirm-timeout'])
  })

  const hash = 'ab'.repeat(32)
  /** Every kind but those with which a connection may begin. */
  const early: {
    readonly [Kind in Exclude<MessageKind, 'hello' | 'bye'>]: WireMessage & { readonly kind: Kind }
  } = {
    ready: { kind: 'ready' },
    ping: { kind: 'ping', nonce: 1n },
    pong: { kind: 'pong', nonce: 1n },
    type: { kind: 'type', number: 0, name: 'x' },
    message: { kind: 'message', type: 0, bytes: new Uint8Array(1) },
    request: { kind: 'request', id: 1, type: 0, bytes: new Uint8Array(1) },
    answer: { kind: 'answer', id: 1, bytes: new Uint8Array(1) },
    refusal: { kind: 'refusal', id: 1, code: 'no-handler' },
    status: { kind: 'status', chainId: 'c', base: 0, tip: { height: 9, hash } },
    announce: { kind: 'announce', tip: { height: 9, hash } },
    getHeaders: { kind: 'getHeaders', id: 1, locator: [{ height: 1, hash }], count: 10 },
    headers: { kind: 'headers', id: 1, previousHash: hash, headers: [{ height: 1, hash }] },
    getBlocks: { kind: 'getBlocks', id: 1, from: 0, count: 1, maxBytes: 1_000 },
    blocks: { kind: 'blocks', id: 1, last: true, blocks: [] },
    notFound: { kind: 'notFound', id: 1, reason: 'above-tip', base: 0, tip: null },
    busy: { kind: 'busy', id: 1, retryAfterMs: 1 },
    cancel: { kind: 'cancel', id: 1 },
    getPeers: { kind: 'getPeers', count: 10 },
    peers: { kind: 'peers', peers: [{ ip: '10.0.0.7', port: 1 }] },
  }
  test.each(Object.values(early).map((message) => ({ kind: message.kind, message })))(
    'a remote that speaks too early is closed without a trace: $kind (F41)',
    async ({ message }) => {
      const world = new World()
      const node = await world.running('10.0.0.1')
      const heard: unknown[] = []
      node.connections.serve({ peerMessage: (_peer, received) => void heard.push(received) })
      const raw = await silent(direction, node, world)
      raw.send(message)
      await world.advance(50)
      expect(raw.farewell?.code).toBe(byeCodes.misbehaved)
      expect(raw.isClosed).toBe(true)
      expect(heard).toEqual([])
      expect([node.connected, node.misbehaved, node.registry.bans()]).toEqual([[], [], []])
      const after = node.registry.get(host)
      // An inbound leaves nothing at all; a dial of ours did fail, and only that is remembered.
      if (direction === 'inbound') expect(after).toBeUndefined()
      else expect(after).toMatchObject({ failures: 1, timesConnected: 0, ban: undefined })
      // A correct attempt right after succeeds.
      world.raw(host, { listen: false }).dial(node.host).shakeHands({ decides: false })
      await world.advance(100)
      expect(node.directions).toEqual(['inbound'])
    },
  )

  test.each([early.ready, early.message, early.getPeers])(
    'a second connection that speaks too early, with $kind, costs the first one nothing (F41)',
    async (message) => {
      const world = new World()
      const node = await world.running('10.0.0.1')
      const raw = await establish(direction, node, world)
      await world.advance(40_000)
      const stateOf = () => ({
        info: node.registry.get(host),
        dial: node.entry(host).dial,
        slot: node.entry(host).slot.state,
      })
      const before = stateOf()
      const pings = raw.all('ping').length
      const second = world.raw(host, { listen: false }).dial(node.host)
      second.send(message)
      await world.advance(1_000)
      expect(second.farewell?.code).toBe(byeCodes.misbehaved)
      expect(stateOf()).toEqual(before)
      // It was not even challenged.
      expect(raw.all('ping')).toHaveLength(pings)
      expect([raw.isOpen, node.misbehaved, node.disconnected]).toEqual([true, [], []])
    },
  )

  test.each([
    { what: 'another network', hello: { network: 'other' }, kind: 'wrong-network' as const },
    { what: 'another version', hello: { version: 2 }, kind: 'wrong-version' as const },
  ])('both ends verify network and version: $what (F43)', async ({ hello, kind }) => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const heard: unknown[] = []
    node.connections.serve({ peerMessage: (_peer, message) => void heard.push(message) })
    node.connections.keep(host)
    const raw = world.raw(host)
    await raw.listen((connection) => {
      connection.hello(hello)
      connection.send({
        kind: 'status',
        chainId: 'c',
        base: 0,
        tip: { height: 94_148, hash: 'ab' },
      })
    })
    await world.advance(100)
    const inbound = raw.dial(node.host)
    inbound.hello(hello)
    inbound.send({ kind: 'status', chainId: 'c', base: 0, tip: { height: 94_148, hash: 'ab' } })
    await world.advance(2_000)
    const ends = direction === 'inbound' ? [inbound] : raw.accepted
    expect(ends.length).toBeGreaterThan(0)
    for (const end of ends) {
      expect(end.farewell?.code).toBe(byeCodes[kind])
      expect(end.isClosed).toBe(true)
    }
    expect([heard, node.connected]).toEqual([[], []])
    expect(node.registry.get(host)).toMatchObject({ ban: undefined, isConnected: false })
    expect(node.failures.map(({ reason }) => reason)).toMatchObject([{ kind, by: 'us' }])
    expect(node.inboundRefused).toMatchObject([{ reason: { kind, by: 'us' } }])
    // Remembered: not dialled for long, and then again.
    const dialled = node.transport.dialled.length
    await world.advance(3_500_000)
    expect(node.transport.dialled).toHaveLength(dialled)
    await world.advance(200_000)
    expect(node.transport.dialled.length).toBeGreaterThan(dialled)
  })

  test('two nodes of different networks both know why they are not connected (F43)', async () => {
    const world = new World()
    const a = await world.running('10.0.0.1')
    const b = await world.running(host, { network: 'other' })
    const [dialler, acceptor] = direction === 'inbound' ? [b, a] : [a, b]
    const failure = dialler.connections.connect(acceptor.host).catch((error: unknown) => error)
    await world.advance(1_000)
    expect(await failure).toMatchObject({
      code: 'CONNECT_FAILED',
      reason: { kind: 'wrong-network', by: 'peer' },
    })
    expect(acceptor.inboundRefused).toMatchObject([{ reason: { kind: 'wrong-network', by: 'us' } }])
    expect([a.connected, b.connected]).toEqual([[], []])
  })
})

test('silent sockets are gone at the handshake deadline (F42)', async () => {
  const world = new World()
  const node = await world.running('10.0.0.1')
  const sockets: RawConnection[] = []
  for (let index = 0; index < 500; index += 1) {
    const raw = world.raw(`10.1.${index >> 8}.${index & 255}`)
    sockets.push(raw.dial(node.host), raw.dial(node.host))
  }
  await world.advance(15)
  expect(sockets).toHaveLength(1_000)
  expect(node.connections.status().handshaking).toBeLessThanOrEqual(
    defaultConnectionLimits.maxPendingHandshakes,
  )
  // An honest peer comes in meanwhile.
  const honest = await establish('inbound', node, world)
  expect([honest.isOpen, node.directions]).toEqual([true, ['inbound']])
  expect(node.connections.status().handshaking).toBeGreaterThan(0)
  await world.advance(handshakeTimeoutMs)
  expect(sockets.filter(({ isClosed }) => !isClosed)).toEqual([])
  expect(node.connections.status()).toMatchObject({ handshaking: 0, inbound: 1 })
  const codes = new Set(sockets.map(({ farewell }) => farewell?.code))
  expect(codes).toEqual(new Set([byeCodes.busy, byeCodes['handshake-timeout']]))
  expect(node.registry.size).toBe(1)
})

test('a socket that sent a valid HELLO never makes room for others (F42)', async () => {
  const world = new World()
  const node = await world.running('10.0.0.1')
  const polite = world.raw(host).dial(node.host)
  polite.hello()
  await world.advance(100)
  for (let index = 0; index < 100; index += 1) world.raw(`10.1.0.${index}`).dial(node.host)
  await world.advance(100)
  polite.ready()
  await world.advance(100)
  expect(node.directions).toEqual(['inbound'])
})
