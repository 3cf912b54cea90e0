import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import { createNode } from '../../src/node.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { testChain, testChainRules } from '../../src/testing/test-chain.js'
import type { WireMessage } from '../../src/wire/messages.js'
import { directions, establish, World } from '../support/simulated-node.js'

const type: WireMessage = { kind: 'type', number: 0, name: 'n' }
const message = (bytes: number): WireMessage => ({
  kind: 'message',
  type: 0,
  bytes: new Uint8Array(bytes),
})

describe.each(directions)('over an %s connection', (direction) => {
  test('a peer that floods is slowed down, not buffered, and its pings cost it no miss (F57)', async () => {
    // The network holds what nobody reads: 64 KiB, as the windows of TCP do.
    const world = new World({ latencyMs: 5 })
    const node = await world.running('10.0.0.1', {
      maxMessagesPerSecond: 100,
      maxHandlerBytes: 64 * 1024,
      pingIntervalMs: 1_000,
      pongTimeoutMs: 1_000,
    })
    let handled = 0
    let holding = 0
    let mostHeld = 0
    node.connections.handle('n', async (bytes) => {
      handled += 1
      holding += bytes.length
      mostHeld = Math.max(mostHeld, holding)
      await new Promise<void>((resolve) => world.clock.setTimer(100, resolve))
      holding -= bytes.length
    })
    const other = await world.running('10.0.0.2')
    const toOther = node.connections.connect(other.host)
    await world.advance(100)
    const raw = await establish(direction, node, world)
    raw.send(type, ...Array.from({ length: 2_000 }, () => message(1_000)))
    raw.send({ kind: 'ping', nonce: 99n })
    for (let second = 0; second < 10; second += 1) {
      await world.advance(1_000)
      // 200 at once, and 100 more in each second.
      expect(handled).toBeLessThanOrEqual(200 + (second + 2) * 101)
      const ponged = node.pings.ping(await toOther)
      await world.advance(10)
      expect(await ponged).toBe(10)
    }
    expect(handled).toBeGreaterThan(900)
    expect(mostHeld).toBeLessThanOrEqual(65 * 1_024)
    expect(raw.all('pong')).toEqual([])
    await world.advance(10_000)
    // Everything came in the end, the ping was answered, and nobody was closed.
    expect([handled, raw.all('pong').length, node.disconnected]).toEqual([2_000, 1, []])
    expect(node.pings.statsOf(node.connections.peer('10.0.0.9')!)?.missed).toBe(0)
    expect(node.registry.list().filter(({ ban }) => ban !== undefined)).toEqual([])
  })

  test('bytes are budgeted as messages are, and one frame may overdraw them', async () => {
    const world = new World({ latencyMs: 5 })
    const node = await world.running('10.0.0.1', { maxBytesPerSecond: 10_000 })
    const handledAtMs: number[] = []
    node.connections.handle('n', () => void handledAtMs.push(world.clock.now()))
    const raw = await establish(direction, node, world)
    raw.send(type, message(50_000), message(50_000), message(10))
    await world.advance(12_000)
    const [first, second, third] = handledAtMs
    // 20,000 bytes at once, then 10,000 in a second.
    expect(second! - first!).toBeGreaterThanOrEqual(2_800)
    expect(second! - first!).toBeLessThan(3_004)
    expect(third! - second!).toBeGreaterThanOrEqual(5_000)
    expect(third! - second!).toBeLessThan(5_002)
    expect(node.disconnected).toEqual([])
  })

  const pointless: readonly { name: string; frame: WireMessage | Uint8Array }[] = [
    { name: 'unknown kinds', frame: Uint8Array.of(0, 0, 0, 0, 0xee) },
    { name: 'answers to nothing', frame: { kind: 'answer', id: 7, bytes: new Uint8Array(0) } },
    { name: 'refusals of nothing', frame: { kind: 'refusal', id: 7, code: 'no-handler' } },
    { name: 'pongs of no ping', frame: { kind: 'pong', nonce: 5n } },
    { name: 'busy for nothing', frame: { kind: 'busy', id: 7, retryAfterMs: 1 } },
  ]

  test.each(pointless)('a flood of $name ends the connection', async ({ frame }) => {
    const world = new World({ latencyMs: 5 })
    const node = await world.running('10.0.0.1', { maxPointlessPerSecond: 10 })
    const raw = await establish(direction, node, world)
    const send = (count: number): void => {
      for (let n = 0; n < count; n += 1) {
        if (frame instanceof Uint8Array) raw.sendBytes(frame)
        else raw.send(frame)
      }
    }
    send(90)
    await world.advance(5_000)
    send(40)
    await world.advance(100)
    expect(node.disconnected).toEqual([])
    send(60)
    await world.advance(100)
    expect(node.reasons).toMatchObject([{ kind: 'flood', by: 'us' }])
  })
})

