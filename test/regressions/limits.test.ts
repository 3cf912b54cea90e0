import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import type { RawConnection } from '../support/raw-peer.js'
import { World, type SimulatedNode } from '../support/simulated-node.js'

const own = '1.0.0.1'
const { acceptBurst, backoffBaseMs, backoffMaxMs, busyRetryMs, maxInbound, maxInboundPerSubnet } =
  defaultConnectionLimits
const hourMs = 3_600_000

function come(world: World, node: SimulatedNode, ip: string): RawConnection {
  return world.raw(ip, { listen: false }).dial(node.host).shakeHands({ decides: false })
}

/** Inbound connections, one after the other. */
async function crowd(
  world: World,
  node: SimulatedNode,
  ips: readonly string[],
): Promise<RawConnection[]> {
  const raws: RawConnection[] = []
  for (const ip of ips) {
    raws.push(come(world, node, ip))
    await world.advance(50)
  }
  return raws
}

const inSubnet = (subnet: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `8.8.${subnet}.${index + 1}`)

describe('inbound', () => {
  test('of one public subnet takes only so many slots, kept and allowed peers apart', async () => {
    const world = new World()
    const node = await world.running(own)
    node.registry.access.allow('8.8.1.200')
    node.connections.keep('8.8.1.201')
    const raws = await crowd(world, node, inSubnet(1, maxInboundPerSubnet + 1))
    expect(node.connections.status().inbound).toBe(maxInboundPerSubnet)
    expect(raws.at(-1)!.farewell).toMatchObject({ code: byeCodes.busy, retryAfterMs: busyRetryMs })
    await crowd(world, node, ['8.8.2.1', '8.8.1.200', '8.8.1.201'])
    // Our own dial to the kept one may have to end first.
    await world.advance(10_000)
    expect(node.connections.status().inbound).toBe(maxInboundPerSubnet + 3)
  })

  test('of 200 addresses in 3 subnets fills 16 slots of each, and honest peers come in all the same', async () => {
    expect([maxInbound, maxInboundPerSubnet]).toEqual([125, 16])
    const world = new World()
    const node = await world.running(own)
    const attackers = Array.from(
      { length: 200 },
      (_, index) => `8.8.${(index % 3) + 1}.${Math.floor(index / 3) + 1}`,
    )
    let most = 0
    const isAttacker = (ip: string): boolean => /^8\.8\.[123]\./.test(ip)
    const attackersIn = (): number =>
      node.connections.peers().filter(({ ip }) => isAttacker(ip)).length
    node.connections.on('peerConnected', () => (most = Math.max(most, attackersIn())))
    // All at once, and then all of them again and again for three minutes, as fast as they may.
    const dialling = attackers.map((ip) => world.raw(ip, { listen: false }))
    const held = new Map<string, RawConnection>()
    const attack = (): void => {
      for (const raw of dialling) {
        const { host } = raw.transport
        if (held.get(host)?.isClosed === false) continue
        held.set(host, raw.dial(own).shakeHands({ decides: false }))
      }
    }
    const honest: RawConnection[] = []
    for (let minute = 0; minute < 3; minute += 1) {
      attack()
      await world.advance(1_000)
      attack()
      await world.advance(58_000)
      const before = attackersIn()
      honest.push(...(await crowd(world, node, inSubnet(10 + minute, 16))))
      expect(attackersIn()).toBe(before)
    }
    expect(most).toBe(3 * maxInboundPerSubnet)
    expect(honest).toHaveLength(3 * 16)
    expect(honest.filter(({ isOpen }) => !isOpen)).toEqual([])
    expect(node.connections.status().inbound).toBe(3 * maxInboundPerSubnet + 3 * 16)
    // There is room for some more of others, and none for one more of theirs.
    const [late, neighbour] = await crowd(world, node, ['9.9.9.9', '8.8.1.250'])
    expect([late!.isOpen, neighbour!.farewell?.code]).toEqual([true, byeCodes.busy])
    expect(node.disconnected).toEqual([])
  })

  test('is taken also at a full node from a peer that is connected: the election decides (F14)', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 1 })
    const peer = world.raw('8.8.1.1')
    await peer.listen((connection) => {
      connection.shakeHands({ decides: false }).answersPings = false
    })
    void node.connections.connect('8.8.1.1')
    await world.advance(100)
    await crowd(world, node, ['8.8.2.1'])
    // It came back after a death without a word: the old connection answers no ping.
    const again = come(world, node, '8.8.1.1')
    await world.advance(30_000)
    expect(again.isOpen).toBe(true)
    expect(node.connections.status()).toMatchObject({ inbound: 2, outbound: 0, handshaking: 0 })
  })

  test('counts a peer once, also while another connection of it waits for the challenge', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 2 })
    const [first] = await crowd(world, node, ['8.8.1.1'])
    first!.answersPings = false
    const held = world.raw('8.8.1.1', { instanceId: 'ee'.repeat(16), listen: false }).dial(own)
    held.hello()
    await world.advance(50)
    const [other] = await crowd(world, node, ['8.8.2.1'])
    expect([first!.isOpen, held.isOpen, other!.isOpen]).toEqual([true, true, true])
  })

  test('has room again when one that was there is gone', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 1 })
    const [first] = await crowd(world, node, ['8.8.1.1'])
    const [refused] = await crowd(world, node, ['8.8.2.1'])
    expect(refused!.farewell).toMatchObject({ code: byeCodes.busy, retryAfterMs: busyRetryMs })
    first!.destroy()
    await world.advance(refused!.farewell!.retryAfterMs!)
    const [second] = await crowd(world, node, ['8.8.2.1'])
    expect(second!.isOpen).toBe(true)
  })

  test('of private subnets is not limited by them', async () => {
    const world = new World()
    const node = await world.running(own)
    const ips = Array.from({ length: 40 }, (_, index) => `192.168.7.${index + 1}`)
    await crowd(world, node, ips)
    expect(node.connections.status().inbound).toBe(40)
  })

  test('above maxInbound is for kept peers, and for allowed ones as far as slots are reserved', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 2, maxReservedInbound: 1 })
    node.registry.access.allow('9.0.0.0/8')
    for (const ip of ['7.0.0.1', '7.0.0.2']) node.connections.keep(ip)
    const raws = await crowd(world, node, ['8.8.1.1', '8.8.2.1', '8.8.3.1'])
    expect(raws[2]!.farewell).toMatchObject({ code: byeCodes.busy, retryAfterMs: busyRetryMs })
    const [first, second] = await crowd(world, node, ['9.0.0.1', '9.0.1.1'])
    expect([first!.isOpen, second!.isOpen]).toEqual([true, false])
    await crowd(world, node, ['7.0.0.1', '7.0.0.2'])
    expect(node.connections.status()).toMatchObject({ inbound: 5, outbound: 0 })
  })

  test('handshakes of strangers leave those of kept peers their room', async () => {
    const world = new World()
    const node = await world.running(own)
    node.connections.keep('7.0.0.1')
    // Everybody says a valid HELLO, and no more: none of these makes room.
    for (let n = 0; n < 100; n += 1) world.raw(`8.9.${n}.1`).dial(own).hello()
    await world.advance(50)
    expect(node.connections.status().handshaking).toBe(defaultConnectionLimits.maxPendingHandshakes)
    const kept = come(world, node, '7.0.0.1')
    await world.advance(50)
    expect([kept.isOpen, node.connections.status().inbound]).toEqual([true, 1])
  })
})

