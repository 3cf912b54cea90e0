import type { Block, BlockRef } from '../contracts/block-store.js'
import { isSameBlock, requireAncestor, requireLink, requireTip } from './block-store-checks.js'
import { asBytes, type LevelDatabase, type LevelOperation } from './level-database.js'
import {
  blockKey,
  encodeBlock,
  encodeMetadata,
  encodeName,
  metadataKey,
  nameKey,
  type ChainEnds,
} from './level-format.js'
import { hashIn, readEnds } from './level-read.js'

/** A write in which nothing is left that the caller could still change. */
interface EncodedWrite {
  readonly expectTip: BlockRef | null
  readonly ancestor: BlockRef | null
  readonly run: EncodedRun | undefined
}

interface EncodedRun {
  readonly first: Omit<Block, 'payload'>
  readonly last: BlockRef
  readonly puts: readonly LevelOperation[]
}

/** Encodes a run that was checked with `requireRun`. */
export function encodeWrite(
  ancestor: BlockRef | null,
  blocks: readonly Block[],
  expectTip: BlockRef | null,
): EncodedWrite {
  return {
    expectTip: expectTip && refOf(expectTip),
    ancestor: ancestor && refOf(ancestor),
    run: encodeRun(blocks),
  }
}

/** Checks the write against the chain and makes it, in one batch. Nothing else may write meanwhile. */
export async function carryOut(
  database: LevelDatabase,
  { expectTip, ancestor, run }: EncodedWrite,
  sync: boolean,
): Promise<BlockRef | null> {
  // Read afresh: after a batch that failed, only the database knows whether it was written.
  const before = await readEnds(database)
  requireTip(before.tip, expectTip)
  if (ancestor !== null) requireAncestor(ancestor, await heldHash(database, ancestor.height))
  requireLink(ancestor, run?.first)

  const after: ChainEnds = {
    base: ancestor === null ? (run?.first ?? null) : before.base,
    tip: run?.last ?? ancestor,
  }
  if (run === undefined && isSameBlock(after.tip, before.tip)) return after.tip
  const operations: LevelOperation[] = [
    { type: 'put', key: metadataKey, value: encodeMetadata(after) },
    ...removals(before, ancestor, run),
  ]
  for (const put of run?.puts ?? []) operations.push(put)
  await database.batch(operations, { ...asBytes, sync })
  return after.tip
}

function encodeRun(blocks: readonly Block[]): EncodedRun | undefined {
  const [first, last] = [blocks[0], blocks.at(-1)]
  if (first === undefined || last === undefined) return undefined
  const puts = blocks.flatMap((block): LevelOperation[] => [
    { type: 'put', key: blockKey(block.height), value: encodeBlock(block) },
    { type: 'put', key: nameKey(block.height), value: encodeName(block) },
  ])
  return { first: { ...refOf(first), previousHash: first.previousHash }, last: refOf(last), puts }
}

/** Removes what stands above `ancestor`, except where `run` is written over it. */
function* removals(
  { base, tip }: ChainEnds,
  ancestor: BlockRef | null,
  run: EncodedRun | undefined,
): Generator<LevelOperation> {
  if (base === null || tip === null) return
  const from = ancestor === null ? base.height : ancestor.height + 1
  for (let height = from; height <= tip.height; height++) {
    if (run !== undefined && height >= run.first.height && height <= run.last.height) continue
    yield { type: 'del', key: blockKey(height) }
    yield { type: 'del', key: nameKey(height) }
  }
}

async function heldHash(database: LevelDatabase, height: number): Promise<string | undefined> {
  const value = await database.get(nameKey(height), asBytes)
  return value && hashIn(value, height)
}

const refOf = ({ height, hash }: BlockRef): BlockRef => ({ height, hash })
