import { describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/errors.js'
import { createNode, type NodeOptions } from '../../src/node.js'
import { PeerMemory, type PeerMemoryEvents } from '../../src/peer-memory.js'
import { PeerRegistry } from '../../src/peer-registry.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import { TestPeerStore } from '../support/peer-store.js'
import { World } from '../support/simulated-node.js'

function remembering(store = new TestPeerStore()) {
  const clock = new SimulatedClock()
  const registry = new PeerRegistry({ clock })
  const memory = new PeerMemory({ registry, store, clock })
  const failed: Parameters<PeerMemoryEvents['failed']>[0][] = []
  const damaged: HoldfastError[] = []
  memory.on('failed', (event) => void failed.push(event))
  memory.on('damaged', ({ error }) => void damaged.push(error))
  /** Lets a promise settle that waits for the clock. */
  const during = async (promise: Promise<void>, ms = 20_000): Promise<void> => {
    await clock.advance(ms)
    await promise
  }
  return { clock, registry, memory, store, failed, damaged, during }
}

const never = (): Promise<void> => new Promise(() => {})
const snapshotOf = (...ips: readonly string[]) => {
  const registry = new PeerRegistry({ clock: new SimulatedClock() })
  for (const ip of ips) registry.add(ip)
  return registry.snapshot()
}

describe('what is remembered', () => {
  test('is loaded at the start, saved 10 s after a change, and at the stop', async () => {
    const { clock, registry, memory, store } = remembering()
    store.stored = snapshotOf('10.0.0.1')
    await memory.start()
    expect(registry.list().map(({ ip }) => ip)).toEqual(['10.0.0.1'])
    await clock.advance(60_000)
    const before = store.calls.length
    registry.add('10.0.0.2')
    registry.add('10.0.0.3')
    await clock.advance(9_999)
    expect(store.calls).toHaveLength(before)
    await clock.advance(1)
    expect(store.calls).toHaveLength(before + 1)
    expect(store.savedHosts).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
    expect(clock.pendingTimers).toBe(0)
    registry.add('10.0.0.4')
    await memory.stop()
    expect(store.savedHosts).toContain('10.0.0.4')
    expect(clock.pendingTimers).toBe(0)
    registry.add('10.0.0.5')
    await clock.advance(60_000)
    expect(store.savedHosts).not.toContain('10.0.0.5')
  })

  test('is saved at most every 10 s, however much changes', async () => {
    const { clock, registry, memory, store } = remembering()
    await memory.start()
    for (let second = 0; second < 600; second++) {
      registry.add(`10.1.${second >> 8}.${second & 255}`)
      await clock.advance(1_000)
    }
    expect(store.calls.filter((call) => call === 'save').length).toBeLessThanOrEqual(60)
    expect(store.calls.filter((call) => call === 'save').length).toBeGreaterThan(50)
  })

  test('of bans and their ends is saved at once (F113)', async () => {
    const { clock, registry, memory, store } = remembering()
    await memory.start()
    registry.add('10.0.0.2')
    registry.ban('10.0.0.1', { reason: 'test' })
    await clock.advance(0)
    expect(store.stored?.bans).toMatchObject([{ ip: '10.0.0.1' }])
    registry.unban('10.0.0.1')
    await clock.advance(0)
    expect(store.stored?.bans).toEqual([])
    // Another process, which was killed in between, or this one, which was not.
    const restarted = remembering(store)
    await restarted.memory.start()
    expect(restarted.registry.isBanned('10.0.0.1')).toBe(false)
  })

  test('is given to the store in one call at a time, and what changed meanwhile is not lost', async () => {
    const { clock, registry, memory, store } = remembering()
    store.before = () => new Promise((resolve) => clock.setTimer(7_000, resolve))
    const starting = memory.start()
    await clock.advance(10_000)
    await starting
    for (let round = 0; round < 50; round++) {
      registry.add(`10.0.1.${round}`)
      if (round % 3 === 0) registry.ban(`10.0.2.${round}`, { reason: 'test' })
      await clock.advance(1_000)
    }
    await clock.advance(60_000)
    expect(store.maxAtOnce).toBe(1)
    expect(store.savedHosts).toHaveLength(50)
    expect(store.stored?.bans).toHaveLength(17)
  })
})

describe('a store that fails', () => {
  test('is one event with a count, and is tried again until it works (F115)', async () => {
    const { clock, registry, memory, store, failed } = remembering()
    await memory.start()
    store.before = () => Promise.reject(new Error('ENOSPC'))
    registry.add('10.0.0.1')
    await clock.advance(600_000)
    const saves = store.calls.filter((call) => call === 'save').length
    expect(saves).toBe(60)
    expect(failed.map(({ failures }) => failures)).toEqual([1, 7, 13, 19, 25, 31, 37, 43, 49, 55])
    expect(failed[0]).toMatchObject({ operation: 'save', error: { message: 'ENOSPC' } })
    store.before = () => Promise.resolve()
    await clock.advance(10_000)
    expect(store.savedHosts).toEqual(['10.0.0.1'])
    expect(clock.pendingTimers).toBe(0)
  })

  test('to load is not written over before it was read', async () => {
    const { clock, registry, memory, store, failed, during } = remembering()
    store.stored = snapshotOf('10.0.0.1')
    store.before = (call) =>
      call === 'load' ? Promise.reject(new Error('EIO')) : Promise.resolve()
    await memory.start()
    registry.add('10.0.0.2')
    registry.ban('10.0.0.3', { reason: 'test' })
    await clock.advance(25_000)
    await during(memory.stop())
    expect(store.calls).not.toContain('save')
    expect(failed[0]).toMatchObject({ operation: 'load', failures: 1 })
    await memory.start()
    store.before = () => Promise.resolve()
    await clock.advance(20_000)
    expect(store.savedHosts.sort()).toEqual(['10.0.0.1', '10.0.0.2'])
  })

  test.each([
    {
      what: 'throws',
      before: () => {
        throw new Error('bug')
      },
    },
    { what: 'rejects', before: () => Promise.reject(new Error('EACCES')) },
    { what: 'never answers', before: never },
  ])('and $what keeps no node from starting and stopping', async ({ before }) => {
    const { memory, store, failed, clock, during } = remembering()
    store.before = before
    await during(memory.start())
    await during(memory.stop())
    await during(memory.start())
    await during(memory.stop())
    expect(store.maxAtOnce).toBe(1)
    expect(failed.length).toBeGreaterThanOrEqual(1)
    expect(clock.pendingTimers).toBe(0)
  })

  test('and is late is waited for 5 s; what it brings is known when it comes', async () => {
    const { clock, registry, memory, store, failed } = remembering()
    store.stored = snapshotOf('10.0.0.1')
    store.before = () => new Promise((resolve) => clock.setTimer(8_000, resolve))
    const starting = memory.start()
    await clock.advance(5_000)
    await starting
    expect(failed).toMatchObject([{ operation: 'load', error: { code: 'STORE_TIMEOUT' } }])
    expect(registry.size).toBe(0)
    await clock.advance(3_000)
    expect(registry.size).toBe(1)
  })

  test('with damage is reported, and the node starts with what is left', async () => {
    const error = new HoldfastError('STORE_CORRUPT', 'torn')
    const store = new TestPeerStore()
    store.damage = error
    store.stored = snapshotOf('10.0.0.1')
    const { registry, memory, damaged } = remembering(store)
    await memory.start()
    expect(damaged).toEqual([error])
    expect(registry.size).toBe(1)
  })

  test('with something that is no snapshot is reported, and the node starts empty', async () => {
    const store = new TestPeerStore()
    store.stored = { version: 9 } as never
    const { clock, registry, memory, damaged } = remembering(store)
    await memory.start()
    expect(damaged).toMatchObject([{ code: 'SNAPSHOT_INVALID' }])
    registry.add('10.0.0.2')
    await clock.advance(10_000)
    expect(store.savedHosts).toEqual(['10.0.0.2'])
  })
})

test.each([
  { changes: { store: {} as never }, error: TypeError, text: /store must be a PeerStore/ },
  { changes: { saveIntervalMs: 0 }, error: RangeError, text: /saveIntervalMs.*not 0/ },
  { changes: { storeTimeoutMs: Infinity }, error: RangeError, text: /storeTimeoutMs.*Infinity/ },
])('a wrong option is refused by name: $text', ({ changes, error, text }) => {
  const make = () =>
    new PeerMemory({ registry: new PeerRegistry(), store: new TestPeerStore(), ...changes })
  expect(make).toThrow(error)
  expect(make).toThrow(text)
})

describe('a node with a peer store', () => {
  const options = (world: World, host: string, changes: Partial<NodeOptions>): NodeOptions => ({
    network: 'test',
    transport: world.network.transport({ host }),
    clock: world.clock,
    random: new SeededRandom(1),
    ...changes,
  })

  test('dials after a restart whom it knew before it, and knows its bans (F29)', async () => {
    const world = new World()
    const other = await world.running('10.0.0.9')
    const peerStore = new TestPeerStore()
    const first = createNode(options(world, '10.0.0.1', { peerStore }))
    await first.start()
    first.registry.add('10.0.0.9')
    first.registry.ban('10.0.0.66', { reason: 'test' })
    await world.advance(1_000)
    expect(other.connected).toHaveLength(1)
    const stopping = first.stop()
    await world.advance(5_000)
    await stopping
    const second = createNode(options(world, '10.0.0.1', { peerStore }))
    await second.start()
    await world.advance(1_000)
    expect(second.peers().map(({ ip }) => ip)).toEqual(['10.0.0.9'])
    expect(second.registry.get('10.0.0.9')).toMatchObject({ timesConnected: 2 })
    expect(second.registry.isBanned('10.0.0.66')).toBe(true)
    const stoppingSecond = second.stop()
    await world.advance(5_000)
    await stoppingSecond
  })

  test('saves nothing and has nothing open when it cannot start', async () => {
    const world = new World()
    await world.running('10.0.0.1')
    const peerStore = new TestPeerStore()
    const node = createNode(options(world, '10.0.0.1', { peerStore }))
    await expect(node.start()).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
    const timers = world.clock.pendingTimers
    node.registry.add('10.0.0.9')
    expect(world.clock.pendingTimers).toBe(timers)
  })

  test('refuses what is no store', () => {
    const world = new World()
    expect(() => createNode(options(world, '10.0.0.1', { peerStore: {} as never }))).toThrow(
      /PeerStore/,
    )
  })
})
