import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { RegistrySnapshot } from '../../src/contracts/peer-store.js'
import { createNode } from '../../src/node.js'
import { PeerRegistry } from '../../src/peer-registry.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import type { SimulatedNetworkOptions } from '../../src/testing/simulated-network.js'
import { testChain, testChainRules } from '../../src/testing/test-chain.js'
import { encodeMessage } from '../../src/wire/message-codec.js'
import type { WireMessage } from '../../src/wire/messages.js'
import type { RawConnection, RawPeer } from '../support/raw-peer.js'
import { type SimulatedNode, World } from '../support/simulated-node.js'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
const empty = new Uint8Array(0)

/** A frame whose CBOR body is cut short. */
const malformed = Uint8Array.of(0, 0, 0, 1, 0x30, 0xa5)
const type: WireMessage = { kind: 'type', number: 0, name: 'n' }

async function connected(world: World, node: SimulatedNode, peer: RawPeer): Promise<RawConnection> {
  const raw = peer.dial(node.host).shakeHands({ decides: false })
  await world.advance(200)
  return raw
}

describe('a provable violation', () => {
  test('closes its connection and does not ban, and a handful of them ban for an hour', async () => {
    const world = new World({ latencyMs: 5 })
    const node = await world.running('10.0.0.1')
    const hostile = world.raw('10.0.0.9')
    for (let nth = 1; nth <= 6; nth += 1) {
      expect(node.registry.bans()).toEqual([])
      const raw = await connected(world, node, hostile)
      expect(node.connections.peers()).toHaveLength(1)
      raw.sendBytes(malformed)
      await world.advance(minuteMs)
      expect(node.connections.peers()).toHaveLength(0)
      expect(node.misbehaved).toHaveLength(nth)
    }
    expect(node.misbehaved.map(({ isBanned }) => isBanned)).toEqual([
      ...[false, false, false, false, false],
      true,
    ])
    expect(node.registry.bans()).toMatchObject([
      { ip: '10.0.0.9', reason: expect.stringMatching(/^misbehaved: status/) as string },
    ])
    const [ban] = node.registry.bans()
    expect(ban!.untilUnixMs - ban!.sinceUnixMs).toBe(hourMs)
    const refused = await connected(world, node, hostile)
    expect(refused.farewell).toMatchObject({ code: 5 })
    // Its neighbours in the subnet are nobody's business.
    await connected(world, node, world.raw('10.0.0.8'))
    expect(node.connections.peers()).toHaveLength(1)
    // It ends by itself, and the next one is no longer.
    await world.advance(hourMs)
    expect(node.registry.bans()).toEqual([])
    await connected(world, node, hostile)
    expect(node.connections.peers()).toHaveLength(2)
    expect(node.bugs).toEqual([])
  })

  test('is remembered across reconnects and restarts of the manager, and forgiven by unban', async () => {
    const world = new World({ latencyMs: 5 })
    const node = await world.running('10.0.0.1')
    const hostile = world.raw('10.0.0.9')
    for (let nth = 1; nth <= 5; nth += 1) {
      const raw = await connected(world, node, hostile)
      raw.sendBytes(malformed)
      await world.advance(100)
      if (nth !== 3) continue
      const stopping = node.connections.stop()
      await world.advance(2_000)
      await stopping
      await node.connections.start()
    }
    expect(node.misbehaved.at(-1)!.score).toBeGreaterThan(99)
    node.registry.unban('10.0.0.9')
    const raw = await connected(world, node, hostile)
    raw.sendBytes(malformed)
    await world.advance(100)
    expect(node.misbehaved.at(-1)!.score).toBe(20)
  })

  test.each<{ rule: string; ban: (world: World, node: SimulatedNode) => Promise<void> }>([
    {
      rule: 'the user',
      ban: async (_world, node) => {
        node.registry.ban('10.0.0.9', { reason: 'the reason, which is no key', durationMs: dayMs })
      },
    },
    {
      rule: 'violations on the wire',
      ban: async (world, node) => {
        const hostile = world.raw('10.0.0.9')
        for (let nth = 1; nth <= 6; nth += 1) {
          const raw = await connected(world, node, hostile)
          raw.sendBytes(malformed)
          await world.advance(100)
        }
      },
    },
    {
      rule: 'reports of the application',
      ban: async (_world, node) => {
        for (const what of ['one', 'two']) {
          node.connections.report('10.0.0.9', what, { points: 60 })
        }
      },
    },
    {
      rule: 'a restored list',
      ban: async (world, node) => {
        const before = new PeerRegistry({ clock: world.clock })
        before.ban('10.0.0.9', { reason: 'of before', durationMs: dayMs })
        node.registry.restore(JSON.parse(JSON.stringify(before.snapshot())))
      },
    },
    {
      rule: 'all of them, one after the other',
      ban: async (world, node) => {
        node.connections.report('10.0.0.9', 'spam', { points: 1_000 })
        node.registry.ban('10.0.0.9', { reason: 'mine', durationMs: 2 * dayMs })
        node.registry.ban('::ffff:10.0.0.9', { reason: 'mine again', durationMs: 3 * dayMs })
        node.connections.report('10.0.0.9', 'spam', { points: 1_000 })
        await world.advance(10)
      },
    },
  ])('ends with unban, now and after a restart: a ban by $rule (F113)', async ({ ban }) => {
    const world = new World({ latencyMs: 5 })
    const node = await world.running('10.0.0.1')
    await ban(world, node)
    await world.advance(1_000)
    expect(node.registry.isBanned('10.0.0.9')).toBe(true)
    const whileBanned = JSON.parse(JSON.stringify(node.registry.snapshot())) as RegistrySnapshot
    await world.advance(1_000)
    expect(node.registry.unban('::ffff:10.0.0.9')).toBe(true)
    const restarted = new PeerRegistry({ clock: world.clock })
    restarted.restore(JSON.parse(JSON.stringify(node.registry.snapshot())))
    // Nor does what was written while it was banned bring the ban back.
    node.registry.restore(whileBanned)
    for (const registry of [node.registry, restarted]) {
      expect(registry.isBanned('10.0.0.9')).toBe(false)
      expect(registry.bans()).toEqual([])
      expect(registry.list().filter((peer) => peer.ban !== undefined)).toEqual([])
    }
    const { length } = node.connected
    await connected(world, node, world.raw('10.0.0.9'))
    expect(node.connected).toHaveLength(length + 1)
    // And one more violation is the first, not the last.
    node.connections.report('10.0.0.9', 'spam', { points: 60 })
    expect(node.registry.isBanned('10.0.0.9')).toBe(false)
  })

  test('brings no ban where the user does not want any, and none that is shorter than his own', async () => {
    const world = new World({ latencyMs: 5 })
    const node = await world.running('10.0.0.1', { bansMisbehaviour: false })
    const hostile = world.raw('10.0.0.9')
    for (let nth = 1; nth <= 20; nth += 1) {
      const raw = await connected(world, node, hostile)
      raw.sendBytes(malformed)
      await world.advance(100)
    }
    expect([node.misbehaved.length, node.registry.bans()]).toEqual([20, []])

    const strict = await world.running('10.0.0.2')
    strict.registry.ban('10.0.0.7', { reason: 'mine', durationMs: dayMs })
    strict.connections.report('10.0.0.7', 'spam', { points: 1_000 })
    expect(strict.registry.bans()).toMatchObject([{ reason: 'mine' }])
    expect(strict.misbehaved).toMatchObject([{ isBanned: false, score: 1_000 }])
  })

  test('reported by the application closes the connection, tells the peer, and is scored once', async () => {
    const world = new World({ latencyMs: 5 })
    const node = await world.running('10.0.0.1')
    const raw = await connected(world, node, world.raw('10.0.0.9'))
    node.connections.report('::ffff:10.0.0.9', 'an invalid transaction', { points: 60 })
    await world.advance(100)
    expect(raw.farewell).toMatchObject({ code: 12, text: 'an invalid transaction' })
    expect(node.reasons).toMatchObject([{ kind: 'misbehaved', what: 'an invalid transaction' }])
    expect(node.misbehaved).toEqual([
      { ip: '10.0.0.9', what: 'an invalid transaction', score: 60, isBanned: false },
    ])
    node.connections.report('10.0.0.9', 'again', { points: 60 })
    expect(node.registry.bans()).toMatchObject([{ reason: 'misbehaved: again' }])
    expect(() => node.connections.report('10.0.0.9', 'x', { points: -1 })).toThrow(RangeError)
    expect(() => node.connections.report('nobody', 'x')).toThrow('nobody')
  })

  test('a ban longer than a year is refused at the door', () => {
    const world = new World()
    expect(() => world.node('10.0.0.1', { misbehaviourBanMs: 366 * dayMs })).toThrow(
      /misbehaviourBanMs \(31622400000\)/,
    )
  })
})

