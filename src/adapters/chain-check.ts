import type { Block } from '../contracts/block-store.js'

// How a store that was opened finds out whether its chain is sound, for every store on a disk.

/** What an opening looks at: the newest blocks and the base, or every block. */
export type VerifyDepth = 'tip' | 'all'

/** TypeError unless it is one. */
export function requireVerifyDepth(verify: VerifyDepth): void {
  const depths: readonly unknown[] = ['tip', 'all'] satisfies VerifyDepth[]
  if (depths.includes(verify)) return
  throw new TypeError(`verify must be 'tip' or 'all', not ${JSON.stringify(verify)}`)
}

/** So many blocks in a row must be sound and linked before the tip above them is believed. */
export const checkedBlocks = 128

/** The tip is lowered by at most this much: more damage than this is no accident to be tidied up. */
export const maxLoweredBlocks = 1_024

export interface ChainToCheck {
  readonly baseHeight: number
  readonly tipHeight: number
  /** The block, or undefined when it is missing or damaged. */
  readonly soundBlock: (height: number) => Promise<Block | undefined>
}

export interface SoundRun {
  readonly top: Block
  readonly bottom: Block
}

/** Heights that are missing, damaged or not linked to the block below, both inclusive. */
export interface DamagedRange {
  readonly from: number
  readonly to: number
}

/**
 * A run of sound, linked blocks: as high as there is one that is long enough or reaches the base.
 * Undefined when that would lower the tip by too much.
 */
export async function lastSoundRun(chain: ChainToCheck): Promise<SoundRun | undefined> {
  let run: { top: Block; bottom: Block } | undefined
  for (let height = chain.tipHeight; height >= chain.baseHeight; height--) {
    const block = await chain.soundBlock(height)
    if (block === undefined) run = undefined
    else if (run?.bottom.previousHash === block.hash) run.bottom = block
    else run = { top: block, bottom: block }

    if (run !== undefined && run.top.height - height + 1 >= checkedBlocks) return run
    if (chain.tipHeight - (run?.top.height ?? height) > maxLoweredBlocks) break
    if (run !== undefined && height === chain.baseHeight) return run
  }
  return undefined
}

/** What is wrong below a sound run: of all that is there, or of the base alone. Highest first. */
export async function damageBelow(
  chain: ChainToCheck,
  { bottom }: SoundRun,
  depth: VerifyDepth,
): Promise<DamagedRange[]> {
  const ranges: { from: number; to: number }[] = []
  const add = (damaged: number): void => {
    const last = ranges.at(-1)
    if (last?.from === damaged + 1) last.from = damaged
    else if (last?.from !== damaged) ranges.push({ from: damaged, to: damaged })
  }
  const below = bottom.height - 1
  let height = depth === 'all' ? below : Math.min(below, chain.baseHeight)
  let above = bottom.height === height + 1 ? bottom : undefined
  for (; height >= chain.baseHeight; height--) {
    const block = await chain.soundBlock(height)
    if (block === undefined) add(height)
    else if (above !== undefined && above.previousHash !== block.hash) add(height + 1)
    above = block
  }
  return ranges
}
