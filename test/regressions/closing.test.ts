import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import type { PeerService, ServicePeer } from '../../src/contracts/peer-service.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { encodeMessage } from '../../src/wire/message-codec.js'
import type { WireMessage } from '../../src/wire/messages.js'
import type { RawConnection } from '../support/raw-peer.js'
import { World, directions, establish, type SimulatedNode } from '../support/simulated-node.js'

const host = '10.0.0.9'
const { closeFlushMs } = defaultConnectionLimits

interface Scene {
  readonly world: World
  readonly node: SimulatedNode
  readonly raw: RawConnection
  readonly service: ClosingService
  /** Calls of the handlers that close. */
  readonly closers: string[]
}

/** A service that runs `onMessage` in the middle of the loop that reads the connection. */
class ClosingService implements PeerService {
  peer: ServicePeer | undefined
  onMessage: ((peer: ServicePeer) => void) | undefined
  messagesAfterEnd = 0
  #isEnded = false

  peerConnected(peer: ServicePeer): void {
    this.peer = peer
    this.#isEnded = false
  }

  peerMessage(peer: ServicePeer): void {
    if (this.#isEnded) this.messagesAfterEnd += 1
    this.onMessage?.(peer)
  }

  peerDisconnected(): void {
    this.#isEnded = true
  }
}

const type: WireMessage = { kind: 'type', number: 0, name: 'trigger' }
const message: WireMessage = { kind: 'message', type: 0, bytes: Uint8Array.of(1) }
const request: WireMessage = { kind: 'request', id: 1, type: 0, bytes: Uint8Array.of(1) }
const status: WireMessage = { kind: 'status', chainId: 'c', base: 0, tip: null }
const ping: WireMessage = { kind: 'ping', nonce: 1n }

/** One chunk, so that the rest is already here when the first of them ends the connection. */
function sendTogether(raw: RawConnection, ...messages: readonly WireMessage[]): void {
  raw.sendBytes(
    Uint8Array.from(
      messages.flatMap((each) => encodeMessage(each).parts.flatMap((part) => [...part])),
    ),
  )
}

/** Every path on which a connection is closed; each closes it at a moment of its own. */
const paths: readonly {
  readonly path: string
  readonly kind: keyof typeof byeCodes
  readonly close: (scene: Scene) => void
}[] = [
  {
    path: 'the API, by IP',
    kind: 'disconnected',
    close: ({ node }) => node.connections.disconnect(host, 'enough'),
  },
  {
    path: 'the API, by peer',
    kind: 'disconnected',
    close: ({ node }) => node.peer.close('enough'),
  },
  {
    path: 'a timer of the user',
    kind: 'disconnected',
    close: ({ node, world }) => void world.clock.setTimer(5, () => node.peer.close('enough')),
  },
  {
    path: 'a message handler',
    kind: 'disconnected',
    close: ({ node, raw, closers }) => {
      node.connections.handle('trigger', (_bytes, peer) => {
        closers.push('message')
        peer.close('enough')
      })
      sendTogether(raw, type, message, message, request, status, ping)
    },
  },
  {
    path: 'a request handler',
    kind: 'disconnected',
    close: ({ node, raw, closers }) => {
      node.connections.handle('trigger', async (bytes, peer) => {
        closers.push('request')
        peer.close('enough')
        return bytes
      })
      sendTogether(raw, type, request, request, status, ping)
    },
  },
  {
    path: 'a service',
    kind: 'misbehaved',
    close: ({ raw, service, closers }) => {
      service.onMessage = (peer) => {
        closers.push('service')
        peer.closeFor({ kind: 'misbehaved', by: 'us', what: 'enough' })
      }
      sendTogether(raw, status, status, type, message, ping)
    },
  },
  {
    path: 'a listener',
    kind: 'disconnected',
    close: ({ node }) => {
      node.pings.on('ponged', ({ peer }) => peer.close('enough'))
      void node.pings.ping(node.peer).catch(() => undefined)
    },
  },
  {
    path: 'the wire',
    kind: 'misbehaved',
    close: ({ raw }) => raw.sendBytes(Uint8Array.of(255, 255, 255, 255, 0x21)),
  },
  {
    path: 'missed pongs',
    kind: 'ping-timeout',
    close: ({ raw }) => void (raw.answersPings = false),
  },
  {
    path: 'a ban',
    kind: 'banned',
    close: ({ node }) => {
      node.registry.ban(host, { reason: 'enough' })
    },
  },
  {
    path: 'a ban in a handler',
    kind: 'banned',
    close: ({ node, raw, closers }) => {
      node.connections.handle('trigger', () => {
        closers.push('ban')
        node.registry.ban(host, { reason: 'enough' })
      })
      sendTogether(raw, type, message, message, request, status, ping)
    },
  },
  {
    path: 'a list',
    kind: 'banned',
    close: ({ node }) => {
      node.registry.access.deny('10.0.0.8/29')
    },
  },
  {
    path: 'a flood',
    kind: 'flood',
    close: ({ raw }) => {
      const frame = encodeMessage({ kind: 'pong', nonce: 1n }).parts.flatMap((part) => [...part])
      const times = 20_001
      const flood = new Uint8Array(times * frame.length)
      for (let nth = 0; nth < times; nth += 1) flood.set(frame, nth * frame.length)
      raw.sendBytes(flood)
    },
  },
  { path: 'a stop', kind: 'shutdown', close: ({ node }) => void node.connections.stop() },
]

describe.each(directions)('an %s connection', (direction) => {
  test.each(paths)('close(reason) closes, from $path (F44)', async ({ kind, close }) => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const service = new ClosingService()
    node.connections.serve(service)
    let handled = 0
    node.connections.handle('trigger', () => void (handled += 1))
    const raw = await establish(direction, node, world)
    const peer = service.peer!
    const closers: string[] = []
    close({ world, node, raw, service, closers })
    await world.clock.runUntil(() => !peer.isConnected, { maxMs: 300_000 })

    // In that very tick:
    expect(node.connections.peers()).toEqual([])
    expect(node.connections.peer(host)).toBeUndefined()
    expect(node.entry(host).slot.state).toMatchObject({ incumbent: null, candidates: [] })
    expect(node.reasons).toMatchObject([{ kind, by: 'us' }])
    expect(peer.queuedBytes).toBe(0)
    expect(() => peer.send('x', new Uint8Array(1))).toThrow(/not connected/)
    await expect(peer.request('x', new Uint8Array(1))).rejects.toMatchObject({
      code: 'NOT_CONNECTED',
    })
    expect(node.pings.statsOf(peer)).toBeUndefined()
    const { bytesReceived } = peer
    const closedMs = world.clock.now()

    // Afterwards nothing is read, written or pinged.
    node.connections.handle('trigger', () => void (handled += 1))
    const before = handled
    sendTogether(raw, type, message, request, status, ping)
    node.connections.disconnect(host)
    await world.advance(closeFlushMs + 100)
    expect(raw.kinds.at(-1)).toBe('bye')
    expect(raw.all('bye')).toHaveLength(1)
    expect(raw.farewell?.code).toBe(byeCodes[kind])
    expect(raw.isClosed).toBe(true)
    expect(peer.bytesReceived).toBe(bytesReceived)
    expect([handled, service.messagesAfterEnd]).toEqual([before, 0])
    // What lay behind in the same chunk was not handled any more.
    expect(closers.length).toBeLessThanOrEqual(1)
    expect(world.clock.now() - closedMs).toBeLessThan(closeFlushMs + 200)
    await world.advance(200_000)
    expect(node.disconnected).toHaveLength(1)
  })

  test('one that takes nothing more is destroyed within the flush limit (F44)', async () => {
    const world = new World({ maxInFlightBytes: 1_000, highWaterBytes: 1_000 })
    const node = await world.running('10.0.0.1')
    const raw = await establish(direction, node, world)
    raw.pause()
    node.peer.send('bulk', new Uint8Array(100_000))
    await world.advance(1_000)
    const dropped = node.peer.queuedBytes
    expect(dropped).toBeGreaterThan(50_000)
    node.connections.disconnect(host)
    expect(node.connections.peers()).toEqual([])
    await world.advance(closeFlushMs - 50)
    expect(raw.isClosed).toBe(false)
    await world.advance(100)
    expect(raw.isClosed).toBe(true)
    expect(world.network.connections()).toEqual([])
  })

  test('no timer outlives the last connection but those that dial again (F44)', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    await establish(direction, node, world)
    node.peer.request('x', new Uint8Array(1)).catch(() => undefined)
    node.connections.disconnect(host)
    await world.advance(closeFlushMs)
    expect(world.clock.pendingTimers).toBe(0)
  })
})