type Latency = NonNullable<SimulatedNetworkOptions['latencyMs']>

/** One round of something that looks bad and is none of the peer's fault. */
type Scenario = (world: World, node: SimulatedNode, peer: RawPeer) => Promise<void>

const benign: Readonly<Record<string, { readonly options?: object; readonly round: Scenario }>> = {
  'reads nothing for long': {
    options: { sendHighWaterBytes: 1_024, slowPeerMs: 10_000 },
    round: async (world, node, peer) => {
      const raw = await connected(world, node, peer)
      raw.pause()
      for (let n = 0; n < 30; n += 1) node.connections.broadcast('n', new Uint8Array(10_000))
      await world.advance(minuteMs)
    },
  },
  'sends in bursts': {
    round: async (world, node, peer) => {
      const raw = await connected(world, node, peer)
      const frames = Array.from({ length: 200 }, () => encodeMessage(message(10)).parts).flat()
      raw.send(type)
      raw.sendBytes(...frames)
      await world.advance(minuteMs)
      raw.close()
    },
  },
  'reconnects again and again': {
    round: async (world, node, peer) => {
      for (let n = 0; n < 8; n += 1) (await connected(world, node, peer)).destroy()
    },
  },
  'speaks an old version': {
    round: async (world, node, peer) => {
      peer.dial(node.host).hello({ version: 0 })
      await world.advance(1_000)
    },
  },
  'is on another network': {
    round: async (world, node, peer) => {
      peer.dial(node.host).hello({ network: 'other' })
      await world.advance(1_000)
    },
  },
  'does not know our IP': {
    round: async (world, node, peer) => {
      peer.dial(node.host).hello({ yourIp: 'unknown' })
      await world.advance(1_000)
    },
  },
  'speaks TLS, HTTP or nothing at all': {
    round: async (world, node, peer) => {
      peer.dial(node.host).sendBytes(Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3))
      peer.dial(node.host).sendBytes(new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'))
      await world.advance(1_000)
      peer.dial(node.host)
      await world.advance(minuteMs)
    },
  },
  'says too much before the handshake ended': {
    round: async (world, node, peer) => {
      peer.dial(node.host).send({ kind: 'ping', nonce: 1n })
      await world.advance(1_000)
    },
  },
  'dials twice at a time': {
    round: async (world, node, peer) => {
      const raws = [1, 2, 3].map(() => peer.dial(node.host).shakeHands({ decides: false }))
      await world.advance(minuteMs)
      for (const raw of raws) raw.destroy()
      await world.advance(1_000)
    },
  },
  'answers when we have given up': {
    options: { maxPointlessPerSecond: 1 },
    round: async (world, node, peer) => {
      const raw = await connected(world, node, peer)
      const requests = Array.from({ length: 100 }, () =>
        node.peer.request('slow', empty, { timeoutMs: 50 }).catch((error: unknown) => error),
      )
      await world.advance(1_000)
      await Promise.all(requests)
      for (const { id } of raw.all('request')) raw.send({ kind: 'answer', id, bytes: empty })
      await world.advance(1_000)
      expect(node.connections.peers()).toHaveLength(1)
      raw.destroy()
      await world.advance(10)
    },
  },
  'asks what our handler never answers': {
    options: { maxReplies: 8 },
    round: async (world, node, peer) => {
      node.connections.handle('n', () => new Promise(() => undefined))
      const raw = await connected(world, node, peer)
      raw.send(type)
      for (let id = 0; id < 9; id += 1) raw.send({ kind: 'request', id, type: 0, bytes: empty })
      await world.advance(1_000)
      expect(raw.farewell).toMatchObject({ code: 11 })
    },
  },
  'sends what our handler throws at': {
    round: async (world, node, peer) => {
      node.connections.on('listenerError', () => undefined)
      node.connections.handle('n', () => {
        throw new Error('our bug')
      })
      const raw = await connected(world, node, peer)
      raw.send(type)
      for (let n = 0; n < 20; n += 1) raw.send(message(1))
      await world.advance(1_000)
      raw.destroy()
      await world.advance(10)
    },
  },
  'sends frames as large as we allow': {
    options: { maxFrameBytes: 4_096 },
    round: async (world, node, peer) => {
      const raw = await connected(world, node, peer)
      raw.send(type, message(4_096 - 2))
      await world.advance(1_000)
      expect(node.connections.peers()).toHaveLength(1)
      raw.destroy()
      await world.advance(10)
    },
  },
  'answers no pings': {
    options: { pingIntervalMs: 1_000, pongTimeoutMs: 500, stableAfterMs: 120_000 },
    round: async (world, node, peer) => {
      const raw = await connected(world, node, peer)
      raw.answersPings = false
      await world.advance(minuteMs)
    },
  },
  'fails to be dialled': {
    round: async (world, node) => {
      node.connections.keep('10.0.0.77')
      await world.advance(minuteMs)
    },
  },
}

