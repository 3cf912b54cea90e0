import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { encodeMessage } from '../../src/wire/message-codec.js'
import type { RawConnection, RawPeer } from '../support/raw-peer.js'
import { World, type SimulatedNode } from '../support/simulated-node.js'

const { challengeTimeoutMs, challengeTimeoutMaxMs } = defaultConnectionLimits
const lower = '10.0.0.1'
const higher = '10.0.0.9'

/** A connection from a raw peer that is established at the node. */
async function establish(world: World, node: SimulatedNode, raw: RawPeer): Promise<RawConnection> {
  const connection = raw.dial(node.host).shakeHands({ decides: raw.transport.host === lower })
  await world.advance(100)
  expect(node.connections.peer(raw.transport.host)?.remote).toEqual(connection.local)
  return connection
}

interface Takeover {
  readonly world: World
  readonly node: SimulatedNode
  /** Established, and silent from now on. */
  readonly s1: RawConnection
  /** From the peer after its restart: held, while s1 is challenged. */
  readonly s2: RawConnection
}

async function beginTakeover(nodeIp: string, peerIp: string): Promise<Takeover> {
  const world = new World()
  const node = await world.running(nodeIp)
  const s1 = await establish(world, node, world.raw(peerIp, { instanceId: 'aa'.repeat(16) }))
  s1.answersPings = false
  const restarted = world.raw(peerIp, { instanceId: 'bb'.repeat(16) })
  const s2 = restarted.dial(nodeIp).shakeHands({ decides: peerIp === lower })
  await world.advance(100)
  expect(s2.kinds).toEqual(['hello'])
  return { world, node, s1, s2 }
}

/** Waits until s2 is established; s1 hears of its end, and does not answer that. */
async function finishTakeover({ world, node, s2 }: Takeover): Promise<void> {
  await world.clock.runUntil(() => node.connected.length === 2, { maxMs: 60_000 })
  expect(node.peer.remote).toEqual(s2.local)
}

/** Both may decide which connection survives: the node, or its peer. */
const roles = [
  { role: 'the node decides', nodeIp: lower, peerIp: higher },
  { role: 'the peer decides', nodeIp: higher, peerIp: lower },
]

