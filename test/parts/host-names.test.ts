import { describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/errors.js'
import { createNode } from '../../src/node.js'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import type { Transport } from '../../src/contracts/transport.js'
import { World, type SimulatedNode } from '../support/simulated-node.js'

const here = '10.0.0.1'
const [one, two, three] = ['10.0.0.7', '10.0.0.8', '10.0.0.9'] as const
const seed = 'seed.example'
const { backoffMaxMs, dialTimeoutMs } = defaultConnectionLimits

const connectedTo = ({ connections }: SimulatedNode): string[] =>
  connections
    .peers()
    .map(({ ip }) => ip)
    .sort()

/** A running node, and peers that run at these addresses. */
async function worldOf(...hosts: readonly string[]) {
  const world = new World()
  const node = await world.running(here)
  const peers = new Map<string, SimulatedNode>()
  for (const host of hosts) peers.set(host, await world.running(host))
  return { world, node, peers }
}

function withoutNames(transport: Transport): Transport {
  const { name, defaultPort } = transport
  return { name, defaultPort, dial: transport.dial.bind(transport) }
}

describe('a kept name', () => {
  test('keeps each of its addresses as a peer of its own', async () => {
    const { world, node } = await worldOf(one, two, '2001:db8::9')
    world.network.setName(seed, [one, two, '2001:db8::9', one])
    node.connections.keep(`${seed}:24100`)
    await world.advance(1_000)
    expect(connectedTo(node)).toEqual([one, two, '2001:db8::9'])
    expect(node.registry.list({ isKept: true })).toHaveLength(3)
    expect(node.transport.resolved).toEqual([seed])
    expect(node.transport.dialled).toContainEqual({ host: '2001:db8::9', port: 24_100 })
  })

  test('is looked up when the node starts, and again when it starts again', async () => {
    const { world } = await worldOf(one)
    world.network.setName(seed, [one])
    const transport = world.network.transport({ host: '10.0.0.2' })
    const { clock, random } = world.network
    const node = createNode({ network: 'test', transport, clock, random, peers: [seed] })
    expect(node.registry.size).toBe(0)
    await node.start()
    await world.advance(1_000)
    expect(node.peers().map(({ ip }) => ip)).toEqual([one])
    const stopping = node.stop()
    await world.advance(2_000)
    await stopping
    world.network.setName(seed, [two])
    await world.running(two)
    await node.start()
    await world.advance(1_000)
    expect(node.peers().map(({ ip }) => ip)).toEqual([two])
  })

  test('is looked up again before a redial, and the peer that moved is found', async () => {
    const { world, node } = await worldOf(one, two)
    world.network.setName(seed, [one])
    node.connections.keep(seed)
    await world.advance(1_000)
    world.network.setName(seed, [two])
    await world.advance(3_600_000)
    // The connection stays, whatever the name says meanwhile, and nothing is asked without a reason.
    expect(connectedTo(node)).toEqual([one])
    expect(node.transport.resolved).toEqual([seed])
    node.transport.dialled.length = 0
    world.network.crash(one)
    await world.advance(5_000)
    expect(connectedTo(node)).toEqual([two])
    expect(node.transport.dialled.map(({ host }) => host)).toEqual([two])
    expect(node.registry.list({ isKept: true }).map(({ ip }) => ip)).toEqual([two])
    // Nor is the old one dialled later on.
    await world.advance(3_600_000)
    expect(node.transport.dialled).toHaveLength(1)
  })

  test('that stands for one no more leaves its connection alone, and dials it no more', async () => {
    const { world, node, peers } = await worldOf(one, two)
    world.network.setName(seed, [one, two])
    node.connections.keep(seed)
    await world.advance(10_000)
    world.network.setName(seed, [two])
    world.network.crash(two)
    await world.advance(1_000)
    await world.running(two)
    await world.advance(10_000)
    expect(connectedTo(node)).toEqual([one, two])
    expect(node.registry.get(one)).toMatchObject({ isKept: false, isConnected: true })
    expect(node.disconnected).toHaveLength(1)
    node.transport.dialled.length = 0
    world.network.resetBetween(here, one)
    await world.advance(3_600_000)
    expect(node.transport.dialled).toEqual([])
    // It may come by itself, and is kept again when the name stands for it again.
    void peers.get(one)?.connections.connect(here)
    await world.advance(1_000)
    expect(connectedTo(node)).toEqual([one, two])
  })

  test('costs its peers nothing while it cannot be found: they are dialled where they were', async () => {
    const { world, node } = await worldOf(one)
    world.network.setName(seed, [one])
    node.connections.keep(seed)
    await world.advance(10_000)
    world.network.setName(seed, [])
    world.network.resetBetween(here, one)
    await world.advance(5_000)
    expect(connectedTo(node)).toEqual([one])
    expect(node.resolveFailed.length).toBeGreaterThan(0)
    expect(node.registry.get(one)).toMatchObject({ isKept: true })
  })

  test('that cannot be found is tried again with backoff, told each time, until it is', async () => {
    const { world, node } = await worldOf(one)
    node.connections.keep(`${seed}:24100`)
    expect(node.connections.health).not.toBe('no-peers')
    await world.advance(4 * backoffMaxMs)
    const attempts = node.resolveFailed.length
    expect(attempts).toBe(node.transport.resolved.length)
    expect(attempts).toBeGreaterThan(10)
    expect(attempts).toBeLessThan(40)
    expect(node.resolveFailed[0]).toMatchObject({
      name: `${seed}:24100`,
      error: { code: 'RESOLVE_FAILED', cause: { code: 'ENOTFOUND' } },
    })
    world.network.setName(seed, [one])
    await world.advance(backoffMaxMs)
    expect(connectedTo(node)).toEqual([one])
    expect(node.dialFailed).toEqual([])
  })

  test('whose lookup hangs is given up after the time of a dial', async () => {
    const { world, node } = await worldOf(one)
    world.network.setName(seed, [one], { delayMs: 3_600_000 })
    node.connections.keep(seed)
    await world.advance(dialTimeoutMs)
    expect(node.resolveFailed).toMatchObject([{ name: seed, error: { code: 'RESOLVE_FAILED' } }])
    const stopping = node.connections.stop()
    await world.advance(2_000)
    await stopping
    expect(world.clock.pendingTimers).toBe(0)
  })

  test('does not hold back a peer that is kept by its address as well', async () => {
    const { world, node } = await worldOf(one)
    world.network.setName(seed, [one])
    node.connections.keep(seed)
    node.connections.keep(one)
    await world.advance(10_000)
    world.network.setName(seed, [one], { delayMs: dialTimeoutMs - 1 })
    world.network.resetBetween(here, one)
    await world.advance(5_000)
    expect(connectedTo(node)).toEqual([one])
    expect(node.transport.resolved).toEqual([seed, seed])
  })

  test('never dials this node itself', async () => {
    const world = new World()
    const node = await world.running(here)
    const peer = await world.running(one)
    world.network.setName(seed, [here, one])
    for (const each of [node, peer]) each.connections.keep(seed)
    await world.advance(60_000)
    expect(connectedTo(node)).toEqual([one])
    for (const { transport, dialFailed, host } of [node, peer]) {
      expect(transport.dialled.map((to) => to.host)).not.toContain(host)
      expect(dialFailed).toEqual([])
    }
  })

  test('that stands for nobody but this node is asked again, and nothing is told', async () => {
    const { world, node } = await worldOf(one)
    world.network.setName(seed, [here])
    node.connections.keep(seed)
    await world.advance(backoffMaxMs)
    expect(node.transport.resolved.length).toBeGreaterThan(3)
    expect(node.resolveFailed).toEqual([])
    world.network.setName(seed, [here, one])
    await world.advance(backoffMaxMs)
    expect(connectedTo(node)).toEqual([one])
  })

  test('lets a peer that the user sent away rest, until it is kept again', async () => {
    const { world, node } = await worldOf(one, two)
    world.network.setName(seed, [one, two])
    node.connections.keep(seed)
    await world.advance(1_000)
    node.connections.disconnect(one)
    world.network.resetBetween(here, two)
    await world.advance(60_000)
    expect(connectedTo(node)).toEqual([two])
    node.connections.keep(seed)
    await world.advance(10_000)
    expect(connectedTo(node)).toEqual([one, two])
  })

  test('is let go by unkeep, and so are its peers, but for those that are kept otherwise', async () => {
    const { world } = await worldOf(one, two, three)
    const node = await world.running('10.0.0.2', { listen: false })
    world.network.setName(seed, [one, two, three])
    world.network.setName('other.example', [two])
    for (const address of [seed, 'other.example', three]) node.connections.keep(address)
    await world.advance(1_000)
    node.connections.unkeep(seed.toUpperCase())
    node.transport.dialled.length = 0
    for (const host of [one, two, three]) world.network.resetBetween(node.host, host)
    await world.advance(60_000)
    expect(connectedTo(node)).toEqual([two, three])
    node.connections.unkeep(three)
    node.connections.unkeep('other.example')
    expect(node.registry.list({ isKept: true })).toEqual([])
    expect(node.connections.health).toBe('connected')
  })

  test('keeps a peer whose own address is kept no more', async () => {
    const { world, node, peers } = await worldOf(one)
    world.network.setName(seed, [one])
    for (const address of [seed, one]) node.connections.keep(address)
    await world.advance(1_000)
    node.connections.unkeep(one)
    peers.get(one)?.connections.disconnect(here)
    await world.advance(10_000)
    expect(connectedTo(node)).toEqual([one])
  })

  test('stands for another node at this address too, by its port', async () => {
    const world = new World()
    const node = await world.running(here, { identity: 'endpoint', port: 25_001, localIp: here })
    await world.running(here, { identity: 'endpoint', port: 25_002 })
    world.network.setName(seed, [here])
    node.connections.keep(`${seed}:25001`)
    node.connections.keep(`${seed}:25002`)
    await world.advance(1_000)
    expect(node.connections.peers().map(({ key }) => key)).toEqual([`${here}:25002`])
    expect(node.transport.dialled).toEqual([{ host: here, port: 25_002 }])
  })

  test('that is let go while it is looked up keeps nobody', async () => {
    const { world, node } = await worldOf(one)
    world.network.setName(seed, [one], { delayMs: 500 })
    node.connections.keep(seed)
    node.connections.unkeep(seed)
    await world.advance(10_000)
    expect(node.registry.size).toBe(0)
    expect(node.resolveFailed).toEqual([])
  })

  test('uses no more than the first 64 addresses, and only what is one', async () => {
    const { world } = await worldOf()
    const addresses = Array.from({ length: 300 }, (_, index) => `10.9.${index >> 8}.${index & 255}`)
    const wrapTransport = (transport: Transport): Transport => ({
      ...withoutNames(transport),
      resolve: () => Promise.resolve(['example.org', '1.2.3', '1.2.3.4:5', ...addresses]),
    })
    const node = await world.running('10.0.0.2', { wrapTransport, listen: false })
    node.connections.keep(seed)
    await world.advance(100)
    expect(node.registry.list().map(({ ip }) => ip)).toEqual(addresses.slice(0, 64))
  })

  test.each([{ found: [] }, { found: ['nobody'] }, { found: undefined }, { found: 'text' }])(
    'for which the transport finds $found cannot be found',
    async ({ found }) => {
      const world = new World()
      const wrapTransport = (transport: Transport): Transport => ({
        ...withoutNames(transport),
        resolve: () => Promise.resolve(found as string[]),
      })
      const node = await world.running(here, { wrapTransport, listen: false })
      node.connections.keep(seed)
      await world.advance(100)
      expect(node.resolveFailed).toMatchObject([{ error: { code: 'RESOLVE_FAILED' } }])
      expect(node.bugs).toEqual([])
    },
  )
})

describe('connect to a name', () => {
  test('brings the first address that works', async () => {
    const { world, node } = await worldOf(two, three)
    world.network.setName(seed, [one, two, three])
    const connecting = node.connections.connect(`${seed}:24100`)
    await world.advance(1_000)
    expect((await connecting).ip).toBe(two)
    expect(connectedTo(node)).toEqual([two])
    expect(node.transport.dialled.map(({ host }) => host)).toEqual([one, two])
  })

  test('brings the connection that is there already to one of them', async () => {
    const { world, node } = await worldOf(one, two)
    world.network.setName(seed, [one, two])
    const first = node.connections.connect(two)
    await world.advance(1_000)
    node.transport.dialled.length = 0
    expect(await node.connections.connect(seed)).toBe(await first)
    expect(node.transport.dialled).toEqual([])
  })

  const failing: readonly [string, readonly string[], object][] = [
    ['stands for nobody', [], { code: 'RESOLVE_FAILED', cause: { code: 'ENOTFOUND' } }],
    ['has one address that fails', [one], { code: 'DIAL_FAILED' }],
    ['is this node itself', [here], { code: 'SELF' }],
    [
      'has addresses of which none works',
      [one, two, here],
      { code: 'CONNECT_FAILED', cause: { errors: [{}, {}, { code: 'SELF' }] } },
    ],
  ]
  test.each(failing)('rejects when it %s', async (_, addresses, error) => {
    const { world, node } = await worldOf()
    world.network.setName(seed, addresses)
    const failure = node.connections.connect(seed).catch((reason: unknown) => reason)
    await world.advance(1_000)
    expect(await failure).toMatchObject(error)
    expect(node.resolveFailed).toEqual([])
  })

  test('goes on with the next address when one is banned', async () => {
    const { world, node } = await worldOf(one, two)
    world.network.setName(seed, [one, two])
    node.registry.ban(one, { reason: 'test' })
    const connecting = node.connections.connect(seed)
    await world.advance(1_000)
    expect((await connecting).ip).toBe(two)
  })

  test('ends when its signal aborts, during the lookup and during a dial', async () => {
    for (const delayMs of [5_000, 0]) {
      const { world, node } = await worldOf()
      world.network.setName(seed, [one, two], { delayMs })
      world.network.faults.holdDials({ from: here, to: one })
      const controller = new AbortController()
      const { signal } = controller
      const failure = node.connections.connect(seed, { signal }).catch((reason: unknown) => reason)
      await world.advance(1_000)
      controller.abort(new HoldfastError('ABORTED', 'enough'))
      expect(await failure).toBe(signal.reason)
      await world.advance(10_000)
      expect(node.transport.dialled.map(({ host }) => host)).toEqual(delayMs === 0 ? [one] : [])
      expect(node.transport.inFlight).toBe(0)
    }
  })

  test('ends when the node stops meanwhile', async () => {
    const { world, node } = await worldOf()
    world.network.setName(seed, [one], { delayMs: 5_000 })
    const failure = node.connections.connect(seed).catch((reason: unknown) => reason)
    await world.advance(1_000)
    const stopping = node.connections.stop()
    await world.advance(2_000)
    await stopping
    expect(await failure).toMatchObject({ code: 'NOT_RUNNING' })
    await expect(node.connections.connect(seed)).rejects.toMatchObject({ code: 'NOT_RUNNING' })
  })

  test('finds several nodes at one address by their ports', async () => {
    const world = new World()
    const node = await world.running(here, { identity: 'endpoint' })
    await world.running(one, { port: 25_001 })
    await world.running(one, { port: 25_002 })
    world.network.setName(seed, [one])
    const connecting = [25_001, 25_002].map((port) => node.connections.connect(`${seed}:${port}`))
    await world.advance(1_000)
    const peers = await Promise.all(connecting)
    expect(peers.map(({ key }) => key)).toEqual([`${one}:25001`, `${one}:25002`])
  })
})

test('a transport that knows no names refuses them at once, and says so', async () => {
  const world = new World()
  const node = await world.running(here, { wrapTransport: withoutNames, listen: false })
  const refused = {
    code: 'INVALID_ADDRESS',
    message: `the transport 'memory' resolves no host names, only IP addresses are accepted: "${seed}"`,
  }
  await expect(node.connections.connect(seed)).rejects.toMatchObject(refused)
  expect(() => {
    node.connections.keep(seed)
  }).toThrow(refused.message)
  const options = { network: 'test', transport: node.transport, peers: [seed] }
  expect(() => createNode(options)).toThrow(refused.message)
})

test('a name in a memory network stands for IP literals, and nothing else', () => {
  const { network } = new World()
  expect(() => {
    network.setName(seed, ['other.example'])
  }).toThrow(TypeError)
})