function message(bytes: number): WireMessage {
  return { kind: 'message', type: 0, bytes: new Uint8Array(bytes) }
}

test.each(Object.keys(benign))(
  'benign behaviour never leads to a ban: a peer that %s, for a day (F112)',
  async (name) => {
    const { options = {}, round } = benign[name]!
    const world = new World({ latencyMs: 5 })
    const node = await world.running('10.0.0.1', options)
    const peer = world.raw('10.0.0.9')
    while (world.clock.now() < dayMs) {
      await round(world, node, peer)
      await world.advance(40 * minuteMs)
    }
    expect(node.registry.bans()).toEqual([])
    expect(node.misbehaved).toEqual([])
    expect(node.bugs).toEqual([])
  },
)

test('honest peers under any latency, loss or load never get a ban, for a day (F112)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(10_000),
        latencyMs: fc.constantFrom<Latency>(0, [1, 200], [100, 3_000]),
        troubleMs: fc.constantFrom(17 * minuteMs, 45 * minuteMs),
        perSecond: fc.constantFrom(1, 1_000_000),
      }),
      async ({ seed, latencyMs, troubleMs, perSecond }) => {
        const world = new World({ seed, latencyMs, recut: true })
        const hosts = ['10.0.0.1', '10.0.0.5', '10.0.0.9']
        const nodes = await Promise.all(
          hosts.map((host) =>
            world.running(host, { maxMessagesPerSecond: perSecond, maxPointlessPerSecond: 1 }),
          ),
        )
        for (const node of nodes) {
          for (const host of hosts) if (host !== node.host) node.connections.keep(host)
          node.connections.handle('ask', (bytes) => bytes)
          node.connections.handle('slow', () => new Promise(() => undefined))
        }
        for (let nth = 0; world.clock.now() < dayMs; nth += 1) {
          const [a, b] = [hosts[nth % 3]!, hosts[(nth + 1) % 3]!]
          const { faults } = world.network
          if (nth % 4 === 0) faults.blackHole({ from: a, to: b })
          if (nth % 4 === 1) faults.partition([a], [b])
          if (nth % 4 === 2) world.network.resetBetween(a, b)
          for (const node of nodes) {
            for (const peer of node.connections.peers()) {
              for (const name of ['ask', 'slow', 'nobody']) {
                peer.request(name, empty, { timeoutMs: 100 }).catch(() => undefined)
              }
              for (let n = 0; n < 20; n += 1) peer.send('note', new Uint8Array(n * 100))
            }
          }
          await world.advance(troubleMs)
          faults.heal()
        }
        for (const node of nodes) {
          expect([node.host, node.registry.bans(), node.misbehaved, node.bugs]).toEqual([
            node.host,
            [],
            [],
            [],
          ])
          expect(node.reasons.map(({ kind }) => kind)).not.toContain('flood')
        }
      },
    ),
    { seed: 1, numRuns: 3 },
  )
})

