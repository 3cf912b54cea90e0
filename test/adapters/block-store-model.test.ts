import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LevelBlockStore } from '../../src/adapters/level-block-store.js'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { Block, BlockRef, BlockStore } from '../../src/contracts/block-store.js'
import { HoldfastError } from '../../src/errors.js'
import { refOf, testBlocks } from '../../src/testing/test-chain.js'

/** The whole contract on an array, as plainly as it can be said. */
class Model {
  chain: Block[] = []

  get tip(): BlockRef | null {
    const last = this.chain.at(-1)
    return last ? refOf(last) : null
  }

  write(
    ancestor: BlockRef | null,
    blocks: readonly Block[],
    expectTip: BlockRef | null,
  ): BlockRef | null | 'TIP_MISMATCH' | 'UNKNOWN_ANCESTOR' | 'NOT_CONTIGUOUS' {
    const follows = (block: Block, below: BlockRef): boolean =>
      block.height === below.height + 1 && block.previousHash === below.hash
    if (blocks.some((block, index) => index > 0 && !follows(block, blocks[index - 1]!))) {
      return 'NOT_CONTIGUOUS'
    }
    if (JSON.stringify(this.tip) !== JSON.stringify(expectTip)) return 'TIP_MISMATCH'
    const index = this.chain.findIndex(({ hash }) => hash === ancestor?.hash)
    if (ancestor !== null && this.chain[index]?.height !== ancestor.height)
      return 'UNKNOWN_ANCESTOR'
    if (ancestor !== null && blocks[0] && !follows(blocks[0], ancestor)) return 'NOT_CONTIGUOUS'
    this.chain = [...this.chain.slice(0, index + 1), ...blocks]
    return this.tip
  }

  range(from: number, limit: number, maxBytes: number): Block[] {
    const start = this.chain.findIndex(({ height }) => height === from)
    if (start < 0) return []
    const blocks = this.chain.slice(start, start + limit)
    let bytes = 0
    const cut = blocks.findIndex(({ payload }, index) => {
      bytes += payload.length
      return index > 0 && bytes > maxBytes
    })
    return cut < 0 ? blocks : blocks.slice(0, cut)
  }
}

/** Where on the chain of the moment: a part of its length, so that every value means something. */
const place = fc.double({ min: 0, max: 1, noNaN: true })
const length = fc.nat({ max: 6 })
const seed = fc.nat({ max: 3 })

const limit = fc.integer({ min: 1, max: 9 })
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('append'), length, seed }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('replace'), place, length, seed }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('restart'), base: fc.nat(600), length, seed }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stale tip'), place, length, seed }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('unknown ancestor'), place, length, seed }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('torn run'), place, length, seed }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('run of elsewhere'), place, length, seed }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('range'), place, limit, maxBytes: fc.nat(400) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen') }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

interface Write {
  readonly ancestor: BlockRef | null
  readonly blocks: readonly Block[]
  readonly expectTip: BlockRef | null
}

function run(below: BlockRef | null, length: number, seed: number, base = 250): Block[] {
  if (length === 0) return []
  const from = below ?? { height: base - 1, hash: 'none' }
  return [...testBlocks({ length, seed, from, blockBytes: (height) => 16 + (height % 5) * 30 })]
}

function blockAt({ chain }: Model, where: number): Block | undefined {
  return chain[Math.min(chain.length - 1, Math.floor(where * chain.length))]
}

/** What a step writes into the chain of the moment; undefined for the steps that only read. */
function writeOf(model: Model, step: Step): Write | undefined {
  const { tip } = model
  switch (step.kind) {
    case 'append':
      return { ancestor: tip, blocks: run(tip, step.length, step.seed), expectTip: tip }
    case 'restart': {
      const blocks = run(null, step.length, step.seed, step.base)
      return { ancestor: null, blocks, expectTip: tip }
    }
    case 'range':
    case 'reopen':
      return undefined
    default:
      break
  }
  const found = blockAt(model, step.place)
  const ancestor = found ? refOf(found) : null
  const blocks = run(ancestor, step.length, step.seed)
  switch (step.kind) {
    case 'replace':
      return { ancestor, blocks, expectTip: tip }
    case 'stale tip':
      return { ancestor, blocks, expectTip: ancestor }
    case 'unknown ancestor': {
      const unknown = { height: ancestor?.height ?? 3, hash: 'unknown' }
      return { ancestor: unknown, blocks: run(unknown, step.length, step.seed), expectTip: tip }
    }
    case 'torn run':
      return { ancestor, blocks: blocks.filter((_, index) => index !== 1), expectTip: tip }
    case 'run of elsewhere':
      return { ancestor: tip, blocks, expectTip: tip }
    default:
      return step satisfies never
  }
}

async function compare(store: BlockStore, model: Model): Promise<void> {
  expect(await store.tip()).toEqual(model.tip)
  expect(await store.base()).toEqual(model.chain[0] ? refOf(model.chain[0]) : null)
  const from = model.chain[0]?.height ?? 0
  const limits = { limit: 1_000, maxBytes: 1e9 }
  expect(await store.range(from, limits)).toEqual(model.chain)
  for (const height of [from - 1, from, from + 3, from + model.chain.length, 255, 256]) {
    if (height < 0) continue
    const block = model.chain.find((each) => each.height === height)
    expect(await store.get(height)).toEqual(block)
    expect(await store.hashAt(height)).toBe(block?.hash)
  }
}

async function follow(steps: readonly Step[], open: () => BlockStore): Promise<void> {
  const model = new Model()
  let store = open()
  await store.open()
  try {
    for (const step of steps) {
      const write = writeOf(model, step)
      if (write !== undefined) {
        const expected = model.write(write.ancestor, write.blocks, write.expectTip)
        const { ancestor, blocks, expectTip } = write
        const seen = await (
          step.kind === 'append'
            ? store.append(blocks, { expectTip })
            : store.replace(ancestor, blocks, { expectTip })
        ).catch((error: unknown) => (HoldfastError.is(error) ? error.code : error))
        expect(seen).toEqual(expected)
      } else if (step.kind === 'range') {
        const from = blockAt(model, step.place)?.height ?? 7
        const { limit, maxBytes } = step
        const expected = model.range(from, limit, maxBytes)
        expect(await store.range(from, { limit, maxBytes })).toEqual(expected)
      } else {
        await store.close()
        store = open()
        await store.open()
      }
      await compare(store, model)
    }
  } finally {
    await store.close()
  }
}

const scripts = fc.array(step, { minLength: 1, maxLength: 30, size: 'max' })

describe('after any sequence of writes, good and bad, a store holds what the model holds', () => {
  test('MemoryBlockStore', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async (steps) => {
        const store = new MemoryBlockStore()
        await follow(steps, () => store)
      }),
      { numRuns: 150 },
    )
  })

  test('LevelBlockStore', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async (steps) => {
        const location = await mkdtemp(join(tmpdir(), 'holdfast-model-'))
        try {
          await follow(steps, () => new LevelBlockStore({ location, sync: false, verify: 'all' }))
        } finally {
          await rm(location, { recursive: true })
        }
      }),
      { numRuns: 60 },
    )
  })
})