describe.each(roles)('a duplicate where $role', ({ nodeIp, peerIp }) => {
  test('a rejected duplicate does not touch the incumbent (F13)', async () => {
    const world = new World()
    const node = await world.running(nodeIp)
    const raw = world.raw(peerIp)
    const s1 = await establish(world, node, raw)
    node.connections.handle('echo', (bytes) => bytes)
    const s2 = raw.dial(nodeIp)
    s2.hello()
    await world.advance(1_000)
    expect(s2.kinds).toEqual(['hello', 'bye'])
    expect(s2.farewell?.code).toBe(byeCodes.duplicate)
    s1.send(
      { kind: 'type', number: 0, name: 'echo' },
      { kind: 'request', id: 7, type: 0, bytes: Uint8Array.of(1, 2) },
    )
    node.connections.peer(peerIp)!.send('news', Uint8Array.of(3))
    await world.advance(1_000)
    expect(s1.all('answer')).toEqual([{ kind: 'answer', id: 7, bytes: Uint8Array.of(1, 2) }])
    expect(s1.all('message').map(({ bytes }) => bytes)).toEqual([Uint8Array.of(3)])
    expect(s2.kinds).toEqual(['hello', 'bye'])
    expect([node.connected.length, node.disconnected.length]).toEqual([1, 0])
  })

  test('an incumbent that answers the challenge stays (F19)', async () => {
    const world = new World()
    const node = await world.running(nodeIp)
    const raw = world.raw(peerIp)
    const s1 = await establish(world, node, raw)
    const peer = node.peer
    const pingsBefore = s1.all('ping').length
    const s2 = raw.dial(nodeIp)
    s2.hello()
    await world.advance(200)
    // It was asked, and its answer decided: nobody waited for a deadline.
    expect(s1.all('ping').length - pingsBefore).toBe(1)
    expect(s2.farewell?.code).toBe(byeCodes.duplicate)
    expect(s2.isClosed && s1.isOpen).toBe(true)
    expect(node.peer).toBe(peer)
    await world.advance(60_000)
    expect([node.peer, node.disconnected]).toEqual([peer, []])
  })

  test('a pong speaks only for those who were held when its ping was sent', async () => {
    const world = new World()
    const node = await world.running(nodeIp)
    const raw = world.raw(peerIp)
    const s1 = await establish(world, node, raw)
    s1.answersPings = false
    const s2 = raw.dial(nodeIp)
    s2.hello()
    await world.advance(100)
    const [firstPing] = s1.all('ping').slice(-1)
    const s3 = raw.dial(nodeIp)
    s3.hello()
    await world.advance(100)
    s1.send({ kind: 'pong', nonce: firstPing!.nonce })
    await world.advance(100)
    expect([s2.farewell?.code, s3.farewell]).toEqual([byeCodes.duplicate, undefined])
    expect(s3.isOpen).toBe(true)
  })

  test('a silent incumbent does not lock a restarted peer out (F18)', async () => {
    const takeover = await beginTakeover(nodeIp, peerIp)
    const { world, node, s1 } = takeover
    await finishTakeover(takeover)
    expect(s1.all('ping').length).toBeGreaterThanOrEqual(3)
    expect(world.clock.now()).toBeLessThanOrEqual(100 + challengeTimeoutMaxMs + 100)
    expect(node.reasons).toMatchObject([{ kind: 'ping-timeout', by: 'us' }])
  })

  test('a peer that rebooted without FIN is back within the challenge deadline (F18)', async () => {
    const world = new World({ latencyMs: [5, 50] })
    const node = await world.running(nodeIp)
    const before = await world.running(peerIp)
    before.connections.keep(nodeIp)
    await world.advance(1_000)
    const peer = node.peer
    world.network.crash(peerIp, { silently: true })
    const stopping = before.connections.stop()
    await world.advance(1_000)
    await stopping
    expect(node.peer).toBe(peer)
    const restartedMs = world.clock.now()
    const restarted = await world.running(peerIp)
    restarted.connections.keep(nodeIp)
    await world.clock.runUntil(
      () => restarted.connected.length === 1 && node.connected.length === 2,
      { maxMs: 60_000 },
    )
    expect(world.clock.now() - restartedMs).toBeLessThanOrEqual(challengeTimeoutMaxMs + 500)
    await world.advance(300_000)
    expect([node.disconnected.length, restarted.disconnected.length]).toEqual([1, 0])
    expect(node.peer.remote).toEqual(restarted.peer.local)
  })

  test('bytes that were in flight when the incumbent died cost the newcomer one more round, and no redial (F18)', async () => {
    const takeover = await beginTakeover(nodeIp, peerIp)
    const { world, node, s1, s2 } = takeover
    const heldMs = world.clock.now()
    s1.send({ kind: 'ping', nonce: 1n })
    await world.advance(challengeTimeoutMs + 500)
    expect([node.disconnected.length, s2.isOpen]).toEqual([0, true])
    await finishTakeover(takeover)
    expect(s1.all('ping').length).toBeGreaterThanOrEqual(6)
    expect(world.clock.now() - heldMs).toBeLessThanOrEqual(2 * challengeTimeoutMs + 500)
    expect(node.reasons).toMatchObject([{ kind: 'ping-timeout', by: 'us' }])
  })

  test('where much was in flight to a silent incumbent, the ordinary ping rule decides (F18)', async () => {
    const world = new World()
    const node = await world.running(nodeIp)
    const raw = world.raw(peerIp)
    const s1 = await establish(world, node, raw)
    s1.answersPings = false
    node.peer.send('bulk', new Uint8Array(64 * 1024))
    await world.advance(100)
    const s2 = raw.dial(nodeIp)
    s2.hello()
    await world.advance(challengeTimeoutMaxMs + 100)
    expect(node.disconnected).toEqual([])
    await world.advance(2 * challengeTimeoutMaxMs)
    expect(s2.farewell?.code).toBe(byeCodes.duplicate)
    await world.clock.runUntil(() => node.disconnected.length > 0, { maxMs: 200_000 })
    expect(node.reasons).toMatchObject([{ kind: 'ping-timeout', missed: 3 }])
    expect(node.reasons[0]).not.toHaveProperty('text')
  })

  test('a held candidate is decided after twice the challenge at the latest', async () => {
    const world = new World()
    const node = await world.running(nodeIp)
    const raw = world.raw(peerIp)
    const s1 = await establish(world, node, raw)
    s1.answersPings = false
    const s2 = raw.dial(nodeIp)
    s2.hello()
    // It says something all the time, and never what it is asked.
    for (let second = 0; second < 10 && !s2.isClosed; second += 1) {
      s1.send({ kind: 'ping', nonce: 1n })
      await world.advance(1_000)
    }
    expect(s2.farewell?.code).toBe(byeCodes.duplicate)
    expect(world.clock.now()).toBeLessThan(2 * challengeTimeoutMs + 1_500)
    expect(node.disconnected).toEqual([])
  })

  test('after a takeover every send goes to the survivor (F14)', async () => {
    const takeover = await beginTakeover(nodeIp, peerIp)
    const { world, node, s1, s2 } = takeover
    // The reader of s1 stands still: what is sent to it waits at this end and beyond.
    s1.pause()
    node.peer.send('n', Uint8Array.of(1))
    await finishTakeover(takeover)
    node.peer.send('n', Uint8Array.of(2))
    expect(node.connections.broadcast('n', Uint8Array.of(3))).toBe(1)
    s1.resume()
    await world.advance(60_000)
    const numbers = (raw: RawConnection) => raw.all('message').map(({ bytes }) => bytes[0])
    expect(numbers(s2)).toEqual([2, 3])
    expect(numbers(s1)).not.toContain(2)
    expect(numbers(s1)).not.toContain(3)
  })

  test.each<{ how: string; end: (s1: RawConnection) => void }>([
    { how: 'is closed', end: (s1) => s1.close() },
    { how: 'is reset', end: (s1) => s1.destroy() },
    { how: 'says BYE', end: (s1) => s1.bye(13, 'late') },
    { how: 'answers its pings late', end: (s1) => answerAllPings(s1) },
    { how: 'sends what is no frame', end: (s1) => s1.sendBytes(new Uint8Array(64).fill(0xff)) },
    { how: 'says nothing more', end: () => {} },
  ])(
    'the cleanup of a superseded connection that $how changes nothing of its successor (F15)',
    async ({ end }) => {
      const takeover = await beginTakeover(nodeIp, peerIp)
      const { world, node, s1, s2 } = takeover
      await finishTakeover(takeover)
      const peer = node.peer
      const request = peer.request('ask', new Uint8Array(0), { timeoutMs: 50_000 })
      const pinged = node.pings.ping(peer)
      end(s1)
      await world.advance(10_000)
      expect(node.peer).toBe(peer)
      expect([node.connected.length, node.disconnected.length]).toEqual([2, 1])
      expect(await pinged).toBeGreaterThan(0)
      expect(node.pings.statsOf(peer)).toMatchObject({ missed: 0 })
      const [asked] = s2.all('request')
      s2.send({ kind: 'answer', id: asked!.id, bytes: Uint8Array.of(9) })
      await world.advance(120_000)
      expect(await request).toEqual(Uint8Array.of(9))
      expect(node.connections.status()).toMatchObject({ inbound: 1, outbound: 0, handshaking: 0 })
      expect([node.connected.length, node.disconnected.length]).toEqual([2, 1])
    },
  )
})

