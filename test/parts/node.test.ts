import { describe, expect, test } from 'vitest'
import { memoryNetwork } from '../../src/adapters/memory.js'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import { ConnectionManager } from '../../src/connection-manager.js'
import type { Peer } from '../../src/contracts/peer-service.js'
import { createNode, type NodeOptions } from '../../src/node.js'
import { PeerRegistry } from '../../src/peer-registry.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { testChain, testChainRules } from '../../src/testing/test-chain.js'
import { World } from '../support/simulated-node.js'

const options = (world: World, host: string, changes: Partial<NodeOptions> = {}): NodeOptions => ({
  network: 'test',
  transport: world.network.transport({ host }),
  clock: world.clock,
  random: new SeededRandom(Number(host.split('.')[3])),
  ...changes,
})

async function stopped(
  world: World,
  ...nodes: readonly { stop(): Promise<void> }[]
): Promise<void> {
  const stopping = Promise.all(nodes.map((node) => node.stop()))
  await world.advance(5_000)
  await stopping
}

describe('createNode', () => {
  const chain = testChain({ length: 10 })
  const chainOptions = { rules: testChainRules(chain), store: new MemoryBlockStore() }

  test.each<{ changes: Partial<NodeOptions>; texts: readonly string[] }>([
    { changes: { stableAfterMs: 60_000 }, texts: ['stableAfterMs (60000)', '(100000)'] },
    { changes: { pingIntervalMs: 60_000 }, texts: ['stableAfterMs (120000)', '(190000)'] },
    {
      changes: {
        chain: { ...chainOptions, rules: { ...chainOptions.rules, maxBlockBytes: 2 ** 23 } },
      },
      texts: ['maxFrameBytes (8388608)', 'maxBlockBytes'],
    },
    {
      changes: { handshakeTimeoutMs: 15_000 },
      texts: ['handshakeTimeoutMs (15000)', 'challengeTimeoutMaxMs'],
    },
    { changes: { pingIntervalMs: 0 }, texts: ['pingIntervalMs', '0'] },
    { changes: { missedPongsMax: 0 }, texts: ['missedPongsMax', '0'] },
    { changes: { pongTimeoutMs: Number.NaN }, texts: ['pongTimeoutMs', 'NaN'] },
    { changes: { sendMaxBytes: 1 }, texts: ['sendMaxBytes (1)', 'maxFrameBytes (8388608)'] },
  ])('refuses $changes with an error that names the values', ({ changes, texts }) => {
    const world = new World()
    let error: unknown
    try {
      createNode(options(world, '10.0.0.1', changes))
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(RangeError)
    for (const text of texts) expect((error as Error).message).toContain(text)
  })

  test('refuses a peer that is no address, by name', () => {
    const world = new World()
    expect(() =>
      createNode(options(world, '10.0.0.1', { peers: ['10.0.0.2', 'no where'] })),
    ).toThrow(/"no where"/)
  })

  test('joins the parts: peers are kept, pinged and told of', async () => {
    const world = new World()
    const registry = new PeerRegistry({ clock: world.clock })
    const a = createNode(options(world, '10.0.0.1', { peers: ['10.0.0.2:24100'], registry }))
    const b = createNode(options(world, '10.0.0.2'))
    const heard: string[] = []
    a.on('started', () => void heard.push('started'))
    a.on('stopped', () => void heard.push('stopped'))
    a.on('peerConnected', ({ peer, direction }) => void heard.push(`${peer.ip} ${direction}`))
    a.on('peerDisconnected', ({ reason }) => void heard.push(reason.kind))
    expect(a.status()).toMatchObject({ state: 'stopped', sync: undefined, knownPeers: 1 })
    expect(a.sync).toBeUndefined()
    await Promise.all([a.start(), b.start()])
    await world.advance(60_000)
    expect(a.registry).toBe(registry)
    expect(a.peers().map(({ ip }) => ip)).toEqual(['10.0.0.2'])
    expect(a.pings.statsOf(a.peers()[0]!)!.pongsReceived).toBeGreaterThan(0)
    expect(a.status()).toMatchObject({ state: 'running', outbound: 1, inbound: 0 })
    await stopped(world, a, b)
    expect(heard).toEqual(['started', '10.0.0.2 outbound', 'shutdown', 'stopped'])
    expect(a.status()).toMatchObject({ state: 'stopped', outbound: 0, endpoints: [] })
    expect(world.clock.pendingTimers).toBe(0)
  })

  test('syncs a chain, and its status says so', async () => {
    const world = new World()
    const stores = [new MemoryBlockStore(), new MemoryBlockStore()] as const
    await stores[0].open()
    await stores[0].append(chain.blocks, { expectTip: null })
    const [full, fresh] = stores.map((store, index) =>
      createNode({
        ...options(world, `10.0.0.${index + 1}`, { peers: ['10.0.0.1'] }),
        chain: { rules: testChainRules(chain), store },
      }),
    )
    await Promise.all([full!.start(), fresh!.start()])
    await world.advance(10_000)
    expect(fresh!.sync.tip).toEqual(chain.tip)
    expect(fresh!.status().sync).toMatchObject({ phase: { kind: 'synced' } })
    await stopped(world, full!, fresh!)
    expect(world.clock.pendingTimers).toBe(0)
  })

  test('start and stop are idempotent, work in turns, and the last call counts', async () => {
    const world = new World()
    const node = createNode(options(world, '10.0.0.1'))
    let [started, stoppedTimes] = [0, 0]
    node.on('started', () => void (started += 1))
    node.on('stopped', () => void (stoppedTimes += 1))
    await stopped(world, node)
    expect([started, stoppedTimes]).toEqual([0, 0])
    await Promise.all([node.start(), node.start()])
    expect(started).toBe(1)
    await stopped(world, node, node)
    expect(stoppedTimes).toBe(1)
    const calls = [node.start(), node.stop(), node.start()]
    await world.advance(5_000)
    await Promise.all(calls)
    expect(node.status().state).toBe('running')
    const ends = [node.stop(), node.start(), node.stop()]
    await world.advance(5_000)
    await Promise.all(ends)
    expect(node.status().state).toBe('stopped')
    expect(world.clock.pendingTimers).toBe(0)
  })

  test('an abort of the start ends it with the reason of its signal, and so does a stop', async () => {
    const world = new World()
    const store = new MemoryBlockStore()
    let opened: () => void = () => undefined
    store.open = async () => {
      await new Promise<void>((resolve) => (opened = resolve))
      await MemoryBlockStore.prototype.open.call(store)
    }
    const node = createNode({
      ...options(world, '10.0.0.1'),
      chain: { rules: testChainRules(chain), store },
    })
    const controller = new AbortController()
    const aborted = node.start({ signal: controller.signal }).catch((error: unknown) => error)
    await world.advance(10)
    const why = new Error('changed my mind')
    controller.abort(why)
    expect(await aborted).toBe(why)
    await expect(node.start({ signal: controller.signal })).rejects.toBe(why)
    // The next one waits until the first opening is over and undone.
    const stoppedStart = node.start().catch((error: unknown) => error)
    await world.advance(10)
    const stopping = node.stop()
    await world.advance(5_000)
    await stopping
    expect(await stoppedStart).toMatchObject({ code: 'ABORTED' })
    opened()
    await world.advance(0)
    await expect(store.tip()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    expect([node.status().state, world.clock.pendingTimers]).toEqual(['stopped', 0])
    const again = node.start()
    await world.advance(10)
    opened()
    await world.advance(10)
    await again
    expect(node.status().state).toBe('running')
    await stopped(world, node)
  })

  test('a store that fails to close fails the stop, and everything is stopped all the same', async () => {
    const world = new World()
    const store = new MemoryBlockStore()
    const node = createNode({
      ...options(world, '10.0.0.1'),
      chain: { rules: testChainRules(chain), store },
    })
    let isTold = false
    node.on('stopped', () => void (isTold = true))
    await node.start()
    store.close = () => Promise.reject(new Error('EIO'))
    await expect(node.stop()).rejects.toThrow('EIO')
    expect([node.status().state, isTold, world.clock.pendingTimers]).toEqual(['stopped', true, 0])
    await node.stop()
  })

  test('`await using` stops it', async () => {
    const world = new World()
    const a = createNode(options(world, '10.0.0.1', { peers: ['10.0.0.2'] }))
    await a.start()
    const lost: Peer[] = []
    a.on('peerDisconnected', ({ peer }) => void lost.push(peer))
    let inner: ReturnType<typeof createNode> | undefined
    const scope = async (): Promise<void> => {
      await using node = createNode(options(world, '10.0.0.2'))
      inner = node
      await node.start()
      await new Promise<void>((resolve) => world.clock.setTimer(5_000, resolve))
      expect(node.peers()).toHaveLength(1)
    }
    const scoped = scope()
    await world.advance(10_000)
    await scoped
    expect(inner!.status().state).toBe('stopped')
    expect(lost.map(({ ip }) => ip)).toEqual(['10.0.0.2'])
    await stopped(world, a)
  })

  test('start brings up every part that does not run, whichever were started by hand', async () => {
    const world = new World()
    const store = new MemoryBlockStore()
    const node = createNode({
      ...options(world, '10.0.0.1'),
      chain: { rules: testChainRules(chain), store },
    })
    let started = 0
    node.on('started', () => void (started += 1))
    await node.connections.start()
    expect(node.sync.phase.kind).toBe('stopped')
    await node.start()
    expect([node.sync.phase.kind, node.status().state, started]).toEqual(['idle', 'running', 1])
    await node.start()
    expect(started).toBe(1)
    await stopped(world, node)
    await node.sync.start()
    await node.start()
    expect([node.sync.phase.kind, node.status().state, started]).toEqual(['idle', 'running', 2])
    await stopped(world, node)
    expect(world.clock.pendingTimers).toBe(0)
  })

  test('a start that fails stops also what was started by hand', async () => {
    const world = new World()
    const store = new MemoryBlockStore()
    store.open = () => Promise.reject(new Error('EIO'))
    const node = createNode({
      ...options(world, '10.0.0.1'),
      chain: { rules: testChainRules(chain), store },
    })
    await node.connections.start()
    const failed = expect(node.start()).rejects.toThrow('EIO')
    await world.advance(5_000)
    await failed
    expect([node.status().state, node.sync.phase.kind]).toEqual(['stopped', 'stopped'])
    expect(world.clock.pendingTimers).toBe(0)
  })

  test('a start that fails leaves it stopped, and its store closed', async () => {
    const world = new World()
    const first = createNode(options(world, '10.0.0.1'))
    await first.start()
    const store = new MemoryBlockStore()
    const second = createNode({
      ...options(world, '10.0.0.1'),
      chain: { rules: testChainRules(chain), store },
    })
    await expect(second.start()).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
    expect(second.status().state).toBe('stopped')
    await stopped(world, first, second)
    expect(world.clock.pendingTimers).toBe(0)
  })
})

test('what is missing is named at the door', () => {
  const transport = memoryNetwork().transport({ host: '10.0.0.1' })
  const rules = testChainRules(testChain({ length: 1 }))
  const make = createNode as (options?: unknown) => unknown
  for (const [options, text] of [
    [undefined, /options/],
    [{ network: 'x' }, /transport/],
    [{ network: 'x', transport, peers: '10.0.0.2' }, /peers/],
    [{ network: 'x', transport, chain: { rules } }, /store/],
    [{ network: 'x', transport, chain: { store: new MemoryBlockStore() } }, /rules/],
  ] as const) {
    expect(() => make(options)).toThrow(TypeError)
    expect(() => make(options)).toThrow(text)
  }
  const manager = ConnectionManager as unknown as new (options: unknown) => unknown
  expect(() => new manager({ network: 'x', transport })).toThrow(/registry/)
})
