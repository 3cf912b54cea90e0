/**
 * A block store of one's own: the whole chain in one JSON file that is replaced in one step.
 *
 * It is meant for chains of a few thousand small blocks, and to show what the contract asks of a store:
 * compare and swap on the tip, all or nothing, whole after a crash. `blockStoreSuite` checks all of it;
 * then a node syncs a chain into the file, and a second run of the same node finds it there.
 *
 * Run it: npx tsx examples/own-block-store.ts
 */
import { mkdtemp, open, readFile, rename, rm } from 'node:fs/promises'
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

type Expectation = { readonly expectTip: BlockRef | null }

class JsonFileBlockStore implements BlockStore {
  readonly #path: string
  #blocks: readonly Block[] | undefined
  /** Writes run one after the other. */
  #writing: Promise<unknown> = Promise.resolve()

  constructor(path: string) {
    this.#path = path
  }

  async open(): Promise<void> {
    if (this.#blocks !== undefined) return
    // A crash leaves the old file or the new one: rename is atomic. A torn temporary file is passed over.
    const text = await readFile(this.#path, 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '[]'
      throw error
    })
    this.#blocks = parse(text, this.#path)
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => undefined)
    this.#blocks = undefined
  }

  async tip(): Promise<BlockRef | null> {
    return refOf(this.#chain().at(-1))
  }

  async base(): Promise<BlockRef | null> {
    return refOf(this.#chain()[0])
  }

  async get(height: number): Promise<Block | undefined> {
    blockStoreChecks.requireHeight(height)
    const block = this.#at(height)
    return block && copyOf(block)
  }

  async hashAt(height: number): Promise<string | undefined> {
    blockStoreChecks.requireHeight(height)
    return this.#at(height)?.hash
  }

  async range(from: number, limits: RangeLimits): Promise<Block[]> {
    blockStoreChecks.requireHeight(from, 'from')
    blockStoreChecks.requireRangeLimits(limits)
    const run: Block[] = []
    let bytes = 0
    for (
      let block = this.#at(from);
      block && run.length < limits.limit;
      block = this.#at(block.height + 1)
    ) {
      bytes += block.payload.length
      if (run.length > 0 && bytes > limits.maxBytes) break
      run.push(copyOf(block))
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
  ): Promise<BlockRef | null> {
    blockStoreChecks.requireRun(blocks)
    // All that is given is copied before the wait: the caller may change it meanwhile.
    const added = blocks.map(copyOf)
    const expected = expectTip && { ...expectTip }
    const below = ancestor && { ...ancestor }
    const write = async (): Promise<BlockRef | null> => {
      const chain = this.#chain()
      blockStoreChecks.requireTip(refOf(chain.at(-1)), expected)
      if (below !== null) blockStoreChecks.requireAncestor(below, this.#at(below.height)?.hash)
      blockStoreChecks.requireLink(below, added[0])
      const kept = below === null ? [] : chain.filter(({ height }) => height <= below.height)
      const next = [...kept, ...added]
      await replaceFile(this.#path, stringify(next))
      this.#blocks = next
      return refOf(next.at(-1))
    }
    this.#chain()
    const written = this.#writing.then(write, write)
    this.#writing = written
    return written
  }

  #chain(): readonly Block[] {
    if (this.#blocks === undefined)
      throw new HoldfastError('STORE_CLOSED', `${this.#path} is not open`)
    return this.#blocks
  }

  #at(height: number): Block | undefined {
    const chain = this.#chain()
    return chain[height - (chain[0]?.height ?? 0)]
  }
}

const refOf = (block: Block | undefined): BlockRef | null =>
  block === undefined ? null : { height: block.height, hash: block.hash }

const copyOf = (block: Block): Block => ({ ...block, payload: Uint8Array.from(block.payload) })

const stringify = (blocks: readonly Block[]): string =>
  JSON.stringify(
    blocks.map((block) => ({ ...block, payload: Buffer.from(block.payload).toString('base64') })),
  )

function parse(text: string, path: string): Block[] {
  try {
    const entries = JSON.parse(text) as (Omit<Block, 'payload'> & { payload: string })[]
    const blocks = entries.map((entry) => ({
      ...entry,
      payload: Uint8Array.from(Buffer.from(entry.payload, 'base64')),
    }))
    blockStoreChecks.requireRun(blocks)
    return blocks
  } catch (cause) {
    throw new HoldfastError('STORE_CORRUPT', `${path} holds no chain`, { cause })
  }
}

/** The new content is on the disk before the old one is given up. */
async function replaceFile(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

const directory = await mkdtemp(join(tmpdir(), 'holdfast-store-'))
try {
  // First the suite: any function `test(name, body)` will do.
  const tests: [string, () => Promise<void> | void][] = []
  let stores = 0
  blockStoreSuite({
    test: (name, body) => tests.push([name, body]),
    factory: () => {
      const path = join(directory, `suite-${(stores += 1)}.json`)
      return { store: new JsonFileBlockStore(path), reopen: () => new JsonFileBlockStore(path) }
    },
  })
  for (const [name, body] of tests) {
    await Promise.resolve(body()).catch((cause: unknown) => {
      throw new Error(`blockStoreSuite: ${name}`, { cause })
    })
  }
  console.log(`blockStoreSuite: ${tests.length} tests passed`)

  // Then a node that syncs a chain into the file.
  const chain = testChain({ length: 500 })
  const rules = testChainRules(chain)
  const network = memoryNetwork()
  const full = new MemoryBlockStore()
  await full.open()
  await full.append(chain.blocks, { expectTip: null })
  await using source = createNode({
    network: 'example',
    transport: network.transport({ host: '10.0.0.1' }),
    chain: { rules, store: full },
  })
  await source.start()
  const path = join(directory, 'chain.json')
  for (const round of ['first', 'second']) {
    await using node = createNode({
      network: 'example',
      transport: network.transport({ host: '10.0.0.2' }),
      peers: ['10.0.0.1'],
      chain: { rules, store: new JsonFileBlockStore(path) },
      patienceMs: 0,
    })
    await node.start()
    const before = node.sync.tip?.height ?? 'nothing'
    await node.sync.waitForHeight(499)
    console.log(`${round} run: began with ${before}, ended at height ${node.sync.tip?.height}`)
  }
} finally {
  await rm(directory, { recursive: true })
}
