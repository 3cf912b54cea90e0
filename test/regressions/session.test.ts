import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { PeerService, ServiceMessage } from '../../src/contracts/peer-service.js'
import type { SyncMessage } from '../../src/contracts/sync-messages.js'
import type { HoldfastError } from '../../src/errors.js'
import { createNode } from '../../src/node.js'
import { byeCodes } from '../../src/rules/close-reasons.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { testChain, testChainRules, type TestChain } from '../../src/testing/test-chain.js'
import { kindNumbers, type MessageKind, type WireMessage } from '../../src/wire/messages.js'
import { World, directions, establish, type SimulatedNode } from '../support/simulated-node.js'

const empty = new Uint8Array(0)
/** What services hear. */
class Recorder implements PeerService {
  readonly heard: ServiceMessage[] = []
  peerMessage(_peer: unknown, message: ServiceMessage): void {
    this.heard.push(message)
  }
}

const hash = 'ab'.repeat(32)
const syncMessages: { readonly [Kind in SyncMessage['kind']]: SyncMessage & { kind: Kind } } = {
  status: { kind: 'status', chainId: 'c', base: 0, tip: null },
  announce: { kind: 'announce', tip: { height: 1, hash } },
  getHeaders: { kind: 'getHeaders', id: 1, locator: [{ height: 1, hash }], count: 10 },
  headers: { kind: 'headers', id: 1, previousHash: hash, headers: [{ height: 1, hash }] },
  getBlocks: { kind: 'getBlocks', id: 1, from: 0, count: 1, maxBytes: 1_000 },
  blocks: {
    kind: 'blocks',
    id: 1,
    last: true,
    blocks: [{ height: 1, hash, previousHash: hash, payload: Uint8Array.of(1) }],
  },
  notFound: { kind: 'notFound', id: 1, reason: 'above-tip', base: 0, tip: null },
  busy: { kind: 'busy', id: 1, retryAfterMs: 5 },
  cancel: { kind: 'cancel', id: 1 },
}

/** What a peer's message brings about at the node, and what comes back. */
interface Reaction {
  readonly reply?: readonly MessageKind[]
  readonly handled?: readonly string[]
  readonly heard?: readonly ServiceMessage['kind'][]
  readonly closedAs?: string
}

const type: WireMessage = { kind: 'type', number: 0, name: 'echo' }

/** Every kind, so that a new one does not compile until its line is here. */
const reactions: {
  readonly [Kind in MessageKind]: { readonly send: readonly WireMessage[] } & Reaction
} = {
  hello: { send: [], closedAs: 'misbehaved' },
  ready: { send: [{ kind: 'ready' }], closedAs: 'misbehaved' },
  bye: {
    send: [{ kind: 'bye', code: byeCodes.shutdown!, text: '', retryAfterMs: undefined }],
    closedAs: 'shutdown',
  },
  ping: { send: [{ kind: 'ping', nonce: 5n }], reply: ['pong'] },
  pong: { send: [{ kind: 'pong', nonce: 5n }] },
  type: { send: [type] },
  message: {
    send: [type, { kind: 'message', type: 0, bytes: Uint8Array.of(1) }],
    handled: ['echo'],
  },
  request: {
    send: [type, { kind: 'request', id: 3, type: 0, bytes: Uint8Array.of(1) }],
    reply: ['answer'],
    handled: ['echo'],
  },
  answer: { send: [{ kind: 'answer', id: 9, bytes: empty }] },
  refusal: { send: [{ kind: 'refusal', id: 9, code: 'no-handler' }] },
  status: { send: [syncMessages.status], heard: ['status'] },
  announce: { send: [syncMessages.announce], heard: ['announce'] },
  getHeaders: { send: [syncMessages.getHeaders], heard: ['getHeaders'] },
  headers: { send: [syncMessages.headers], heard: ['headers'] },
  getBlocks: { send: [syncMessages.getBlocks], heard: ['getBlocks'] },
  blocks: { send: [syncMessages.blocks], heard: ['blocks'] },
  notFound: { send: [syncMessages.notFound], heard: ['notFound'] },
  busy: { send: [syncMessages.busy], heard: ['busy'] },
  cancel: { send: [syncMessages.cancel], heard: ['cancel'] },
  getPeers: { send: [{ kind: 'getPeers', count: 10 }], heard: ['getPeers'] },
  peers: { send: [{ kind: 'peers', peers: [{ ip: '10.0.0.7', port: 1 }] }], heard: ['peers'] },
}

