import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createNode } from '../../src/node.js'
import { PeerExchange } from '../../src/peer-exchange.js'
import { hearOf } from '../../src/peer-registry.js'
import type { Transport } from '../../src/contracts/transport.js'
import { HoldfastError } from '../../src/errors.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { parsePeerAddress, tryParsePeerAddress } from '../../src/rules/peer-ip.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { ScheduledPair, interleavings } from '../support/scheduled-pair.js'
import { World, type NodeOptions } from '../support/simulated-node.js'

/** The number that an IPv4 address is. */
const numberOf = (ip: string): number =>
  ip.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0)

const ipv4 = fc
  .tuple(
    fc.integer({ min: 1, max: 223 }),
    fc.nat(255),
    fc.nat(255),
    fc.integer({ min: 1, max: 254 }),
  )
  .map((octets) => octets.join('.'))

/** Both lists as short as 9.x against 10.x, and as random as can be. */
const lowerAndHigher = fc
  .uniqueArray(ipv4, { minLength: 2, maxLength: 2 })
  .map((pair) => pair.toSorted((a, b) => numberOf(a) - numberOf(b)))

/** All arrive one after another, in turns. */
const evenly = interleavings(6, 4).find((schedule) => schedule.join('') === 'ababababaa')!

async function opened(lower: string, higher: string): Promise<ScheduledPair> {
  const pair = new ScheduledPair({ a: lower, b: higher }, evenly)
  await pair.start()
  await pair.clock.advance(1_000)
  return pair
}

describe('order', () => {
  test.each([
    ['9.255.255.255', '10.0.0.0'],
    ['2.0.0.1', '100.0.0.1'],
    ['50.28.104.50', '165.84.215.117'],
    ['::2', '::10'],
    ['200.0.0.1', '2001:db8::1'],
    ['::ffff:9.0.0.1', '::ffff:10.0.0.1'],
  ])(
    'addresses are ordered as numbers, never as text: %s before %s (F01)',
    async (lower, higher) => {
      for (const hosts of [
        [lower, higher],
        [higher, lower],
      ] as const) {
        const { a, b } = await opened(hosts[0], hosts[1])
        const [low, high] = hosts[0] === lower ? [a, b] : [b, a]
        expect([low.directions, high.directions]).toEqual([['outbound'], ['inbound']])
      }
    },
  )

  test('one comparator decides for both ends and for both questions (F03)', async () => {
    await fc.assert(
      fc.asyncProperty(lowerAndHigher, async ([lower, higher]) => {
        // Who survives.
        const { a, b } = await opened(lower!, higher!)
        expect([a.directions, b.directions]).toEqual([['outbound'], ['inbound']])
        // Who dials at once, when each knows its own address.
        const own = (localIp: string): NodeOptions => ({ localIp, patienceMs: 5_000 })
        const patient = new ScheduledPair({ a: lower!, b: higher! }, [], {
          a: own(lower!),
          b: own(higher!),
        })
        await patient.start()
        await patient.clock.advance(20)
        const isComparable = patient.dials.length === 1
        // A private and a public address do not compare: then both dial.
        if (isComparable) expect(patient.dials).toEqual([lower])
        else expect(patient.dials).toHaveLength(2)
        expect(isComparable).toBe(isPublic(lower!) === isPublic(higher!))
      }),
      { seed: 1, numRuns: 150, examples: [[['9.255.255.255', '10.0.0.1']]] },
    )
  })
})

/** As far as random addresses of classes A to C meet special ranges. */
function isPublic(ip: string): boolean {
  const inRange = (from: string, bits: number): boolean =>
    Math.floor(numberOf(ip) / 2 ** (32 - bits)) === Math.floor(numberOf(from) / 2 ** (32 - bits))
  const special: [string, number][] = [
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
  ]
  return !special.some(([from, bits]) => inRange(from, bits))
}

/** With names, half of what is no address would be one. */
function withoutNames(transport: Transport): Transport {
  const { name, defaultPort } = transport
  const dial = transport.dial.bind(transport)
  const listen = transport.listen?.bind(transport)
  return { name, defaultPort, dial, ...(listen && { listen }) }
}

