import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { BlockStore } from '../../src/contracts/block-store.js'
import type { ChainRules } from '../../src/contracts/chain-rules.js'
import type { Connection, Transport } from '../../src/contracts/transport.js'
import { createNode, type NodeOptions } from '../../src/node.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { testChain, testChainRules, type TestChain } from '../../src/testing/test-chain.js'
import { establish, World } from '../support/simulated-node.js'

const minuteMs = 60_000
const mebibyte = 2 ** 20
const chain = testChain({ length: 500 })

test('one stuck send delays no other peer (F54)', async () => {
  const world = new World({ latencyMs: 5 })
  let isStuck = false
  const stuck = (connection: Connection): Connection => {
    if (connection.remote.host !== '10.0.0.9') return connection
    const write = connection.write.bind(connection)
    let swallowed = 0
    return Object.create(connection, {
      bufferedBytes: { get: () => swallowed },
      open: { value: connection.open.bind(connection) },
      pause: { value: connection.pause.bind(connection) },
      resume: { value: connection.resume.bind(connection) },
      close: { value: () => undefined },
      destroy: { value: connection.destroy.bind(connection) },
      write: {
        value: (chunks: readonly Uint8Array[]) => {
          if (!isStuck) return write(chunks)
          swallowed += chunks.reduce((sum, { length }) => sum + length, 0)
          return false
        },
      },
      remote: { value: connection.remote },
      local: { value: connection.local },
    }) as Connection
  }
  const node = await world.running('10.0.0.1', {
    wrapTransport: (transport): Transport => ({
      name: transport.name,
      defaultPort: transport.defaultPort,
      dial: async (address, options) => stuck(await transport.dial(address, options)),
      listen: (onConnection) =>
        transport.listen!((connection) => {
          onConnection(stuck(connection))
        }),
    }),
  })
  for (const host of ['10.0.0.7', '10.0.0.8', '10.0.0.9']) {
    const other = await world.running(host)
    other.connections.handle('echo', (bytes) => bytes)
  }
  for (const host of ['10.0.0.8', '10.0.0.9']) void node.connections.connect(host)
  await world.advance(200)
  const quick = node.connections.peer('10.0.0.8')!
  const blocked = node.connections.peer('10.0.0.9')!
  isStuck = true
  blocked.send('bulk', new Uint8Array(5 * mebibyte))
  for (let round = 0; round < 20; round += 1) {
    expect(node.connections.broadcast('news', new Uint8Array(10))).toBeGreaterThanOrEqual(1)
    const sentAtMs = world.clock.now()
    const ponged = node.pings.ping(quick)
    const answered = quick
      .request('echo', Uint8Array.of(round))
      .then(() => world.clock.now() - sentAtMs)
    await world.advance(1_000)
    expect([await ponged, await answered]).toEqual([10, 10])
  }
  // A dial, and its close, take as long as ever.
  const dialledAtMs = world.clock.now()
  const dialled = node.connections.connect('10.0.0.7').then(() => world.clock.now() - dialledAtMs)
  await world.advance(1_000)
  expect(await dialled).toBeLessThan(100)
  node.connections.disconnect('10.0.0.7')
  await world.advance(100)
  expect(node.connections.peer('10.0.0.7')).toBeUndefined()
  // The stuck one ends, and only that one.
  await world.advance(3 * minuteMs)
  expect(node.disconnected.map(({ peer, reason }) => [peer.ip, reason.kind])).toEqual([
    ['10.0.0.7', 'disconnected'],
    ['10.0.0.9', expect.stringMatching(/^(slow|ping-timeout)$/) as string],
  ])
  expect(quick.isConnected).toBe(true)
})

/** A promise that never settles. */
const never = <Value>(): Promise<Value> => new Promise<Value>(() => undefined)
const fail = (): never => {
  throw new Error('the collaborator failed')
}

/** What fails, in the type of nothing, so that it can stand for anything. */
type Act = () => never

const troubles: readonly { readonly trouble: string; readonly act: Act }[] = [
  { trouble: 'never settles', act: never as unknown as Act },
  { trouble: 'throws', act: fail },
  { trouble: 'rejects', act: (() => Promise.reject(new Error('failed'))) as unknown as Act },
]