describe.each(directions)('over an %s connection', (direction) => {
  test.each(Object.keys(reactions) as MessageKind[])(
    'every message type has the same effect on inbound and outbound connections: %s (F34)',
    async (kind) => {
      const world = new World()
      const node = await world.running('10.0.0.1')
      const recorder = new Recorder()
      const handled: string[] = []
      node.connections.serve(recorder)
      node.connections.handle('echo', (bytes) => {
        handled.push('echo')
        return bytes
      })
      const raw = await establish(direction, node, world)
      const { send, reply = [], heard = [], closedAs, handled: expected = [] } = reactions[kind]
      const before = raw.received.length
      if (kind === 'hello') raw.hello()
      raw.send(...send)
      await world.advance(1_000)
      const replies = raw.kinds.slice(before).filter((other) => other !== 'ping')
      expect(replies).toEqual(closedAs === undefined || kind === 'bye' ? reply : [...reply, 'bye'])
      expect(handled).toEqual(expected)
      expect(recorder.heard.map((message) => message.kind)).toEqual(heard)
      expect(node.reasons.map((reason) => reason.kind)).toEqual(
        closedAs === undefined ? [] : [closedAs],
      )
      if (heard.length > 0) expect(recorder.heard[0]).toEqual(send[0])
    },
  )

  test('for each request type a reply arrives (F34)', async () => {
    const world = new World()
    const chain = testChain({ length: 20 })
    const node = await chainNode(world, '10.0.0.1', chain)
    node.connections.handle('echo', (bytes) => bytes)
    await node.start()
    const peer = world.raw('10.0.0.9')
    await peer.listen((connection) => void connection.shakeHands({ decides: false }))
    const dialled =
      direction === 'inbound' ? peer.dial('10.0.0.1').shakeHands({ decides: false }) : undefined
    if (dialled === undefined) void node.connections.connect('10.0.0.9')
    await world.advance(200)
    expect(node.peers().map((other) => other.direction)).toEqual([direction])
    const replies: unknown[] = []
    const raw = dialled ?? peer.accepted[0]!
    raw.onMessage = (message) => {
      if (message.kind !== 'ping') replies.push([message.kind, 'id' in message ? message.id : 0])
    }
    const { height, hash: tipHash } = chain.tip
    raw.send(
      { kind: 'ping', nonce: 5n },
      type,
      { kind: 'request', id: 1, type: 0, bytes: Uint8Array.of(1) },
      { kind: 'request', id: 2, type: 0, bytes: empty },
      { kind: 'getHeaders', id: 3, locator: [{ height, hash: tipHash }], count: 10 },
      { kind: 'getBlocks', id: 4, from: 0, count: 3, maxBytes: 100_000 },
      { kind: 'getBlocks', id: 5, from: 1_000, count: 3, maxBytes: 100_000 },
    )
    await world.advance(2_000)
    expect(replies).toEqual(
      expect.arrayContaining([
        ['pong', 0],
        ['answer', 1],
        ['answer', 2],
        ['headers', 3],
        ['blocks', 4],
        ['notFound', 5],
      ]),
    )
    const stopping = node.stop()
    await world.advance(2_000)
    await stopping
  })

  test('an unknown type is counted and ignored, and the connection stays (F34)', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const raw = await establish(direction, node, world)
    const known: ReadonlySet<number> = new Set(Object.values(kindNumbers))
    const unknown = Array.from({ length: 256 }, (_, number) => number).filter(
      (number) => !known.has(number),
    )
    for (const number of unknown) raw.sendBytes(Uint8Array.of(0, 0, 0, 2, number, 1, 2))
    raw.send({ kind: 'ping', nonce: 77n })
    await world.advance(1_000)
    expect(raw.all('pong')).toEqual([{ kind: 'pong', nonce: 77n }])
    expect(node.disconnected).toEqual([])
    expect(node.peer).toMatchObject({ unknownFrames: unknown.length })
    expect(node.registry.get('10.0.0.9')!.ban).toBeUndefined()
  })

  test('requests resolve in the assembled node, not only in unit tests (F36)', async () => {
    const world = new World({ latencyMs: [5, 50], recut: true })
    const chain = testChain({ length: 300 })
    const full = await chainNode(world, '10.0.0.1', chain)
    const fresh = await chainNode(world, '10.0.0.9', chain, { isEmpty: true })
    const [dialler, acceptor] = direction === 'outbound' ? [full, fresh] : [fresh, full]
    await Promise.all([dialler.start(), acceptor.start()])
    const peer = dialler.connections.connect(hostOf(acceptor))
    for (const node of [full, fresh]) {
      node.connections.handle('echo', (bytes) => bytes)
    }
    await world.advance(500)
    expect((await peer).direction).toBe('outbound')
    for (const node of [full, fresh]) {
      const other = node.peers()[0]!
      const answers = Promise.all([
        other.request('echo', Uint8Array.of(4, 2)),
        node.pings.ping(other),
      ])
      await world.advance(500)
      const [answer, roundTripMs] = await answers
      expect(answer).toEqual(Uint8Array.of(4, 2))
      expect(roundTripMs).toBeGreaterThan(0)
    }
    await world.advance(5_000)
    expect(fresh.sync.tip).toEqual(chain.tip)
    const stopping = Promise.all([full.stop(), fresh.stop()])
    await world.advance(2_000)
    await stopping
  })
})