describe('the door', () => {
  const noAddresses = [
    '',
    'localhost',
    'example.org:24100',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4:0',
    '1.2.3.4:65536',
    '1.2.3.4:',
    '[1.2.3.4]:1',
    '::1::',
    '[::1',
    '1.2.3.4 ',
    'http://1.2.3.4',
    '0x7f.1',
  ]

  test('an identity that does not parse is refused at the API border (F02)', async () => {
    const world = new World()
    const wrapTransport = withoutNames
    const node = await world.running('10.0.0.1', { wrapTransport })
    const { connections, registry } = node
    const refused = async (call: () => unknown, text: string): Promise<void> => {
      const error = await Promise.resolve()
        .then(call)
        .then(
          () => undefined,
          (reason: unknown) => reason,
        )
      expect(HoldfastError.is(error, 'INVALID_ADDRESS'), `${text}: ${String(error)}`).toBe(true)
      const shown = (error as Error).message.toLowerCase()
      expect(shown).toContain(JSON.stringify(text).slice(0, 50).toLowerCase())
    }
    const check = async (text: string): Promise<void> => {
      await refused(() => registry.add(text), text)
      await refused(() => registry.get(text), text)
      await refused(() => registry.ban(text, { reason: 'x' }), text)
      await refused(() => registry.unban(text), text)
      await refused(() => registry.isBanned(text), text)
      await refused(() => connections.connect(text), text)
      await refused(() => connections.disconnect(text), text)
      await refused(() => connections.keep(text), text)
      await refused(() => connections.unkeep(text), text)
      await refused(() => connections.peer(text), text)
      await refused(() => connections.hurry(text), text)
      await refused(() => connections.report(text, 'x'), text)
      await refused(() => registry.remove(text), text)
      await refused(
        () => createNode({ network: 'test', transport: node.transport, peers: [text] }),
        text,
      )
      expect(() =>
        createNode({ network: 'test', transport: node.transport, localIp: text }),
      ).toThrow(RangeError)
    }
    for (const text of noAddresses) await check(text)
    await fc.assert(
      fc.asyncProperty(
        fc.string({ maxLength: 40 }).filter((text) => tryParsePeerAddress(text) === undefined),
        check,
      ),
      { seed: 1, numRuns: 100 },
    )
    expect(registry.size).toBe(0)
    expect(node.transport.dialled).toEqual([])
  })

  test('an address in a HELLO that does not parse ends the connection, and votes for nothing (F02)', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const raw = world.raw('10.0.0.9')
    for (const yourIp of noAddresses.filter((text) => text !== '')) {
      const connection = raw.dial(node.host)
      connection.hello({ yourIp })
      await world.advance(100)
      expect(connection.farewell?.code).toBe(byeCodes.misbehaved)
    }
    expect(node.connected).toEqual([])
    expect(node.connections.status().ownIp).toBeUndefined()
  })

  test.each([
    {
      ip: '1.2.3.4',
      decides: true,
      notations: ['1.2.3.4', '1.2.3.4:24100', '::ffff:1.2.3.4', '[::ffff:1.2.3.4]:24101'],
    },
    {
      ip: '2001:db8::1',
      decides: false,
      notations: ['2001:db8::1', '[2001:DB8::1]:24100', '2001:db8:0:0:0:0:0:1', '2001:db8::1%eth0'],
    },
  ])(
    'one IP is one peer, whatever the port or the notation: $ip (F04)',
    async ({ ip, decides, notations }) => {
      const world = new World()
      const node = await world.running('10.0.0.1')
      const raw = world.raw(ip)
      raw.dial(node.host).shakeHands({ decides })
      await world.advance(100)
      const { peer } = node
      expect(peer.remote.port).not.toBe(24_100)
      for (const text of notations) {
        node.connections.keep(text)
        node.registry.add(text)
        hearOf(node.registry, parsePeerAddress(text))
        node.connections.hurry(text)
        expect(node.connections.peer(text)).toBe(peer)
        expect(await node.connections.connect(text)).toBe(peer)
        expect(node.registry.get(text)).toMatchObject({ key: ip, ip })
      }
      // And told by another peer: in a list, it is an address like all others.
      const exchange = new PeerExchange({
        registry: node.registry,
        clock: world.clock,
        random: new SeededRandom(1),
      })
      node.connections.serve(exchange)
      const teller = world.raw('10.0.0.9', { listen: false }).dial(node.host)
      teller.shakeHands({ decides: false })
      await world.clock.runUntil(() => teller.all('getPeers').length > 0, { maxMs: 5_000 })
      teller.send({ kind: 'peers', peers: [24_100, 50_001].map((port) => ({ ip, port })) })
      await world.advance(60_000)
      expect(exchange.ignored).toBe(0)
      expect(node.registry.size).toBe(2)
      teller.destroy()
      await world.advance(1_000)
      expect(node.connections.peers()).toEqual([peer])
      expect(node.transport.dialled.filter(({ host }) => host === ip)).toEqual([])
      node.connections.disconnect(notations.at(-1)!)
      expect(node.connections.peers()).toEqual([])
      // A ban is of an IP: a port in it is refused, rather than read as a ban of that port alone.
      const bare = notations.filter((text) => !text.includes(':24'))
      node.registry.ban(bare.at(-1)!, { reason: 'test' })
      for (const text of bare) expect(node.registry.isBanned(text)).toBe(true)
      expect(() => node.registry.isBanned(notations[1]!)).toThrow('not an IP address')
      expect(node.registry.size).toBe(2)
    },
  )

  test.each([
    { known: 'told', told: 25_000, kept: '10.0.0.9', expected: [25_000] },
    {
      known: 'told first, then in turn with configured',
      told: 25_000,
      kept: '10.0.0.9:26000',
      expected: [25_000, 26_000],
    },
    { known: 'configured', told: undefined, kept: '10.0.0.9:26000', expected: [26_000] },
    { known: 'the default', told: undefined, kept: '10.0.0.9', expected: [24_100] },
  ])(
    "a dial uses the listening port, never the remote's ephemeral port: $known (F05)",
    async ({ told, kept, expected }) => {
      const world = new World()
      const node = await world.running('10.0.0.1')
      const inbound = world.raw('10.0.0.9').dial(node.host)
      inbound.hello({ listeningPort: told })
      inbound.onMessage = ({ kind }) => {
        if (kind === 'ready') inbound.ready()
      }
      await world.advance(100)
      const ephemeral = node.peer.remote.port
      node.connections.keep(kept)
      inbound.destroy()
      await world.advance(600_000)
      const ports = node.transport.dialled.map((address) => address.port)
      expect(ports.length).toBeGreaterThan(1)
      expect([...new Set(ports)]).toEqual(expected)
      expect(ports).not.toContain(ephemeral)
    },
  )
})