test('a flood of pings is answered at a bounded rate, and starves no other frame for good', async () => {
  const world = new World({ latencyMs: 5 })
  const node = await world.running('10.0.0.1')
  const raw = await establish('inbound', node, world)
  raw.answersPings = false
  for (let n = 0; n < 25_000; n += 1) raw.send({ kind: 'ping', nonce: BigInt(n) })
  await world.advance(1_000)
  const early = raw.all('pong').length
  await world.advance(10_000)
  // At most 16 pongs wait at a time: the others are dropped, and their pings were old.
  expect(raw.all('pong').length).toBeGreaterThan(early)
  expect(raw.all('pong').at(-1)).toEqual({ kind: 'pong', nonce: 24_999n })
  expect(node.reasons).toEqual([])
})

test('ping and pong are outside every rate limit (F52)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(1_000),
        a: fc.constantFrom(400, 500, 10_000, 30_000),
        b: fc.constantFrom(350, 1_000, 30_000),
        latencyMs: fc.constantFrom(0, 20, 400),
        churnMs: fc.constantFrom(60_000, 600_000),
      }),
      async ({ seed, a, b, latencyMs, churnMs }) => {
        const world = new World({ seed, latencyMs })
        // Budgets that hardly let a message pass.
        const tight = { maxMessagesPerSecond: 1, maxBytesPerSecond: 100, maxPointlessPerSecond: 1 }
        const lower = await world.running('10.0.0.1', { ...tight, pingIntervalMs: a })
        const upper = await world.running('10.0.0.9', { ...tight, pingIntervalMs: b })
        lower.connections.keep(upper.host)
        let sent = 0
        let ponged = 0
        for (const node of [lower, upper]) node.pings.on('ponged', () => void (ponged += 1))
        for (let atMs = 0; atMs < 3_600_000; atMs += churnMs) {
          await world.advance(churnMs)
          for (const node of [lower, upper]) {
            for (const peer of node.connections.peers()) {
              sent += node.pings.statsOf(peer)?.pingsSent ?? 0
              expect(node.pings.statsOf(peer)?.missed).toBe(0)
              expect(peer).toMatchObject({ readPausedMs: 0, unknownPongs: 0 })
            }
          }
          world.network.resetBetween(lower.host, upper.host)
        }
        // A reset takes at most the pings of one round trip with it.
        const lost = Math.ceil(3_600_000 / churnMs) * (2 + (2 * latencyMs) / Math.min(a, b)) * 2
        expect(ponged).toBeGreaterThanOrEqual(sent - lost)
        expect([...lower.registry.list(), ...upper.registry.list()]).not.toContainEqual(
          expect.objectContaining({ ban: expect.anything() as unknown }),
        )
        expect(
          [...lower.reasons, ...upper.reasons].filter(
            ({ kind }) => !['transport-error', 'ended'].includes(kind),
          ),
        ).toEqual([])
        await Promise.all(
          [lower, upper].map(async ({ connections }) => {
            const stopping = connections.stop()
            await world.advance(2_000)
            await stopping
          }),
        ).catch(() => undefined)
      },
    ),
    { seed: 1, numRuns: 3 },
  )
})

