import { describe, expect, test } from 'vitest'
import { PeerRegistry, type PeerFilter } from '../../src/peer-registry.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
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
      isDialable: true,
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
    const short = { reason: 'short', sinceUnixMs: start, untilUnixMs: start + 1_000 }
    expect(registry.get('10.0.0.1')!.ban).toEqual(short)
    expect(registry.bans()).toMatchObject([
      { ip: '10.0.0.1', ...short },
      { ip: '10.0.0.2', reason: 'long', untilUnixMs: start + 24 * 3_600_000 },
    ])
    clock.advanceSync(999)
    expect(registry.isBanned('10.0.0.1')).toBe(true)
    clock.advanceSync(1)
    expect(registry.isBanned('10.0.0.1')).toBe(false)
    expect(registry.get('10.0.0.1')!.ban).toBeUndefined()
    expect(registry.bans().map(({ ip }) => ip)).toEqual(['10.0.0.2'])
    clock.advanceSync(24 * 3_600_000 - 1_001)
    expect(registry.isBanned('10.0.0.2')).toBe(true)
    clock.advanceSync(1)
    expect(registry.isBanned('10.0.0.2')).toBe(false)
    registry.ban('10.0.0.3', { reason: 'x' })
    expect([registry.unban('::ffff:10.0.0.3'), registry.unban('10.0.0.3')]).toEqual([true, false])
    expect(registry.isBanned('10.0.0.3')).toBe(false)
  })

  test('a ban needs a duration above 0 and of a year at most, and a reason', () => {
    const registry = new PeerRegistry()
    for (const durationMs of [0, -1, Number.NaN, Infinity, 365 * 24 * 3_600_000 + 1]) {
      expect(() => registry.ban('10.0.0.1', { reason: 'x', durationMs })).toThrow(
        new RangeError(
          `durationMs must be above 0 and at most 365 days (31536000000), not ${durationMs}`,
        ),
      )
    }
    expect(() => registry.ban('10.0.0.1', {} as never)).toThrow(TypeError)
    expect(registry.isBanned('10.0.0.1')).toBe(false)
  })

  test('no ban becomes permanent by being repeated, or because the clock went back (F112)', () => {
    const clock = new SimulatedClock()
    const registry = new PeerRegistry({ clock })
    for (let times = 0; times < 1_000; times++) {
      registry.ban('10.0.0.1', { reason: 'again', durationMs: 1_000 })
    }
    clock.shiftUnixMs(-10 * 365 * 24 * 3_600_000)
    expect(registry.isBanned('10.0.0.1')).toBe(true)
    clock.advanceSync(1_000)
    expect(registry.isBanned('10.0.0.1')).toBe(false)
  })

  test('the ban that ends first makes room for one more', () => {
    const registry = new PeerRegistry({ clock: new SimulatedClock(), maxBans: 3 })
    for (const [ip, durationMs] of [
      ['10.0.0.1', 3_000],
      ['10.0.0.2', 1_000],
      ['10.0.0.3', 2_000],
      ['10.0.0.1', 4_000],
      ['10.0.0.4', 500],
    ] as const) {
      registry.ban(ip, { reason: 'test', durationMs })
    }
    expect(registry.bans().map(({ ip }) => ip)).toEqual(['10.0.0.3', '10.0.0.1', '10.0.0.4'])
  })

  test.each(['inbound', 'outbound'] as const)(
    'a ban closes an established %s connection as banned, and the peer is told',
    async (direction) => {
      const world = new World()
      const node = await world.running('10.0.0.1')
      const raw = await establish(direction, node, world)
      node.registry.ban('10.0.0.9', { reason: 'test', durationMs: 60_000 })
      expect(node.connections.peers()).toEqual([])
      await world.advance(100)
      expect(node.reasons).toMatchObject([{ kind: 'banned', by: 'us' }])
      expect(raw.farewell?.code).toBe(byeCodes.banned)
      await world.advance(59_000)
      expect(node.connected).toHaveLength(1)
    },
  )

  test.each(['unban', 'the end of the ban'] as const)(
    'nothing is left of a ban after %s: a kept peer is connected again at once (F113)',
    async (end) => {
      const world = new World()
      const { a } = await world.pair()
      const b = world.raw('10.0.0.8')
      await b.listen((connection) => void connection.shakeHands({ decides: false }))
      a.connections.keep('10.0.0.8')
      await world.advance(200_000)
      a.registry.ban('10.0.0.8', { reason: 'test', durationMs: 100_000 })
      await world.advance(50_000)
      if (end === 'unban') expect(a.registry.unban('10.0.0.8')).toBe(true)
      else await world.advance(50_000)
      expect(a.registry.isBanned('10.0.0.8')).toBe(false)
      await world.advance(100)
      expect(a.connections.peer('10.0.0.8')?.isConnected).toBe(true)
      expect(a.registry.get('10.0.0.8')).toMatchObject({ failures: 0, lastFailure: undefined })
    },
  )
})