/** Who may fail, and whether this node's own sync can go on without it. */
const collaborators: Readonly<
  Record<
    string,
    {
      readonly syncs: boolean
      readonly options?: (act: Act) => Partial<NodeOptions>
      readonly store?: (store: BlockStore, act: Act) => void
      /** Only after the node has started. */
      readonly laterStore?: (store: BlockStore, act: Act) => void
      readonly rules?: (act: Act) => Partial<ChainRules>
      readonly user?: (node: ReturnType<typeof nodeOf>, act: Act) => void
    }
  >
> = {
  'the dial of one host': { syncs: true },
  'the resolver': { syncs: true },
  'the peer store': {
    syncs: true,
    options: (act) => ({
      peerStore: { load: () => Promise.resolve({ snapshot: undefined }), save: act },
    }),
  },
  'the authorization of one peer': {
    syncs: true,
    options: (act) => ({ authorize: (_hello, { ip }) => ip !== '10.0.0.65' || act() }),
  },
  'the store where it serves': {
    syncs: true,
    store: (store, act) => {
      store.range = act
    },
  },
  'the store where it looks back': {
    syncs: true,
    laterStore: (store, act) => {
      store.hashAt = act
      store.get = act
    },
  },
  'the store where it writes': {
    syncs: false,
    store: (store, act) => {
      store.append = act
    },
  },
  'the validation of the user': {
    syncs: false,
    rules: (act) => ({ validate: act }),
  },
  'a listener': {
    syncs: true,
    user: (node, act) => {
      node.connections.on('peerConnected', act)
      node.connections.on('peerDisconnected', act)
      node.pings.on('ponged', act)
      node.sync.on('blocksAppended', act)
    },
  },
  'a handler': {
    syncs: true,
    user: (node, act) => {
      node.connections.handle('ask', act)
    },
  },
  'a service': {
    syncs: true,
    user: (node, act) => {
      node.connections.serve({
        peerConnected: act,
        peerMessage: act,
        peerDisconnected: act,
      })
    },
  },
}

function nodeOf(
  world: World,
  host: string,
  store: BlockStore,
  options: Partial<NodeOptions> & { readonly rules?: ChainRules } = {},
) {
  const { rules = testChainRules(chain), ...rest } = options
  const node = createNode({
    network: 'test',
    transport: world.network.transport({ host }),
    clock: world.clock,
    random: new SeededRandom(host.length + Number(host.at(-1))),
    ...rest,
    chain: { rules, store, stopTimeoutMs: 1_000 },
  })
  node.connections.on('listenerError', () => undefined)
  node.pings.on('listenerError', () => undefined)
  node.sync.on('listenerError', () => undefined)
  return node
}

async function filled(blocks: TestChain['blocks']): Promise<MemoryBlockStore> {
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(blocks, { expectTip: null })
  return store
}