test('ping and pong pass every limit also beside an hour of sync at the full rate of the link (F52)', async () => {
  // The link carries 2.5 kB in a second, and the chain is more than an hour of it.
  const bytesPerSecond = 2_500
  const chain = testChain({ length: 2_400, blockBytes: 4_000 })
  const world = new World({ latencyMs: 20, maxInFlightBytes: 16_384, highWaterBytes: 16_384 })
  const node = (host: string, store: MemoryBlockStore, pingIntervalMs: number) =>
    createNode({
      network: 'test',
      transport: world.network.transport({ host }),
      clock: world.clock,
      random: new SeededRandom(pingIntervalMs),
      maxMessagesPerSecond: 10,
      maxBytesPerSecond: 1_024,
      maxPointlessPerSecond: 1,
      pingIntervalMs,
      chain: { rules: testChainRules(chain), store },
    })
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(chain.blocks, { expectTip: null })
  const server = node('10.0.0.1', store, 700)
  const client = node('10.0.0.9', new MemoryBlockStore(), 1_000)
  const nodes = [server, client]
  const ends: string[] = []
  const offences: unknown[] = []
  let ponged = 0
  for (const { connections, pings } of nodes) {
    connections.on('peerDisconnected', ({ reason }) => void ends.push(reason.kind))
    connections.on('misbehaved', (event) => void offences.push(event))
    pings.on('ponged', () => void (ponged += 1))
  }
  client.connections.keep('10.0.0.1')
  await Promise.all(nodes.map((one) => one.start()))
  world.network.faults.limitBandwidth({ from: '10.0.0.1', to: '10.0.0.9' }, bytesPerSecond)
  let sent = 0
  for (let tenMinutes = 0; tenMinutes < 6; tenMinutes += 1) {
    await world.advance(600_000)
    for (const one of nodes) {
      const [peer] = one.peers()
      expect(peer).toMatchObject({ readPausedMs: 0, unknownPongs: 0 })
      sent += one.pings.statsOf(peer!)!.pingsSent
    }
    world.network.resetBetween('10.0.0.1', '10.0.0.9')
  }
  // The link was busy for the whole hour, and the chain is not complete yet.
  expect(client.sync.tip!.height).toBeGreaterThan(0.8 * 3_600 * (bytesPerSecond / 4_100))
  expect(client.sync.tip!.height).toBeLessThan(chain.tip.height)
  // With each of the six resets go the pings that stand behind what the link holds.
  expect(sent).toBeGreaterThan(8_000)
  expect(sent - ponged).toBeLessThan(0.1 * sent)
  expect(new Set(ends)).toEqual(new Set(['transport-error']))
  expect([offences, nodes.flatMap(({ registry }) => registry.bans())]).toEqual([[], []])
  const stopping = Promise.all(nodes.map((one) => one.stop()))
  await world.advance(5_000)
  await stopping
})

test('sync at full rate is outside the budgets, however small they are', async () => {
  const world = new World({ latencyMs: 20 })
  const chain = testChain({ length: 3_000, blockBytes: 1_000 })
  const node = (host: string, store: MemoryBlockStore, seed: number) =>
    createNode({
      network: 'test',
      transport: world.network.transport({ host }),
      clock: world.clock,
      random: new SeededRandom(seed),
      // A kilobyte in a second: enough for what a node asks, and a drop of what it gets.
      maxBytesPerSecond: 1_024,
      maxMessagesPerSecond: 20,
      maxPointlessPerSecond: 1,
      chain: { rules: testChainRules(chain), store },
    })
  const full = new MemoryBlockStore()
  await full.open()
  await full.append(chain.blocks, { expectTip: null })
  const server = node('10.0.0.1', full, 1)
  const client = node('10.0.0.9', new MemoryBlockStore(), 2)
  await Promise.all([server.start(), client.start()])
  const connecting = client.connections.connect('10.0.0.1')
  await world.advance(10_000)
  const peer = await connecting
  expect(client.sync.tip).toEqual(chain.tip)
  expect(peer.bytesReceived).toBeGreaterThan(3_000_000)
  expect([peer, ...server.peers()]).toMatchObject([{ readPausedMs: 0 }, { readPausedMs: 0 }])
  const stopping = Promise.all([server.stop(), client.stop()])
  await world.advance(2_000)
  await stopping
})
