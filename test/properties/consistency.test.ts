import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LiveSockets } from '../support/live-sockets.js'
import { World, type SimulatedNode } from '../support/simulated-node.js'

const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'] as const
const host = fc.nat(hosts.length - 1)

const action = fc.record({
  what: fc.constantFrom('connect', 'keep', 'disconnect', 'close', 'reset', 'ban', 'restart'),
  at: host,
  to: host,
  afterMs: fc.constantFrom(0, 0, 3, 20, 500, 6_000),
})

/** Count = list = in + out, and each of the list stands on a live socket of its own. */
function check(node: SimulatedNode, sockets: LiveSockets): void {
  const { connections, registry } = node
  const status = connections.status()
  const peers = connections.peers()
  expect(status.inbound + status.outbound).toBe(peers.length)
  expect(peers.filter(({ direction }) => direction === 'inbound')).toHaveLength(status.inbound)
  expect(new Set(peers.map(({ key }) => key)).size).toBe(peers.length)
  for (const peer of peers) {
    expect([peer.isConnected, connections.peer(peer.ip) === peer]).toEqual([true, true])
    expect(node.pings.statsOf(peer)).toBeDefined()
  }
  const connected = registry.list().filter(({ isConnected }) => isConnected)
  expect(connected.map(({ ip }) => ip).sort()).toEqual(peers.map(({ ip }) => ip).sort())
  const live = sockets.ends
  for (const { local, remote } of peers) {
    const own = live.filter((end) => end.remote === remote && end.local === local)
    expect(own).toHaveLength(1)
  }
  expect(live.length).toBeGreaterThanOrEqual(peers.length + status.handshaking)
  expect(status.health === 'connected').toBe(peers.length > 0 && status.state === 'running')
}

test('status and events are consistent after every step, and within every listener', async () => {
  let [steps, heard] = [0, 0]
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(action, { minLength: 4, maxLength: 25 }),
      async (seed, actions) => {
        const world = new World({ seed, latencyMs: [1, 40], recut: true })
        const sockets = hosts.map(() => new LiveSockets())
        const nodes = hosts.map((host, index) =>
          world.node(host, {
            backoffMaxMs: 4_000,
            wrapTransport: (transport) => sockets[index]!.wrap(transport),
          }),
        )
        const failures: unknown[] = []
        for (const [index, node] of nodes.entries()) {
          // Every listener sees what is so, whoever was told before it.
          const look = (holds?: () => void) => (): void => {
            heard += 1
            try {
              check(node, sockets[index]!)
              holds?.()
            } catch (error) {
              failures.push(error)
            }
          }
          const { connections } = node
          connections.on('peerConnected', ({ peer }) => {
            look(() => {
              expect(connections.peers().includes(peer)).toBe(peer.isConnected)
            })()
          })
          connections.on('peerDisconnected', ({ peer }) => {
            look(() => {
              expect([peer.isConnected, connections.peers().includes(peer)]).toEqual([false, false])
            })()
          })
          connections.on('dialFailed', look()).on('inboundRefused', look())
          await connections.start()
        }
        /** After every timer, with all promises done. */
        const advance = async (ms: number): Promise<void> => {
          const untilMs = world.clock.now() + ms
          world.clock.setTimer(ms, () => undefined)
          await world.clock.runUntil(
            () => {
              steps += 1
              for (const [index, node] of nodes.entries()) {
                check(node, sockets[index]!)
                const { length } = node.connections.peers()
                expect(node.connected.length - node.disconnected.length).toBe(length)
              }
              if (failures.length > 0) throw failures[0]
              return world.clock.now() >= untilMs
            },
            { maxMs: ms + 1 },
          )
        }
        for (const { what, at, to, afterMs } of actions) {
          const [node, ip] = [nodes[at]!, hosts[to]!]
          const { connections } = node
          if (what === 'connect') connections.connect(ip).catch(() => undefined)
          else if (what === 'keep' && at !== to) connections.keep(ip)
          else if (what === 'disconnect') connections.disconnect(ip)
          else if (what === 'close') connections.peer(ip)?.close('enough')
          else if (what === 'reset') world.network.resetBetween(node.host, ip)
          else if (what === 'ban') node.registry.ban(ip, { reason: 'test', durationMs: 3_000 })
          else if (what === 'restart') {
            void connections.stop()
            void connections.start()
          }
          await advance(afterMs)
        }
        await advance(30_000)
        // When all is quiet, there is a socket for each peer and no other.
        for (const [index, { connections }] of nodes.entries()) {
          const { handshaking } = connections.status()
          expect(sockets[index]!.ends.length - handshaking).toBe(connections.peers().length)
        }
      },
    ),
    { seed: 1, numRuns: 40 },
  )
  // It is no proof of what never happened.
  expect([steps > 2_000, heard > 200]).toEqual([true, true])
})
