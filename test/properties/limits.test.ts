import fc from 'fast-check'
import { expect, test } from 'vitest'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { LiveSockets } from '../support/live-sockets.js'
import type { RawConnection, RawPeer } from '../support/raw-peer.js'
import { World } from '../support/simulated-node.js'

const own = '1.0.0.1'
const limits = {
  maxInbound: 6,
  maxReservedInbound: 2,
  maxInboundPerSubnet: 3,
  maxOutbound: 3,
  maxConcurrentDials: 2,
  maxPendingHandshakes: 5,
  maxPendingHandshakesPerIp: 2,
  // The rate of an address has tests of its own; here each one that is refused must be told why.
  acceptBurst: 1_000,
}

const hosts = (subnet: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${subnet}.${index + 1}`)

/** They only come; nobody can dial them. */
const strangers = ['8.8.1', '8.8.2', '8.8.3'].flatMap((subnet) => hosts(subnet, 6))
const allowed = hosts('9.0.0', 12)
/** They come as well, and are dialled: by the policy, or because the user says so. */
const known = ['8.9.1', '8.9.2'].flatMap((subnet) => hosts(subnet, 3))
const asked = hosts('8.10.1', 3)
const kept = ['7.0.0.1', '7.0.0.2']
const dialable = [...known, ...asked, ...kept]
const everybody = [...strangers, ...allowed, ...dialable]

const step = fc.record({
  kind: fc.constantFrom(
    ...(['come', 'come', 'come', 'come', 'silent', 'hello', 'gone', 'reset'] as const),
    ...(['want', 'want', 'disconnect', 'allow', 'disallow', 'deny', 'undeny'] as const),
  ),
  ip: fc.constantFrom(...strangers, ...strangers, ...everybody),
  thenMs: fc.constantFrom(0, 0, 5, 50, 500),
})

test('whatever happens, every limit holds, who is refused is told why, and no slot is lost', async () => {
  let [fullest, reserved, crowd, refused, evictions] = [0, 0, 0, 0, 0]
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 80, maxLength: 160 }),
      fc.boolean(),
      fc.nat(),
      async (steps, evictsInbound, seed) => {
        const world = new World({ seed, latencyMs: [1, 20] })
        const sockets = new LiveSockets()
        const node = await world.running(own, {
          ...limits,
          evictsInbound,
          wrapTransport: (transport) => sockets.wrap(transport),
        })
        const { connections, registry } = node
        const peers = new Map<string, RawPeer>()
        for (const ip of everybody) {
          const peer = world.raw(ip, { listen: dialable.includes(ip) })
          peers.set(ip, peer)
          if (dialable.includes(ip)) {
            await peer.listen((connection) => void connection.shakeHands({ decides: false }))
          }
        }
        const raws = new Map<string, RawConnection[]>()
        /** The test itself ended these. */
        const ended = new Set<RawConnection>()
        const dial = (ip: string): RawConnection => {
          const raw = peers.get(ip)!.dial(own)
          raws.set(ip, [...(raws.get(ip) ?? []), raw])
          return raw
        }
        const count = (direction: string, ips: readonly string[], subnet = ''): number =>
          connections
            .peers()
            .filter((peer) => peer.direction === direction && ips.includes(peer.ip))
            .filter((peer) => peer.ip.startsWith(subnet)).length
        const check = (): void => {
          const { inbound, outbound, handshaking } = connections.status()
          const peersOf = connections.peers()
          expect(inbound + outbound).toBe(peersOf.length)
          expect(count('inbound', strangers)).toBeLessThanOrEqual(limits.maxInbound)
          for (const subnet of ['8.8.1.', '8.8.2.', '8.8.3.']) {
            // That of 8.8.1.1 goes by, while it is allowed.
            const inSubnet = count('inbound', strangers.slice(1), subnet)
            expect(inSubnet).toBeLessThanOrEqual(limits.maxInboundPerSubnet)
          }
          expect(count('inbound', [...strangers, ...allowed])).toBeLessThanOrEqual(
            limits.maxInbound + limits.maxReservedInbound,
          )
          expect(count('outbound', known)).toBeLessThanOrEqual(limits.maxOutbound)
          const shaking = (ips: readonly string[]): number =>
            sockets.open.filter(
              ({ remote }) =>
                ips.includes(remote.host) && !peersOf.some((peer) => peer.remote === remote),
            ).length
          expect(shaking(strangers.slice(1))).toBeLessThanOrEqual(limits.maxPendingHandshakes)
          expect(shaking(allowed)).toBeLessThanOrEqual(limits.maxPendingHandshakes)
          for (const ip of strangers.slice(1)) {
            expect(shaking([ip])).toBeLessThanOrEqual(limits.maxPendingHandshakesPerIp)
          }
          expect(handshaking).toBeLessThanOrEqual(
            2 * limits.maxPendingHandshakes + limits.maxConcurrentDials,
          )
          fullest = Math.max(fullest, count('inbound', strangers))
          reserved = Math.max(reserved, count('inbound', [...strangers, ...allowed]))
          crowd = Math.max(crowd, shaking(strangers.slice(1)))
        }
        connections.on('peerConnected', check).on('peerDisconnected', check)
        registry.access.allow('9.0.0.0/24')
        for (const { kind, ip, thenMs } of steps) {
          if (kind === 'come') dial(ip).shakeHands({ decides: false })
          else if (kind === 'silent') dial(ip)
          else if (kind === 'hello') dial(ip).hello()
          else if (kind === 'gone' || kind === 'reset') {
            for (const raw of raws.get(ip) ?? []) {
              ended.add(raw)
              if (kind === 'gone') raw.destroy()
            }
            if (kind === 'reset') world.network.resetBetween(ip, own)
          } else if (kind === 'allow') registry.access.allow('8.8.1.1')
          else if (kind === 'disallow') registry.access.remove('8.8.1.1')
          else if (kind === 'deny') registry.access.deny('8.8.2.0/24')
          else if (kind === 'undeny') registry.access.remove('8.8.2.0/24')
          else if (kind === 'disconnect') connections.disconnect(ip)
          else if (kept.includes(ip)) connections.keep(ip)
          else if (known.includes(ip)) registry.add(ip)
          else if (asked.includes(ip)) connections.connect(ip).catch(() => undefined)
          await world.advance(thenMs)
          check()
        }
        for (const ip of kept) connections.keep(ip)
        await world.advance(60_000)
        check()
        for (const ip of kept) expect(connections.peer(ip)?.isConnected).toBe(true)
        for (const raw of [...raws.values()].flat()) {
          if (raw.isClosed && !ended.has(raw)) expect(raw.farewell).toBeDefined()
          if (raw.farewell?.code === byeCodes.busy) refused += 1
          if (raw.farewell?.code === byeCodes.evicted) evictions += 1
        }
        // Nobody may stay: then as many get in as there is room for, and one less would be a lost slot.
        for (const ip of kept) connections.unkeep(ip)
        for (const range of ['9.0.0.0/24', '8.8.1.1', '8.8.2.0/24']) registry.access.remove(range)
        registry.access.deny('0.0.0.0/0')
        await world.advance(30_000)
        expect(connections.status()).toMatchObject({ inbound: 0, outbound: 0, handshaking: 0 })
        registry.access.remove('0.0.0.0/0')
        const newcomers: RawConnection[] = []
        for (let n = 1; n <= limits.maxInbound + 1; n += 1) {
          const peer = world.raw(`11.0.${n}.1`, { listen: false })
          newcomers.push(peer.dial(own).shakeHands({ decides: false }))
          await world.advance(100)
        }
        expect(newcomers.filter(({ isOpen }) => isOpen)).toHaveLength(limits.maxInbound)
        // Where nobody is evicted it is the last that had to go.
        if (!evictsInbound) expect(newcomers.at(-1)!.farewell?.code).toBe(byeCodes.busy)
        expect(node.bugs).toEqual([])
      },
    ),
    { numRuns: 60, seed: 42 },
  )
  // It is no proof of what never happened.
  expect([fullest, reserved, crowd]).toEqual([
    limits.maxInbound,
    limits.maxInbound + limits.maxReservedInbound,
    limits.maxPendingHandshakes,
  ])
  expect([refused > 500, evictions > 20]).toEqual([true, true])
})
