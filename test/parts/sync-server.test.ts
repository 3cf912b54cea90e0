import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { ServicePeer } from '../../src/contracts/peer-service.js'
import type { GetBlocksMessage, SyncMessage } from '../../src/contracts/sync-messages.js'
import { defaultServingLimits } from '../../src/rules/sync/serving.js'
import { SyncServer } from '../../src/sync/sync-server.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import { refOf, testChain } from '../../src/testing/test-chain.js'

const chain = testChain({ length: 300, blockBytes: 3_000 })

async function server({ holds = chain.blocks, isStarted = true } = {}) {
  const clock = new SimulatedClock()
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(holds, { expectTip: null })
  const limits = defaultServingLimits
  const weigh = <Tip>(tip: Tip) => tip
  const serving = new SyncServer({ store, clock, limits, weigh })
  if (isStarted) serving.start()
  const sent: SyncMessage[] = []
  const peer = {
    queuedBytes: 0,
    hello: { maxFrameBytes: 8 * 1024 * 1024 },
    post: (message: SyncMessage) => (sent.push(message), true),
    closeFor: (reason: unknown) => closes.push(reason),
  }
  const closes: unknown[] = []
  return { clock, store, serving, sent, closes, peer: peer as unknown as ServicePeer, fake: peer }
}

const ask = (changes: Partial<GetBlocksMessage> = {}): GetBlocksMessage => ({
  kind: 'getBlocks',
  id: 1,
  from: 1,
  count: 10,
  maxBytes: 1_000_000,
  ...changes,
})

const isTerminal = (message: SyncMessage): boolean =>
  message.kind === 'blocks' ? message.last : true

const blocksOf = (sent: readonly SyncMessage[]) =>
  sent.flatMap((message) => (message.kind === 'blocks' ? message.blocks : []))

describe('a range', () => {
  test('has one meaning: from `from`, contiguous, within count, bytes and tip (F88)', async () => {
    const property = fc.asyncProperty(
      fc.nat(320),
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 2_000_000 }),
      async (from, count, maxBytes) => {
        const { clock, serving, peer, sent } = await server()
        serving.handle(peer, ask({ from, count, maxBytes }))
        await clock.advance(1_000)
        expect(sent.filter(isTerminal)).toHaveLength(1)
        expect(isTerminal(sent.at(-1)!)).toBe(true)
        const heights = blocksOf(sent).map(({ height }) => height)
        expect(heights).toEqual(heights.map((_, index) => from + index))
        if (from <= 299) expect(heights.length).toBeGreaterThanOrEqual(1)
        else expect(sent).toMatchObject([{ kind: 'notFound', reason: 'above-tip' }])
        expect(heights.length).toBeLessThanOrEqual(count)
        expect(heights.at(-1) ?? 0).toBeLessThanOrEqual(299)
        const bytes = blocksOf(sent).reduce((sum, { payload }) => sum + payload.length, 0)
        expect(bytes).toBeLessThanOrEqual(Math.max(maxBytes, 3_000))
        for (const message of sent) {
          if (message.kind !== 'blocks') continue
          const size = message.blocks.reduce((sum, { payload }) => sum + payload.length, 0)
          expect(size).toBeLessThanOrEqual(256 * 1024)
        }
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })
})

