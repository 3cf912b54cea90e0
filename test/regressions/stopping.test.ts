import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { Block, BlockRef } from '../../src/contracts/block-store.js'
import type { Clock, Timer } from '../../src/contracts/clock.js'
import type { Listener } from '../../src/contracts/transport.js'
import type { HoldfastError } from '../../src/errors.js'
import { createNode } from '../../src/node.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { testChain, testChainRules } from '../../src/testing/test-chain.js'
import { CountingTransport, HeldDials, World } from '../support/simulated-node.js'

const chain = testChain({ length: 300 })
const [ip, full, silent, deaf, nobody] = ['1', '2', '3', '4', '200'].map((n) => `10.0.0.${n}`) as [
  string,
  string,
  string,
  string,
  string,
]
const stopMs = 1_000 + 5_000
/** Longer than any stop waits. */
const long = 60_000

/** Knows which of its timers are set. */
class WatchedClock implements Clock {
  readonly timers = new Set<Timer>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  unixMs(): number {
    return this.#clock.unixMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const inner = this.#clock.setTimer(delayMs, () => {
      this.timers.delete(timer)
      callback()
    })
    const timer = {
      cancel: () => {
        this.timers.delete(timer)
        inner.cancel()
      },
    }
    this.timers.add(timer)
    return timer
  }
}

/** A store whose openings and appends take as long as the test says. */
class SlowStore extends MemoryBlockStore {
  openMs = 0
  appendMs = 0
  appending = 0
  readonly #clock: Clock
  #last: Promise<unknown> = Promise.resolve()

  constructor(clock: Clock) {
    super()
    this.#clock = clock
  }

  override async open(): Promise<void> {
    await this.#after(this.openMs)
    await super.open()
  }

  override append(
    blocks: readonly Block[],
    options: { readonly expectTip: BlockRef | null },
  ): Promise<BlockRef | null> {
    const appended = this.#append(blocks, options)
    this.#last = appended.catch(() => undefined)
    return appended
  }

  override async close(): Promise<void> {
    await this.#last
    await super.close()
  }

  async #append(...parameters: Parameters<MemoryBlockStore['append']>): Promise<BlockRef | null> {
    this.appending += 1
    try {
      await this.#after(this.appendMs)
      return await super.append(...parameters)
    } finally {
      this.appending -= 1
    }
  }

  async #after(ms: number): Promise<void> {
    if (ms > 0) await new Promise<void>((resolve) => this.#clock.setTimer(ms, resolve))
  }
}

/** What may be on its way when the node is stopped. */
const effects = fc.record({
  dial: fc.boolean(),
  handshake: fc.boolean(),
  send: fc.boolean(),
  validate: fc.boolean(),
  appendMs: fc.constantFrom(0, 0, 300, 4_000, long),
  openMs: fc.constantFrom(0, 0, 0, 700, long),
  listenMs: fc.constantFrom(0, 0, 0, 700, long),
})
type Effects = typeof effects extends fc.Arbitrary<infer Value> ? Value : never

async function scene(wanted: Effects) {
  const world = new World({ latencyMs: [5, 30], maxInFlightBytes: 50_000, highWaterBytes: 50_000 })
  const clock = new WatchedClock(world.clock)
  const store = new SlowStore(world.clock)
  store.openMs = wanted.openMs
  store.appendMs = wanted.appendMs
  const held = new HeldDials(world.network.transport({ host: ip }))
  const open = { listenMs: wanted.listenMs, holdsDials: wanted.dial, holdsChecks: wanted.validate }
  const transport = new CountingTransport({
    name: 'slow',
    defaultPort: held.defaultPort,
    dial: (address, options) =>
      open.holdsDials && address.host === nobody
        ? held.dial(address)
        : inner.dial(address, options),
    listen: async (onConnection): Promise<Listener> => {
      if (open.listenMs > 0) {
        await new Promise<void>((resolve) => world.clock.setTimer(open.listenMs, resolve))
      }
      return inner.listen!(onConnection)
    },
  })
  const inner = world.network.transport({ host: ip })
  const rules = testChainRules(chain)
  const node = createNode({
    network: 'test',
    transport,
    clock,
    random: new SeededRandom(1),
    peers: [full, silent, deaf, '10.0.0.201', ...(wanted.dial ? [nobody] : [])],
    chain: {
      rules: {
        ...rules,
        validate: () => (open.holdsChecks ? new Promise<never>(() => undefined) : { ok: true }),
      },
      store,
    },
  })
  // A node with the chain, and three that dial or answer by hand.
  const other = createNode({
    network: 'test',
    transport: world.network.transport({ host: full }),
    clock: world.clock,
    random: new SeededRandom(2),
    chain: { rules, store: await filledStore() },
  })
  await other.start()
  if (wanted.handshake) {
    const raw = world.raw(silent)
    await raw.listen()
    world.clock.setTimer(300, () => void raw.dial(ip))
  }
  const raw = world.raw(deaf)
  await raw.listen((connection) => {
    connection.shakeHands({ decides: false })
  })

  /** One that all calls are given, and that never aborts. */
  const { signal } = new AbortController()
  /** Promises that were given out, and what became of them. */
  const given = new Map<string, string>()
  const give = (name: string, promise: Promise<unknown>): void => {
    given.set(name, 'pending')
    promise.then(
      () => given.set(name, 'resolved'),
      (error: unknown) => given.set(name, (error as HoldfastError).code),
    )
  }
  node.connections.on('peerConnected', ({ peer }) => {
    if (peer.ip !== deaf || !wanted.send) return
    raw.accepted.at(-1)!.answersPings = false
    raw.accepted.at(-1)!.pause()
    for (let index = 0; index < 10; index += 1) peer.send('bulk', new Uint8Array(900_000))
    give('request', peer.request('ask', new Uint8Array(1), { signal }))
    give('drained', peer.drained({ signal }))
    give('ping', node.pings.ping(peer, { signal }))
  })
  return { signal, world, clock, store, node, other, transport, open, given, give }
}