describe('the rate of one address', () => {
  test('is limited: it is told when to come, then dropped unheard, and is told of in two events (F115)', async () => {
    const world = new World()
    const node = await world.running(own)
    const raw = world.raw('8.8.1.1', { listen: false })
    const raws = Array.from({ length: 1_000 }, () => raw.dial(own))
    await world.advance(200)
    const told = raws.filter(({ farewell }) => farewell?.retryAfterMs !== undefined)
    expect(told).toHaveLength(acceptBurst - 1)
    const events = (): { readonly count: number }[] =>
      node.inboundRefused.filter(({ reason }) => reason.text?.includes('from this address'))
    expect(events().map(({ count }) => count)).toEqual([1])
    const unheard = raws.filter(({ isClosed, received }) => isClosed && received.length === 0)
    expect(unheard.length).toBeGreaterThanOrEqual(1_000 - 2 * acceptBurst)
    await world.advance(10_000)
    expect(events().map(({ count }) => count)).toEqual([1, 1_000 - acceptBurst - 1])
    await world.advance(told[0]!.farewell!.retryAfterMs! + 16_000)
    expect(come(world, node, '8.8.1.1').isClosed).toBe(false)
    await world.advance(100)
    expect(node.connections.status().inbound).toBe(1)
  })

  test('is that of a /64 in IPv6', async () => {
    const world = new World()
    const node = await world.running('2001:db8:1::1')
    const raws = Array.from({ length: 100 }, (_, n) =>
      world.raw(`2001:db8:2::${(n + 1).toString(16)}`, { listen: false }).dial(node.host),
    )
    await world.advance(200)
    expect(raws.filter(({ isOpen }) => isOpen).length).toBeLessThanOrEqual(acceptBurst)
  })

  test('is remembered of the 4,096 addresses that came last, and of no more', async () => {
    const world = new World({ latencyMs: 1 })
    await world.running(own)
    const [first, second] = ['8.8.1.1', '8.8.2.1'].map((ip) => world.raw(ip, { listen: false }))
    // Both come so often that they are not even answered any more.
    for (const raw of [first!, second!]) {
      const dials = Array.from({ length: 2 * acceptBurst }, () => raw.dial(own))
      await world.advance(10)
      expect(dials.at(-1)).toMatchObject({ isClosed: true, received: [] })
    }
    // Then others, one connection each: with the second that is as many as are remembered.
    for (let n = 0; n < 4_095; n += 1) {
      const raw = world.raw(`20.0.${n >> 8}.${n & 255}`, { listen: false })
      raw.dial(own)
      if (n % 64 === 63) await world.advance(1)
    }
    await world.advance(10)
    // No flood of other addresses, short of that, gives a budget back.
    const remembered = second!.dial(own)
    const forgotten = first!.dial(own)
    await world.advance(10)
    expect(remembered.farewell?.text).toBe('too many connections from this address')
    // It is one that never came before: admitted as far as handshakes have room.
    expect(forgotten.isOpen).toBe(true)
  })

  test('is no matter for a kept peer, an allowed one, or this machine', async () => {
    const world = new World()
    const node = await world.running(own)
    node.connections.keep('7.0.0.1')
    node.registry.access.allow('9.0.0.0/8')
    for (const ip of ['7.0.0.1', '9.0.0.1', '127.0.0.1']) {
      const raw = world.raw(ip, { listen: false })
      for (let n = 0; n < 100; n += 1) {
        const connection = raw.dial(own)
        await world.advance(15)
        connection.destroy()
        await world.advance(15)
      }
      const connection = come(world, node, ip)
      await world.advance(100)
      expect(connection.isOpen).toBe(true)
    }
  })
})

