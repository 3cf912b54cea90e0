import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkIdentity, checkLimits } from '../../src/connection/connection-options.js'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import type { AuthorizeAnswer, PendingConnection } from '../../src/contracts/authorize.js'
import type { PeerHello } from '../../src/contracts/peer-service.js'
import type { ListenerErrorInfo } from '../../src/events.js'
import { PeerRegistry } from '../../src/peer-registry.js'
import { utf8 } from '../../src/wire/binary.js'
import { directions, World, type SimulatedNode } from '../support/simulated-node.js'

const { authorizeTimeoutMs, backoffMaxMs, handshakeTimeoutMs } = defaultConnectionLimits
const lower = '10.0.0.1'
const higher = '10.0.0.9'
const hourMs = 3_600_000

/** An application that answers when the test says so. */
class Judge {
  readonly asked: { readonly hello: PeerHello; readonly connection: PendingConnection }[] = []
  readonly #settle: ((answer: AuthorizeAnswer | Promise<AuthorizeAnswer>) => void)[] = []

  readonly authorize = (
    hello: PeerHello,
    connection: PendingConnection,
  ): Promise<AuthorizeAnswer> => {
    this.asked.push({ hello, connection })
    return new Promise((resolve) => void this.#settle.push(resolve))
  }

  /** Answers the oldest question. */
  answer(answer: AuthorizeAnswer | Promise<AuthorizeAnswer>): void {
    this.#settle.shift()?.(answer)
  }

  get signal(): AbortSignal {
    return this.asked[0]!.connection.signal
  }
}

function listenerErrors(node: SimulatedNode): ListenerErrorInfo[] {
  const errors: ListenerErrorInfo[] = []
  node.connections.on('listenerError', (info) => void errors.push(info))
  return errors
}

const letIn: readonly (() => AuthorizeAnswer | Promise<AuthorizeAnswer>)[] = [
  () => true,
  () => undefined,
  () => Promise.resolve(true),
  async () => {},
]

describe('a peer that the application lets in', () => {
  test.each(letIn)('is connected: %s', async (authorize) => {
    const world = new World()
    const { a, b } = await world.pair({ a: { authorize }, b: { authorize } })
    expect(world.linkOf(a, b.host)).toBe(world.linkOf(b, a.host))
    expect([...a.bugs, ...b.bugs]).toEqual([])
  })

  test('is shown as what it says and where it is, at both ends', async () => {
    const judges = [new Judge(), new Judge()] as const
    const world = new World()
    const [a, b] = judges
    const appData = Uint8Array.of(1, 2, 3)
    const first = await world.running(lower, { authorize: a.authorize, appData, agent: 'one' })
    await world.running(higher, { authorize: b.authorize, identity: 'endpoint' })
    const connecting = first.connections.connect(higher)
    await world.advance(500)
    expect(b.asked).toMatchObject([
      {
        hello: { agent: 'one', appData, listeningPort: 24_100 },
        connection: { key: `${lower}:24100`, ip: lower, direction: 'inbound', security: undefined },
      },
    ])
    expect(a.asked).toMatchObject([{ connection: { ip: higher, direction: 'outbound' } }])
    expect(a.asked[0]?.connection.remote).toEqual({ host: higher, port: 24_100 })
    b.answer(true)
    a.answer(true)
    await world.advance(500)
    await connecting
  })

  test('is connected when READY came before the answer', async () => {
    const world = new World()
    const judge = new Judge()
    const node = await world.running(higher, { authorize: judge.authorize })
    const raw = world.raw(lower).dial(higher).shakeHands({ decides: true })
    await world.advance(3_000)
    expect(raw.kinds).toEqual(['hello'])
    expect(node.connected).toEqual([])
    judge.answer(true)
    await world.advance(100)
    expect(raw.kinds.slice(0, 2)).toEqual(['hello', 'ready'])
    expect(node.connected).toHaveLength(1)
    expect(judge.signal.aborted).toBe(false)
  })

  test.each(directions)(
    'has the whole time of a handshake left after late words: %s',
    async (direction) => {
      const world = new World()
      const judge = new Judge()
      const node = await world.running(higher, { authorize: judge.authorize })
      const host = world.raw(lower)
      await host.listen()
      if (direction === 'outbound') void node.connections.connect(lower)
      else host.accepted.push(host.dial(higher))
      await world.advance(handshakeTimeoutMs - 1_000)
      const raw = host.accepted[0]!
      raw.hello()
      await world.advance(authorizeTimeoutMs - 100)
      judge.answer(true)
      await world.advance(handshakeTimeoutMs - 100)
      raw.ready()
      await world.advance(100)
      expect(node.directions).toEqual([direction])
    },
  )

  test('has no more than the time of a handshake left', async () => {
    const world = new World()
    const node = await world.running(higher, { authorize: () => true })
    const raw = world.raw(lower).dial(higher)
    raw.hello()
    await world.advance(handshakeTimeoutMs)
    expect(raw.isClosed).toBe(false)
    await world.advance(100)
    expect(raw.farewell?.code).toBe(7)
    expect(node.connections.status().handshaking).toBe(0)
  })

  test('is known again when it had to make room while it was judged', async () => {
    const world = new World()
    const judge = new Judge()
    const node = await world.running(higher, { authorize: judge.authorize, maxKnownPeers: 1 })
    const raw = world.raw(lower).dial(higher).shakeHands({ decides: true })
    await world.advance(100)
    node.registry.add('10.0.0.50')
    expect(node.registry.get(lower)).toBeUndefined()
    await world.advance(100)
    expect(node.registry.remove('10.0.0.50')).toBe(true)
    judge.answer(true)
    await world.advance(100)
    expect(raw.hasReady).toBe(true)
    expect(node.registry.get(lower)).toMatchObject({ isConnected: true })
  })
})

describe('a peer that the application turns away', () => {
  const refuse = (): AuthorizeAnswer => ({ refuse: 'members only' })

  test.each(['ip', 'endpoint'] as const)(
    'is told why, and its dialler hears it: by %s',
    async (identity) => {
      const world = new World()
      const a = await world.running(lower, { identity })
      const b = await world.running(higher, { identity, authorize: refuse })
      const failure = a.connections.connect(higher).catch((error: unknown) => error)
      await world.advance(1_000)
      const reason = { kind: 'refused', by: 'peer', text: 'members only' }
      expect(await failure).toMatchObject({ code: 'CONNECT_FAILED', reason })
      expect(a.dialFailed).toMatchObject([{ ip: higher, error: { reason } }])
      expect(b.inboundRefused).toMatchObject([{ reason: { ...reason, by: 'us' } }])
      expect([...a.connected, ...b.connected]).toEqual([])
      expect(b.connections.status().handshaking).toBe(0)
    },
  )

  test('is told why by the end that dialled, too', async () => {
    const world = new World()
    const a = await world.running(lower, { authorize: () => Promise.resolve(refuse()) })
    const b = await world.running(higher)
    const failure = a.connections.connect(higher).catch((error: unknown) => error)
    await world.advance(1_000)
    const reason = { kind: 'refused', by: 'us', text: 'members only' }
    expect(await failure).toMatchObject({ code: 'CONNECT_FAILED', reason })
    expect(b.inboundRefused).toMatchObject([{ reason: { ...reason, by: 'peer' } }])
    expect([...a.connected, ...b.connected]).toEqual([])
  })

  test.each([
    { text: 'é'.repeat(1_000), told: 'é'.repeat(256) },
    { text: `${'x'.repeat(511)}é`, told: 'x'.repeat(511) },
    { text: '', told: undefined },
    { text: undefined, told: undefined },
  ])('is told at most 512 bytes of the reason, cut between characters', async ({ text, told }) => {
    const world = new World()
    const authorize = (): AuthorizeAnswer => (text === undefined ? false : { refuse: text })
    const b = await world.running(higher, { authorize })
    const raw = world.raw(lower).dial(higher)
    raw.hello()
    await world.advance(100)
    expect(raw.kinds).toEqual(['hello', 'bye'])
    expect(raw.farewell).toMatchObject({ code: 16, text: told ?? '' })
    expect(utf8(raw.farewell!.text).length).toBeLessThanOrEqual(512)
    expect(b.inboundRefused[0]?.reason.text).toBe(told)
    expect(b.misbehaved).toEqual([])
    expect(raw.isClosed).toBe(true)
  })

  test('is not dialled for what it said of itself', async () => {
    const world = new World()
    const node = await world.running(higher, { authorize: refuse })
    for (const identity of ['ab', 'cd']) {
      world
        .raw(lower, { instanceId: identity.repeat(16), listen: false })
        .dial(higher)
        .hello({ listeningPort: 666 })
      await world.advance(hourMs)
    }
    expect(node.transport.dialled).toEqual([])
    expect(node.registry.get(lower)?.listeningPort).toBeUndefined()
  })

  test('does not change where a known peer at its address is dialled', async () => {
    const world = new World()
    const node = await world.running(higher, { authorize: refuse })
    node.connections.keep(lower)
    world.raw(lower, { listen: false }).dial(higher).hello({ listeningPort: 666 })
    await world.advance(hourMs)
    expect(new Set(node.transport.dialled.map(({ port }) => port))).toEqual(new Set([24_100]))
  })

  test('neither displaces nor challenges who is connected at its address, nor while it is judged', async () => {
    const world = new World()
    const { a, b } = await world.pair()
    const judge = new Judge()
    void b.connections.stop()
    await world.advance(2_000)
    // Whatever is sent as a ping here is a challenge.
    const judging = await world.running('10.0.0.5', {
      authorize: judge.authorize,
      pingIntervalMs: 3_600_000,
    })
    const connecting = judging.connections.connect(a.host)
    await world.advance(100)
    judge.answer(true)
    await world.advance(100)
    const { pingsSent } = (await connecting).roundTrip
    const intruder = world.raw(a.host, { instanceId: 'ee'.repeat(16), listen: false })
    const raw = intruder.dial(judging.host).shakeHands({ decides: true })
    await world.advance(authorizeTimeoutMs - 1_000)
    expect(judge.asked).toHaveLength(2)
    judge.answer(refuse())
    await world.advance(10_000)
    expect(raw.farewell).toMatchObject({ code: 16, text: 'members only' })
    expect(raw.hasReady).toBe(false)
    expect(judging.peer.roundTrip.pingsSent).toBe(pingsSent)
    expect(judging.disconnected).toEqual([])
    expect(judging.sharedAddresses).toEqual([])
  })

  test('is dialled again, but only after minutes, and is let in when the application thinks better of it', async () => {
    const world = new World()
    let isOpen = false
    const authorize = (hello: PeerHello): boolean => isOpen || hello.agent !== 'suspect'
    const a = await world.running(lower, { agent: 'suspect' })
    const b = await world.running(higher, { authorize })
    const witness = await world.running('10.0.0.5')
    for (const node of [a, b]) node.connections.keep(witness.host)
    a.connections.keep(higher)
    b.connections.keep(lower)
    await world.advance(12 * backoffMaxMs)
    // Both dial, and each refusal costs the one who dialled between half and the whole of the longest backoff.
    for (const { transport, host } of [a, b]) {
      const dials = transport.dialled.filter((to) => [lower, higher].includes(to.host))
      expect(dials.length, host).toBeGreaterThanOrEqual(12)
      expect(dials.length, host).toBeLessThanOrEqual(26)
    }
    expect([a, b].map(({ connected }) => connected.length)).toEqual([1, 1])
    expect(witness.disconnected).toEqual([])
    expect(a.registry.bans()).toEqual([])
    isOpen = true
    await world.advance(backoffMaxMs + 10_000)
    expect(world.linkOf(a, higher)).toBe(world.linkOf(b, lower))
    expect(world.linkOf(a, higher)).toBeDefined()
  })
})

describe('an application that gives no answer', () => {
  const failures: readonly [string, () => AuthorizeAnswer | Promise<AuthorizeAnswer>][] = [
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no'))],
    ['answers null', () => null as unknown as boolean],
    ['answers a string', () => 'no' as unknown as boolean],
    [
      'answers later with an object that bites',
      () =>
        Promise.resolve({
          get refuse(): string {
            throw new Error('no')
          },
        }),
    ],
    [
      'answers with a promise that bites',
      () =>
        ({
          get then(): never {
            throw new Error('no')
          },
        }) as unknown as boolean,
    ],
  ]

  test.each(failures)(
    'but %s sends the peer away for a while, and nobody is let in',
    async (_, authorize) => {
      const world = new World()
      let isBroken = true
      const a = await world.running(lower)
      const b = await world.running(higher, { authorize: () => (isBroken ? authorize() : true) })
      const errors = listenerErrors(b)
      a.connections.keep(higher)
      await world.advance(100)
      expect(a.failures[0]?.reason).toMatchObject({ kind: 'busy', by: 'peer' })
      expect(errors).toMatchObject([{ event: 'authorize' }])
      expect([...a.connected, ...b.connected, ...b.bugs]).toEqual([])
      isBroken = false
      await world.advance(10_000)
      expect(b.connected).toHaveLength(1)
    },
  )

  test.each(['an answer', 'the end of the connection'])(
    'leaves no timer after %s: a node that stops is gone at once',
    async (end) => {
      const world = new World()
      const judge = new Judge()
      const node = await world.running(higher, { authorize: judge.authorize })
      const raw = world.raw(lower, { listen: false }).dial(higher)
      raw.hello()
      await world.advance(100)
      if (end === 'an answer') judge.answer(false)
      else raw.destroy()
      await world.advance(100)
      const stopping = node.connections.stop()
      await world.advance(1_500)
      await stopping
      expect(judge.asked).toHaveLength(1)
      expect(world.clock.pendingTimers).toBe(0)
    },
  )

  test('within its time sends the peer away, and is told of it by its signal', async () => {
    const world = new World()
    const judge = new Judge()
    const b = await world.running(higher, { authorize: judge.authorize })
    const errors = listenerErrors(b)
    const raw = world.raw(lower).dial(higher).shakeHands({ decides: true })
    await world.advance(authorizeTimeoutMs)
    expect(raw.farewell).toBeUndefined()
    await world.advance(50)
    expect(raw.farewell?.code).toBe(6)
    expect(errors).toMatchObject([{ event: 'authorize', error: { code: 'AUTHORIZE_TIMEOUT' } }])
    expect(judge.signal.reason).toMatchObject({ reason: { kind: 'busy', by: 'us' } })
    judge.answer(true)
    await world.advance(1_000)
    expect(b.connected).toEqual([])
  })

  const ends: readonly [string, (node: SimulatedNode, raw: { destroy(): void }) => void][] = [
    [
      'the connection is lost',
      (_, raw) => {
        raw.destroy()
      },
    ],
    [
      'the user disconnects it',
      (node) => {
        node.connections.disconnect(lower)
      },
    ],
    [
      'its address is banned',
      (node) => {
        node.registry.ban(lower, { reason: 'test' })
      },
    ],
    ['the node stops', (node) => void node.connections.stop()],
  ]

  test.each(ends)('hears by its signal when %s, and is too late then', async (_, end) => {
    for (const late of [
      () => true,
      () => false,
      () => Promise.reject<boolean>(new Error('aborted')),
    ]) {
      const world = new World()
      const judge = new Judge()
      const b = await world.running(higher, { authorize: judge.authorize })
      const errors = listenerErrors(b)
      const raw = world.raw(lower).dial(higher).shakeHands({ decides: true })
      await world.advance(1_000)
      expect(judge.signal.aborted).toBe(false)
      end(b, raw)
      await world.advance(1_000)
      expect(judge.signal.reason).toMatchObject({ code: 'CONNECTION_CLOSED' })
      judge.answer(late())
      await world.advance(10_000)
      expect([...b.connected, ...errors, ...b.bugs]).toEqual([])
      expect(b.connections.status().handshaking).toBe(0)
    }
  })
})

test.each([
  { who: 'the end that decides nothing', host: lower, node: higher, times: 2, decides: true },
  { who: 'the end that does not decide', host: higher, node: lower, times: 1, decides: false },
])('READY that $who may not send is a violation, also before the answer', async (given) => {
  const world = new World()
  const judge = new Judge()
  const node = await world.running(given.node, { authorize: judge.authorize })
  const raw = world.raw(given.host).dial(given.node)
  raw.hello()
  for (let count = 0; count < given.times; count += 1) raw.ready()
  await world.advance(1_000)
  expect(raw.farewell?.code).toBe(12)
  expect(node.misbehaved).toHaveLength(1)
  expect(judge.signal.aborted).toBe(true)
})

test('two nodes that dial each other and think for long are connected once, whoever thinks longer', async () => {
  const thinkingMs = fc.array(fc.integer({ min: 0, max: authorizeTimeoutMs - 1 }), {
    minLength: 1,
    maxLength: 4,
  })
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(),
        a: thinkingMs,
        b: thinkingMs,
        latencyMs: fc.integer({ min: 1, max: 400 }),
      }),
      async ({ seed, a, b, latencyMs }) => {
        const world = new World({ seed, latencyMs })
        const thinking = (times: readonly number[]) => {
          let count = 0
          return () =>
            new Promise<boolean>((resolve) => {
              world.clock.setTimer(times[count++ % times.length] ?? 0, () => {
                resolve(true)
              })
            })
        }
        const first = world.node(lower, { authorize: thinking(a) })
        const second = world.node(higher, { authorize: thinking(b) })
        first.connections.keep(higher)
        second.connections.keep(lower)
        await Promise.all([first.connections.start(), second.connections.start()])
        await world.advance(60_000)
        expect(world.linkOf(first, higher)).toBeDefined()
        expect(world.linkOf(first, higher)).toBe(world.linkOf(second, lower))
        expect([first.connected.length, second.connected.length]).toEqual([1, 1])
        expect(world.network.connections()).toHaveLength(1)
        const stopping = [first, second].map(({ connections }) => connections.stop())
        await world.advance(2_000)
        await Promise.all(stopping)
      },
    ),
    { numRuns: 60 },
  )
})

describe('the options', () => {
  test('name what is wrong', () => {
    expect(() => checkLimits({ authorizeTimeoutMs: 11_000 })).toThrow(
      /^authorizeTimeoutMs \(11000\) must be below confirmTimeoutMs \(11000\)/,
    )
    const limits = { challengeTimeoutMs: 500, challengeTimeoutMaxMs: 500, confirmTimeoutMs: 2_000 }
    expect(checkLimits(limits).authorizeTimeoutMs).toBe(1_000)
    expect(() => checkLimits({ authorizeTimeoutMs: 0 })).toThrow(RangeError)
    const world = new World()
    const options = {
      network: 'test',
      registry: new PeerRegistry(),
      transport: world.network.transport({ host: lower }),
    }
    const authorize = true as unknown as () => boolean
    expect(() => checkIdentity({ ...options, authorize })).toThrow(
      new TypeError('authorize must be a function, not boolean'),
    )
  })
})
