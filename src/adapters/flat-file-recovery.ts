import type { BlockRef } from '../contracts/block-store.js'
import {
  damageBelow,
  lastSoundRun,
  type ChainToCheck,
  type SoundRun,
  type VerifyDepth,
} from './chain-check.js'
import { FlatFileChain, type FsyncPolicy } from './flat-file-chain.js'
import { checkpointBlocks } from './flat-file-checkpoints.js'
import { segmentHeaderBytes } from './flat-file-format.js'
import { readCheckpoints, type FoundCheckpoint } from './flat-file-index.js'
import {
  encodeWrite,
  findWrite,
  firstHeightOf,
  hasSoundRecords,
  indexName,
  segmentName,
} from './flat-file-log.js'
import { findSegments, requireHeader, sizeOf, type FoundSegments } from './flat-file-scan.js'
import { soundBlock } from './flat-file-read.js'
import { corrupt, countOf, emptyView, holds, soundHash, type View } from './flat-file-view.js'
import type { SegmentFiles } from './segment-files.js'

/** One thing that opening found. All heights are inclusive. */
export type FlatFileRepair =
  /** The end of the newest file is no whole write, as after a crash in the middle of one: removed. */
  | { readonly kind: 'torn-write-removed'; readonly bytes: number }
  /** The index was missing or did not fit: made anew from the segments. */
  | { readonly kind: 'index-rebuilt' }
  /** Damaged or unlinked blocks near the tip: it is now the last sound one below them. */
  | { readonly kind: 'tip-lowered'; readonly fromHeight: number; readonly to: BlockRef }
  /** Damaged or unlinked blocks deeper down: left as they are; reading them rejects. */
  | { readonly kind: 'damage-left'; readonly from: number; readonly to: number }

export interface RecoveryOptions {
  readonly fsync: FsyncPolicy
  readonly segmentBytes: number
  readonly verify: VerifyDepth
}

/** Up to where the segments were on the disk, as far as is known: what is broken below was not torn. */
interface Mark {
  readonly segment: number
  readonly offset: number
}

/**
 * Finds the chain in the files of a folder, removes what a crash left behind, and says what it did.
 * STORE_CORRUPT, and then nothing of the segments was changed, when they are not a block store's, of
 * another format version, or damaged beyond what FlatFileRepair names.
 */
export async function recoverChain(
  files: SegmentFiles,
  options: RecoveryOptions,
): Promise<{ readonly chain: FlatFileChain; readonly repairs: readonly FlatFileRepair[] }> {
  const found = await findSegments(files)
  const repairs: FlatFileRepair[] = []
  if (found === undefined) {
    return { chain: new FlatFileChain({ files, ...options }), repairs }
  }
  const checkpoint = await usableCheckpoint(files, found)
  const unknown: Mark = { segment: found.last, offset: 0 }
  let recovered =
    checkpoint === undefined
      ? await rebuild(files, found, options, unknown)
      : await replay(files, found, options, checkpoint, checkpoint.checkpoint)
  let state = await check(recovered.chain, options)
  if (checkpoint !== undefined && state.isDamaged) {
    // It may be the index that is wrong: what the segments say decides.
    recovered = await rebuild(files, found, options, checkpoint.checkpoint)
    state = await check(recovered.chain, options)
  }
  const { chain } = recovered
  if (state.problem !== undefined) throw corrupt(state.problem)

  // Only now that the chain is known to be sound, what does not belong to it goes.
  const removed = await removeTail(files, chain, found)
  if (removed > 0) repairs.push({ kind: 'torn-write-removed', bytes: removed })
  if (recovered.isRebuilt) repairs.push({ kind: 'index-rebuilt' })
  await found.removeOthers()
  chain.view = { ...chain.view, base: state.base, tip: state.tip }
  if (state.run !== undefined && state.tip !== null && state.run.top.height < state.tip.height) {
    const { height, hash } = state.run.top
    const to = { height, hash }
    await chain.write(encodeWrite(to, [], state.tip))
    repairs.push({ kind: 'tip-lowered', fromHeight: state.tip.height, to })
  }
  repairs.push(...state.damage.map((range) => ({ kind: 'damage-left' as const, ...range })))
  await chain.checkpoint()
  return { chain, repairs }
}

/** The newest checkpoint that fits what is there. */
async function usableCheckpoint(
  files: SegmentFiles,
  { start, last, salt }: FoundSegments,
): Promise<FoundCheckpoint | undefined> {
  const checkpoints = await files.use(indexName(start), readCheckpoints).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
  for (const found of checkpoints) {
    const { checkpoint } = found
    if (checkpoint.start !== start || checkpoint.salt !== salt) continue
    if (checkpoint.segment < start || checkpoint.segment > last) continue
    if ((await sizeOf(files, segmentName(checkpoint.segment))) < checkpoint.offset) continue
    return found
  }
  return undefined
}

interface Recovered {
  readonly chain: FlatFileChain
  readonly isRebuilt: boolean
}

async function rebuild(
  files: SegmentFiles,
  found: FoundSegments,
  options: RecoveryOptions,
  mark: Mark,
): Promise<Recovered> {
  const { start, salt } = found
  const first = await findWrite(files, start, segmentHeaderBytes, {
    salt,
    sequence: undefined,
    size: await sizeOf(files, segmentName(start)),
  })
  const baseHeight = first && (first.header.count === 0 ? 0 : await firstHeightOf(files, first))
  if (first === undefined || baseHeight === undefined) {
    throw corrupt('the index is damaged, and so is the first write, from which it could be made')
  }
  await files.remove(indexName(start))
  await files.make(indexName(start))
  await files.syncFolder()
  const { sequence } = first.header
  const offset = segmentHeaderBytes
  const checkpoint = { start, salt, sequence, segment: start, offset, baseHeight, count: 0 }
  const { chain } = await replay(files, found, options, { checkpoint, slot: 1 }, mark)
  return { chain, isRebuilt: true }
}

