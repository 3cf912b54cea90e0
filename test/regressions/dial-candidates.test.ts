import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import { entriesOf, PeerRegistry } from '../../src/peer-registry.js'
import { backoffCeilingMs } from '../../src/rules/dial-policy.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { World, type NodeOptions, type SimulatedNode } from '../support/simulated-node.js'

const { backoffMaxMs, longRestMs } = defaultConnectionLimits
const own = '10.0.0.1'
const dead = '10.0.0.9'
const hourMs = 3_600_000
const maxHurriedRetries = 5

describe('a hint', () => {
  /** When each dial of a dead, kept peer left in an hour in which hints come as `hints` says. */
  async function dialsOfAnHour(
    seed: number,
    hints: readonly { readonly everyMs: number; readonly count: number }[],
  ): Promise<number[]> {
    const world = new World({ seed })
    const node = world.node(own, { localIp: own })
    world.network.faults.refuseDials({ to: dead })
    const times: number[] = []
    node.connections.on('dialFailed', () => void times.push(world.clock.now()))
    node.connections.keep(dead)
    await node.connections.start()
    for (const { everyMs, count } of hints) {
      for (let n = 0; n < count && world.clock.now() < hourMs; n += 1) {
        expect(node.connections.hurry(dead)).toBe(true)
        await world.advance(everyMs)
      }
    }
    await world.advance(Math.max(0, hourMs - world.clock.now()))
    return times
  }

  test('shortens at most the first five retries, at whatever rate hints arrive (F28)', async () => {
    const delays: number[][] = []
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(
          fc.record({
            everyMs: fc.constantFrom(1, 20, 500, 3_000, 60_000),
            count: fc.integer({ min: 1, max: 500 }),
          }),
          { minLength: 1, maxLength: 6 },
        ),
        async (seed, hints) => {
          const hinted = await dialsOfAnHour(seed, hints)
          const plain = await dialsOfAnHour(seed, [])
          // The dice are the same: from the sixth retry on the pauses are those without any hint.
          const pauses = (times: readonly number[]): number[] =>
            times.slice(1).map((atMs, index) => atMs - times[index]!)
          const [withHints, without] = [pauses(hinted), pauses(plain)]
          const rest = Math.min(withHints.length, without.length)
          expect(rest).toBeGreaterThan(maxHurriedRetries + 5)
          for (let index = maxHurriedRetries; index < rest; index += 1) {
            expect(withHints[index]).toBeCloseTo(without[index]!, 0)
          }
          for (const [index, pauseMs] of withHints.slice(0, maxHurriedRetries).entries()) {
            expect(pauseMs).toBeLessThanOrEqual(without[index]! + 1)
          }
          expect(hinted.length - plain.length).toBeLessThanOrEqual(maxHurriedRetries + 2)
          delays.push(withHints)
        },
      ),
      { numRuns: 25, seed: 28 },
    )
    // It was no idle test: some were shortened, and all the way.
    const fifth = delays.map((pauses) => pauses[4]!)
    expect(Math.min(...fifth)).toBeLessThan(300)
    expect(Math.max(...fifth)).toBeGreaterThan(backoffCeilingMs(4, defaultConnectionLimits) / 4)
  })

  test.each([
    { what: 'another network', code: 'wrong-network', retryAfterMs: undefined, restMs: longRestMs },
    { what: 'a busy peer that said when', code: 'busy', retryAfterMs: 600_000, restMs: 600_000 },
  ] as const)('shortens no rest that is no backoff: $what (F28)', async (end) => {
    const world = new World()
    const node = await world.running(own)
    const raw = world.raw(dead)
    await raw.listen((connection) => {
      const { code, retryAfterMs } = end
      connection.send({ kind: 'bye', code: byeCodes[code]!, text: '', retryAfterMs })
    })
    node.connections.keep(dead)
    await world.advance(1_000)
    expect(node.transport.dialled).toHaveLength(1)
    for (let n = 0; n < 100; n += 1) {
      node.connections.hurry(dead)
      await world.advance((end.restMs - 5_000) / 100)
    }
    expect(node.transport.dialled).toHaveLength(1)
    await world.advance(10_000)
    expect(node.transport.dialled).toHaveLength(2)
  })

  test('makes no dial that would not have come by itself, and is for peers that are known', async () => {
    const world = new World()
    const node = await world.running(own)
    expect(node.connections.hurry(dead)).toBe(false)
    expect(() => node.connections.hurry('nobody')).toThrow('not an IP address')
    await world.running(dead)
    node.connections.keep(dead)
    await world.advance(1_000)
    node.connections.disconnect(dead)
    await world.advance(1_000)
    expect(node.connections.hurry(dead)).toBe(true)
    await world.advance(hourMs)
    expect(node.transport.dialled).toHaveLength(1)
  })

  test('brings a peer before the others that wait for their turn', async () => {
    const world = new World()
    world.network.faults.delayDials({}, 50)
    const node = await world.running(own, { maxConcurrentDials: 1, localIp: own })
    for (const last of [2, 3, 4, 5]) node.registry.add(`10.0.0.${last}`)
    node.connections.hurry('10.0.0.5')
    await world.advance(1_000)
    const order = node.transport.dialled.map(({ host }) => host.at(-1))
    expect(order.slice(0, 4).join('')).toBe('2534')
  })
})

