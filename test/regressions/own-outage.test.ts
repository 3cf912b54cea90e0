import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import type { Transport } from '../../src/contracts/transport.js'
import { World, type NodeOptions, type SimulatedNode } from '../support/simulated-node.js'

const { dialTimeoutMs, outageProbeMs } = defaultConnectionLimits
const own = '10.0.0.1'
const hourMs = 3_600_000
const hosts = Array.from({ length: 20 }, (_, index) => `10.0.1.${index + 1}`)

/** A node that keeps peers that listen, and the peers. */
async function mesh(
  world: World,
  peers: readonly string[],
  options: NodeOptions = {},
): Promise<{ readonly node: SimulatedNode; readonly others: readonly SimulatedNode[] }> {
  const others = await Promise.all(peers.map((host) => world.running(host)))
  const node = world.node(own, options)
  for (const host of peers) node.connections.keep(host)
  await node.connections.start()
  return { node, others }
}

/** This host's interface is down: no dial leaves it. */
function withInterface(): {
  isUp: boolean
  readonly wrapTransport: (transport: Transport) => Transport
} {
  const face = {
    isUp: true,
    wrapTransport: (transport: Transport): Transport => ({
      name: transport.name,
      defaultPort: transport.defaultPort,
      ...(transport.listen && { listen: transport.listen.bind(transport) }),
      dial: async (address, options) => {
        if (face.isUp) return transport.dial(address, options)
        throw Object.assign(new Error('no route'), { code: 'ENETUNREACH' })
      },
    }),
  }
  return face
}

/** What no peer may be charged with for an outage of ours. */
function charges(node: SimulatedNode): unknown[] {
  return node.registry
    .list()
    .map(({ key }) => node.entry(key))
    .map(({ dial: { failures, backoffSteps } }) => ({ failures, backoffSteps }))
    .filter(({ failures, backoffSteps }) => failures > 0 || backoffSteps > 0)
}

