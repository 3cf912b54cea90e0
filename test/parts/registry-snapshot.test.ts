import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RegistrySnapshot } from '../../src/contracts/peer-store.js'
import { PeerRegistry } from '../../src/peer-registry.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import { establish, World } from '../support/simulated-node.js'

const start = Date.UTC(2025, 0, 1)
const nothing = { peers: 0, bans: 0, damaged: 0, withoutRoom: 0 }

/** A snapshot of a registry that has seen something of everything. */
async function livelySnapshot(): Promise<RegistrySnapshot> {
  const world = new World()
  const node = await world.running('10.0.0.1')
  await establish('inbound', node, world, '10.0.0.9')
  const { peer } = node
  node.connections.keep('10.0.0.8:25000')
  node.registry.add('fe80::7%eth0')
  node.registry.add('10.0.0.7')
  node.registry.ban('10.0.0.7', { reason: 'known' })
  node.registry.ban('2001:db8::1', { reason: 'not known' })
  await world.advance(5_000)
  peer.close()
  await world.advance(5_000)
  return node.registry.snapshot()
}

const overJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

const peer = (changes: object = {}): object => ({
  host: '10.0.0.1',
  source: 'added',
  firstSeenUnixMs: 1,
  timesConnected: 0,
  ...changes,
})
const snapshotOf = (...peers: readonly unknown[]): object => ({
  version: 1,
  savedAtUnixMs: start,
  peers,
  bans: [],
})