/** Reads on from a checkpoint to the last whole write. */
async function replay(
  files: SegmentFiles,
  { start, last }: FoundSegments,
  options: RecoveryOptions,
  from: FoundCheckpoint,
  mark: Mark,
): Promise<Recovered> {
  const { checkpoint } = from
  const chain = new FlatFileChain({ files, ...options })
  const { segment, offset, sequence, salt: chainSalt, baseHeight, count } = checkpoint
  chain.resume(
    { ...emptyView, start, salt: chainSalt, baseHeight, saved: count },
    { segment, offset, sequence, salt: await saltOf(files, segment) },
    from,
  )
  const hashOf = async (height: number): Promise<string | undefined> =>
    holds(chain.view, height) ? soundHash(files, chain.view, height) : undefined
  for (;;) {
    const { end } = chain
    const size = await sizeOf(files, segmentName(end.segment))
    if (end.offset === size && end.segment < last) {
      chain.enter(end.segment + 1, await saltOf(files, end.segment + 1))
      continue
    }
    const isDurable =
      end.segment < mark.segment || (end.segment === mark.segment && end.offset < mark.offset)
    const write = await findWrite(files, end.segment, end.offset, { ...end, size })
    const isFirst = end.segment === start && end.offset === segmentHeaderBytes
    const ancestor = write && ancestorOf(chain.view, write.header.ancestorHeight, isFirst)
    const isSound =
      write !== undefined &&
      ancestor !== undefined &&
      (isDurable || (await hasSoundRecords(files, write, ancestor + 1, await hashOf(ancestor))))
    if (!isSound) {
      if (end.offset === size) return { chain, isRebuilt: false }
      if (isDurable || end.segment < last) {
        throw corrupt(`${segmentName(end.segment)} is damaged at byte ${end.offset}`)
      }
      return { chain, isRebuilt: false }
    }
    chain.add(ancestor, write.entries, write.endOffset)
    if (chain.view.recent.length >= checkpointBlocks) await chain.checkpoint()
  }
}

/** The height of the block below a write's records; undefined when the write does not fit the chain. */
function ancestorOf(view: View, ancestor: number | null, isFirst: boolean): number | undefined {
  if (isFirst) return ancestor === null ? view.baseHeight - 1 : undefined
  if (ancestor === null) return undefined
  return holds(view, ancestor) ? ancestor : undefined
}

interface Checked {
  readonly base: BlockRef | null
  readonly tip: BlockRef | null
  readonly run: SoundRun | undefined
  readonly damage: readonly { readonly from: number; readonly to: number }[]
  readonly isDamaged: boolean
  readonly problem?: string
}

/** Looks whether the blocks are sound: the newest and the base, or all. */
async function check(chain: FlatFileChain, { verify }: RecoveryOptions): Promise<Checked> {
  const { view } = chain
  const count = countOf(view)
  const empty = { base: null, tip: null, run: undefined, damage: [], isDamaged: false }
  if (count === 0) return empty
  const toCheck: ChainToCheck = {
    baseHeight: view.baseHeight,
    tipHeight: view.baseHeight + count - 1,
    soundBlock: (height) => soundBlock(chain.files, view, height),
  }
  const run = await lastSoundRun(toCheck)
  if (run === undefined) {
    const problem = `too many blocks below its tip at height ${toCheck.tipHeight} are damaged`
    return { ...empty, isDamaged: true, problem }
  }
  const damage = await damageBelow(toCheck, run, verify)
  const base = await baseOf(toCheck)
  if (base === undefined) {
    return { ...empty, isDamaged: true, problem: 'its first two blocks are damaged' }
  }
  const { tipHeight } = toCheck
  const isTipSound = run.top.height === tipHeight
  const tip = { height: tipHeight, hash: isTipSound ? run.top.hash : 'damaged' }
  return { base, tip, run, damage, isDamaged: !isTipSound || damage.length > 0 }
}

/** The block above a damaged base still knows its hash. */
async function baseOf({
  baseHeight: height,
  soundBlock,
}: ChainToCheck): Promise<BlockRef | undefined> {
  const hash = (await soundBlock(height))?.hash ?? (await soundBlock(height + 1))?.previousHash
  return hash === undefined ? undefined : { height, hash }
}

/** Cuts off what follows the last whole write. Returns how many bytes that were. */
async function removeTail(
  files: SegmentFiles,
  { end }: FlatFileChain,
  found: FoundSegments,
): Promise<number> {
  const name = segmentName(end.segment)
  const torn = (await sizeOf(files, name)) - end.offset
  if (torn > 0) {
    await files.use(name, async (file) => {
      await file.truncate(end.offset)
      await file.sync()
    })
  }
  return torn + found.tornBytes
}

const saltOf = async (files: SegmentFiles, segment: number): Promise<bigint> =>
  (await requireHeader(files, segment)).salt

const isMissing = (error: unknown): boolean =>
  (error as { readonly code?: unknown } | undefined)?.code === 'ENOENT'