function answerAllPings(raw: RawConnection): void {
  for (const { nonce } of raw.all('ping')) raw.send({ kind: 'pong', nonce })
}

/** One thing that a raw peer, or the node's user, does. */
type Move =
  | { readonly kind: 'dial' | 'connect'; readonly peer: number }
  | {
      readonly kind: 'shakeHands' | 'hello' | 'ready' | 'close' | 'destroy' | 'garbage' | 'mute'
      readonly nth: number
    }
  | { readonly kind: 'wait'; readonly ms: number }

test('a peer is established exactly when one open connection with a completed handshake exists (F20)', async () => {
  const move: fc.Arbitrary<Move> = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('dial' as const, 'connect' as const),
        peer: fc.nat(1),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constantFrom('shakeHands' as const, 'hello' as const, 'ready' as const),
        nth: fc.nat(5),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          'close' as const,
          'destroy' as const,
          'garbage' as const,
          'mute' as const,
        ),
        nth: fc.nat(5),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('wait' as const),
        ms: fc.constantFrom(100, 3_000, 8_000, 25_000),
      }),
    },
  )
  let established = 0
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 8, maxLength: 40 }), async (moves) => {
      const table = await StateTable.create()
      for (const next of moves) {
        await table.make(next)
        established += table.check()
      }
    }),
    { seed: 1, numRuns: 600 },
  )
  // The sequences did get somewhere.
  expect(established).toBeGreaterThan(500)
})

