import { describe, expect, test } from 'vitest'
import type { ToldPeer } from '../../src/contracts/exchange-messages.js'
import { createNode, type NodeOptions } from '../../src/node.js'
import { PeerExchange, type PeerExchangeOptions } from '../../src/peer-exchange.js'
import { hearOf, PeerRegistry } from '../../src/peer-registry.js'
import { mayTell } from '../../src/rules/peer-exchange.js'
import { comparePeerIps, parsePeerAddress, parsePeerIp, scopeOf } from '../../src/rules/peer-ip.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import {
  directions,
  establish,
  World,
  type NodeOptions as SimulatedNodeOptions,
  type SimulatedNode,
} from '../support/simulated-node.js'

type Exchanging = SimulatedNode & { readonly exchange: PeerExchange }

async function exchanging(
  world: World,
  host: string,
  options: SimulatedNodeOptions = {},
  limits: Partial<PeerExchangeOptions> = {},
): Promise<Exchanging> {
  const node = world.node(host, options)
  const random = new SeededRandom(Number(host.split('.')[3]))
  const { registry } = node
  const exchange = new PeerExchange({ registry, clock: world.clock, random, ...limits })
  node.connections.serve(exchange)
  await node.connections.start()
  return Object.assign(node, { exchange })
}

const minuteMs = 60_000

/** Whether the partner is the one to send READY first. */
function isBelow(partner: string, host: string, isNat: boolean): boolean {
  const seen = isNat ? '93.184.216.34' : host
  return comparePeerIps(parsePeerIp(partner), parsePeerIp(seen)) < 0
}
const told = (...ips: readonly string[]): ToldPeer[] => ips.map((ip) => ({ ip, port: 24_100 }))

describe('peers are learned over inbound and outbound connections alike', () => {
  test.each(directions.flatMap((first) => directions.map((second) => ({ first, second }))))(
    'A–B $first at B, B–C $second at B: A is established with C (F31)',
    async ({ first, second }) => {
      const world = new World()
      const [a, b, c] = [
        await exchanging(world, '10.0.0.1'),
        await exchanging(world, '10.0.0.5'),
        await exchanging(world, '10.0.0.9'),
      ]
      const join = async (other: Exchanging, direction: 'inbound' | 'outbound'): Promise<void> => {
        const [from, to] = direction === 'inbound' ? [other, b] : [b, other]
        const connecting = from.connections.connect(to.host)
        await world.advance(1_000)
        expect((await connecting).direction).toBe('outbound')
      }
      await join(a, first)
      await join(c, second)
      expect(a.registry.get(c.host)).toBeUndefined()
      await world.advance(10 * minuteMs)
      expect(a.connections.peer(c.host)?.isConnected).toBe(true)
      expect(c.connections.peer(a.host)?.isConnected).toBe(true)
      expect([a, b, c].flatMap(({ disconnected, bugs }) => [...disconnected, ...bugs])).toEqual([])
      const sources = [a, c].map((node) => node.registry.get(node === a ? c.host : a.host)?.source)
      expect(sources).toContain('exchange')
    },
  )
})