test('a broadcast reaches each established peer exactly once (F45)', async () => {
  const world = new World({ maxInFlightBytes: 10_000, highWaterBytes: 10_000 })
  const node = await world.running('10.0.0.1', {
    maxFrameBytes: 100_000,
    sendHighWaterBytes: 100_000,
    sendMaxBytes: 200_000,
  })
  const slow = await establish('inbound', node, world, '10.0.0.9')
  const inbound = await establish('inbound', node, world, '10.0.0.7')
  const outbound = await establish('outbound', node, world, '10.0.0.8')
  const handshaking = world.raw('10.0.0.10').dial(node.host)
  handshaking.hello()
  await world.advance(100)
  slow.pause()
  node.connections.peer('10.0.0.9')!.send('bulk', new Uint8Array(99_000))
  node.connections.peer('10.0.0.9')!.send('bulk', new Uint8Array(99_000))
  let taken = 0
  for (let round = 0; round < 20; round += 1) {
    taken += node.connections.broadcast('news', new Uint8Array(1_000).fill(round))
    await world.advance(10)
  }
  await world.advance(1_000)
  const rounds = (raw: RawConnection) =>
    raw.all('message').flatMap(({ bytes }) => (bytes.length === 1_000 ? [bytes[0]] : []))
  const all = Array.from({ length: 20 }, (_, round) => round)
  expect(rounds(inbound)).toEqual(all)
  expect(rounds(outbound)).toEqual(all)
  expect(handshaking.kinds).toEqual(['hello', 'ready'])
  // The slow one took as many as its queue holds, and lost the rest, and nobody else did.
  const takenBySlow = taken - 40
  expect(takenBySlow).toBeGreaterThan(0)
  expect(takenBySlow).toBeLessThan(20)
  slow.resume()
  await world.advance(1_000)
  expect(rounds(slow)).toEqual(all.slice(0, takenBySlow))
  expect(node.disconnected).toEqual([])
  expect(handshaking.all('message')).toEqual([])
})