describe.each(Object.keys(collaborators))('no scheduler waits for %s', (name) => {
  test.each(troubles)('that $trouble (F55)', async ({ act }) => {
    const collaborator = collaborators[name]!
    const world = new World({ latencyMs: 5 })
    const store = await filled(chain.blocks.slice(0, 10))
    collaborator.store?.(store, act)
    const inner = world.network.transport({ host: '10.0.0.1' })
    const transport: Transport = {
      name: inner.name,
      defaultPort: inner.defaultPort,
      listen: inner.listen!.bind(inner),
      dial: (address, dialOptions) =>
        name.startsWith('the dial') && address.host === '10.0.0.66'
          ? act()
          : inner.dial(address, dialOptions),
      resolve: name === 'the resolver' ? act : inner.resolve.bind(inner),
    }
    const names = name === 'the resolver' ? ['seed.example'] : []
    const node = nodeOf(world, '10.0.0.1', store, {
      ...collaborator.options?.(act),
      transport,
      rules: { ...testChainRules(chain), ...collaborator.rules?.(act) },
      peers: ['10.0.0.66', '10.0.0.7', ...names],
    })
    collaborator.user?.(node, act)
    await node.start()
    collaborator.laterStore?.(store, act)
    world.raw('10.0.0.65', { listen: false }).dial('10.0.0.1').hello()
    const full = nodeOf(world, '10.0.0.7', await filled(chain.blocks))
    const hungry = nodeOf(world, '10.0.0.8', new MemoryBlockStore())
    await Promise.all([full.start(), hungry.start()])
    void hungry.connections.connect('10.0.0.1')
    await world.advance(1_000)
    for (const { connections } of [full, hungry]) {
      connections
        .peer('10.0.0.1')
        ?.request('ask', new Uint8Array(1))
        .catch(() => undefined)
    }
    await world.advance(10 * minuteMs)
    // Pings of the last minute went both ways.
    const peer = node.connections.peer('10.0.0.7')!
    const before = node.pings.statsOf(peer)!.pongsReceived
    await world.advance(minuteMs)
    expect(node.pings.statsOf(peer)!.pongsReceived).toBeGreaterThan(before)
    expect(node.pings.statsOf(peer)!.missed).toBe(0)
    // Dials for others happen, and sync from others where it can.
    const late = nodeOf(world, '10.0.0.9', new MemoryBlockStore())
    await late.start()
    node.connections.keep('10.0.0.9')
    await world.advance(10_000)
    expect(
      node
        .peers()
        .map(({ ip }) => ip)
        .sort(),
    ).toEqual(['10.0.0.7', '10.0.0.8', '10.0.0.9'])
    if (collaborator.syncs) expect(node.sync.tip).toEqual(chain.tip)
    else expect(node.sync.tip?.height).toBe(chain.blocks[9]!.height)
  })
})

test('a peer that does not read costs bounded memory, then its connection (F56)', async () => {
  const world = new World({ latencyMs: 5, maxInFlightBytes: mebibyte })
  const node = await world.running('10.0.0.1')
  const deaf = await establish('inbound', node, world, '10.0.0.9')
  const reader = await world.running('10.0.0.8')
  let readBytes = 0
  reader.connections.handle('bulk', (bytes) => void (readBytes += bytes.length))
  void node.connections.connect('10.0.0.8')
  await world.advance(200)
  deaf.pause()
  const deafPeer = node.connections.peer('10.0.0.9')!
  // One buffer, a thousand times: a gigabyte that nobody holds.
  const bulk = new Uint8Array(mebibyte)
  const heldBefore = process.memoryUsage().arrayBuffers
  let mostHeld = 0
  let mostQueued = 0
  for (let round = 0; round < 1_000; round += 1) {
    node.connections.broadcast('bulk', bulk)
    mostQueued = Math.max(mostQueued, deafPeer.queuedBytes)
    await world.advance(50)
    // What is sent now is read now: the deaf peer costs the other nothing.
    expect(readBytes).toBe((round + 1) * mebibyte)
    mostHeld = Math.max(mostHeld, process.memoryUsage().arrayBuffers - heldBefore)
  }
  expect(mostQueued).toBeLessThanOrEqual(16 * mebibyte)
  expect(mostQueued).toBeGreaterThan(8 * mebibyte)
  expect(mostHeld).toBeLessThan(256 * mebibyte)
  expect(node.disconnected.map(({ peer, reason }) => [peer.ip, reason.kind])).toEqual([
    ['10.0.0.9', 'slow'],
  ])
})