describe('what is given', () => {
  test.each([undefined, '0.0.0.0', '::', '127.0.0.1', '10.0.0.1', '8.8.8.8', '10.0.0.77'])(
    'an unusable own address is never advertised: with localIp %s (F09)',
    async (localIp) => {
      const world = new World()
      const node = await exchanging(world, '10.0.0.1', localIp === undefined ? {} : { localIp })
      for (const own of ['0.0.0.0', '::', '127.0.0.1', '10.0.0.1', '8.8.8.8']) {
        node.registry.add(own)
      }
      await establish('inbound', node, world, '10.0.0.8')
      const raw = await establish('inbound', node, world, '10.0.0.9')
      raw.send({ kind: 'getPeers', count: 1_000 })
      await world.advance(100)
      expect(raw.all('peers')).toEqual([{ kind: 'peers', peers: told('10.0.0.8') }])
    },
  )

  test.each([
    { how: 'seen by a public partner', host: '93.184.216.34', partner: '23.1.2.3', isNat: false },
    { how: 'seen by a private partner', host: '192.168.0.7', partner: '192.168.0.9', isNat: false },
    { how: 'behind a NAT', host: '192.168.0.7', partner: '23.1.2.3', isNat: true },
    { how: 'on one machine', host: '127.0.0.1', partner: '127.0.0.9', isNat: false },
  ])(
    'an own address is never advertised, although others were connected under it: $how (F09)',
    async ({ host, partner, isNat }) => {
      for (const localIp of [undefined, '0.0.0.0', '::', '127.0.0.1', '192.168.0.7', '8.8.8.8']) {
        const world = new World()
        const publicIp = '93.184.216.34'
        if (isNat) {
          const forward = [{ port: 24_100, to: host }]
          world.network.nat({ publicIp, hosts: [host, '192.168.0.9'], forward })
        }
        const node = await exchanging(world, host, {
          maxOutbound: 0,
          ...(localIp === undefined ? {} : { localIp }),
        })
        // All of them have been good peers once, and one other is.
        const reachable = scopeOf(parsePeerIp(partner)) === 'loopback' ? '127.0.0.77' : '9.9.9.9'
        const own = ['0.0.0.0', '::', '127.0.0.1', '192.168.0.7', publicIp]
        const others = own.filter((ip) => ip !== host && !(isNat && ip === publicIp))
        for (const ip of [...own, reachable]) {
          node.registry.add(`${ip.includes(':') ? `[${ip}]` : ip}:24100`)
          node.entry(ip).timesConnected = 1
          node.entry(ip).lastSeenUnixMs = world.clock.unixMs()
        }
        const raw = world.raw(partner).dial(isNat ? publicIp : host)
        raw.shakeHands({ decides: isBelow(partner, host, isNat) })
        await world.advance(50)
        raw.send({ kind: 'getPeers', count: 1_000 })
        await world.advance(50)
        const given = raw.all('peers')[0]!.peers.map(({ ip }) => ip)
        expect(given, localIp).toContain(reachable)
        for (const ip of given) {
          expect(['0.0.0.0', '::', host, ...(isNat ? [publicIp] : [])], localIp).not.toContain(ip)
          // Of others' addresses a public partner gets none that means nothing to it.
          if (others.includes(ip)) expect(mayTell(parsePeerIp(ip), parsePeerIp(partner))).toBe(true)
        }
        if (!isNat) continue
        // One behind the same NAT, when most see the public address.
        world.raw('23.1.2.4').dial(publicIp).shakeHands({ decides: true })
        await world.advance(50)
        const inside = world.raw('192.168.0.9').dial(host).shakeHands({ decides: false })
        await world.advance(50)
        inside.send({ kind: 'getPeers', count: 1_000 })
        await world.advance(50)
        const told = inside.all('peers')[0]!.peers.map(({ ip }) => ip)
        expect(told).toContain(reachable)
        for (const ip of [host, publicIp]) expect(told).not.toContain(ip)
      }
    },
  )

  test('neither a banned peer nor one of another network is, nor hearsay, nor an ephemeral port (F30)', async () => {
    const world = new World()
    const node = await exchanging(world, '10.0.0.1')
    for (const host of ['10.0.0.5', '10.0.0.6', '10.0.0.7']) {
      const gone = await establish('inbound', node, world, host)
      gone.destroy()
    }
    node.registry.ban('10.0.0.5', { reason: 'test' })
    // It comes back with another network, when it is dialled.
    const raw6 = world.raw('10.0.0.6', { network: 'another' })
    await raw6.listen((connection) => void connection.shakeHands({ decides: false }))
    const raw7 = world.raw('10.0.0.7', { listen: false })
    await world.advance(10_000)
    const deaf = raw7.dial(node.host)
    deaf.shakeHands({ decides: false })
    hearOf(node.registry, parsePeerAddress('10.0.0.66:24100'))
    await establish('inbound', node, world, '10.0.0.8')
    const raw = await establish('inbound', node, world, '10.0.0.9')
    raw.send({ kind: 'getPeers', count: 1_000 })
    await world.advance(100)
    const given = raw.all('peers')[0]!.peers.map(({ ip }) => ip)
    expect(given).toContain('10.0.0.8')
    for (const ip of ['10.0.0.5', '10.0.0.6', '10.0.0.66']) expect(given).not.toContain(ip)
    for (const { port } of raw.all('peers')[0]!.peers) expect(port).toBe(24_100)
  })

  test.each(directions)(
    'a peer that asks again too soon is ignored and stays, over an %s connection',
    async (direction) => {
      const world = new World()
      const node = await exchanging(world, '10.0.0.1')
      const raw = await establish(direction, node, world)
      const ask = async (afterMs: number): Promise<number> => {
        await world.advance(afterMs)
        raw.send({ kind: 'getPeers', count: 10 })
        await world.advance(100)
        return raw.all('peers').length
      }
      expect(await ask(0)).toBe(1)
      expect(await ask(0)).toBe(1)
      expect(await ask(59_000)).toBe(1)
      expect(await ask(minuteMs)).toBe(2)
      expect(node.exchange.ignored).toBe(2)
      expect(node.disconnected).toEqual([])
    },
  )
})

