import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { BlockStore } from '../../src/contracts/block-store.js'
import { createNode } from '../../src/node.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { testChain, testChainRules } from '../../src/testing/test-chain.js'
import { World } from '../support/simulated-node.js'

const chain = testChain({ length: 1_000, blockBytes: 4_000 })
const windowBytes = 512 * 1024
const spanMaxBytes = 2 * 1024 * 1024

type Append = BlockStore['append']

interface Scene {
  readonly world: World
  readonly fresh: ReturnType<typeof createNode>
  readonly store: MemoryBlockStore
  readonly stop: () => Promise<void>
  /** What would speak of a connection that suffered: none of it may happen. */
  readonly complaints: unknown[]
  readonly pongs: () => number
}

/** A node with nothing that syncs from a full one through `append`, and both ends ping every 5 s. */
async function scene(append: (store: Append, world: World) => Append): Promise<Scene> {
  const world = new World()
  const full = new MemoryBlockStore()
  await full.open()
  await full.append(chain.blocks, { expectTip: null })
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(chain.blocks.slice(0, 1), { expectTip: null })
  store.append = append(store.append.bind(store), world)
  const nodes = [full, store].map((held, index) =>
    createNode({
      network: 'test',
      transport: world.network.transport({ host: `10.0.0.${index + 1}` }),
      clock: world.clock,
      random: new SeededRandom(index),
      peers: index === 0 ? [] : ['10.0.0.1'],
      pingIntervalMs: 5_000,
      pongTimeoutMs: 2_000,
      chain: { rules: testChainRules(chain), store: held, windowBytes },
    }),
  )
  const complaints: unknown[] = []
  let pongs = 0
  for (const node of nodes) {
    node.connections.on('peerDisconnected', (event) => void complaints.push(event))
    node.pings.on('pongMissed', (event) => void complaints.push(event))
    node.pings.on('ponged', () => void (pongs += 1))
    node.sync.on('peerFaulted', (event) => void complaints.push(event))
  }
  await Promise.all(nodes.map((node) => node.start()))
  const [, fresh] = nodes
  if (fresh === undefined) throw new Error('two nodes were made')
  const stop = async (): Promise<void> => {
    complaints.length = 0
    const stopping = Promise.all(nodes.map((node) => node.stop()))
    await world.advance(10_000)
    await stopping
  }
  return { world, fresh, store, stop, complaints, pongs: () => pongs }
}

describe('a store', () => {
  test('whose disk is full for 60 s pauses sync, and nothing else suffers (F104)', async () => {
    const { world, fresh, complaints, pongs, stop } = await scene(
      (append, { clock }) =>
        (blocks, options) =>
          clock.now() > 100 && clock.now() < 60_100
            ? Promise.reject(Object.assign(new Error('no space left'), { code: 'ENOSPC' }))
            : append(blocks, options),
    )
    await world.advance(60_000)
    expect(fresh.sync?.phase).toMatchObject({ kind: 'paused', error: { code: 'ENOSPC' } })
    const before = fresh.sync?.tip?.height ?? -1
    expect(before).toBeLessThan(chain.tip.height)
    // Twelve pings a minute and end, of which the first comes anywhere in its interval.
    expect(pongs()).toBeGreaterThanOrEqual(22)
    // The longest wait between two tries is 30 s.
    await world.advance(40_000)
    expect(fresh.sync?.tip).toEqual(chain.tip)
    expect(complaints).toEqual([])
    await stop()
  })

  test('that takes 2 s for each append is waited for (F105)', async () => {
    let calls = 0
    let isBusy = false
    const { world, fresh, complaints, stop } = await scene((append, { clock }) => {
      return async (blocks, options) => {
        expect(isBusy).toBe(false)
        isBusy = true
        calls += 1
        await new Promise<void>((resolve) => void clock.setTimer(2_000, resolve))
        isBusy = false
        return append(blocks, options)
      }
    })
    await world.advance(30_000)
    expect(fresh.sync?.tip).toEqual(chain.tip)
    expect(fresh.sync?.phase).toEqual({ kind: 'synced' })
    expect(calls).toBeLessThanOrEqual(15)
    expect(complaints).toEqual([])
    await stop()
  })

  test('that never answers is reported, asked once, and holds neither pings nor the end (F105)', async () => {
    let calls = 0
    const { world, fresh, complaints, pongs, stop } = await scene(() => () => {
      calls += 1
      return new Promise(() => {})
    })
    await world.advance(30_000)
    expect(fresh.sync?.phase).toEqual({ kind: 'stalled', reason: 'store-slow' })
    await world.advance(300_000)
    expect(calls).toBe(1)
    const usedBytes = fresh.sync?.progress.window.usedBytes ?? Infinity
    expect(usedBytes).toBeGreaterThan(windowBytes / 2)
    expect(usedBytes).toBeLessThanOrEqual(windowBytes + spanMaxBytes)
    expect(fresh.sync?.progress.requestsInFlight).toBe(0)
    expect(pongs()).toBeGreaterThanOrEqual(2 * 64)
    expect(complaints).toEqual([])
    await stop()
    expect(fresh.sync?.phase).toEqual({ kind: 'stopped' })
  })
})
