import { describe, expect, test } from 'vitest'
import { createNode } from '../../src/node.js'
import { PeerRegistry } from '../../src/peer-registry.js'
import { World, type SimulatedNode } from '../support/simulated-node.js'

const identity = 'endpoint'
const publicIp = '203.0.113.1'

/** Two nodes behind one address, each at a forwarded port. */
async function behindNat(
  world: World,
  options: { readonly aPort?: number; readonly bPort?: number } = {},
): Promise<{ readonly a: SimulatedNode; readonly b: SimulatedNode }> {
  const { aPort = 7_001, bPort = 7_002 } = options
  const [aHost, bHost] = ['192.168.0.2', '192.168.0.3']
  const forward = [
    { port: 7_001, to: aHost, toPort: aPort },
    { port: 7_002, to: bHost, toPort: bPort },
  ]
  world.network.nat({ publicIp, hosts: [aHost, bHost], forward })
  return {
    a: await world.running(aHost, { identity, port: aPort }),
    b: await world.running(bHost, { identity, port: bPort }),
  }
}

const keys = (node: SimulatedNode): string[] =>
  node.connections
    .peers()
    .map((peer) => peer.key)
    .sort()

describe("identity: 'endpoint'", () => {
  test('lets two nodes behind one NAT both be connected to a third, whoever dials', async () => {
    for (const inwards of [true, false]) {
      const world = new World()
      const { a, b } = await behindNat(world)
      const third = await world.running('198.51.100.1', { identity })
      if (inwards) {
        third.connections.keep(`${publicIp}:7001`)
        third.connections.keep(`${publicIp}:7002`)
      } else {
        a.connections.keep(third.host)
        b.connections.keep(third.host)
      }
      await world.advance(10_000)
      expect(keys(third)).toEqual([`${publicIp}:7001`, `${publicIp}:7002`])
      expect(keys(a)).toEqual([`${third.host}:24100`])
      expect(keys(b)).toEqual([`${third.host}:24100`])
      expect(world.network.connections()).toHaveLength(2)
      expect(third.sharedAddresses).toEqual([])
    }
  })

  test('names a peer by its endpoint, in every method that takes a peer', async () => {
    const world = new World()
    const { a, b } = await behindNat(world)
    const third = await world.running('198.51.100.1', { identity })
    const connecting = third.connections.connect(`${publicIp}:7001`)
    third.connections.keep(`${publicIp}:7002`)
    await world.advance(5_000)
    expect(await connecting).toBe(third.connections.peer(`${publicIp}:7001`))
    expect(third.connections.peer(`::ffff:${publicIp}`)).toBeUndefined()
    expect(third.registry.get(`${publicIp}:7002`)).toMatchObject({
      key: `${publicIp}:7002`,
      ip: publicIp,
      listeningPort: 7_002,
      isKept: true,
    })
    third.connections.disconnect(`${publicIp}:7001`)
    await world.advance(60_000)
    expect(keys(third)).toEqual([`${publicIp}:7002`])
    expect(keys(a)).toEqual([])
    third.connections.unkeep(`${publicIp}:7002`)
    void b.connections.stop()
    await world.advance(600_000)
    expect(keys(third)).toEqual([])
    expect(third.transport.dialled).toHaveLength(2)
  })

  test('a ban means the IP, for anyone can tell any port', async () => {
    const world = new World()
    const { a, b } = await behindNat(world)
    const third = await world.running('198.51.100.1', { identity })
    third.registry.ban(publicIp, { reason: 'test' })
    a.connections.keep(third.host)
    b.connections.keep(third.host)
    third.connections.keep(`${publicIp}:7001`)
    await world.advance(20_000)
    expect(keys(third)).toEqual([])
    expect(third.registry.get(`${publicIp}:7001`)!.ban).toMatchObject({ reason: 'test' })
    third.registry.unban(publicIp)
    await world.advance(1_000)
    expect(keys(third)).toEqual([`${publicIp}:7001`])
  })

  test('peers that tell no port go by their instance, and do not share a slot', async () => {
    const world = new World()
    const hosts = ['192.168.0.2', '192.168.0.3']
    world.network.nat({ publicIp, hosts })
    const third = await world.running('198.51.100.1', { identity })
    for (const host of hosts) {
      const node = await world.running(host, { identity, listen: false })
      node.connections.keep(third.host)
    }
    await world.advance(10_000)
    const [first] = third.connections.peers()
    expect(third.connections.peers()).toHaveLength(2)
    expect(first!.key).toMatch(/^203\.0\.113\.1#[0-9a-f]{32}$/)
    expect(third.connections.peer(first!.key)).toBe(first)
    expect(third.registry.get(first!.key)).toMatchObject({ isConnected: true })
  })
})

describe('a node behind a port forwarding that tells another port than the one that is dialled', () => {
  test('has one connection, whichever ends dial, and goes by all its names', async () => {
    const world = new World()
    const { a } = await behindNat(world, { aPort: 9_001 })
    const third = await world.running('198.51.100.1', { identity })
    third.connections.keep(`${publicIp}:7001`)
    a.connections.keep(third.host)
    await world.advance(10_000)
    expect(keys(third)).toEqual([`${publicIp}:9001`])
    expect(world.network.connections()).toHaveLength(1)
    expect(third.connections.peer(`${publicIp}:7001`)).toBe(third.peer)
    expect(await third.connections.connect(`${publicIp}:7001`)).toBe(third.peer)
    expect(third.disconnected.concat(a.disconnected)).toEqual([])

    const dialsBefore = third.transport.dialled.length + a.transport.dialled.length
    await world.advance(3_600_000)
    expect(third.transport.dialled.length + a.transport.dialled.length).toBe(dialsBefore)
  })

  test('is dialled again at the port that works, after the connection ends', async () => {
    const world = new World()
    const { a } = await behindNat(world, { aPort: 9_001 })
    const third = await world.running('198.51.100.1', { identity })
    const connecting = third.connections.connect(`${publicIp}:7001`)
    await world.advance(1_000)
    expect((await connecting).key).toBe(`${publicIp}:9001`)
    third.connections.keep(`${publicIp}:7001`)
    world.network.resetBetween(a.host, third.host)
    await world.advance(60_000)
    expect(keys(third)).toEqual([`${publicIp}:9001`])
    expect(world.network.connections()).toHaveLength(1)
  })

  test('is let go by either name', async () => {
    for (const name of ['7001', '9001']) {
      const world = new World()
      await behindNat(world, { aPort: 9_001 })
      const third = await world.running('198.51.100.1', { identity })
      third.connections.keep(`${publicIp}:7001`)
      await world.advance(5_000)
      third.connections.disconnect(`${publicIp}:${name}`)
      await world.advance(600_000)
      expect(keys(third)).toEqual([])
      expect(third.transport.dialled).toHaveLength(1)
    }
  })

  test('goes by the port that is dialled, when it is told with advertisedPort', async () => {
    const world = new World()
    world.network.nat({
      publicIp,
      hosts: ['192.168.0.2'],
      forward: [{ port: 7_001, to: '192.168.0.2', toPort: 9_001 }],
    })
    await world.running('192.168.0.2', { identity, port: 9_001, advertisedPort: 7_001 })
    const third = await world.running('198.51.100.1', { identity })
    third.connections.keep(`${publicIp}:7001`)
    await world.advance(5_000)
    expect(keys(third)).toEqual([`${publicIp}:7001`])
  })

  test('is admitted above maxInbound when it is kept by the port that is dialled', async () => {
    const world = new World()
    const { a } = await behindNat(world, { aPort: 9_001 })
    const third = await world.running('198.51.100.1', { identity, maxInbound: 0 })
    third.connections.keep(`${publicIp}:7001`)
    await world.advance(5_000)
    world.network.faults.refuseDials({ from: third.host, to: a.host })
    world.network.resetBetween(a.host, third.host)
    a.connections.keep(third.host)
    await world.advance(60_000)
    expect(keys(third)).toEqual([`${publicIp}:9001`])
    expect(third.peer.direction).toBe('inbound')
  })
})

describe('the default identity', () => {
  test('says that nodes share an address, at once and then once a minute with a count (F115)', async () => {
    const world = new World()
    const third = await world.running('198.51.100.1')
    // The rate of accepts is not what ends these.
    third.registry.access.allow(publicIp)
    world.network.nat({ publicIp, hosts: ['192.168.0.2', '192.168.0.3'] })
    const a = await world.running('192.168.0.2', { listen: false })
    const b = await world.running('192.168.0.3', { listen: false })
    a.connections.keep(third.host)
    await world.advance(5_000)
    const attempts: Promise<unknown>[] = []
    for (let count = 0; count < 200; count += 1) {
      attempts.push(b.connections.connect(third.host).catch((error: unknown) => error))
      await world.advance(500)
    }
    const errors = (await Promise.all(attempts)) as { code: string; message: string }[]
    expect(errors[0]).toMatchObject({ code: 'CONNECT_FAILED' })
    expect(errors[0]!.message).toContain("identity: 'endpoint'")

    expect(third.sharedAddresses).toHaveLength(2)
    expect(third.sharedAddresses[0]).toMatchObject({ key: publicIp, refused: 1, nodes: 1 })
    expect(third.sharedAddresses[0]!.hint).toContain("identity: 'endpoint'")
    expect(third.sharedAddresses[1]!.refused).toBeGreaterThan(100)
    expect(third.sharedAddresses[1]!.nodes).toBe(1)
    await world.advance(600_000)
    const told = third.sharedAddresses.reduce((sum, { refused }) => sum + refused, 0)
    expect(told).toBe(third.connections.status().duplicatesRefused)
    expect(a.disconnected).toEqual([])
  })

  test('says nothing of the kind when one node opens two connections, or starts anew', async () => {
    const world = new World()
    const { a, b } = await world.pair()
    world.network.crash(a.host)
    const again = await world.running(a.host)
    b.connections.keep(a.host)
    again.connections.keep(b.host)
    await world.advance(60_000)
    expect(b.connections.peers()).toHaveLength(1)
    expect(b.sharedAddresses).toEqual([])

    const raw = world.raw('10.0.0.2')
    raw.dial(b.host).shakeHands({ decides: true })
    await world.advance(1_000)
    const second = raw.dial(b.host).shakeHands({ decides: true })
    await world.advance(20_000)
    expect(second.farewell).toMatchObject({ code: 1, text: '' })
    expect(b.sharedAddresses).toEqual([])
  })

  test('a node that stops tells no more of it, and leaves no timer', async () => {
    const world = new World()
    const third = await world.running('198.51.100.1')
    world.network.nat({ publicIp, hosts: ['192.168.0.2', '192.168.0.3'] })
    const a = await world.running('192.168.0.2', { listen: false })
    const b = await world.running('192.168.0.3', { listen: false })
    a.connections.keep(third.host)
    await world.advance(5_000)
    b.connections.keep(third.host)
    await world.advance(5_000)
    expect(third.sharedAddresses).toHaveLength(1)
    const stopping = Promise.all([a, b, third].map((node) => node.connections.stop()))
    await world.advance(2_000)
    await stopping
    expect(world.clock.pendingTimers).toBe(0)
  })
})

test('a snapshot brings each endpoint back under its own key', () => {
  const registry = new PeerRegistry({ identity })
  for (const port of [7_001, 7_002]) registry.add(`${publicIp}:${port}`)
  const restored = new PeerRegistry({ identity })
  expect(restored.restore(registry.snapshot())).toMatchObject({ peers: 2 })
  expect(
    restored
      .list()
      .map(({ key, listeningPort }) => [key, listeningPort])
      .sort(),
  ).toEqual([
    [`${publicIp}:7001`, 7_001],
    [`${publicIp}:7002`, 7_002],
  ])
})

describe('the options', () => {
  test.each([
    [() => new PeerRegistry({ identity: 'port' as 'ip' }), "identity must be 'ip' or 'endpoint'"],
    [() => new PeerRegistry({ identity, defaultPort: 0 }), 'defaultPort must be 1 to 65535, not 0'],
  ])('refuse what is wrong, and name it', (body, text) => {
    expect(body).toThrow(RangeError)
    expect(body).toThrow(text)
  })

  test('advertisedPort must be a port', () => {
    const world = new World()
    expect(() => world.node('10.0.0.1', { advertisedPort: 70_000 })).toThrow(
      'advertisedPort must be 1 to 65535, not 70000',
    )
  })

  test('createNode makes a registry of that identity, and refuses one of another', () => {
    const transport = new World().network.transport({ host: '10.0.0.1', port: 7_007 })
    const node = createNode({ network: 'test', transport, identity })
    expect(node.registry.identity).toBe('endpoint')
    expect(node.registry.add('10.0.0.2')!.key).toBe('10.0.0.2:7007')
    const registry = new PeerRegistry()
    expect(() => createNode({ network: 'test', transport, identity, registry })).toThrow(
      "identity ('endpoint') must be that of the registry ('ip')",
    )
  })
})
