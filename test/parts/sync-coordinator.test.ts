import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import { HoldfastError } from '../../src/errors.js'
import { SyncCoordinator } from '../../src/sync-coordinator.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import { refOf, testChain, testChainRules } from '../../src/testing/test-chain.js'
import { hangingAppend, node } from './sync-nodes.js'
import { link } from './sync-link.js'

const chain = testChain({ length: 500 })
const rules = testChainRules(chain)

describe('two nodes', () => {
  test('end with the same chain, and the one that was behind says synced', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 0)
    const b = await node(clock, 'b', chain, 500)
    let told = 0
    a.service.on('synced', () => told++)
    const wire = link(clock, a, b)
    const synced = a.service.waitForSynced()
    await clock.advance(5_000)
    await synced
    expect(a.service.tip).toEqual(chain.tip)
    expect(await a.store.range(0, { limit: 5_000, maxBytes: 1e9 })).toEqual(chain.blocks)
    expect(told).toBe(1)
    expect(a.service.progress).toMatchObject({
      phase: { kind: 'synced' },
      height: 499,
      target: 499,
      peers: { connected: 1, answered: 1, ahead: 0 },
      etaMs: 0,
      window: { usedBytes: 0 },
    })
    expect(wire.isUp).toBe(true)
  })

  test('at genesis are quiet, and wake at the first block (F63)', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 0)
    const b = await node(clock, 'b', chain, 0)
    const wire = link(clock, a, b)
    await clock.advance(600_000)
    const kinds = new Set(wire.posted.map(({ message }) => message.kind))
    expect([...kinds]).toEqual(['status'])
    expect(a.service.phase).toEqual({ kind: 'synced' })
    await b.service.submit(chain.at(1))
    await clock.advance(100)
    expect(a.service.tip).toEqual(refOf(chain.at(1)))
  })

  test('that know genesis by its hash only get it from the one that holds it (F63)', async () => {
    const clock = new SimulatedClock()
    const byHash = { ...rules, genesis: { kind: 'hash', ref: refOf(chain.at(0)) } } as const
    const a = await node(clock, 'a', chain, 0, { rules: byHash })
    const b = await node(clock, 'b', chain, 1)
    expect(a.service.tip).toBeNull()
    link(clock, a, b)
    await clock.advance(1_000)
    expect(a.service.tip).toEqual(refOf(chain.at(0)))
  })

  test('follow each block as it comes, with one announcement for each burst', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 100)
    const b = await node(clock, 'b', chain, 100)
    const wire = link(clock, a, b)
    await clock.advance(1_000)
    for (let height = 100; height < 140; height++) {
      await b.service.submit(chain.at(height))
      await clock.advance(10)
    }
    await clock.advance(1_000)
    expect(a.service.tip).toEqual(refOf(chain.at(139)))
    const announced = wire.posted.filter(
      ({ from, message }) => from === 'b' && message.kind === 'announce',
    )
    expect(announced.length).toBeLessThanOrEqual(4)
  })

  test('whose announcements are all lost catch up within one claim refresh (F83)', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 100)
    const b = await node(clock, 'b', chain, 100)
    link(clock, a, b, {
      intercept: (message) => (message.kind === 'announce' ? undefined : message),
    })
    await clock.advance(1_000)
    for (let height = 100; height < 200; height++) await b.service.submit(chain.at(height))
    await clock.advance(31_000)
    expect(a.service.tip).toEqual(refOf(chain.at(199)))
  })

  test('that both lack something both finish, each serving while it syncs (F85)', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 200)
    const b = await node(clock, 'b', chain, 50)
    const c = await node(clock, 'c', chain, 500)
    link(clock, a, b, { rate: 20 })
    link(clock, a, c, { rate: 20 })
    await clock.advance(60_000)
    for (const { service } of [a, b, c]) expect(service.tip).toEqual(chain.tip)
  })

  test('on branches of the same chain end on the better one', async () => {
    const clock = new SimulatedClock()
    const branch = chain.fork(300, 250, 9)
    const a = await node(clock, 'a', chain, 500)
    const b = await node(clock, 'b', branch, 551, { rules })
    const wire = link(clock, a, b)
    const replaced: unknown[] = []
    a.service.on('chainReplaced', (event) => replaced.push(event))
    await clock.advance(30_000)
    expect(a.service.tip).toEqual(branch.tip)
    expect(replaced).toMatchObject([{ ancestor: refOf(chain.at(300)), previousTip: chain.tip }])
    expect(wire.isUp).toBe(true)
    expect(wire.closes).toEqual([])
  })

  test('of different chains never ask each other', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 0)
    const b = await node(clock, 'b', chain, 500, { rules: { ...rules, chainId: 'another' } })
    const wire = link(clock, a, b)
    await clock.advance(60_000)
    expect(new Set(wire.posted.map(({ message }) => message.kind))).toEqual(new Set(['status']))
  })

  test('lose blocks on the way and finish all the same, without a disconnect (F79)', async () => {
    const clock = new SimulatedClock()
    const dice = new SeededRandom(3)
    const a = await node(clock, 'a', chain, 0)
    const b = await node(clock, 'b', chain, 500)
    const wire = link(clock, a, b, {
      intercept: (message) => (dice.next() < 0.2 ? undefined : message),
    })
    await clock.advance(600_000)
    expect(a.service.tip).toEqual(chain.tip)
    expect(wire.isUp).toBe(true)
  })
})

