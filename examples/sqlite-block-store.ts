/**
 * A block store of one's own, in SQLite.
 *
 * One table, a row for each block. Every write is one transaction, so that a crash leaves the chain of
 * before or of after; the rest of the contract is compare and swap on the tip. The library's `blockStoreChecks` are the rules that need no disk, and `blockStoreSuite` checks
 * the whole: first it runs here, then a node syncs a chain into the file, twice, and goes on where it was.
 *
 * It uses node-sqlite3-wasm, which needs no compiler; any other binding will do.
 *
 * Run it: npx tsx examples/sqlite-block-store.ts
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  blockStoreChecks,
  createNode,
  HoldfastError,
  MemoryBlockStore,
  type Block,
  type BlockRef,
  type BlockStore,
  type RangeLimits,
} from 'holdfast'
import { memoryNetwork } from 'holdfast/memory'
import { blockStoreSuite, testChain, testChainRules } from 'holdfast/testing'
import sqlite, { type Database } from 'node-sqlite3-wasm'

type Expectation = { readonly expectTip: BlockRef | null }
type Row = {
  readonly height: number
  readonly hash: string
  readonly previous: string
  readonly payload: Uint8Array
}

const schema = `
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS blocks (
    height INTEGER PRIMARY KEY, hash TEXT NOT NULL, previous TEXT NOT NULL, payload BLOB NOT NULL
  );`

class SqliteBlockStore implements BlockStore {
  readonly #path: string
  #open: Database | undefined

  constructor(path: string) {
    this.#path = path
  }

  async open(): Promise<void> {
    if (this.#open !== undefined) return
    const database = new sqlite.Database(this.#path)
    try {
      // SQLite takes back what a crash left half done when it reads the file for the first time.
      database.exec(schema)
    } catch (cause) {
      database.close()
      throw openingError(this.#path, cause)
    }
    this.#open = database
  }

  async close(): Promise<void> {
    // Every call below is synchronous: there is never a write to wait for.
    this.#open?.close()
    this.#open = undefined
  }

  async tip(): Promise<BlockRef | null> {
    return this.#ref('ORDER BY height DESC LIMIT 1')
  }

  async base(): Promise<BlockRef | null> {
    return this.#ref('ORDER BY height LIMIT 1')
  }

  async get(height: number): Promise<Block | undefined> {
    blockStoreChecks.requireHeight(height)
    const row = this.#database().get('SELECT * FROM blocks WHERE height = ?', height)
    return row === null ? undefined : blockOf(row as Row)
  }

  async hashAt(height: number): Promise<string | undefined> {
    blockStoreChecks.requireHeight(height)
    return this.#hashAt(height)
  }

  async range(from: number, limits: RangeLimits): Promise<Block[]> {
    blockStoreChecks.requireHeight(from, 'from')
    blockStoreChecks.requireRangeLimits(limits)
    // Rows one at a time: the limit of bytes is met before more is read.
    const statement = this.#database().prepare(
      'SELECT * FROM blocks WHERE height >= ? ORDER BY height',
    )
    const run: Block[] = []
    let bytes = 0
    try {
      for (const row of statement.iterate(from)) {
        const block = blockOf(row as Row)
        bytes += block.payload.length
        const isBeyond = run.length > 0 && bytes > limits.maxBytes
        if (block.height !== from + run.length || isBeyond) break
        run.push(block)
        if (run.length === limits.limit) break
      }
    } finally {
      statement.finalize()
    }
    return run
  }

  async append(blocks: readonly Block[], { expectTip }: Expectation): Promise<BlockRef | null> {
    return this.#write(expectTip, blocks, expectTip)
  }

  async replace(
    ancestor: BlockRef | null,
    blocks: readonly Block[],
    { expectTip }: Expectation,
  ): Promise<BlockRef | null> {
    return this.#write(ancestor, blocks, expectTip)
  }

  #write(
    ancestor: BlockRef | null,
    blocks: readonly Block[],
    expectTip: BlockRef | null,
  ): BlockRef | null {
    const database = this.#database()
    blockStoreChecks.requireRun(blocks)
    database.exec('BEGIN IMMEDIATE')
    try {
      blockStoreChecks.requireTip(this.#ref('ORDER BY height DESC LIMIT 1'), expectTip)
      if (ancestor !== null) {
        blockStoreChecks.requireAncestor(ancestor, this.#hashAt(ancestor.height))
      }
      blockStoreChecks.requireLink(ancestor, blocks[0])
      database.run('DELETE FROM blocks WHERE height > ?', ancestor?.height ?? -1)
      const insert = database.prepare('INSERT INTO blocks VALUES (?, ?, ?, ?)')
      try {
        for (const { height, hash, previousHash, payload } of blocks) {
          insert.run([height, textOf(hash), textOf(previousHash), payload])
        }
      } finally {
        insert.finalize()
      }
      const tip = this.#ref('ORDER BY height DESC LIMIT 1')
      database.exec('COMMIT')
      return tip
    } catch (error) {
      if (database.inTransaction) database.exec('ROLLBACK')
      throw error
    }
  }

  #hashAt(height: number): string | undefined {
    const row = this.#database().get('SELECT hash FROM blocks WHERE height = ?', height)
    return row === null ? undefined : nameOf((row as Row).hash)
  }

  #ref(order: string): BlockRef | null {
    const row = this.#database().get(`SELECT height, hash FROM blocks ${order}`)
    if (row === null) return null
    const { height, hash } = row as Row
    return { height, hash: nameOf(hash) }
  }

  #database(): Database {
    if (this.#open === undefined)
      throw new HoldfastError('STORE_CLOSED', `${this.#path} is not open`)
    return this.#open
  }
}

const blockOf = ({ height, hash, previous, payload }: Row): Block => ({
  height,
  hash: nameOf(hash),
  previousHash: nameOf(previous),
  payload,
})

/** A hash may be any string, and this binding ends a text at its first zero: the suite found that. */
const textOf = (hash: string): string => JSON.stringify(hash)
const nameOf = (text: string): string => JSON.parse(text) as string