async function filledStore(): Promise<MemoryBlockStore> {
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(chain.blocks, { expectTip: null })
  return store
}

/** Lets time pass until a promise is settled; fails when that takes too long. */
async function within(world: World, maxMs: number, promise: Promise<unknown>): Promise<void> {
  let isSettled = false
  const settled = promise.then(
    () => (isSettled = true),
    (error: unknown) => {
      isSettled = true
      throw error
    },
  )
  if (!(await world.clock.runUntil(() => isSettled, { maxMs }))) {
    throw new Error(`not settled within ${maxMs} ms`)
  }
  await settled
}

type Scene = Awaited<ReturnType<typeof scene>>

/** Nothing of the node is left: timers, listeners, sockets, dials, promises. */
function expectNothingLeft({ world, clock, node, transport, given, signal }: Scene): void {
  expect(node.status()).toMatchObject({ state: 'stopped', inbound: 0, outbound: 0, handshaking: 0 })
  expect(node.status()).toMatchObject({ dialing: 0, queuedDials: 0, endpoints: [] })
  expect([...given.values()]).not.toContain('pending')
  expect(getEventListeners(signal, 'abort')).toEqual([])
  expect([clock.timers.size, transport.openListeners, transport.inFlight]).toEqual([0, 0, 0])
  const ends = world.network
    .connections(ip)
    .flatMap(({ dialler, acceptor }) => [dialler, acceptor])
    .filter((end) => end.host === ip && end.isOpen)
  expect(ends).toEqual([])
}

describe('stop at any moment leaves nothing behind (F116)', () => {
  const script = fc.record({
    wanted: effects,
    atMs: fc.oneof(fc.nat({ max: 400 }), fc.nat({ max: 8_000 })),
    how: fc.constantFrom('stop', 'stop', 'stop twice', 'abort'),
  })

  test('whatever is on its way, and start works again', async () => {
    const met = new Set<string>()
    await fc.assert(
      fc.asyncProperty(script, async ({ wanted, atMs, how }) => {
        const all = await scene(wanted)
        const { world, store, node, other, open, given, give, signal } = all
        const controller = new AbortController()
        give('start', node.start({ signal: controller.signal }))
        give('connect', node.connections.connect(nobody, { signal }))
        give('height', node.sync.waitForHeight(1e6, { signal }))
        await world.advance(atMs)
        if (node.status().state === 'running')
          give('connect', node.connections.connect(nobody, { signal }))
        const { state } = node.status()
        met.add(`${state} ${given.get('start')}`)
        for (const [name, fate] of given) if (fate === 'pending') met.add(name)
        if (store.appending > 0) met.add('append')
        const tipBefore = node.sync.tip?.height ?? -1

        const stopping: Promise<void>[] = []
        if (how === 'abort') controller.abort(new Error('enough'))
        else stopping.push(node.stop())
        if (how === 'stop twice') {
          await world.advance(200)
          stopping.push(node.stop())
        }
        // An abort ends a start that is under way, and nothing that runs.
        if (how === 'abort' && given.get('start') === 'resolved') stopping.push(node.stop())
        await within(world, stopMs + 100, Promise.all(stopping))
        await world.clock.runUntil(() => given.get('start') !== 'pending', { maxMs: stopMs })
        expect(given.get('start')).not.toBe('pending')
        // The wait for a height is not of the start: it goes on until there is a stop.
        if (how === 'abort') await within(world, stopMs + 100, node.stop())
        await world.advance(0)
        expectNothingLeft(all)
        expect(getEventListeners(controller.signal, 'abort')).toEqual([])

        // An append that ends within the deadline was waited for; one that hangs is not torn.
        if (wanted.appendMs < 5_000) expect(store.appending).toBe(0)
        if ([wanted.appendMs, wanted.openMs, wanted.listenMs].includes(long)) {
          // What hangs ends some time, and then nothing comes to life again.
          await world.advance(3 * long)
          expectNothingLeft(all)
        }
        Object.assign(store, { openMs: 0, appendMs: 0 })
        await store.open()
        const tip = await store.tip()
        expect(tip?.height ?? -1).toBeGreaterThanOrEqual(tipBefore)
        const blocks = await store.range(0, { limit: 1_000, maxBytes: 1e9 })
        expect(blocks.map(({ hash }) => hash)).toEqual(
          chain.blocks.slice(0, (tip?.height ?? -1) + 1).map(({ hash }) => hash),
        )
        await within(world, 0, store.close())

        Object.assign(open, { listenMs: 0, holdsDials: false, holdsChecks: false })
        given.clear()
        await within(world, 1_000, node.start({ signal }))
        await world.advance(60_000)
        expect(node.connections.peer(full)?.isConnected).toBe(true)
        expect(node.sync.tip?.height).toBe(chain.tip.height)
        await within(world, stopMs, Promise.all([node.stop(), other.stop()]))
        expectNothingLeft(all)
      }),
      { seed: 1, numRuns: 60, endOnFailure: true },
    )
    // It is no proof of what was never on its way.
    for (const what of ['connect', 'request', 'drained', 'ping', 'height', 'append']) {
      expect(met).toContain(what)
    }
    expect(met).toContain('running resolved')
    expect(met).toContain('starting pending')
  })
})
