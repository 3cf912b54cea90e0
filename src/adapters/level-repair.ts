import type { Block, BlockRef } from '../contracts/block-store.js'
import { asBytes, type LevelDatabase } from './level-database.js'
import {
  blockKey,
  decodeBlock,
  decodeName,
  encodeMetadata,
  heightOf,
  metadataKey,
  nameKey,
  type ChainEnds,
} from './level-format.js'
import { corrupt, firstKey, readEndsIfAny } from './level-read.js'

/** So many blocks in a row must be sound and linked before the tip above them is believed. */
export const checkedBlocks = 128

/** The tip is lowered by at most this much: more damage than this is no accident to be tidied up. */
export const maxLoweredBlocks = 1_024

/** One thing that opening found. All heights are inclusive. */
export type LevelRepair =
  /** Blocks above the tip, which no write of ours leaves there: removed. */
  | { readonly kind: 'tail-removed'; readonly from: number; readonly to: number }
  /** Missing, damaged or unlinked blocks near the tip: it is now the last sound one below them. */
  | { readonly kind: 'tip-lowered'; readonly from: BlockRef; readonly to: BlockRef }
  /** Missing, damaged or unlinked blocks deeper down: left as they are; reading them rejects. */
  | { readonly kind: 'damage-left'; readonly from: number; readonly to: number }

interface RepairOptions {
  readonly sync: boolean
  /** How far down to look: the newest blocks and the base, or all. */
  readonly verify: 'tip' | 'all'
}

/**
 * Makes a database ready for use and says what it found. An empty one is marked as ours. One that is
 * not ours, or of another format version, or damaged beyond what LevelRepair names, is left untouched:
 * STORE_CORRUPT.
 */
export async function repairChain(
  database: LevelDatabase,
  { sync, verify }: RepairOptions,
): Promise<LevelRepair[]> {
  const save = (ends: ChainEnds): Promise<void> =>
    database.batch([{ type: 'put', key: metadataKey, value: encodeMetadata(ends) }], {
      ...asBytes,
      sync,
    })

  const ends = await readEndsIfAny(database)
  if (ends === undefined) {
    await save({ base: null, tip: null })
    return []
  }
  const { base, tip } = ends
  if (base === null || tip === null) return removeTail(database, 0)

  const found = await lastSoundRun(database, { base, tip })
  const repairs = await removeTail(database, tip.height + 1)
  if (found.top.height < tip.height) {
    const to = { height: found.top.height, hash: found.top.hash }
    // The record first: a crash before the removal leaves a tail, which the next opening removes.
    await save({ base, tip: to })
    await removeTail(database, to.height + 1)
    repairs.push({ kind: 'tip-lowered', from: tip, to })
  }
  const below = found.bottom.height - 1
  const toCheck = verify === 'all' ? below : Math.min(below, base.height)
  return [...repairs, ...(await damageFrom(database, { base, tip }, toCheck, found.bottom))]
}

interface KnownEnds {
  readonly base: BlockRef
  readonly tip: BlockRef
}

/** A run of sound, linked blocks: as high as there is one that is long enough or reaches the base. */
async function lastSoundRun(
  database: LevelDatabase,
  ends: KnownEnds,
): Promise<{ top: Block; bottom: Block }> {
  let run: { top: Block; bottom: Block } | undefined
  for (let height = ends.tip.height; height >= ends.base.height; height--) {
    const block = await soundBlock(database, height, ends)
    if (block === undefined) run = undefined
    else if (run?.bottom.previousHash === block.hash) run.bottom = block
    else run = { top: block, bottom: block }

    if (run !== undefined && run.top.height - height + 1 >= checkedBlocks) return run
    if (ends.tip.height - (run?.top.height ?? height) > maxLoweredBlocks) break
    if (run !== undefined && height === ends.base.height) return run
  }
  throw corrupt(`too many blocks below its tip at height ${ends.tip.height} are damaged or missing`)
}

/** What is wrong from `height` down to the base, as ranges, highest first. */
async function damageFrom(
  database: LevelDatabase,
  ends: KnownEnds,
  height: number,
  blockAbove: Block,
): Promise<LevelRepair[]> {
  const ranges: { kind: 'damage-left'; from: number; to: number }[] = []
  const add = (damaged: number): void => {
    const last = ranges.at(-1)
    if (last?.from === damaged + 1) last.from = damaged
    else if (last?.from !== damaged)
      ranges.push({ kind: 'damage-left', from: damaged, to: damaged })
  }
  let above = blockAbove.height === height + 1 ? blockAbove : undefined
  for (; height >= ends.base.height; height--) {
    const block = await soundBlock(database, height, ends)
    if (block === undefined) add(height)
    else if (above !== undefined && above.previousHash !== block.hash) add(height + 1)
    above = block
  }
  return ranges
}

/** The block at `height` if it can be read, its name says the same, and an end of the chain is that end. */
async function soundBlock(
  database: LevelDatabase,
  height: number,
  { base, tip }: KnownEnds,
): Promise<Block | undefined> {
  const value = await database.get(blockKey(height), asBytes)
  const name = await database.get(nameKey(height), asBytes)
  const block = value && decodeBlock(value, height)
  if (block === undefined || name === undefined) return undefined
  const hashes = [decodeName(name, height)]
  for (const end of [base, tip]) if (end.height === height) hashes.push(end.hash)
  return hashes.every((hash) => hash === block.hash) ? block : undefined
}

async function removeTail(database: LevelDatabase, from: number): Promise<LevelRepair[]> {
  const heights: number[] = []
  for (const keyOf of [blockKey, nameKey]) {
    const range = { gte: keyOf(from), lte: keyOf(Number.MAX_SAFE_INTEGER) }
    const first = await firstKey(database, range)
    const last = await firstKey(database, { ...range, reverse: true })
    if (first === undefined || last === undefined) continue
    heights.push(heightOf(first), heightOf(last))
    await database.clear({ ...range, keyEncoding: 'view' })
  }
  if (heights.length === 0) return []
  return [{ kind: 'tail-removed', from: Math.min(...heights), to: Math.max(...heights) }]
}
