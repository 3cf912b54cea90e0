import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import type { PeerRecord, RegistrySnapshot } from '../../src/contracts/peer-store.js'
import { World } from '../support/simulated-node.js'

const { backoffMaxMs } = defaultConnectionLimits
const hourMs = 3_600_000

/** What a registry knew of peers that were all offline, and had failed before, when its process ended. */
function offline(hosts: readonly string[], nowUnixMs: number): RegistrySnapshot {
  const peers = hosts.map((host, index): PeerRecord => ({
    host,
    port: 24_100,
    source: index % 2 === 0 ? 'added' : 'exchange',
    firstSeenUnixMs: nowUnixMs - 24 * hourMs,
    lastSeenUnixMs: nowUnixMs - hourMs,
    timesConnected: 1,
    lastFailure: { text: 'ECONNREFUSED', atUnixMs: nowUnixMs - 1_000 },
  }))
  return { version: 1, savedAtUnixMs: nowUnixMs, peers, bans: [] }
}

describe('after a restart', () => {
  test('every known peer that is not connected is a dial candidate, from the first second (F29)', async () => {
    const world = new World()
    // Lower and higher than the node itself.
    const hosts = Array.from(
      { length: 150 },
      (_, index) => `10.0.0.${index < 75 ? index + 1 : index + 2}`,
    )
    for (const host of hosts) {
      const raw = world.raw(host)
      const decides = Number(host.split('.')[3]) < 76
      await raw.listen((connection) => void connection.shakeHands({ decides }))
    }
    const node = world.node('10.0.0.76', { maxOutbound: 100 })
    node.registry.restore(offline(hosts, world.clock.unixMs()))
    await node.connections.start()
    await world.advance(1_000)
    expect(node.connections.status()).toMatchObject({ outbound: 100, knownPeers: 150 })
    const dialled = new Set(node.transport.dialled.map(({ host }) => host))
    for (const { ip } of node.connections.peers().slice(50)) node.connections.disconnect(ip)
    await world.advance(10_000)
    for (const { host } of node.transport.dialled) dialled.add(host)
    expect(dialled.size).toBe(150)
    expect(node.connections.status().outbound).toBe(100)
  })

  test('one that refuses for an hour is established within one backoff cap of coming up (F29)', async () => {
    const world = new World()
    const node = world.node('10.0.0.1')
    node.registry.restore(offline(['10.0.0.9', '10.0.0.10'], world.clock.unixMs()))
    await node.connections.start()
    await world.advance(hourMs)
    expect(node.connected).toEqual([])
    for (const host of ['10.0.0.9', '10.0.0.10']) {
      await world.raw(host).listen((connection) => void connection.shakeHands({ decides: false }))
    }
    await world.advance(backoffMaxMs + 1_000)
    expect(
      node.connections
        .peers()
        .map(({ ip }) => ip)
        .sort(),
    ).toEqual(['10.0.0.10', '10.0.0.9'])
  })
})