async function chainNode(
  world: World,
  host: string,
  chain: TestChain,
  { isEmpty = false }: { readonly isEmpty?: boolean } = {},
) {
  const store = new MemoryBlockStore()
  await store.open()
  if (!isEmpty) await store.append(chain.blocks, { expectTip: null })
  return createNode({
    network: 'test',
    transport: world.network.transport({ host }),
    clock: world.clock,
    random: new SeededRandom(isEmpty ? 1 : 2),
    chain: { rules: testChainRules(chain), store },
  })
}

function hostOf(node: { readonly connections: SimulatedNode['connections'] }): string {
  return node.connections.endpoints[0]!.host
}

describe('requests', () => {
  /** What becomes of one request at the peer. */
  const fate = fc.record({
    type: fc.nat(2),
    answers: fc.array(fc.integer({ min: 0, max: 9_000 }), { maxLength: 3 }),
    isRefused: fc.boolean(),
    timeoutMs: fc.constantFrom(1_000, 3_000, 5_000),
  })

  test('each reply reaches the request that asked for it (F35)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fate, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(2 ** 32 - 1), { maxLength: 5 }),
        async (fates, unasked) => {
          const world = new World({ latencyMs: 5 })
          const node = await world.running('10.0.0.1')
          const raw = await establish('inbound', node, world)
          const settled = fates.map(({ type, timeoutMs }, index) =>
            node.peer.request(`t${type}`, Uint8Array.of(index), { timeoutMs }).then(
              (bytes) => [...bytes],
              (error: unknown) => (error as HoldfastError).code,
            ),
          )
          await world.advance(6)
          const requests = raw.all('request')
          for (const [index, { answers, isRefused }] of fates.entries()) {
            const { id } = requests[index]!
            for (const [nth, delayMs] of answers.entries()) {
              world.clock.setTimer(delayMs, () => {
                if (isRefused) raw.send({ kind: 'refusal', id, code: 'no-handler' })
                else raw.send({ kind: 'answer', id, bytes: Uint8Array.of(index, nth) })
              })
            }
          }
          const asked = new Set(requests.map(({ id }) => id))
          for (const id of unasked) {
            if (!asked.has(id)) raw.send({ kind: 'answer', id, bytes: Uint8Array.of(255) })
          }
          await world.advance(10_000)
          const expected = fates.map(({ answers, isRefused, timeoutMs }, index) => {
            const firstMs = Math.min(...answers)
            if (firstMs + 11 > timeoutMs) return 'REQUEST_TIMEOUT'
            return isRefused ? 'REQUEST_REFUSED' : [index, answers.indexOf(firstMs)]
          })
          expect(await Promise.all(settled)).toEqual(expected)
          expect(node.disconnected).toEqual([])
          // Every other answer is counted, and of no consequence.
          const sent = fates.reduce((sum, { answers }) => sum + answers.length, 0)
          const answered = expected.filter((fate) => fate !== 'REQUEST_TIMEOUT').length
          const unaskedFor = unasked.filter((id) => !asked.has(id)).length
          expect(node.peer).toMatchObject({ unmatchedAnswers: sent - answered + unaskedFor })
          expect(node.misbehaved).toEqual([])
        },
      ),
      { seed: 1, numRuns: 200 },
    )
  })

  test('the end of a connection rejects its own requests and no others (F35)', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const raws = ['10.0.0.8', '10.0.0.9'].map((host) =>
      world.raw(host).dial(node.host).shakeHands({ decides: false }),
    )
    await world.advance(100)
    const codes: unknown[] = []
    for (const peer of node.connections.peers()) {
      peer.request('ask', empty, { timeoutMs: 5_000 }).catch((error: unknown) => {
        codes.push([peer.ip, (error as HoldfastError).code, world.clock.now() > 5_000])
      })
    }
    await world.advance(100)
    raws[0]!.close()
    await world.advance(1_000)
    expect(codes).toEqual([['10.0.0.8', 'CONNECTION_CLOSED', false]])
    await world.advance(5_000)
    expect(codes[1]).toEqual(['10.0.0.9', 'REQUEST_TIMEOUT', true])
  })
})