test('benign behaviour never leads to a ban: a peer on a fork that is too deep, for a day (F112)', async () => {
  const world = new World({ latencyMs: 20 })
  const ours = testChain({ length: 60, seed: 1 })
  const trunk = ours.blocks.slice(0, 10)
  const theirs = testChain({ length: 80, seed: 2, from: trunk.at(-1)! })
  const nodeWith = async (host: string, blocks: typeof ours.blocks, seed: number) => {
    const store = new MemoryBlockStore()
    await store.open()
    await store.append(blocks, { expectTip: null })
    return createNode({
      network: 'test',
      transport: world.network.transport({ host }),
      clock: world.clock,
      random: new SeededRandom(seed),
      chain: { rules: testChainRules(ours), store, maxReorgDepth: 5 },
    })
  }
  const a = await nodeWith('10.0.0.1', ours.blocks, 1)
  const b = await nodeWith('10.0.0.9', [...trunk, ...theirs.blocks], 2)
  a.connections.keep('10.0.0.9')
  await Promise.all([a.start(), b.start()])
  await world.advance(dayMs)
  expect(a.sync.tip).toEqual(ours.tip)
  expect([...a.registry.bans(), ...b.registry.bans()]).toEqual([])
  expect(a.peers()).toHaveLength(1)
  const stopping = Promise.all([a.stop(), b.stop()])
  await world.advance(2_000)
  await stopping
})
