import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tcpTransport } from '../../src/adapters/tcp.js'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { BlockRef } from '../../src/contracts/block-store.js'
import { createNode, type Node } from '../../src/node.js'
import type { TestChain } from '../../src/testing/test-chain.js'
import {
  chainOfKills,
  diskStore,
  killNetwork,
  rulesOfKills,
  type DiskStoreKind,
} from './kill-world.js'
import { plainJavaScript } from './plain-javascript.js'
import { letFinish, type Killer, type Said } from './process-killers.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const syncingProgram = fileURLToPath(new URL('sync-until-killed.ts', import.meta.url))

const chainLength = 4_000
/** The second chain leaves the first one here, so that it takes a replace of so many blocks. */
const forkHeight = chainLength - 400

export interface KillFigures {
  readonly kills: number
  /** Stores that went from nothing to the tip of the second chain. */
  readonly stores: number
  readonly confirmedWrites: number
  /** Kills that found a write under way: tried and not confirmed. */
  readonly inWrites: number
  /** Of these, those after which the write was there all the same. */
  readonly foundWritten: number
  readonly inOpenings: number
  /** Torn ends that were cut off. */
  readonly repairs: number
}

/**
 * Kills a process that syncs over loopback into a store on the disk, until there were `kills` kills. Throws unless each time the store opens with a whole chain, whose every block is the
 * source's, up to the write that was confirmed last or the one that was being tried; and unless each
 * sync ends at the tip.
 */
export async function killWhileSyncing(
  kind: DiskStoreKind,
  killer: Killer,
  kills: number,
  seed: number,
): Promise<KillFigures> {
  const work = await mkdtemp(join(tmpdir(), 'holdfast-kills-'))
  // Beside the packages that the program imports.
  const programs = await mkdtemp(join(root, 'node_modules', '.store-kills-'))
  const figures = {
    kills: 0,
    stores: 0,
    confirmedWrites: 0,
    inWrites: 0,
    foundWritten: 0,
    inOpenings: 0,
    repairs: 0,
  }
  try {
    const program = await plainJavaScript(syncingProgram, programs)
    while (figures.kills < kills) {
      const chainSeed = seed * 1_000_000 + figures.stores
      const first = chainOfKills(chainSeed, chainLength)
      const second = first.fork(forkHeight, chainLength - forkHeight + 200, chainSeed + 500_000)
      const location = join(work, `store-${figures.stores}`)
      let state: BlockRef | null = null
      for (const chain of [first, second]) {
        const source = await serve(chain, chainSeed)
        try {
          for (let isSynced = false; !isSynced;) {
            const next = figures.kills < kills ? killer : letFinish
            const port = source.connections.endpoints[0]?.port
            const args = [kind, location, '127.0.0.2', port, chain.blocks.length, chainSeed]
            const said = await next.kill([program, ...args.map(String)], location)
            isSynced = said.includes('synced')
            const after = await check(kind, location, [chain, first], state, said)
            state = after.tip
            count(figures, said, after)
            if (!isSynced) figures.kills++
            if (isSynced) assert.deepEqual(state, chain.tip, 'the sync ended at the tip')
          }
        } finally {
          await source.stop()
        }
      }
      figures.stores++
      await rm(location, { recursive: true })
    }
  } finally {
    await rm(work, { recursive: true })
    await rm(programs, { recursive: true })
  }
  return figures
}

async function serve(chain: TestChain, chainSeed: number): Promise<Node> {
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(chain.blocks, { expectTip: null })
  const node = createNode({
    network: killNetwork,
    transport: tcpTransport({ host: '127.0.0.2', port: 0 }),
    chain: { rules: rulesOfKills(chainSeed), store },
  })
  await node.start()
  return node
}

interface Found {
  readonly tip: BlockRef | null
  readonly torn: number
}

/** Opens what the killed process left, and looks at all of it. */
async function check(
  kind: DiskStoreKind,
  location: string,
  chains: readonly TestChain[],
  before: BlockRef | null,
  said: Said,
): Promise<Found> {
  const store = diskStore(kind, location, 'all')
  await store.open()
  try {
    const kinds = store.repairs.map((repair) => repair.kind)
    const tip = await store.tip()
    const confirmed = lastRef(said, 'done') ?? before
    // A kill in the first write may find the blocks there and their index not yet.
    const expected = ['torn-write-removed', ...(confirmed === null ? ['index-rebuilt'] : [])]
    for (const kind of kinds) assert.ok(expected.includes(kind), `after a kill: ${kind}`)
    const possible = [confirmed, lastRef(said, 'try') ?? confirmed]
    assert.ok(
      possible.some((ref) => ref?.height === tip?.height && ref?.hash === tip?.hash),
      `the tip is ${tip?.height}, confirmed was ${confirmed?.height}, tried ${possible[1]?.height}`,
    )
    if (tip !== null) {
      const chain = chains.find(({ blocks }) => blocks[tip.height]?.hash === tip.hash)
      assert.ok(chain !== undefined, 'the tip is one of the chains that were served')
      assert.equal((await store.base())?.height, 0)
      for (let from = 0; from <= tip.height;) {
        const blocks = await store.range(from, { limit: 500, maxBytes: 1e9 })
        assert.ok(blocks.length > 0, `nothing at height ${from}, below the tip`)
        // The whole of each block: height, hash, link and payload.
        assert.deepEqual(blocks, chain.blocks.slice(from, from + blocks.length))
        from += blocks.length
      }
      assert.equal(await store.get(tip.height + 1), undefined, 'nothing above the tip')
    }
    return { tip, torn: kinds.filter((kind) => kind === 'torn-write-removed').length }
  } finally {
    await store.close()
  }
}

function count(
  figures: { -readonly [Name in keyof KillFigures]: KillFigures[Name] },
  said: Said,
  { tip, torn }: Found,
): void {
  figures.confirmedWrites += said.filter((line) => line.startsWith('done')).length
  figures.repairs += torn
  if (said.length <= 1) figures.inOpenings++
  if (said.at(-1)?.startsWith('try') !== true) return
  figures.inWrites++
  if (lastRef(said, 'try')?.hash === tip?.hash) figures.foundWritten++
}

function lastRef(said: Said, what: 'try' | 'done'): BlockRef | undefined {
  const [, height, hash] = said.findLast((line) => line.startsWith(what))?.split(' ') ?? []
  return hash === undefined ? undefined : { height: Number(height), hash }
}