describe('a snapshot', () => {
  test('is plain data that JSON carries unchanged, and brings everything back', async () => {
    const snapshot = await livelySnapshot()
    expect(overJson(snapshot)).toEqual(snapshot)
    const clock = new SimulatedClock()
    clock.advanceSync(60_000)
    const registry = new PeerRegistry({ clock })
    expect(registry.restore(overJson(snapshot))).toEqual({ ...nothing, peers: 4, bans: 2 })
    expect(registry.snapshot()).toEqual({
      ...snapshot,
      savedAtUnixMs: start + 60_000,
      peers: expect.arrayContaining(
        snapshot.peers.map((each) => ({
          ...each,
          source: each.source === 'kept' ? 'added' : each.source,
        })),
      ) as unknown,
    })
    expect(registry.get('10.0.0.9')).toMatchObject({ timesConnected: 1, source: 'inbound' })
    expect(registry.get('10.0.0.8')?.lastFailure?.text).toMatch(/ECONNREFUSED/)
    expect(registry.get('10.0.0.8')).toMatchObject({ failures: 0, isKept: false })
    expect(registry.isBanned('2001:db8::1')).toBe(true)
  })

  test.each([
    undefined,
    null,
    0,
    'holdfast',
    [],
    {},
    { version: 2, peers: [], bans: [] },
    { version: 1, peers: {}, bans: [] },
    { version: 1, peers: [] },
  ])('that is none is refused with a typed error, and nothing changes: %j', (value) => {
    const registry = new PeerRegistry()
    registry.add('10.0.0.1')
    const before = registry.list()
    expect(() => registry.restore(value)).toThrow(
      expect.objectContaining({ code: 'SNAPSHOT_INVALID' }),
    )
    expect(registry.list()).toEqual(before)
  })

  test.each([
    null,
    'text',
    peer({ host: 'nowhere' }),
    peer({ host: '10.0.0.1:24100' }),
    peer({ source: 'nobody' }),
    peer({ firstSeenUnixMs: undefined }),
    peer({ firstSeenUnixMs: -1 }),
    peer({ timesConnected: -1 }),
    peer({ timesConnected: 1.5 }),
    peer({ port: 0 }),
    peer({ port: 65_536 }),
    peer({ toldPort: '24100' }),
  ])('with an entry that makes no sense brings the others back: %j', (damaged) => {
    const registry = new PeerRegistry()
    const snapshot = snapshotOf(peer({ host: '10.0.0.2' }), damaged, peer({ host: '10.0.0.3' }))
    expect(registry.restore(snapshot)).toEqual({ ...nothing, peers: 2, damaged: 1 })
    expect(registry.list().map(({ ip }) => ip)).toEqual(['10.0.0.2', '10.0.0.3'])
  })

  test('that was damaged anywhere is refused, or what is left of it makes sense', async () => {
    const text = JSON.stringify(await livelySnapshot())
    const values = [null, -1, 1e300, 'x', [], {}, true, '10.0.0.1', 65_536, 0.5]
    let [refused, partly] = [0, 0]
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(), value: fc.constantFrom(...values) }), { minLength: 1 }),
        (damages) => {
          let index = 0
          const snapshot: unknown = JSON.parse(text, (_key, value: unknown) => {
            index += 1
            return damages.find(({ at }) => at % 60 === index)?.value ?? value
          })
          const clock = new SimulatedClock()
          clock.advanceSync(60_000)
          const registry = new PeerRegistry({ clock })
          try {
            const { damaged } = registry.restore(snapshot)
            if (damaged > 0) partly += 1
          } catch (error) {
            expect(error).toMatchObject({ code: 'SNAPSHOT_INVALID' })
            expect([registry.size, registry.bans()]).toEqual([0, []])
            refused += 1
          }
          for (const each of registry.list()) {
            expect(each.firstSeenUnixMs).toBeLessThanOrEqual(clock.unixMs())
            expect(each.lastSeenUnixMs ?? 0).toBeLessThanOrEqual(clock.unixMs())
          }
          // What was restored is whole: it can be saved and restored again.
          const again = new PeerRegistry({ clock })
          expect(again.restore(overJson(registry.snapshot())).damaged).toBe(0)
          expect(again.size).toBe(registry.size)
        },
      ),
      { seed: 6, numRuns: 300 },
    )
    expect([refused > 20, partly > 20]).toEqual([true, true])
  })

  test('whose times lie in the future is of now, and its bans are no longer than they were', () => {
    const registry = new PeerRegistry({ clock: new SimulatedClock() })
    const later = start + 1e10
    registry.restore({
      version: 1,
      savedAtUnixMs: later,
      peers: [
        peer({
          firstSeenUnixMs: later,
          lastSeenUnixMs: later,
          timesConnected: 1,
          lastFailure: { text: 'later', atUnixMs: later },
        }),
      ],
      bans: [
        { ip: '10.0.0.7', reason: 'x', sinceUnixMs: later, untilUnixMs: later + 1_000 },
        { ip: '10.0.0.8', reason: 'over', sinceUnixMs: 1, untilUnixMs: 2 },
      ],
    })
    expect(registry.get('10.0.0.1')).toMatchObject({
      firstSeenUnixMs: start,
      lastSeenUnixMs: start,
      lastFailure: { text: 'later', atUnixMs: start },
    })
    expect(registry.bans()).toEqual([
      { ip: '10.0.0.7', reason: 'x', sinceUnixMs: start, untilUnixMs: start + 1_000 },
    ])
  })

  test('never displaces anybody, and when there is not room for all the best come first', () => {
    const registry = new PeerRegistry({ maxKnownPeers: 3 })
    registry.add('10.0.0.100')
    const snapshot = snapshotOf(
      peer({ host: '10.0.0.2', source: 'exchange' }),
      peer({ host: '10.0.0.3' }),
      peer({ host: '10.0.0.4', timesConnected: 1, lastSeenUnixMs: 5 }),
      peer({ host: '10.0.0.5', timesConnected: 1, lastSeenUnixMs: 6 }),
    )
    expect(registry.restore(snapshot)).toEqual({ ...nothing, peers: 2, withoutRoom: 2 })
    expect(registry.list().map(({ ip }) => ip)).toEqual(['10.0.0.100', '10.0.0.5', '10.0.0.4'])
  })

  test('leaves what is newer as it is', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    await establish('inbound', node, world, '10.0.0.9')
    node.registry.ban('10.0.0.7', { reason: 'new', durationMs: 60_000 })
    const before = node.registry.get('10.0.0.9')
    node.registry.restore({
      ...snapshotOf(
        peer({ host: '10.0.0.9', toldPort: 1, source: 'added', lastSeenUnixMs: 5 }),
        peer({ host: '10.0.0.9', lastFailure: { text: 'old', atUnixMs: 6 } }),
      ),
      bans: [{ ip: '10.0.0.7', reason: 'old', sinceUnixMs: start - 10, untilUnixMs: start + 10 }],
    })
    expect(node.registry.get('10.0.0.9')).toEqual({
      ...before,
      source: 'added',
      firstSeenUnixMs: 1,
    })
    expect(node.registry.bans()).toMatchObject([{ ip: '10.0.0.7', reason: 'new' }])
    expect(node.disconnected).toEqual([])
  })

  test('of before an unban does not bring the ban back (F113)', () => {
    const clock = new SimulatedClock()
    const registry = new PeerRegistry({ clock })
    registry.ban('10.0.0.7', { reason: 'test' })
    const snapshot = registry.snapshot()
    expect(registry.unban('10.0.0.7')).toBe(true)
    registry.restore(snapshot)
    expect(registry.isBanned('10.0.0.7')).toBe(false)
    const other = new PeerRegistry({ clock })
    other.unban('10.0.0.7')
    other.restore(snapshot)
    expect(other.isBanned('10.0.0.7')).toBe(false)
    clock.advanceSync(1)
    registry.ban('10.0.0.7', { reason: 'again' })
    other.restore(registry.snapshot())
    expect(other.isBanned('10.0.0.7')).toBe(true)
  })
})
