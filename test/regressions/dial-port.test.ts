import { expect, test } from 'vitest'
import type { CountingTransport, SimulatedNode } from '../support/simulated-node.js'
import { World } from '../support/simulated-node.js'

const here = '10.0.0.1'
const there = '10.0.0.9'
const oldPort = 24_100
const newPort = 25_000

const ports = ({ dialled }: CountingTransport): number[] => dialled.map(({ port }) => port)

/** A node that was connected to a peer, which is gone from its old port and listens at the new one. */
async function afterMove(): Promise<{ world: World; node: SimulatedNode; peer: SimulatedNode }> {
  const world = new World()
  const node = await world.running(here, { backoffBaseMs: 60_000 })
  await world.running(there, { port: oldPort })
  const connecting = node.connections.connect(there)
  await world.advance(1_000)
  await connecting
  world.network.crash(there)
  await world.advance(1_000)
  const peer = await world.running(there, { port: newPort })
  node.transport.dialled.length = 0
  return { world, node, peer }
}

test('connect to a new port dials that port, while the old one is backing off', async () => {
  const { world, node } = await afterMove()
  const connecting = node.connections.connect(`${there}:${newPort}`)
  await world.advance(1_000)
  expect((await connecting).listeningPort).toBe(newPort)
  expect(ports(node.transport)).toEqual([newPort])
})

test('connect to a new port takes the place of an automatic dial to the old one', async () => {
  const { world, node } = await afterMove()
  const hole = world.network.faults.holdDials({ from: here, to: there })
  node.connections.keep(there)
  node.connections.hurry(there)
  await world.advance(1_000)
  expect(ports(node.transport)).toEqual([oldPort])
  const connecting = node.connections.connect(`${there}:${newPort}`)
  expect(ports(node.transport)).toEqual([oldPort, newPort])
  expect(node.transport.inFlight).toBe(1)
  hole.heal()
  await world.advance(2_000)
  expect((await connecting).listeningPort).toBe(newPort)
  expect(node.failures).toEqual([])
})

test('connect to a new port waits for a dial that another caller waits for, and is tried then', async () => {
  const { world, node } = await afterMove()
  const first = node.connections.connect(there)
  const second = node.connections.connect(`${there}:${newPort}`)
  expect(ports(node.transport)).toEqual([oldPort])
  await world.advance(1_000)
  expect((await second).listeningPort).toBe(newPort)
  expect(await first).toBe(await second)
  expect(ports(node.transport)).toEqual([oldPort, newPort])
})

test('callers hear of the failure when each port that was asked for was tried', async () => {
  const { world, node, peer } = await afterMove()
  await peer.connections.stop()
  const failures = [`${there}:1`, `${there}:2`, `${there}:1`, there].map((address) =>
    node.connections.connect(address).catch((error: unknown) => error),
  )
  await world.advance(1_000)
  for (const failure of failures) {
    expect(await failure).toMatchObject({ code: 'DIAL_FAILED' })
  }
  expect(ports(node.transport)).toEqual([1, 2])
  expect(node.dialFailed.map(({ address }) => address)).toEqual([`${there}:1`, `${there}:2`])
  await world.advance(600_000)
  // Nothing is left of it: the redials go where the peer was.
  expect(new Set(ports(node.transport).slice(2))).toEqual(new Set([oldPort]))
})

test('a port that nobody waits for any more is not tried', async () => {
  const { world, node } = await afterMove()
  const hole = world.network.faults.holdDials({ from: here, to: there })
  const controller = new AbortController()
  const first = node.connections.connect(there, { signal: controller.signal })
  const second = node.connections.connect(`${there}:${newPort}`, { signal: controller.signal })
  const failed = Promise.allSettled([first, second])
  controller.abort(new Error('enough'))
  await failed
  hole.heal()
  await world.advance(10_000)
  expect(ports(node.transport)).not.toContain(newPort)
})

test('a port in vain does not take the place of the one at which the peer was reached', async () => {
  const { world, node } = await afterMove()
  const connecting = node.connections.connect(`${there}:${newPort}`)
  await world.advance(1_000)
  await connecting
  world.network.crash(there)
  await world.advance(500)
  const failure = node.connections.connect(`${there}:9`).catch((error: unknown) => error)
  await world.advance(500)
  expect(await failure).toMatchObject({ code: 'DIAL_FAILED' })
  node.transport.dialled.length = 0
  node.connections.keep(there)
  await world.advance(1_000_000)
  expect(node.transport.dialled.length).toBeGreaterThan(3)
  expect(ports(node.transport)).not.toContain(9)
})

test('a kept peer that is back at its configured port is reached, whatever port it told before', async () => {
  const world = new World()
  const node = await world.running(here)
  await world.running(there, { port: oldPort, advertisedPort: newPort })
  node.connections.keep(`${there}:${oldPort}`)
  await world.advance(1_000)
  expect(node.peer.listeningPort).toBe(newPort)
  world.network.crash(there)
  await world.advance(100)
  await world.running(there, { port: oldPort })
  await world.advance(60_000)
  expect(node.peer.listeningPort).toBe(oldPort)
  expect(ports(node.transport)).toEqual([oldPort, newPort, oldPort])
})

test('a port that a user named and that worked is where the peer is dialled from then on', async () => {
  const world = new World()
  const node = await world.running(here)
  node.connections.keep(`${there}:1`)
  const raw = world.raw(there)
  await raw.listen((connection) => {
    connection.hello({ listeningPort: undefined })
    connection.onMessage = ({ kind }) => {
      if (kind === 'ready') connection.ready()
    }
  })
  await world.advance(100)
  const connecting = node.connections.connect(`${there}:${oldPort}`)
  await world.advance(1_000)
  await connecting
  node.transport.dialled.length = 0
  raw.accepted[0]?.destroy()
  await world.advance(10_000)
  expect(ports(node.transport)).toEqual([oldPort])
})
