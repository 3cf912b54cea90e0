/**
 * Sync from zero into LevelDB, with an interruption in the middle.
 *
 * Three nodes hold a chain of 20,000 blocks. A fourth one starts with an empty LevelDB folder, is stopped
 * half way, and starts again as a new process would: it goes on where it was, and ends with the same
 * chain, block by block.
 *
 * Run it: npx tsx examples/sync-from-zero.ts
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createNode,
  MemoryBlockStore,
  type BlockStore,
  type Node,
  type SyncCoordinator,
} from 'holdfast'
import { LevelBlockStore } from 'holdfast/level'
import { memoryNetwork } from 'holdfast/memory'
import { testChain, testChainRules } from 'holdfast/testing'

const chain = testChain({ length: 20_000, blockBytes: 500 })
const rules = testChainRules(chain)
const network = memoryNetwork({ latencyMs: [1, 3] })
const sources = ['10.0.0.1', '10.0.0.2', '10.0.0.3']

const nodeAt = (host: string, store: BlockStore, peers: string[] = []): Node<SyncCoordinator> =>
  createNode({
    network: 'sync-from-zero',
    transport: network.transport({ host }),
    peers,
    chain: { rules, store },
    patienceMs: 0,
  })

async function fullNode(host: string): Promise<Node<SyncCoordinator>> {
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(chain.blocks, { expectTip: null })
  const node = nodeAt(host, store)
  await node.start()
  return node
}

/** Syncs into the folder until `height`, and stops. Returns the tip. */
async function syncUntil(location: string, height: number): Promise<number> {
  await using node = nodeAt('10.0.0.9', new LevelBlockStore({ location }), sources)
  await node.start()
  const began = node.sync.tip?.height ?? 0
  const startedMs = performance.now()
  const say = (): void => {
    const { blocksPerSecond, peers, etaMs = 0 } = node.sync.progress
    const rate = Math.round(blocksPerSecond).toLocaleString('en')
    console.log(
      `  height ${node.sync.tip?.height}, ${rate} blocks/s from ${peers.connected} peers, ` +
        `${(etaMs / 1_000).toFixed(1)} s to go`,
    )
  }
  const saying = setInterval(say, 500)
  try {
    await node.sync.waitForHeight(height, { signal: AbortSignal.timeout(60_000) })
  } finally {
    clearInterval(saying)
  }
  const reached = node.sync.tip?.height ?? 0
  const seconds = (performance.now() - startedMs) / 1_000
  console.log(`From height ${began} to ${reached} in ${seconds.toFixed(1)} s.`)
  return reached
}

const location = await mkdtemp(join(tmpdir(), 'holdfast-sync-'))
const full = await Promise.all(sources.map(fullNode))
try {
  const halfWay = await syncUntil(location, 10_000)
  console.log('Stopped, and started again.')
  const end = await syncUntil(location, chain.tip.height)
  assert(halfWay <= end)
  assert.equal(end, chain.tip.height)

  const store = new LevelBlockStore({ location, verify: 'all' })
  await store.open()
  try {
    assert.deepEqual(store.repairs, [])
    for (const { height, hash } of chain.blocks) assert.equal(await store.hashAt(height), hash)
  } finally {
    await store.close()
  }
  console.log(`All ${chain.blocks.length} hashes in LevelDB are those of the source.`)
} finally {
  await Promise.all(full.map((node) => node.stop()))
  await rm(location, { recursive: true })
}
