import { describe, expect, test } from 'vitest'
import { PeerRegistry } from '../../src/peer-registry.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import { World, establish } from '../support/simulated-node.js'

const start = Date.UTC(2025, 0, 1)

describe('add, get and list', () => {
  test('a peer is known under its IP, once, in any notation', () => {
    const registry = new PeerRegistry({ clock: new SimulatedClock() })
    expect(registry.get('10.0.0.1')).toBeUndefined()
    const info = registry.add('[::ffff:10.0.0.1]:25000')
    expect(info).toEqual({
      key: '10.0.0.1',
      ip: '10.0.0.1',
      listeningPort: 25_000,
      source: 'added',
      isKept: false,
      isConnected: false,
      firstSeenUnixMs: start,
      lastSeenUnixMs: undefined,
      timesConnected: 0,
      failures: 0,
      lastFailure: undefined,
      ban: undefined,
    })
    expect(registry.add('10.0.0.1')).toEqual(info)
    expect(registry.get('::ffff:10.0.0.1')).toEqual(info)
    expect(registry.list()).toEqual([info])
    expect(registry.size).toBe(1)
  })

  test('a later port replaces the earlier one, and none leaves it', () => {
    const registry = new PeerRegistry()
    registry.add('10.0.0.1:1000')
    expect(registry.add('10.0.0.1:2000')?.listeningPort).toBe(2_000)
    expect(registry.add('10.0.0.1')?.listeningPort).toBe(2_000)
  })

  test('what it tells is a picture of that moment', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    await world.advance(1_000)
    const raw = await establish('inbound', node, world)
    const during = node.registry.get('10.0.0.9')!
    await world.advance(1_000)
    raw.destroy()
    await world.advance(100)
    expect(during).toMatchObject({ isConnected: true, source: 'inbound', timesConnected: 1 })
    expect(during.lastSeenUnixMs).toBeGreaterThan(start + 1_000)
    const after = node.registry.get('10.0.0.9')!
    expect(after.isConnected).toBe(false)
    expect(after.lastSeenUnixMs).toBeGreaterThan(during.lastSeenUnixMs! + 1_000)
    expect(after.firstSeenUnixMs).toBe(during.firstSeenUnixMs)
  })
})

describe('bans', () => {
  test('a ban lasts as long as it says, a day by default, and unban ends it', () => {
    const clock = new SimulatedClock()
    const registry = new PeerRegistry({ clock })
    registry.add('10.0.0.1')
    registry.ban('10.0.0.1', { reason: 'short', durationMs: 1_000 })
    registry.ban('::ffff:10.0.0.2', { reason: 'long' })
    expect(registry.get('10.0.0.1')!.ban).toEqual({ reason: 'short', untilUnixMs: start + 1_000 })
    clock.advanceSync(999)
    expect(registry.isBanned('10.0.0.1')).toBe(true)
    clock.advanceSync(1)
    expect(registry.isBanned('10.0.0.1')).toBe(false)
    expect(registry.get('10.0.0.1')!.ban).toBeUndefined()
    clock.advanceSync(24 * 3_600_000 - 1_001)
    expect(registry.isBanned('10.0.0.2')).toBe(true)
    clock.advanceSync(1)
    expect(registry.isBanned('10.0.0.2')).toBe(false)
    registry.ban('10.0.0.3', { reason: 'x' })
    expect([registry.unban('::ffff:10.0.0.3'), registry.unban('10.0.0.3')]).toEqual([true, false])
    expect(registry.isBanned('10.0.0.3')).toBe(false)
  })

  test('a ban needs a duration above 0', () => {
    const registry = new PeerRegistry()
    for (const durationMs of [0, -1, Number.NaN]) {
      expect(() => registry.ban('10.0.0.1', { reason: 'x', durationMs })).toThrow(RangeError)
    }
    expect(registry.isBanned('10.0.0.1')).toBe(false)
  })
})

describe('room', () => {
  test('the peer that was seen least recently makes room', () => {
    const clock = new SimulatedClock()
    const registry = new PeerRegistry({ clock, maxKnownPeers: 3 })
    for (const ip of ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']) {
      expect(registry.add(ip)).toBeDefined()
      clock.advanceSync(10)
    }
    expect(registry.list().map(({ ip }) => ip)).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4'])
  })

  test('neither a kept, nor a connected, nor a banned peer makes room; a newcomer is not remembered', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1', { maxKnownPeers: 3 })
    await establish('inbound', node, world, '10.0.0.9')
    node.connections.keep('10.0.0.8')
    node.registry.add('10.0.0.7')
    node.registry.ban('10.0.0.7', { reason: 'test' })
    expect(node.registry.add('10.0.0.6')).toBeUndefined()
    expect(() => node.connections.keep('10.0.0.6')).toThrow(/no room/)
    await expect(node.connections.connect('10.0.0.6')).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
    })
    const refused = world.raw('10.0.0.5').dial(node.host).shakeHands({ decides: false })
    await world.advance(100)
    expect(refused.isClosed).toBe(true)
    expect(node.registry.list().map(({ ip }) => ip)).toEqual(['10.0.0.9', '10.0.0.8', '10.0.0.7'])
    node.connections.unkeep('10.0.0.8')
    expect(node.registry.add('10.0.0.6')).toBeDefined()
  })

  test('the limit is a whole number above 0', () => {
    for (const maxKnownPeers of [0, -1, 1.5, Number.NaN, Infinity]) {
      expect(() => new PeerRegistry({ maxKnownPeers })).toThrow(
        new RangeError(`maxKnownPeers must be a whole number above 0, not ${maxKnownPeers}`),
      )
    }
  })
})
