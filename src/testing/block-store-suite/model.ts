import type { Block, BlockRef, BlockStore } from '../../contracts/block-store.js'
import { HoldfastError } from '../../errors.js'
import { refOf, testBlocks } from '../test-chain.js'
import { expectChain, expectSame } from './setup.js'

type WriteKind = 'replace' | 'stale tip' | 'unknown ancestor' | 'torn run' | 'run of elsewhere'

/** One thing to do with a chain. A `place` from 0 to 1 is a part of its length at that moment. */
export type ModelStep =
  | { readonly kind: 'append'; readonly length: number; readonly seed: number }
  | {
      readonly kind: WriteKind
      readonly place: number
      readonly length: number
      readonly seed: number
    }
  | {
      readonly kind: 'restart'
      readonly base: number
      readonly length: number
      readonly seed: number
    }
  | {
      readonly kind: 'range'
      readonly place: number
      readonly limit: number
      readonly maxBytes: number
    }
  | { readonly kind: 'reopen' }

interface Write {
  readonly ancestor: BlockRef | null
  readonly blocks: readonly Block[]
  readonly expectTip: BlockRef | null
}

/** The whole contract on an array, as plainly as it can be said. */
class ChainModel {
  chain: readonly Block[] = []

  get tip(): BlockRef | null {
    const last = this.chain.at(-1)
    return last ? refOf(last) : null
  }

  write({ ancestor, blocks, expectTip }: Write): BlockRef | null | string {
    const follows = (block: Block, below: BlockRef | undefined): boolean =>
      below !== undefined && block.height === below.height + 1 && block.previousHash === below.hash
    if (blocks.some((block, index) => index > 0 && !follows(block, blocks[index - 1]))) {
      return 'NOT_CONTIGUOUS'
    }
    if (this.tip?.height !== expectTip?.height || this.tip?.hash !== expectTip?.hash) {
      return 'TIP_MISMATCH'
    }
    const index = this.chain.findIndex(({ hash }) => hash === ancestor?.hash)
    if (ancestor !== null && this.chain[index]?.height !== ancestor.height) {
      return 'UNKNOWN_ANCESTOR'
    }
    if (ancestor !== null && blocks[0] && !follows(blocks[0], ancestor)) return 'NOT_CONTIGUOUS'
    this.chain = [...this.chain.slice(0, index + 1), ...blocks]
    return this.tip
  }

  range(from: number, limit: number, maxBytes: number): readonly Block[] {
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

  at(place: number): Block | undefined {
    return this.chain[Math.min(this.chain.length - 1, Math.floor(place * this.chain.length))]
  }
}

/**
 * Does the steps to an empty, open store and to an array, and throws at the first difference. Where
 * `reopen` is undefined, a step that reopens closes the store and opens it again.
 */
export async function followScript(
  steps: readonly ModelStep[],
  store: BlockStore,
  reopen: (() => Promise<BlockStore>) | undefined,
): Promise<void> {
  const model = new ChainModel()
  let current = store
  for (const [index, step] of steps.entries()) {
    const rule = `step ${index + 1}, ${step.kind}`
    const write = writeOf(model, step)
    if (write !== undefined) {
      const expected = model.write(write)
      const { ancestor, blocks, expectTip } = write
      const writing =
        step.kind === 'append'
          ? current.append(blocks, { expectTip })
          : current.replace(ancestor, blocks, { expectTip })
      const seen = await writing.catch((error: unknown) =>
        HoldfastError.is(error) ? error.code : error,
      )
      expectSame(seen, expected, `${rule}: it resolves or rejects as it would on an array`)
    } else if (step.kind === 'range') {
      const from = model.at(step.place)?.height ?? 7
      const { limit, maxBytes } = step
      const expected = model.range(from, limit, maxBytes)
      expectSame(await current.range(from, { limit, maxBytes }), expected, rule)
    } else if (reopen !== undefined) {
      current = await reopen()
    } else {
      await current.close()
      await current.open()
    }
    await expectChain(current, model.chain, `after ${rule}, the store holds what an array would`)
    for (const height of [255, 256]) {
      const block = model.chain.find((each) => each.height === height)
      expectSame(await current.get(height), block, `${rule}: get ${height}`)
      expectSame(await current.hashAt(height), block?.hash, `${rule}: hashAt ${height}`)
    }
  }
}

/** What a step writes into the chain of the moment; undefined for the steps that only read. */
function writeOf(model: ChainModel, step: ModelStep): Write | undefined {
  const { tip } = model
  switch (step.kind) {
    case 'append':
      return { ancestor: tip, blocks: blocksOn(tip, step), expectTip: tip }
    case 'restart':
      return { ancestor: null, blocks: blocksOn(null, step, step.base), expectTip: tip }
    case 'range':
    case 'reopen':
      return undefined
    default:
      return branchOf(model, step)
  }
}

function branchOf(
  model: ChainModel,
  step: Extract<ModelStep, { readonly kind: WriteKind }>,
): Write {
  const { tip } = model
  const found = model.at(step.place)
  const ancestor = found ? refOf(found) : null
  const blocks = blocksOn(ancestor, step)
  switch (step.kind) {
    case 'replace':
      return { ancestor, blocks, expectTip: tip }
    case 'stale tip':
      return { ancestor, blocks, expectTip: ancestor }
    case 'unknown ancestor': {
      const unknown = { height: ancestor?.height ?? 3, hash: 'unknown' }
      return { ancestor: unknown, blocks: blocksOn(unknown, step), expectTip: tip }
    }
    case 'torn run':
      return { ancestor, blocks: blocks.filter((_, index) => index !== 1), expectTip: tip }
    case 'run of elsewhere':
      return { ancestor: tip, blocks, expectTip: tip }
    default:
      return step.kind satisfies never
  }
}

function blocksOn(
  below: BlockRef | null,
  { length, seed }: { readonly length: number; readonly seed: number },
  base = 250,
): Block[] {
  if (length === 0) return []
  const from = below ?? { height: base - 1, hash: 'none' }
  return [...testBlocks({ length, seed, from, blockBytes: (height) => 16 + (height % 5) * 30 })]
}
