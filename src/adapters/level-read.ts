import type { Block, RangeLimits } from '../contracts/block-store.js'
import { HoldfastError } from '../errors.js'
import { asBytes, type LevelDatabase } from './level-database.js'
import {
  blockKey,
  decodeBlock,
  decodeMetadata,
  decodeName,
  metadataKey,
  type ChainEnds,
} from './level-format.js'

/** The ends of the chain that the database holds, or undefined when it holds nothing at all. */
export async function readEndsIfAny(database: LevelDatabase): Promise<ChainEnds | undefined> {
  const value = await database.get(metadataKey, asBytes)
  if (value === undefined) {
    if ((await firstKey(database, {})) === undefined) return undefined
    throw corrupt('the database is not empty, and what it holds was not written by a block store')
  }
  const metadata = decodeMetadata(value)
  switch (metadata.kind) {
    case 'ends':
      return metadata.ends
    case 'other-version':
      throw corrupt(`it has format version ${metadata.version}, which this version cannot read`)
    case 'damaged':
      throw corrupt('its metadata record is damaged, or was not written by a block store')
    default:
      return metadata satisfies never
  }
}

export async function readEnds(database: LevelDatabase): Promise<ChainEnds> {
  const ends = await readEndsIfAny(database)
  if (ends === undefined) throw corrupt('everything in its database was removed')
  return ends
}

/** Out of one snapshot, where the database makes one for an iterator. */
export async function readRange(
  database: LevelDatabase,
  from: number,
  { limit, maxBytes }: RangeLimits,
): Promise<Block[]> {
  const blocks: Block[] = []
  let bytes = 0
  const to = Math.min(from + limit - 1, Number.MAX_SAFE_INTEGER)
  const entries = database.iterator({ ...asBytes, gte: blockKey(from), lte: blockKey(to) })
  for await (const [, value] of entries) {
    const block = decodeBlock(value, from + blocks.length)
    // What is damaged or missing ends the run here, and rejects when it is asked for itself.
    if (block === undefined) break
    bytes += block.payload.length
    if (bytes > maxBytes && blocks.length > 0) break
    blocks.push(block)
  }
  return blocks
}

export function blockIn(value: Uint8Array, height: number): Block {
  const block = decodeBlock(value, height)
  if (block === undefined) throw damagedError(height)
  return block
}

export function hashIn(value: Uint8Array, height: number): string {
  const hash = decodeName(value, height)
  if (hash === undefined) throw damagedError(height)
  return hash
}

export async function firstKey(
  database: LevelDatabase,
  range: { gte?: Uint8Array; lte?: Uint8Array; reverse?: boolean },
): Promise<Uint8Array | undefined> {
  for await (const [key] of database.iterator({ ...asBytes, ...range, limit: 1 })) return key
  return undefined
}

export const damagedError = (height: number): HoldfastError =>
  corrupt(`block ${height} is damaged or missing`)

export const corrupt = (what: string): HoldfastError =>
  new HoldfastError('STORE_CORRUPT', `the block store cannot be read: ${what}`)