/** A node between two raw peers, one that decides and one that does not. */
class StateTable {
  readonly #world = new World({ latencyMs: 1 })
  readonly #peers = [this.#world.raw('10.0.0.1'), this.#world.raw('10.0.0.9')]
  readonly #connections: { readonly raw: RawConnection; readonly ip: string }[] = []
  readonly #node = this.#world.node('10.0.0.5')

  static async create(): Promise<StateTable> {
    const table = new StateTable()
    for (const peer of table.#peers) {
      await peer.listen((raw) => {
        table.#add(raw, peer)
      })
    }
    await table.#node.connections.start()
    return table
  }

  async make(move: Move): Promise<void> {
    this.#do(move)
    await this.#world.advance(move.kind === 'wait' ? move.ms : 50)
  }

  /** Compares what the node says with what its peers see. Returns how many are established. */
  check(): number {
    const seen = this.#peers.map(({ transport: { host } }) => {
      const complete = this.#connections.filter(
        ({ ip, raw }) => ip === host && raw.hasSentReady && raw.hasReady && raw.isOpen,
      )
      const peer = this.#node.connections.peer(host)
      const ends = complete.map(({ raw }) => [raw.local, raw.remote])
      expect(ends).toEqual(peer === undefined ? [] : [[peer.remote, peer.local]])
      const [connected, disconnected] = [this.#node.connected, this.#node.disconnected].map(
        (events) => events.filter((event) => event.peer.ip === host).length,
      )
      expect(connected! - disconnected!).toBe(complete.length)
      return complete.length
    })
    return seen.reduce((sum, count) => sum + count, 0)
  }

  #add(raw: RawConnection, { transport }: RawPeer): void {
    this.#connections.push({ raw, ip: transport.host })
  }

  #do(move: Move): void {
    switch (move.kind) {
      case 'dial': {
        const peer = this.#peers[move.peer]!
        this.#add(peer.dial(this.#node.host), peer)
        return
      }
      case 'connect':
        this.#node.connections
          .connect(this.#peers[move.peer]!.transport.host)
          .catch(() => undefined)
        return
      case 'wait':
        return
      default:
        this.#doWith(move.kind, this.#connections.at(-1 - move.nth))
    }
  }

  #doWith(
    kind: 'shakeHands' | 'hello' | 'ready' | 'close' | 'destroy' | 'garbage' | 'mute',
    connection: { readonly raw: RawConnection; readonly ip: string } | undefined,
  ): void {
    if (connection?.raw.isOpen !== true) return
    const { raw } = connection
    switch (kind) {
      case 'shakeHands':
        raw.shakeHands({ decides: connection.ip === lower })
        return
      case 'hello':
        raw.hello()
        return
      case 'ready':
        raw.ready()
        return
      case 'close':
        raw.close()
        return
      case 'destroy':
        raw.destroy()
        return
      case 'garbage':
        raw.sendBytes(...encodeMessage({ kind: 'type', number: 0, name: 'x' }).parts)
        raw.sendBytes(Uint8Array.of(255, 255, 255, 255, 0))
        return
      case 'mute':
        raw.answersPings = false
        return
      default:
        kind satisfies never
    }
  }
}