describe('a node that reaches itself', () => {
  const publicIp = '93.184.216.34'
  test.each([
    { how: 'its own address', address: '10.0.0.5', localIp: '10.0.0.5' },
    { how: 'its own address, unknown to it', address: '10.0.0.5', localIp: undefined },
    { how: 'the loopback address', address: '127.0.0.1', localIp: '10.0.0.5' },
    { how: 'a hairpin in its NAT', address: publicIp, localIp: undefined },
    { how: 'a hairpin, with a wrong own address', address: publicIp, localIp: '8.8.8.8' },
  ])(
    'notices in the handshake and forgets the attempt: $how (F06)',
    async ({ address, localIp }) => {
      const world = new World()
      const host = '10.0.0.5'
      if (address === publicIp) {
        world.network.nat({
          publicIp,
          hosts: [host, '10.0.0.9'],
          forward: [{ port: 24_100, to: host }],
        })
      } else if (address !== host) {
        world.network.extraAddress({ host, ip: address })
      }
      const own = localIp === undefined ? {} : { localIp }
      const node = await world.running(host, { ...own, maxOutbound: 0 })
      const failure = node.connections.connect(address).catch((error: unknown) => error)
      await world.advance(1_000)
      expect(await failure).toMatchObject({ code: 'SELF' })
      expect(world.network.connections()).toEqual([])
      expect(node.transport.dialled).toHaveLength(1)
      // No penalty; it is only skipped, for an hour.
      expect(node.registry.isBanned(address)).toBe(false)
      expect(node.registry.get(address)!.failures).toBe(0)
      // Nor is it told to others, although somebody else was connected under it before.
      node.connections.serve(
        new PeerExchange({
          registry: node.registry,
          clock: world.clock,
          random: new SeededRandom(1),
        }),
      )
      node.registry.add('93.184.216.9:24100')
      for (const ip of [address, '93.184.216.9']) {
        node.entry(ip).timesConnected = 1
        node.entry(ip).lastSeenUnixMs = world.clock.unixMs()
      }
      const asking = world.raw('10.0.0.9', { listen: false }).dial(host)
      asking.shakeHands({ decides: false })
      await world.advance(100)
      asking.send({ kind: 'getPeers', count: 1_000 })
      await world.advance(100)
      expect(asking.all('peers')[0]?.peers).toEqual([{ ip: '93.184.216.9', port: 24_100 }])
      node.registry.remove('93.184.216.9')
      asking.destroy()
      node.connected.length = 0
      const dials = (): unknown[] =>
        node.transport.dialled.filter((endpoint) => endpoint.host === address)
      node.connections.keep(address)
      await world.advance(3_590_000)
      expect(dials()).toHaveLength(1)
      await world.advance(20_000)
      expect(dials()).toHaveLength(2)
      expect(node.connected).toEqual([])
    },
  )

  test('does not take an echo of its own instance id for itself (F06)', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const { instanceId } = node.connections.status()
    const echo = world.raw('10.0.0.9', { instanceId })
    await echo.listen((connection) => connection.hello())
    const inbound = echo.dial(node.host)
    inbound.hello()
    await world.advance(100)
    expect(inbound.farewell?.code).toBe(byeCodes.self)
    // Dialled: closed each time, and dialled again as any peer that fails.
    node.connections.keep(echo.transport.host)
    await world.advance(60_000)
    expect(echo.accepted.length).toBeGreaterThan(2)
    expect(echo.accepted.every(({ farewell }) => farewell?.code === byeCodes.self)).toBe(true)
    expect(node.registry.isBanned(echo.transport.host)).toBe(false)
    expect(node.connected).toEqual([])
  })
})