describe('list', () => {
  test('gives the peers of whom everything that is asked for is true', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    await establish('inbound', node, world, '10.0.0.9')
    node.connections.keep('10.0.0.8')
    node.registry.add('10.0.0.7')
    node.registry.ban('10.0.0.7', { reason: 'test' })
    const ips = (filter: PeerFilter) => node.registry.list(filter).map(({ ip }) => ip)
    expect(ips({})).toEqual(['10.0.0.9', '10.0.0.8', '10.0.0.7'])
    expect(ips({ isConnected: true })).toEqual(['10.0.0.9'])
    expect(ips({ isConnected: false })).toEqual(['10.0.0.8', '10.0.0.7'])
    expect(ips({ isKept: true })).toEqual(['10.0.0.8'])
    expect(ips({ isBanned: true })).toEqual(['10.0.0.7'])
    expect(ips({ isBanned: false })).toEqual(['10.0.0.9', '10.0.0.8'])
    expect(ips({ isDialable: true })).toEqual(['10.0.0.9', '10.0.0.8'])
    expect(ips({ isConnected: false, isDialable: false })).toEqual(['10.0.0.7'])
    expect(ips({ isConnected: true, isKept: true })).toEqual([])
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

  test('neither a kept nor a connected peer makes room; a newcomer is not remembered', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1', { maxKnownPeers: 2 })
    await establish('inbound', node, world, '10.0.0.9')
    node.connections.keep('10.0.0.8')
    expect(node.registry.add('10.0.0.6')).toBeUndefined()
    expect(() => node.connections.keep('10.0.0.6')).toThrow(/no room/)
    await expect(node.connections.connect('10.0.0.6')).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
    })
    const refused = world.raw('10.0.0.5').dial(node.host).shakeHands({ decides: false })
    await world.advance(100)
    expect(refused.isClosed).toBe(true)
    expect(node.registry.list().map(({ ip }) => ip)).toEqual(['10.0.0.9', '10.0.0.8'])
    node.connections.unkeep('10.0.0.8')
    expect(node.registry.add('10.0.0.6')).toBeDefined()
  })

  test('a banned peer makes room after the others, and its ban goes on', () => {
    const clock = new SimulatedClock()
    const registry = new PeerRegistry({ clock, maxKnownPeers: 2 })
    registry.add('10.0.0.1')
    registry.ban('10.0.0.1', { reason: 'test' })
    clock.advanceSync(10)
    registry.add('10.0.0.2')
    registry.add('10.0.0.3')
    expect(registry.list().map(({ ip }) => ip)).toEqual(['10.0.0.1', '10.0.0.3'])
    registry.ban('10.0.0.3', { reason: 'test' })
    registry.add('10.0.0.4')
    expect(registry.get('10.0.0.1')).toBeUndefined()
    expect(registry.isBanned('10.0.0.1')).toBe(true)
  })

  test.each([
    { when: 'waits for its patience', maxConcurrentDials: 64, higherOrLower: '10.0.0.2' },
    { when: 'waits for its turn', maxConcurrentDials: 1, higherOrLower: '10.0.0.99' },
  ])(
    'a peer that made room while its dial $when is not dialled any more',
    async ({ maxConcurrentDials, higherOrLower }) => {
      const world = new World()
      const node = await world.running('10.0.0.50', {
        maxKnownPeers: 2,
        maxConcurrentDials,
        localIp: '10.0.0.50',
      })
      world.network.faults.holdDials({ to: '10.0.0.60' })
      const listening = world.raw(higherOrLower)
      await listening.listen((connection) => void connection.shakeHands({ decides: false }))
      node.connections.keep('10.0.0.60')
      node.registry.add(higherOrLower)
      await world.advance(1)
      node.registry.add('10.0.0.70')
      expect(node.registry.get(higherOrLower)).toBeUndefined()
      await world.advance(60_000)
      expect(node.transport.dialled.map(({ host }) => host)).not.toContain(higherOrLower)
      expect(listening.accepted).toEqual([])
    },
  )

  test('a caller of connect whose peer had to make room is told', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1', { maxKnownPeers: 2, maxConcurrentDials: 1 })
    world.network.faults.holdDials({ to: '10.0.0.60' })
    node.connections.keep('10.0.0.60')
    const connecting = node.connections.connect('10.0.0.9')
    node.registry.add('10.0.0.70')
    await expect(connecting).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
  })

  test('remove forgets a peer that is neither kept nor connected, and not its ban', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    await establish('inbound', node, world, '10.0.0.9')
    node.connections.keep('10.0.0.8')
    node.registry.add('10.0.0.7')
    node.registry.ban('10.0.0.7', { reason: 'test' })
    const removed = ['10.0.0.9', '10.0.0.8', '10.0.0.7', '10.0.0.7'].map((ip) =>
      node.registry.remove(ip),
    )
    expect(removed).toEqual([false, false, true, false])
    expect(node.registry.isBanned('10.0.0.7')).toBe(true)
    expect(node.registry.size).toBe(2)
  })

  test.each(['maxKnownPeers', 'maxBans'])('%s is a whole number above 0', (name) => {
    for (const value of [0, -1, 1.5, Number.NaN, Infinity]) {
      expect(() => new PeerRegistry({ [name]: value })).toThrow(
        new RangeError(`${name} must be a whole number above 0, not ${value}`),
      )
    }
  })
})