describe('what is asked', () => {
  test('each peer soon after it is connected, and then every five minutes, more or less', async () => {
    const world = new World()
    const node = await exchanging(world, '10.0.0.1')
    const raw = await establish('outbound', node, world)
    const times: number[] = []
    raw.onMessage = ({ kind }) => {
      if (kind === 'getPeers') times.push(world.clock.now())
    }
    await world.advance(24 * 60 * minuteMs)
    expect(times[0]).toBeLessThan(2_000)
    const pauses = times.slice(1).map((time, index) => time - times[index]!)
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(150_000)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(450_000)
    expect(new Set(pauses).size).toBeGreaterThan(200)
    expect(raw.all('getPeers')[0]).toEqual({ kind: 'getPeers', count: 250 })
    // Nothing is left of it when the connection is over.
    const timers = world.clock.pendingTimers
    raw.destroy()
    await world.advance(100)
    expect(world.clock.pendingTimers).toBeLessThan(timers)
  })

  test('nothing, and nothing is answered, unless it is switched on', async () => {
    const world = new World()
    const options: NodeOptions = {
      network: 'test',
      transport: world.network.transport({ host: '10.0.0.1' }),
      clock: world.clock,
      random: new SeededRandom(1),
    }
    for (const [peerExchange, expected] of [
      [undefined, []],
      [false, []],
      [true, [250]],
      [{ maxAsked: 7 }, [7]],
    ] as const) {
      const node = createNode({ ...options, ...(peerExchange !== undefined && { peerExchange }) })
      await node.start()
      const raw = world.raw('10.0.0.9').dial('10.0.0.1').shakeHands({ decides: false })
      await world.advance(100)
      raw.send({ kind: 'getPeers', count: 10 })
      await world.advance(2_000)
      const asked = raw.all('getPeers').map(({ count }) => count)
      expect(asked).toEqual(expected)
      expect(raw.all('peers')).toHaveLength(expected.length)
      expect(node.peerExchange === undefined).toBe(expected.length === 0)
      const stopping = node.stop()
      await world.advance(5_000)
      await stopping
      expect(world.clock.pendingTimers).toBe(0)
    }
  })

  test.each([
    [{ askIntervalMs: 0 }, /askIntervalMs must be finite and above 0, not 0/],
    [{ answerIntervalMs: Infinity }, /answerIntervalMs/],
    [{ maxAsked: 1_001 }, /maxAsked must be a whole number from 1 to 1000, not 1001/],
    [{ maxGiven: 0 }, /maxGiven/],
  ])('a wrong limit is refused by name: %j', (limits, text) => {
    expect(() => new PeerExchange({ registry: new PeerRegistry(), ...limits })).toThrow(text)
  })
})