describe('a node that does not know its own address', () => {
  const ownIps = [undefined, '0.0.0.0', '::', '127.0.0.1', '192.168.0.7', '1.1.1.1', '223.1.1.1']
  const patienceMs = 5_000
  const dialTimeoutMs = 10_000

  test.each(ownIps)('still dials, with own IP %s (F07)', async (localIp) => {
    for (const peerIp of ['23.1.2.3', '203.1.1.1']) {
      for (const becomesKnown of ['keep', 'add'] as const) {
        const world = new World()
        const own = localIp === undefined ? {} : { localIp }
        const node = await world.running('93.184.216.34', { ...own, patienceMs, dialTimeoutMs })
        await world.running(peerIp)
        await world.advance(1_000)
        if (becomesKnown === 'keep') node.connections.keep(peerIp)
        else node.registry.add(peerIp)
        await world.advance(patienceMs + dialTimeoutMs)
        expect(node.directions, `${becomesKnown} ${peerIp}`).toEqual(['outbound'])
      }
    }
  })

  test.each(ownIps)(
    'a simultaneous open converges although one end has own IP %s (F08)',
    async (localIp) => {
      const own = localIp === undefined ? {} : { localIp }
      for (const schedule of interleavings(6, 4).filter((_, index) => index % 6 === 0)) {
        for (const [optionsOfA, optionsOfB] of [
          [own, { localIp: '93.184.216.34' }],
          [{ localIp: '23.1.2.3' }, own],
        ] as const) {
          const pair = new ScheduledPair({ a: '23.1.2.3', b: '93.184.216.34' }, schedule, {
            a: optionsOfA,
            b: optionsOfB,
          })
          await pair.start()
          await pair.clock.advance(2_000)
          const { a, b } = pair
          const order = schedule.join('')
          expect([a.directions, b.directions], order).toEqual([['outbound'], ['inbound']])
          expect(a.peer.local, order).toEqual(b.peer.remote)
          expect([a.disconnected, b.disconnected], order).toEqual([[], []])
        }
      }
    },
  )
})