test('a client that asks for 1,000 ranges and reads none harms nobody (F58)', async () => {
  const big = testChain({ length: 1_000, blockBytes: 10_000 })
  const syncMs = async (withClient: boolean): Promise<number> => {
    const world = new World({ latencyMs: 5, maxInFlightBytes: 64 * 1024 })
    const node = nodeOf(world, '10.0.0.1', await filled(big.blocks), {
      rules: testChainRules(big),
    })
    await node.start()
    const raw = world.raw('10.0.0.9').dial('10.0.0.1').shakeHands({ decides: false })
    await world.advance(100)
    raw.pause()
    for (let id = 0; withClient && id < 1_000; id += 1) {
      raw.send({
        kind: 'getBlocks',
        id,
        from: 0,
        count: 1_000,
        maxBytes: 10_000_000,
      })
    }
    await world.advance(100)
    const others = ['10.0.0.7', '10.0.0.8'].map((host) =>
      nodeOf(world, host, new MemoryBlockStore(), {
        rules: testChainRules(big),
      }),
    )
    const startedAtMs = world.clock.now()
    await Promise.all(others.map((other) => other.start()))
    for (const other of others) void other.connections.connect('10.0.0.1')
    let mostQueued = 0
    while (others.some(({ sync }) => sync.tip?.hash !== big.tip.hash)) {
      await world.advance(10)
      mostQueued = Math.max(mostQueued, node.connections.peer('10.0.0.9')?.queuedBytes ?? 0)
      expect(world.clock.now()).toBeLessThan(startedAtMs + minuteMs)
    }
    const tookMs = world.clock.now() - startedAtMs
    if (withClient) {
      // Four are worked on, with a chunk each above the bound; the others are told so.
      expect(mostQueued).toBeLessThan(mebibyte + 5 * 256 * 1024 + 64 * 1024)
      expect(node.connections.peer('10.0.0.9')?.isConnected).toBe(true)
      raw.resume()
      await world.advance(minuteMs)
      expect(raw.all('busy')).toHaveLength(996)
    }
    return tookMs
  }
  const alone = await syncMs(false)
  expect(await syncMs(true)).toBeLessThanOrEqual(alone * 1.05)
})

test('no loop retries without a delay (F60)', async () => {
  const world = new World({ latencyMs: 0 })
  const calls = new Map<string, number>()
  const failing = (name: string) => (): Promise<never> => {
    calls.set(name, (calls.get(name) ?? 0) + 1)
    return Promise.reject(new Error(`${name} fails at once`))
  }
  const store = await filled(chain.blocks.slice(0, 10))
  store.append = failing('append')
  store.replace = failing('replace')
  store.range = failing('range')
  const inner = world.network.transport({ host: '10.0.0.1' })
  const node = nodeOf(world, '10.0.0.1', store, {
    transport: {
      name: inner.name,
      defaultPort: inner.defaultPort,
      listen: inner.listen!.bind(inner),
      dial: failing('dial'),
      resolve: failing('resolve'),
    },
    peerStore: { load: failing('load'), save: failing('save') },
    authorize: (_hello, { ip }) => (ip === '10.0.0.65' ? failing('authorize')() : true),
    rules: {
      ...testChainRules(chain),
      validate: failing('validate'),
    },
    peers: ['10.0.0.66', '10.0.0.67', 'seed.example'],
  })
  await node.start()
  store.hashAt = failing('hashAt')
  store.get = failing('get')
  world.raw('10.0.0.65', { listen: false }).dial('10.0.0.1').hello()
  const everCalled = new Set<string>()
  const full = nodeOf(world, '10.0.0.7', await filled(chain.blocks), {
    peers: ['10.0.0.1'],
  })
  const hungry = nodeOf(world, '10.0.0.8', new MemoryBlockStore(), {
    peers: ['10.0.0.1'],
  })
  await Promise.all([full.start(), hungry.start()])
  for (let second = 0; second < 120; second += 1) {
    calls.clear()
    const before = node.peers().reduce((sum, { bytesSent }) => sum + bytesSent, 0)
    await world.advance(1_000)
    for (const [name, count] of calls) {
      everCalled.add(name)
      expect([name, count <= 8]).toEqual([name, true])
    }
    const sent = node.peers().reduce((sum, { bytesSent }) => sum + bytesSent, 0) - before
    if (second > 2) expect(sent).toBeLessThan(10_000)
  }
  expect(node.peers()).toHaveLength(2)
  for (const name of ['dial', 'resolve', 'load', 'authorize', 'validate', 'range']) {
    expect(everCalled).toContain(name)
  }
})

test('a service that fails in its promise is reported, and ends neither process nor connection', async () => {
  const world = new World()
  const node = await world.running('10.0.0.1')
  const service = {
    peerMessage: (): Promise<never> => Promise.reject(new Error('later')),
  }
  node.connections.serve(service)
  const raw = await establish('inbound', node, world)
  raw.send({ kind: 'status', chainId: 'c', base: 0, tip: null })
  await world.advance(1_000)
  expect(node.bugs).toMatchObject([{ message: 'later' }])
  expect(node.connections.peers()).toHaveLength(1)
})
