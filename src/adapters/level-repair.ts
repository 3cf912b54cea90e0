import type { Block, BlockRef } from '../contracts/block-store.js'
import { damageBelow, lastSoundRun, type VerifyDepth } from './chain-check.js'
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
  readonly verify: VerifyDepth
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

  const chain = {
    baseHeight: base.height,
    tipHeight: tip.height,
    soundBlock: (height: number) => soundBlock(database, height, { base, tip }),
  }
  const found = await lastSoundRun(chain)
  if (found === undefined) {
    throw corrupt(`too many blocks below its tip at height ${tip.height} are damaged or missing`)
  }
  const repairs = await removeTail(database, tip.height + 1)
  if (found.top.height < tip.height) {
    const to = { height: found.top.height, hash: found.top.hash }
    // The record first: a crash before the removal leaves a tail, which the next opening removes.
    await save({ base, tip: to })
    await removeTail(database, to.height + 1)
    repairs.push({ kind: 'tip-lowered', from: tip, to })
  }
  const damage = await damageBelow(chain, found, verify)
  return [...repairs, ...damage.map((range) => ({ kind: 'damage-left' as const, ...range }))]
}

interface KnownEnds {
  readonly base: BlockRef
  readonly tip: BlockRef
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