describe('a slow link', () => {
  test('carries blocks that take longer than any deadline', async () => {
    const large = testChain({ length: 4, blockBytes: 1_000_000 })
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', large, 1)
    const b = await node(clock, 'b', large, 4)
    link(clock, a, b, { rate: 20 })
    await clock.advance(600_000)
    expect(a.service.tip).toEqual(large.tip)
  })
})

describe('a peer that sends an invalid block', () => {
  test('is set aside with an event, and keeps its connection (F96, G3)', async () => {
    const clock = new SimulatedClock()
    const bad = chain.at(20)
    const strict = {
      ...rules,
      validate: ({ hash }: { hash: string }) =>
        hash === bad.hash ? { ok: false as const, reason: 'forbidden' } : { ok: true as const },
    }
    const a = await node(clock, 'a', chain, 0, { rules: strict })
    const b = await node(clock, 'b', chain, 500)
    const told: unknown[] = []
    a.service.on('blockRejected', (event) => told.push(event))
    a.service.on('peerFaulted', (event) => told.push(event))
    const wire = link(clock, a, b)
    await clock.advance(30_000)
    expect(a.service.tip).toEqual(refOf(chain.at(19)))
    expect(told).toMatchObject([
      { block: refOf(bad), reason: 'forbidden', peer: 'b' },
      { peer: 'b' },
    ])
    expect(a.service.phase).toEqual({ kind: 'stalled', reason: 'rejected' })
    expect(wire.isUp).toBe(true)
  })
})

describe('waits', () => {
  test('for synced stay pending without a peer (F72)', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 500)
    let isDone = false
    void a.service.waitForSynced().then(() => (isDone = true))
    await clock.advance(3_600_000)
    expect(isDone).toBe(false)
    link(clock, a, await node(clock, 'b', chain, 100))
    await clock.advance(100)
    expect(isDone).toBe(true)
  })

  test('for a height end with it, with their signal, or with stop', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 100)
    await a.service.waitForHeight(99)
    const controller = new AbortController()
    const aborted = a.service.waitForHeight(100, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    const next = a.service.waitForHeight(100)
    await a.service.submit(chain.at(100))
    await next
    const stopped = expect(a.service.waitForHeight(10_000)).rejects.toMatchObject({
      code: 'NOT_RUNNING',
    })
    await a.service.stop()
    await stopped
    await expect(a.service.waitForHeight(-1)).rejects.toThrow(RangeError)
  })
})

describe('submit', () => {
  test('refuses what does not follow the tip, is invalid, or comes when stopped', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 100)
    await expect(a.service.submit(chain.at(101))).rejects.toMatchObject({
      code: 'TIP_MISMATCH',
      actualTip: refOf(chain.at(99)),
    })
    const payload = chain.at(100).payload.map((byte) => byte ^ 1)
    const broken = { ...chain.at(100), payload }
    await expect(a.service.submit(broken)).rejects.toMatchObject({ code: 'BLOCK_REJECTED' })
    await expect(a.service.submit({ ...broken, height: 1.5 })).rejects.toThrow(RangeError)
    expect(await a.service.submit(chain.at(100))).toEqual(refOf(chain.at(100)))
    await a.service.stop()
    await expect(a.service.submit(chain.at(101))).rejects.toMatchObject({ code: 'NOT_RUNNING' })
  })

  test('rejects with what the store throws, and sync goes on', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 100)
    const { append } = a.store
    a.store.append = () => Promise.reject(new Error('ENOSPC'))
    await expect(a.service.submit(chain.at(100))).rejects.toThrow('ENOSPC')
    a.store.append = append
    expect(await a.service.submit(chain.at(100))).toEqual(refOf(chain.at(100)))
  })
})