describe('a hostile list', () => {
  test('costs bounded work and displaces nobody (F32)', async () => {
    const world = new World()
    const node = await exchanging(world, '10.0.0.1', { maxKnownPeers: 60, maxOutbound: 0 })
    const good: string[] = []
    for (let host = 100; host < 130; host++) {
      const raw = await establish('inbound', node, world, `10.0.0.${host}`)
      if (host % 2 === 0) raw.destroy()
      good.push(`10.0.0.${host}`)
    }
    for (let host = 130; host < 140; host++) node.registry.add(`10.0.0.${host}`)
    const hostile = await establish('outbound', node, world, '10.0.0.9')
    const invalid = told(
      '0.0.0.0',
      '10.0.0.1',
      '8.8.8.8',
      '224.0.0.1',
      '127.0.0.1',
      '::1',
      'fe80::1',
    )
    for (let round = 0; round < 50; round++) {
      const flood = Array.from(
        { length: 900 },
        (_, index) => `10.${1 + round}.${index >> 8}.${index & 255}`,
      )
      await world.clock.runUntil(() => hostile.all('getPeers').length > round, {
        maxMs: 10 * minuteMs,
      })
      hostile.send({ kind: 'peers', peers: [...invalid, ...invalid, ...told(...flood)] })
      await world.advance(100)
    }
    expect(node.registry.size).toBe(60)
    const known = node.registry.list()
    const hearsay = known.filter(({ source }) => source === 'exchange')
    expect(hearsay.length).toBe(60 - 30 - 10 - 1)
    expect(hearsay.map(({ ip }) => ip)).toContain('8.8.8.8')
    for (const { ip } of hearsay) expect(ip).toMatch(/^(8\.8\.8\.8|10\.\d+\.\d+\.\d+)$/)
    for (const ip of [...good, '10.0.0.9', '10.0.0.139'])
      expect(node.registry.get(ip)).toBeDefined()
    expect(node.registry.get('10.0.0.1')).toBeUndefined()
    // Whoever comes by himself finds room all the same.
    await establish('inbound', node, world, '10.0.0.200')
    expect(node.registry.get('10.0.0.200')?.isConnected).toBe(true)
  })

  test('of a million entries is refused by its length, before it is read (F32)', async () => {
    const world = new World()
    const node = await exchanging(world, '10.0.0.1')
    const raw = await establish('inbound', node, world)
    const entries = 1_000_000
    const body = new Uint8Array(8 + entries * 9)
    const header = new Uint8Array(5)
    new DataView(header.buffer).setUint32(0, body.length)
    header[4] = 0x41
    raw.sendBytes(header, body)
    await world.advance(10_000)
    expect(node.reasons).toMatchObject([{ kind: 'misbehaved', by: 'us' }])
    expect(node.registry.size).toBe(1)
  })

  test('that nobody asked for is not heard', async () => {
    const world = new World()
    const node = await exchanging(world, '10.0.0.1')
    const raw = await establish('inbound', node, world)
    await world.advance(2_000)
    raw.send({ kind: 'peers', peers: told('10.0.0.7') }, { kind: 'peers', peers: told('10.0.0.8') })
    await world.advance(100)
    expect(node.registry.get('10.0.0.7')?.source).toBe('exchange')
    expect(node.registry.get('10.0.0.8')).toBeUndefined()
    expect(node.exchange.ignored).toBe(1)
  })

  test('does not bring back at once who made room, nor who is banned (F32)', () => {
    const clock = new SimulatedClock()
    const registry = new PeerRegistry({ clock, maxKnownPeers: 2 })
    registry.add('10.0.0.4')
    const hear = (text: string): boolean => hearOf(registry, parsePeerAddress(text))
    registry.ban('10.0.0.9', { reason: 'test' })
    expect(hear('10.0.0.9:24100')).toBe(false)
    expect(hear('10.0.0.1:24100')).toBe(true)
    expect(hear('10.0.0.2:24100')).toBe(false)
    registry.add('10.0.0.3')
    registry.remove('10.0.0.3')
    clock.advanceSync(3_599_999)
    expect(hear('10.0.0.1:24100')).toBe(false)
    clock.advanceSync(1)
    expect(hear('10.0.0.1:24100')).toBe(true)
  })
})

describe('hearsay', () => {
  test.each(directions)('never overrides a direct connection, %s (F33)', async (direction) => {
    const world = new World()
    const node = await exchanging(world, '10.0.0.1')
    const raw = await establish(direction, node, world, '10.0.0.8')
    const gone = await establish('inbound', node, world, '10.0.0.7')
    gone.destroy()
    await world.advance(100)
    node.connections.disconnect('10.0.0.7')
    await world.advance(10_000)
    const before = [node.registry.get('10.0.0.8'), node.registry.get('10.0.0.7')]
    const dialled = node.transport.dialled.length
    for (let host = 20; host < 60; host++) {
      const other = await establish('inbound', node, world, `10.0.0.${host}`)
      await world.advance(1_100)
      other.send({
        kind: 'peers',
        peers: [
          { ip: '10.0.0.8', port: 1_000 + host },
          { ip: '10.0.0.7', port: 1_000 + host },
        ],
      })
    }
    await world.advance(1_000)
    expect([node.registry.get('10.0.0.8'), node.registry.get('10.0.0.7')]).toEqual(before)
    expect(raw.isOpen).toBe(true)
    expect(node.transport.dialled).toHaveLength(dialled)
  })

  test('with a wrong port does not keep the right one out, and a peer that never answers is given up', async () => {
    const world = new World()
    const node = await exchanging(world, '10.0.0.1')
    const right = await exchanging(world, '10.0.0.8')
    hearOf(node.registry, parsePeerAddress('10.0.0.8:666'))
    hearOf(node.registry, parsePeerAddress('10.0.0.66:24100'))
    await world.advance(100)
    expect(node.registry.get('10.0.0.8')?.failures).toBe(1)
    hearOf(node.registry, parsePeerAddress('10.0.0.8:24100'))
    await world.advance(10_000)
    expect(node.connections.peer(right.host)?.isConnected).toBe(true)
    await world.advance(24 * 60 * minuteMs)
    const vain = node.transport.dialled.filter(({ host }) => host === '10.0.0.66')
    expect(vain).toHaveLength(10)
  })
})