describe('a list', () => {
  test('that denies a range closes what is open, and lets nobody in or out, until it is taken back', async () => {
    const world = new World()
    const node = await world.running(own)
    const raw = world.raw('8.8.1.1')
    await raw.listen((connection) => void connection.shakeHands({ decides: false }))
    node.connections.keep('8.8.1.1')
    await crowd(world, node, ['8.8.1.2', '8.8.2.1'])
    await world.advance(1_000)
    expect(node.connections.peers()).toHaveLength(3)
    node.registry.access.deny('8.8.1.0/24')
    await world.advance(100)
    expect(node.connections.peers().map(({ ip }) => ip)).toEqual(['8.8.2.1'])
    expect(node.reasons).toMatchObject([
      { kind: 'banned', by: 'us' },
      { kind: 'banned', by: 'us' },
    ])
    const [denied] = await crowd(world, node, ['8.8.1.9'])
    expect(denied!.farewell?.code).toBe(byeCodes.banned)
    expect(denied!.kinds).toEqual(['bye'])
    await expect(node.connections.connect('8.8.1.1')).rejects.toMatchObject({ code: 'BANNED' })
    const dialled = node.transport.dialled.length
    await world.advance(3_600_000)
    expect(node.transport.dialled).toHaveLength(dialled)
    node.registry.access.remove('8.8.1.0/24')
    await world.advance(1_000)
    expect(node.connections.peer('8.8.1.1')?.isConnected).toBe(true)
  })
})