describe('every request gets exactly one terminal reply (F89)', () => {
  test.each([
    ['an empty store', { holds: [] }, ask(), 'above-tip'],
    ['a pruned store', { holds: chain.blocks.slice(100) }, ask(), 'below-base'],
    ['a tip that is lower', {}, ask({ from: 300, afterHash: chain.tip.hash }), 'above-tip'],
    ['another branch', {}, ask({ from: 5, afterHash: 'x' }), 'other-branch'],
    ['another branch at the tip', {}, ask({ from: 300, afterHash: 'x' }), 'other-branch'],
    ['a server that is not started', { isStarted: false }, ask(), 'unavailable'],
  ])('from %s', async (_, options, request, reason) => {
    const { clock, serving, peer, sent } = await server(options)
    serving.handle(peer, request)
    await clock.advance(100)
    expect(sent).toMatchObject([{ kind: 'notFound', id: 1, reason }])
  })

  test('from a store that fails', async () => {
    const { clock, serving, peer, sent, store } = await server()
    store.range = () => Promise.reject(new Error('bad sector'))
    serving.handle(peer, ask())
    await clock.advance(100)
    expect(sent).toMatchObject([{ kind: 'notFound', reason: 'unavailable' }])
  })

  test('when it is cancelled, or the server stops, in the middle', async () => {
    for (const end of ['cancel', 'stop'] as const) {
      const { clock, serving, peer, fake, sent } = await server()
      fake.queuedBytes = 2 * 1024 * 1024
      serving.handle(peer, ask({ count: 300 }))
      await clock.advance(500)
      expect(sent).toEqual([])
      if (end === 'cancel') serving.handle(peer, { kind: 'cancel', id: 1 })
      else serving.stop()
      await clock.advance(1)
      expect(sent).toMatchObject([{ kind: 'notFound', reason: 'unavailable' }])
    }
  })

  test('also where more are asked than are worked on at once: busy', async () => {
    const { clock, serving, peer, sent } = await server()
    for (let id = 0; id < 10; id++) serving.handle(peer, ask({ id, count: 1 }))
    await clock.advance(100)
    const ids = sent.filter(isTerminal).map((message) => ('id' in message ? message.id : -1))
    expect(ids.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const busy = sent.filter(({ kind }) => kind === 'busy')
    expect(busy).toHaveLength(6)
    expect(busy[0]).toMatchObject({ retryAfterMs: 500 })
  })

  test('for as long as one asks after the other, under one id: a reply that ended is not counted', async () => {
    const { clock, serving, peer, sent, closes } = await server()
    for (let n = 1; n <= 50; n++) {
      serving.handle(peer, ask({ count: 1, from: n }))
      await clock.advance(100)
    }
    expect(closes).toEqual([])
    expect(blocksOf(sent).map(({ height }) => height)).toEqual(sent.map((_, n) => n + 1))
    expect(sent).toHaveLength(50)
  })

  test('and a block that its frames cannot carry is not available', async () => {
    const { clock, serving, peer, fake, sent } = await server()
    fake.hello.maxFrameBytes = 2_000
    serving.handle(peer, ask())
    await clock.advance(100)
    expect(sent).toMatchObject([{ kind: 'notFound', reason: 'unavailable' }])
  })
})

describe('a server', () => {
  test('fills a send queue no further than its bound and one chunk', async () => {
    const long = testChain({ length: 1_000, blockBytes: 3_000 })
    const { clock, serving, peer, fake, sent } = await server({ holds: long.blocks })
    let mostQueued = 0
    fake.post = (message) => {
      fake.queuedBytes += blocksOf([message]).reduce((sum, { payload }) => sum + payload.length, 0)
      mostQueued = Math.max(mostQueued, fake.queuedBytes)
      return sent.push(message) > 0
    }
    serving.handle(peer, ask({ count: 999, maxBytes: 8_000_000 }))
    await clock.advance(5_000)
    expect(sent.some(isTerminal)).toBe(false)
    expect(mostQueued).toBeGreaterThan(1024 * 1024)
    for (let drains = 0; drains < 3; drains++) {
      fake.queuedBytes = 0
      serving.drained(peer)
      await clock.advance(100)
    }
    expect(mostQueued).toBeLessThanOrEqual(1024 * 1024 + 256 * 1024)
    expect(blocksOf(sent)).toHaveLength(999)
    expect(sent.filter(isTerminal)).toHaveLength(1)
  })

  test('ends a reply early when its chain changes in the middle (F94)', async () => {
    const branch = chain.fork(20, 280, 9)
    const { clock, serving, peer, sent, store } = await server()
    const { range } = store
    store.range = async (from, limits) => {
      const blocks = await range.call(store, from, limits)
      if (from === 1) {
        const rest = branch.blocks.slice(21)
        await store.replace(refOf(chain.at(20)), rest, { expectTip: chain.tip })
      }
      return blocks
    }
    serving.handle(peer, ask({ count: 200 }))
    await clock.advance(1_000)
    const blocks = blocksOf(sent)
    expect(blocks.map(({ hash }) => hash)).toEqual(
      chain.blocks.slice(1, 1 + blocks.length).map(({ hash }) => hash),
    )
    expect(sent.at(-1)).toMatchObject({ kind: 'blocks', last: true })
  })

  test('names what follows the highest entry it knows', async () => {
    const { clock, serving, peer, sent } = await server()
    const locator = [{ height: 400, hash: 'y' }, { height: 200, hash: 'x' }, refOf(chain.at(150))]
    serving.handle(peer, { kind: 'getHeaders', id: 3, locator, count: 20 })
    serving.handle(peer, { kind: 'getHeaders', id: 4, locator: locator.slice(0, 2), count: 20 })
    await clock.advance(10)
    const headers = chain.blocks.slice(151, 171).map(refOf)
    expect(sent).toMatchObject([
      { kind: 'headers', id: 4, headers: [] },
      { kind: 'headers', id: 3, previousHash: chain.at(150).hash, headers },
    ])
  })

  test('knows a checkpoint below its first block by the link to it', async () => {
    const { clock, serving, peer, sent } = await server({ holds: chain.blocks.slice(100) })
    const locator = [refOf(chain.at(99))]
    serving.handle(peer, { kind: 'getHeaders', id: 3, locator, count: 2 })
    await clock.advance(10)
    expect(sent).toMatchObject([{ headers: [refOf(chain.at(100)), refOf(chain.at(101))] }])
  })

  test('ends the connection of a peer that uses an id twice at once', async () => {
    const { serving, peer, closes } = await server()
    serving.handle(peer, ask())
    serving.handle(peer, ask())
    expect(closes).toMatchObject([{ kind: 'misbehaved', by: 'us' }])
  })
})
