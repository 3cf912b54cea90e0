import type { BlockRef } from '../contracts/block-store.js'
import { HoldfastError } from '../errors.js'
import { readEntries, type Entry } from './flat-file-index.js'
import { indexName, readHash } from './flat-file-log.js'
import type { SegmentFiles } from './segment-files.js'

/** One state of the chain, which never changes. */
export interface View {
  /** The segment that the chain began with; 0 while there never was one. */
  readonly start: number
  /** Of that segment. */
  readonly salt: bigint
  readonly baseHeight: number
  readonly base: BlockRef | null
  readonly tip: BlockRef | null
  /** So many entries, from the base up, are those of the index file. */
  readonly saved: number
  /** And these come above them. */
  readonly recent: readonly Entry[]
}

export const emptyView: View = {
  start: 0,
  salt: 0n,
  baseHeight: 0,
  base: null,
  tip: null,
  saved: 0,
  recent: [],
}

export const countOf = ({ saved, recent }: View): number => saved + recent.length

export const holds = (view: View, height: number): boolean =>
  height >= view.baseHeight && height - view.baseHeight < countOf(view)

/** Up to `count` entries of a view, from the place `from` on, as far as they are whole. */
export async function entriesOf(
  files: SegmentFiles,
  { start, saved, recent }: View,
  from: number,
  count: number,
): Promise<Entry[]> {
  const fromDisk = Math.min(count, saved - from)
  if (fromDisk <= 0) return recent.slice(from - saved, from - saved + count)
  const entries = await files.use(indexName(start), (file) => readEntries(file, from, fromDisk))
  if (entries.length < fromDisk) return entries
  return [...entries, ...recent.slice(0, count - fromDisk)]
}

/** The hash at `height`, or undefined when it is not held. STORE_CORRUPT when it cannot be read. */
export async function hashAt(
  files: SegmentFiles,
  view: View,
  height: number,
): Promise<string | undefined> {
  if (view.tip?.height === height) return view.tip.hash
  if (!holds(view, height)) return undefined
  const hash = await soundHash(files, view, height)
  if (hash === undefined) throw damagedError(height)
  return hash
}

/** The hash at a height that is held, or undefined when it is damaged. */
export async function soundHash(
  files: SegmentFiles,
  view: View,
  height: number,
): Promise<string | undefined> {
  const [entry] = await entriesOf(files, view, height - view.baseHeight, 1)
  return entry && readHash(files, entry, height)
}

export const corrupt = (what: string): HoldfastError =>
  new HoldfastError('STORE_CORRUPT', `the block store cannot be read: ${what}`)

export const damagedError = (height: number): HoldfastError =>
  corrupt(`block ${height} is damaged or missing`)