describe('automatic dials', () => {
  test('go to so many peers of one public subnet, but to all that are kept', async () => {
    const world = new World()
    const node = world.node(own, { maxOutboundPerSubnet: 3 })
    const ips = [...inSubnet(1, 6), ...inSubnet(2, 2)]
    for (const ip of ips) {
      await world.raw(ip).listen((raw) => void raw.shakeHands({ decides: false }))
      node.registry.add(ip)
    }
    await node.connections.start()
    await world.advance(10_000)
    expect(node.connections.status().outbound).toBe(5)
    node.connections.keep('8.8.1.6')
    await world.advance(1_000)
    expect(node.connections.status().outbound).toBe(6)
    // When one of them ends another one takes its place.
    node.connections.disconnect('8.8.1.1')
    node.connections.unkeep('8.8.1.6')
    node.connections.disconnect('8.8.1.6')
    await world.advance(1_000)
    expect(node.connections.status().outbound).toBe(5)
  })
})

describe('eviction', () => {
  const ips = inSubnet(1, 16).concat(['8.8.2.1', '8.8.3.1', '8.8.4.1', '8.8.5.1'])

  test('makes room, where it is enabled, once the newcomer is established, and not before', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 20, evictsInbound: true })
    const raws = await crowd(world, node, ips)
    expect(node.connections.status().inbound).toBe(20)
    const idle = world.raw('8.8.9.1').dial(own)
    idle.hello()
    await world.advance(100)
    expect([node.disconnected.length, node.connections.status().inbound]).toEqual([0, 20])
    const newcomer = come(world, node, '8.8.10.1')
    await world.advance(100)
    expect(newcomer.isOpen).toBe(true)
    expect(node.connections.status().inbound).toBe(20)
    expect(node.reasons).toMatchObject([{ kind: 'evicted', by: 'us' }])
    // The youngest of the largest subnet.
    expect(raws[15]!.farewell?.code).toBe(byeCodes.evicted)
    // From the largest subnet itself nobody else is let in for it.
    const neighbour = come(world, node, '8.8.1.99')
    await world.advance(100)
    expect(neighbour.farewell?.code).toBe(byeCodes.busy)
  })

  test('spares who was of use, and who is kept', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 20, evictsInbound: true })
    node.connections.keep('8.8.1.15')
    await crowd(world, node, ips)
    node.connections.peer('8.8.1.16')!.useful()
    await crowd(world, node, ['8.8.10.1'])
    expect(node.disconnected.map(({ peer }) => peer.ip)).toEqual(['8.8.1.14'])
  })

  test('goes on, whatever became of the newcomers before', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 20, evictsInbound: true })
    await crowd(world, node, ips)
    for (let n = 1; n <= 20; n += 1) {
      const gone = world.raw(`9.9.${n}.1`, { listen: false }).dial(own)
      gone.hello()
      await world.advance(50)
      gone.destroy()
      await world.advance(50)
    }
    const [newcomer] = await crowd(world, node, ['8.8.10.1'])
    expect(newcomer!.isOpen).toBe(true)
    expect(node.connections.status().inbound).toBe(20)
  })

  test('is tried for so many newcomers at once, and the others are told to come later', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 20, evictsInbound: true })
    await crowd(world, node, ips)
    const newcomers = Array.from({ length: 12 }, (_, n) => {
      const raw = world.raw(`9.9.${n + 1}.1`, { listen: false }).dial(own)
      raw.hello()
      return raw
    })
    await world.advance(50)
    expect(newcomers.filter(({ isOpen }) => isOpen)).toHaveLength(8)
    expect(newcomers.at(-1)!.farewell).toMatchObject({
      code: byeCodes.busy,
      retryAfterMs: busyRetryMs,
    })
  })

  test('is the newcomer itself that goes where nobody may go any more', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 20, evictsInbound: true })
    await crowd(world, node, ips)
    const newcomer = world.raw('8.8.10.1', { listen: false }).dial(own)
    newcomer.hello()
    await world.advance(50)
    expect(newcomer.isOpen).toBe(true)
    node.registry.access.allow('8.8.0.0/21')
    newcomer.ready()
    await world.advance(50)
    expect([newcomer.farewell?.code, node.connections.status().inbound]).toEqual([
      byeCodes.evicted,
      20,
    ])
  })

  /** A full node with eviction, and one more that keeps it, which is the one to go for a newcomer. */
  async function fullWithNode() {
    const world = new World({ seed: 4 })
    const node = await world.running(own, {
      maxInbound: 20,
      maxOutbound: 0,
      evictsInbound: true,
    })
    await crowd(
      world,
      node,
      ips.filter((ip) => ip !== '8.8.1.16'),
    )
    const dials: number[] = []
    // Without patience: only its backoff holds it.
    const evictable = await world.running('8.8.1.16', {
      patienceMs: 0,
      wrapTransport: (transport) => ({
        name: transport.name,
        defaultPort: transport.defaultPort,
        listen: transport.listen!.bind(transport),
        dial: (...given) => {
          dials.push(world.clock.now())
          return transport.dial(...given)
        },
      }),
    })
    evictable.connections.keep(own)
    await world.clock.runUntil(() => evictable.connected.length === 1, { maxMs: 1_000 })
    await world.advance(100)
    expect(node.connections.status().inbound).toBe(20)
    dials.length = 0
    /** A stranger comes, for whom the node goes. */
    const newcomer = async (ip: string): Promise<RawConnection> => {
      const { length } = evictable.disconnected
      const raw = come(world, node, ip)
      await world.clock.runUntil(() => evictable.disconnected.length > length, { maxMs: 1_000 })
      expect(evictable.reasons.slice(length)).toMatchObject([{ kind: 'evicted', by: 'peer' }])
      return raw
    }
    return { world, node, evictable, dials, newcomer }
  }

  test('of a node is followed by one dial soon, and by others no sooner than it was told', async () => {
    const { world, evictable, dials, newcomer } = await fullWithNode()
    await newcomer('8.8.20.1')
    const evictedMs = world.clock.now()
    await world.advance(hourMs)
    // It is refused, as busy, as long as its subnet is the largest.
    expect(evictable.connected).toHaveLength(1)
    expect(dials[0]! - evictedMs).toBeLessThanOrEqual(backoffBaseMs)
    const pauses = dials.slice(1).map((atMs, index) => atMs - dials[index]!)
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(busyRetryMs)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(backoffMaxMs + 100)
    expect(evictable.bugs).toEqual([])
  })

  test('of a node again and again, as soon as it is back, does not make it dial in a tight loop', async () => {
    const { world, evictable, dials, newcomer } = await fullWithNode()
    const startMs = world.clock.now()
    let round = 0
    for (; world.clock.now() < startMs + hourMs; round += 1) {
      // The place is free again at once, so that no dial is ever refused.
      const latest = await newcomer(`9.1.${round}.1`)
      latest.destroy()
      const pauseFromMs = world.clock.now()
      await world.clock.runUntil(() => evictable.connected.length > round + 1, {
        maxMs: backoffMaxMs + 1_000,
      })
      // The ceiling grows with each, for no connection lived long: from a second to the cap.
      expect(dials).toHaveLength(round + 1)
      const ceilingMs = Math.min(backoffMaxMs, backoffBaseMs * 2 ** round)
      expect(dials[round]! - pauseFromMs).toBeLessThanOrEqual(ceilingMs)
      expect(evictable.entry(own).dial.backoffSteps).toBe(round + 1)
    }
    // Half of the ceiling on average: some 500 s for the first ten, and then 150 s each.
    expect(round).toBeGreaterThan(10)
    expect(round).toBeLessThan(45)
  })

  test('happens to nobody where it is not enabled', async () => {
    const world = new World()
    const node = await world.running(own, { maxInbound: 20 })
    await crowd(world, node, ips)
    const [newcomer] = await crowd(world, node, ['8.8.10.1'])
    expect(newcomer!.farewell?.code).toBe(byeCodes.busy)
    expect(node.disconnected).toEqual([])
  })
})
