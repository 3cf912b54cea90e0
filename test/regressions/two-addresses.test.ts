import { describe, expect, test } from 'vitest'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { World } from '../support/simulated-node.js'

const first = '10.0.0.9'
const second = '10.0.0.8'
const hour = 3_600_000

/** A node that keeps both addresses of one machine, which knows nobody. */
async function twoAddresses() {
  const world = new World()
  world.network.extraAddress({ host: first, ip: second })
  const machine = await world.running(first)
  const node = await world.running('10.0.0.1')
  node.connections.keep(first)
  await world.advance(1_000)
  node.connections.keep(second)
  await world.advance(10_000)
  const dialsTo = (ip: string): number =>
    node.transport.dialled.filter(({ host }) => host === ip).length
  return { world, node, machine, dialsTo }
}

describe('a machine with two addresses', () => {
  test('that is connected under one is left alone under the other, which it refuses as a duplicate', async () => {
    const { world, node, machine, dialsTo } = await twoAddresses()
    expect(dialsTo(second)).toBe(1)
    await world.advance(hour)
    expect(dialsTo(second)).toBe(1)
    expect(node.connections.peers().map(({ ip }) => ip)).toEqual([first])
    expect([node.disconnected, node.dialFailed, machine.disconnected]).toEqual([[], [], []])
    expect(node.registry.get(second)?.failures).toBe(0)
  })

  test('is dialled under both again when that connection ends', async () => {
    const { world, node, dialsTo } = await twoAddresses()
    world.network.resetBetween(node.host, first)
    await world.advance(60_000)
    expect(node.connections.peers()).toHaveLength(1)
    expect(Math.min(dialsTo(first), dialsTo(second))).toBe(2)
  })

  test('is not left alone for another process that merely says duplicate', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const other = '10.0.0.7'
    const raw = world.raw(other)
    await raw.listen((connection) => {
      connection.hello()
      connection.bye(byeCodes.duplicate!)
    })
    await world.running(first)
    node.connections.keep(first)
    node.connections.keep(other)
    await world.advance(hour)
    const dials = node.transport.dialled.filter(({ host }) => host === other)
    expect(dials.length).toBeGreaterThan(10)
  })
})
