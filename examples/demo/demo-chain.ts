import type { Block, ChainRules } from 'holdfast'
import { readBitcoinBlockFile } from './bitcoin-block-file.js'
import type { BitcoinBlockFile } from './bitcoin-block-file.js'
import { bitcoinChainRules } from './bitcoin-chain-rules.js'
import { generatedChain } from './generated-chain.js'
import type { DemoOptions } from './options.js'
import { count, megabytes, plural } from './report.js'
import type { Report } from './report.js'

/** What the demo's nodes hold and sync. */
export interface DemoChain {
  /** At least one block, in order of height. */
  readonly blocks: readonly Block[]
  readonly rules: ChainRules
}

/** Reads or makes the chain, and says what it is. Rejects with FILE_INVALID for a file that is none. */
export async function demoChain(options: DemoOptions, report: Report): Promise<DemoChain> {
  if (options.blocks === undefined) {
    const chain = generatedChain(options.count ?? 1)
    report.line(`The chain: ${plural(chain.blocks.length, 'generated block')}, ${sizeOf(chain)}.`)
    return chain
  }
  const file = await readBitcoinBlockFile(options.blocks)
  const blocks = file.blocks.slice(0, options.count)
  const chain = { blocks, rules: bitcoinChainRules(file.anchor) }
  const [first, last] = [blocks[0]?.height ?? 0, blocks.at(-1)?.height ?? 0]
  report.line(
    `The chain: ${plural(blocks.length, 'Bitcoin block')}, height ${count(first)} to ${count(last)}, ${sizeOf(chain)}.`,
  )
  for (const remark of remarksOn(file)) report.line(`  ${remark}`)
  return chain
}

const sizeOf = ({ blocks }: DemoChain): string =>
  megabytes(blocks.reduce((total, { payload }) => total + payload.length, 0))

function remarksOn({ hasTrueHeights, isObfuscated, leftOut }: BitcoinBlockFile): string[] {
  const { duplicates, stale, unlinked } = leftOut
  return [
    ...(isObfuscated ? ['The file is obfuscated; the key in xor.dat opened it.'] : []),
    ...(hasTrueHeights
      ? []
      : ['The file does not reach back to the genesis block: its first block counts as height 1.']),
    ...(duplicates > 0 ? [`Left out: ${plural(duplicates, 'copy', 'copies')} of blocks.`] : []),
    ...(stale > 0 ? [`Left out: ${plural(stale, 'block')} on branches that lost.`] : []),
    ...(unlinked > 0
      ? [
          `Left out: ${plural(unlinked, 'block')} that the blocks of this file do not link to the rest.`,
        ]
      : []),
  ]
}