describe('start and stop', () => {
  test('are idempotent, and 100 starts are one (F76)', async () => {
    const clock = new SimulatedClock()
    const store = new MemoryBlockStore()
    let opens = 0
    const { open } = store
    store.open = () => (opens++, open.call(store))
    const sync = new SyncCoordinator({ rules, store, clock })
    await Promise.all(Array.from({ length: 100 }, () => sync.start()))
    expect(opens).toBe(1)
    expect(sync.tip).toEqual(refOf(chain.at(0)))
    await Promise.all([sync.stop(), sync.stop()])
    expect(sync.phase).toEqual({ kind: 'stopped' })
    await sync.start()
    expect(sync.phase).toEqual({ kind: 'idle' })
    await sync.stop()
    expect(clock.pendingTimers).toBe(0)
  })

  test('with peers that came before go on with them', async () => {
    const clock = new SimulatedClock()
    const store = new MemoryBlockStore()
    const a = { name: 'a', service: new SyncCoordinator({ rules, store, clock }), store }
    const b = await node(clock, 'b', chain, 500)
    link(clock, a, b)
    await clock.advance(1_000)
    await a.service.start()
    await clock.advance(5_000)
    expect(a.service.tip).toEqual(chain.tip)
    await a.service.stop()
    await clock.advance(40_000)
    await a.service.start()
    expect(a.service.tip).toEqual(chain.tip)
  })

  test('rejects when the store holds another chain', async () => {
    const store = new MemoryBlockStore()
    await store.open()
    await store.append(testChain({ length: 3, seed: 8 }).blocks, { expectTip: null })
    const sync = new SyncCoordinator({ rules, store, clock: new SimulatedClock() })
    await expect(sync.start()).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    expect(sync.phase).toEqual({ kind: 'stopped' })
  })

  test('stop waits for a hanging write only so long (F105)', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 0)
    hangingAppend(a.store)
    link(clock, a, await node(clock, 'b', chain, 500))
    await clock.advance(30_000)
    expect(a.service.phase).toEqual({ kind: 'stalled', reason: 'store-slow' })
    let isStopped = false
    void a.service.stop().then(() => (isStopped = true))
    await clock.advance(5_100)
    expect(isStopped).toBe(true)
  })

  test('an error of the store is a pause, and its end a resumption (F104)', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 0)
    const { append } = a.store
    a.store.append = () => Promise.reject(new Error('ENOSPC'))
    const wire = link(clock, a, await node(clock, 'b', chain, 500))
    await clock.advance(60_000)
    expect(a.service.phase).toMatchObject({ kind: 'paused', error: new Error('ENOSPC') })
    a.store.append = append
    await clock.advance(40_000)
    expect(a.service.tip).toEqual(chain.tip)
    expect(wire.isUp).toBe(true)
  })
})

describe('listeners', () => {
  test('may throw, stop and submit without harm', async () => {
    const clock = new SimulatedClock()
    const a = await node(clock, 'a', chain, 0)
    const errors: unknown[] = []
    a.service.on('listenerError', (info) => errors.push(info))
    a.service.on('blocksAppended', ({ tip }) => {
      if (tip.height > 100) void a.service.stop()
      throw new Error('mine')
    })
    link(clock, a, await node(clock, 'b', chain, 500), { rate: 50 })
    await clock.advance(30_000)
    expect(a.service.phase).toEqual({ kind: 'stopped' })
    expect(errors.length).toBeGreaterThan(0)
  })
})

describe('options', () => {
  const make = (changes: object) => () =>
    new SyncCoordinator({ rules, store: new MemoryBlockStore(), ...changes })

  test.each([
    [{ windowBytes: 0 }, /windowBytes/],
    [{ windowBytes: 1_000 }, /windowBytes/],
    [{ maxReorgDepth: 1.5 }, /maxReorgDepth/],
    [{ cooldownMinMs: 1_000, cooldownMaxMs: 10 }, /cooldownMaxMs.*cooldownMinMs/],
    [{ maxReorgBytes: 1_000 }, /maxReorgBytes \(1000\).*maxBlockBytes \(256\)/],
    [{ rules: { ...rules, chainId: '' } }, /chainId/],
    [{ rules: { ...rules, maxBlockBytes: NaN } }, /maxBlockBytes/],
  ])('that make no sense are refused by name: %o', (changes, message) => {
    expect(make(changes)).toThrow(RangeError)
    expect(make(changes)).toThrow(message)
  })

  test('of the wrong type are a TypeError', () => {
    expect(make({ windowBytes: '1' })).toThrow(TypeError)
    expect(make({ rules: { ...rules, checkIntegrity: undefined } })).toThrow(TypeError)
  })
})

test('a store that rejects at start leaves nothing running', async () => {
  const store = new MemoryBlockStore()
  store.open = () => Promise.reject(new HoldfastError('STORE_CORRUPT', 'beyond repair'))
  const clock = new SimulatedClock()
  const sync = new SyncCoordinator({ rules, store, clock })
  await expect(sync.start()).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  await sync.stop()
  expect(clock.pendingTimers).toBe(0)
})