describe('an outage of our own network', () => {
  test('costs no peer anything, few dials, and is over within seconds of its end', async () => {
    const world = new World()
    const { node } = await mesh(world, hosts)
    const told: boolean[] = []
    node.connections.on('ownNetworkChanged', ({ isDown }) => void told.push(isDown))
    await world.advance(300_000)
    expect(node.connections.status().outbound).toBe(20)
    const dialled = (): number => node.transport.dialled.length
    const before = dialled()

    const outage = world.network.faults.partition([own], hosts)
    await world.advance(300_000)
    expect(node.connections.status()).toMatchObject({ outbound: 0, isNetworkDown: true })
    expect(told).toEqual([true])
    expect(charges(node)).toEqual([])
    // Until that was evident each was dialled a few times; since then one at a time is.
    const untilEvident = dialled() - before
    expect(untilEvident).toBeLessThan(8 * hosts.length)
    await world.advance(hourMs - 300_000)
    const probes = dialled() - before - untilEvident
    expect(probes).toBeLessThanOrEqual((hourMs - 300_000) / (dialTimeoutMs + outageProbeMs) + 1)
    expect(probes).toBeGreaterThan(100)
    expect(node.transport.inFlight).toBeLessThanOrEqual(1)
    expect(charges(node)).toEqual([])

    outage.heal()
    const healedMs = world.clock.now()
    await world.clock.runUntil(() => node.connections.status().outbound === 20, { maxMs: 60_000 })
    expect(world.clock.now() - healedMs).toBeLessThanOrEqual(outageProbeMs + 1_000)
    expect(charges(node)).toEqual([])
    expect(node.connections.status().isNetworkDown).toBe(false)
    expect(told).toEqual([true, false])
    // And the next end of a connection is judged as ever.
    await world.advance(300_000)
    expect(node.connections.status().outbound).toBe(20)
  })

  test('that begins before the node does is found by the errors of this host', async () => {
    const world = new World()
    const face = withInterface()
    face.isUp = false
    const { node } = await mesh(world, hosts, { wrapTransport: face.wrapTransport })
    await world.advance(hourMs)
    expect(node.connections.status()).toMatchObject({ isNetworkDown: true, outbound: 0 })
    expect(node.transport.dialled.length).toBeLessThanOrEqual(hosts.length + hourMs / outageProbeMs)
    expect(charges(node)).toEqual([])
    face.isUp = true
    await world.advance(outageProbeMs + 1_000)
    expect(node.connections.status()).toMatchObject({ isNetworkDown: false, outbound: 20 })
  })

  test('ends in the moment in which somebody says HELLO', async () => {
    const world = new World()
    const face = withInterface()
    face.isUp = false
    const { node } = await mesh(world, hosts, { ...face, outageProbeMs: hourMs })
    await world.advance(60_000)
    expect(node.connections.status().isNetworkDown).toBe(true)
    face.isUp = true
    const other = await world.running('10.0.2.1')
    void other.connections.connect(own)
    await world.advance(1_000)
    expect(node.connections.status()).toMatchObject({
      isNetworkDown: false,
      inbound: 1,
      outbound: 20,
    })
  })

  test('does not hold up what the user asks for', async () => {
    const world = new World()
    const face = withInterface()
    face.isUp = false
    const { node } = await mesh(world, hosts, { ...face, outageProbeMs: hourMs })
    await world.running('10.0.2.1')
    await world.advance(60_000)
    face.isUp = true
    const connecting = node.connections.connect('10.0.2.1')
    await world.advance(100)
    expect((await connecting).ip).toBe('10.0.2.1')
  })

  test('leaves nothing behind when the node stops in it, and it may start again', async () => {
    const world = new World()
    const face = withInterface()
    face.isUp = false
    const { node } = await mesh(world, hosts, { wrapTransport: face.wrapTransport, listen: false })
    await world.advance(60_000)
    expect(node.connections.status().isNetworkDown).toBe(true)
    await node.connections.stop()
    expect(node.connections.status().isNetworkDown).toBe(false)
    const dialled = node.transport.dialled.length
    await world.advance(hourMs)
    expect(node.transport.dialled).toHaveLength(dialled)
    face.isUp = true
    await node.connections.start()
    await world.advance(1_000)
    expect(node.connections.status().outbound).toBe(20)
  })

  test('is not concluded from one peer that is down, which stays reachable', async () => {
    const world = new World()
    const { node } = await mesh(world, hosts.slice(0, 1))
    await world.advance(200_000)
    const outage = world.network.faults.partition([own], hosts)
    await world.advance(hourMs)
    expect(node.connections.status().isNetworkDown).toBe(false)
    expect(node.registry.get(hosts[0]!)!.failures).toBeGreaterThan(5)
    outage.heal()
    await world.advance(defaultConnectionLimits.backoffMaxMs + dialTimeoutMs)
    expect(node.connections.status().outbound).toBe(1)
  })

  test('is not concluded from dead peers that never were there', async () => {
    const world = new World()
    const node = world.node(own)
    world.network.faults.holdDials({ from: own, to: hosts })
    for (const host of hosts) node.connections.keep(host)
    await node.connections.start()
    await world.advance(hourMs)
    expect(node.connections.status().isNetworkDown).toBe(false)
    for (const host of hosts) expect(node.registry.get(host)!.failures).toBeGreaterThan(5)
  })

  test('that is none, because all peers vanished at once, keeps nobody else away for long', async () => {
    const world = new World()
    const { node } = await mesh(world, hosts, { maxDialFailures: 1_000 })
    // Known, dead as well up to now, and less important than any of the others.
    const others = Array.from({ length: 10 }, (_, index) => `10.0.3.${index + 1}`)
    const dead = world.network.faults.refuseDials({ to: others })
    for (const host of others) node.registry.add(host)
    await world.advance(300_000)
    await Promise.all(others.map((host) => world.running(host)))
    world.network.faults.partition([own], hosts)
    world.network.faults.holdDials({ from: own, to: others.slice(0, 5) })
    await world.advance(100_000)
    dead.heal()
    await world.clock.runUntil(() => node.connections.status().outbound > 0, { maxMs: 300_000 })
    // The first of them was found; the others are dialled when their own backoff is over, as ever.
    await world.advance(defaultConnectionLimits.backoffMaxMs)
    expect(node.connections.status()).toMatchObject({ isNetworkDown: false, outbound: 5 })
  })
})

describe('a machine that goes down, with three nodes on it', () => {
  const machine = '10.0.1.1'
  const ports = [24_101, 24_102, 24_103]

  async function threeOnOne(options: NodeOptions = {}): Promise<{
    readonly world: World
    readonly node: SimulatedNode
  }> {
    const world = new World()
    for (const port of ports) await world.running(machine, { port, identity: 'endpoint' })
    const node = world.node(own, { identity: 'endpoint', ...options })
    for (const port of ports) node.connections.keep(`${machine}:${port}`)
    await node.connections.start()
    await world.advance(300_000)
    return { world, node }
  }

  test('is one machine: three losses and dials in silence are not an outage of ours', async () => {
    const { world, node } = await threeOnOne()
    // Two more that are dead anyway: three machines are dialled in silence, and one was lost.
    const dead = ['10.0.2.1', '10.0.2.2']
    world.network.faults.partition([own], dead)
    for (const host of dead) node.connections.keep(host)
    expect(node.connections.status()).toMatchObject({ outbound: 3, isNetworkDown: false })
    world.network.faults.partition([own], [machine])
    await world.advance(hourMs)
    expect(node.connections.status()).toMatchObject({ outbound: 0, isNetworkDown: false })
    expect(charges(node)).toHaveLength(5)
  })

  test('is one machine: three dials without a route to it are not an outage of ours', async () => {
    const face = withInterface()
    face.isUp = false
    const { world, node } = await threeOnOne({ wrapTransport: face.wrapTransport })
    await world.advance(hourMs)
    expect(node.connections.status()).toMatchObject({ outbound: 0, isNetworkDown: false })
    expect(charges(node)).toHaveLength(3)
  })
})