describe('after a restart', () => {
  const hosts = Array.from({ length: 100 }, (_, index) => `10.1.0.${index + 1}`)

  /** A node that knows these peers from before, all of them marked as gone. */
  function restarted(world: World, options: NodeOptions = {}): SimulatedNode {
    const before = new PeerRegistry({ clock: world.clock })
    const atUnixMs = world.clock.unixMs()
    for (const [index, host] of hosts.entries()) {
      before.add(host)
      const entry = entriesOf(before).get(host)!
      entry.lastFailure = { text: 'offline', atUnixMs }
      entry.timesConnected = index % 3
      entry.lastSeenUnixMs = index % 3 === 0 ? undefined : atUnixMs - index * 60_000
      entry.dial = { ...entry.dial, failures: 9, backoffSteps: 12, notBeforeMs: 300_000 }
    }
    const node = world.node(own, options)
    node.registry.restore(JSON.parse(JSON.stringify(before.snapshot())))
    expect(node.registry.list().every(({ lastFailure }) => lastFailure !== undefined)).toBe(true)
    return node
  }

  test('every known peer that is not connected is a dial candidate, from the first second (F29)', async () => {
    const world = new World()
    const node = restarted(world, { maxOutbound: 125, localIp: own })
    await Promise.all(hosts.map((host) => world.running(host)))
    await node.connections.start()
    await world.advance(1_000)
    expect(new Set(node.transport.dialled.map(({ host }) => host))).toEqual(new Set(hosts))
    expect(node.connections.status().outbound).toBe(hosts.length)
  })

  test('all are dialled up to the free slots, those that were seen lately first (F29)', async () => {
    const world = new World()
    const node = restarted(world, { maxOutbound: 30, localIp: own })
    await Promise.all(hosts.map((host) => world.running(host)))
    await node.connections.start()
    await world.advance(5_000)
    expect(node.connections.status().outbound).toBe(30)
    const seen = (host: string): number => Number(host.split('.')[3]) - 1
    const lately = hosts.filter((host) => seen(host) % 3 !== 0).slice(0, 30)
    expect(new Set(node.connections.peers().map(({ ip }) => ip))).toEqual(new Set(lately))
  })

  test('one that refuses for an hour is established within one cap of coming up, by itself (F29)', async () => {
    const world = new World()
    const node = world.node(own)
    node.connections.keep(dead)
    node.entry(dead).dial = { ...node.entry(dead).dial, failures: 40, backoffSteps: 40 }
    const refuses = world.network.faults.refuseDials({ to: dead })
    await world.running(dead)
    await node.connections.start()
    await world.advance(1_000)
    expect(node.transport.dialled).toHaveLength(1)
    await world.advance(hourMs)
    expect(node.connected).toEqual([])
    refuses.heal()
    await world.advance(backoffMaxMs + 1_000)
    expect(node.peer.ip).toBe(dead)
  })
})