function openingError(path: string, cause: unknown): unknown {
  const text = String(cause)
  if (text.includes('locked')) {
    return new HoldfastError('STORE_LOCKED', `${path} is open elsewhere`, { cause })
  }
  if (text.includes('not a database') || text.includes('malformed')) {
    return new HoldfastError('STORE_CORRUPT', `${path} holds no chain`, { cause })
  }
  return cause
}

/** The suite, by the smallest test runner there is. */
async function runSuite(directory: string): Promise<number> {
  const tests: { name: string; body: () => Promise<void> | void }[] = []
  blockStoreSuite({
    test: (name, body) => tests.push({ name, body }),
    factory: () => {
      const path = join(directory, `suite-${Math.random()}.db`)
      return { store: new SqliteBlockStore(path), reopen: () => new SqliteBlockStore(path) }
    },
  })
  for (const { name, body } of tests) {
    try {
      await body()
    } catch (cause) {
      throw new Error(`blockStoreSuite: ${name}`, { cause })
    }
  }
  return tests.length
}

const directory = await mkdtemp(join(tmpdir(), 'holdfast-sqlite-'))
try {
  console.log(`blockStoreSuite: ${await runSuite(directory)} tests passed`)

  const chain = testChain({ length: 2_000 })
  const rules = testChainRules(chain)
  const network = memoryNetwork()
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(chain.blocks, { expectTip: null })
  await using source = createNode({
    network: 'sqlite',
    transport: network.transport({ host: '10.0.0.1' }),
    chain: { rules, store },
  })
  await source.start()
  for (const until of [1_000, chain.tip.height]) {
    await using node = createNode({
      network: 'sqlite',
      transport: network.transport({ host: '10.0.0.2' }),
      peers: ['10.0.0.1'],
      chain: { rules, store: new SqliteBlockStore(join(directory, 'chain.db')) },
      patienceMs: 0,
    })
    await node.start()
    const began = node.sync.tip?.height
    await node.sync.waitForHeight(until, { signal: AbortSignal.timeout(60_000) })
    console.log(`A node began at height ${began}, and stopped at height ${node.sync.tip?.height}`)
  }
  const stored = new SqliteBlockStore(join(directory, 'chain.db'))
  await stored.open()
  assert.deepEqual(await stored.tip(), chain.tip)
  assert.deepEqual(
    Buffer.from((await stored.get(1_234))!.payload),
    Buffer.from(chain.at(1_234).payload),
  )
  await stored.close()
} finally {
  await rm(directory, { recursive: true })
}