test('concurrent senders on one connection never interleave (F39)', async () => {
  const maxFrameBytes = 64 * 1024
  const burst = fc.record({
    sender: fc.nat(4),
    size: fc.oneof(fc.nat(40), fc.integer({ min: 0, max: maxFrameBytes - 6 })),
    afterMs: fc.constantFrom(0, 0, 0, 1, 30),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(burst, { minLength: 5, maxLength: 40 }),
      async (seed, bursts) => {
        // A narrow pipe that stalls at every turn, and cuts anywhere.
        const world = new World({
          seed,
          latencyMs: [1, 40],
          recut: true,
          maxInFlightBytes: 20_000,
          highWaterBytes: 1_000,
        })
        const limits = { maxFrameBytes, pingIntervalMs: 20, pongTimeoutMs: 600 }
        const { a, b } = await world.pair({ a: limits, b: limits })
        const received: number[][] = [[], [], [], [], []]
        for (let sender = 0; sender < 5; sender += 1) {
          b.connections.handle(`sender ${sender}`, (bytes) => {
            const expected = received[sender]!.length % 256
            expect(bytes.every((byte) => byte === expected)).toBe(true)
            received[sender]!.push(bytes.length)
          })
        }
        const sent: number[][] = [[], [], [], [], []]
        for (const { sender, size, afterMs } of bursts) {
          await world.advance(afterMs)
          a.peer.send(`sender ${sender}`, new Uint8Array(size).fill(sent[sender]!.length % 256))
          sent[sender]!.push(size)
        }
        await world.clock.runUntil(() => received.flat().length === bursts.length, {
          maxMs: 60_000,
        })
        await world.advance(100)
        expect(received).toEqual(sent)
        expect([a.disconnected, b.disconnected]).toEqual([[], []])
      },
    ),
    { seed: 1, numRuns: 60 },
  )
})
