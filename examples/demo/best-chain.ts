import type { Block, ChainAnchor } from 'holdfast'

/** A block whose place in the chain is not known yet. */
export interface LooseBlock {
  readonly hash: string
  readonly previousHash: string
  readonly payload: Uint8Array
  /** How much work it adds to its chain; at least 0. */
  readonly work: bigint
}

export interface BestChain {
  /** At least one block, in order of height. */
  readonly blocks: readonly Block[]
  /** The genesis block's name when it is there, otherwise the block below the first as a checkpoint. */
  readonly anchor: ChainAnchor
  /** False: where the chain begins is not known, and its first block counts as height 1. */
  readonly hasTrueHeights: boolean
  /** What is there besides the chain. */
  readonly leftOut: {
    /** Copies of a block that was there already. */
    readonly duplicates: number
    /** Blocks on branches that lost against the chain. */
    readonly stale: number
    /** Blocks whose links do not lead to where the chain begins. */
    readonly unlinked: number
  }
}

interface Placed extends LooseBlock {
  /** The lowest block that its links lead to. */
  readonly root: LooseBlock
  /** The work from the root up to here. */
  readonly totalWork: bigint
}

/**
 * Orders blocks by their links and takes the chain with most work; of equal ones the one whose tip came
 * first. Chains from the genesis block, or its child, are preferred to all others: their heights are
 * known. There must be at least one block.
 */
export function bestChain(loose: readonly LooseBlock[], genesisHash: string): BestChain {
  const blocks = new Map(loose.map((block) => [block.hash, block]))
  const placed = placeAll(blocks)

  const beginsKnown = ({ root }: Placed): boolean =>
    root.hash === genesisHash || root.previousHash === genesisHash
  let tip: Placed | undefined
  for (const { hash } of blocks.values()) {
    const candidate = placed.get(hash)!
    if (tip === undefined || isBetter(candidate, tip, beginsKnown)) tip = candidate
  }
  if (tip === undefined) throw new RangeError('a chain needs at least one block')

  const { root } = tip
  const hasGenesis = root.hash === genesisHash
  const chain = pathTo(tip, placed, hasGenesis ? 0 : 1)
  let connected = 0
  for (const block of placed.values()) {
    if (block.root.previousHash === root.previousHash) connected++
  }
  return {
    blocks: chain,
    anchor: hasGenesis
      ? { kind: 'hash', ref: { height: 0, hash: genesisHash } }
      : { kind: 'checkpoint', ref: { height: 0, hash: root.previousHash } },
    hasTrueHeights: beginsKnown(tip),
    leftOut: {
      duplicates: loose.length - blocks.size,
      stale: connected - chain.length,
      unlinked: blocks.size - connected,
    },
  }
}

function placeAll(blocks: ReadonlyMap<string, LooseBlock>): Map<string, Placed> {
  const children = new Map<string, LooseBlock[]>()
  const placed = new Map<string, Placed>()
  const open: Placed[] = []
  for (const block of blocks.values()) {
    if (!blocks.has(block.previousHash)) {
      open.push({ ...block, root: block, totalWork: block.work })
      continue
    }
    const siblings = children.get(block.previousHash)
    if (siblings === undefined) children.set(block.previousHash, [block])
    else siblings.push(block)
  }
  // A list instead of recursion: chains are longer than a stack is deep.
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { hash, root, totalWork } = next
    placed.set(hash, next)
    for (const child of children.get(hash) ?? []) {
      open.push({ ...child, root, totalWork: totalWork + child.work })
    }
  }
  return placed
}

function isBetter(a: Placed, b: Placed, beginsKnown: (block: Placed) => boolean): boolean {
  if (beginsKnown(a) !== beginsKnown(b)) return beginsKnown(a)
  return a.totalWork > b.totalWork
}

function pathTo(tip: Placed, placed: ReadonlyMap<string, Placed>, firstHeight: number): Block[] {
  const path: Placed[] = []
  for (let at: Placed | undefined = tip; at; at = placed.get(at.previousHash)) path.push(at)
  return path.reverse().map(({ hash, previousHash, payload }, index) => ({
    height: firstHeight + index,
    hash,
    previousHash,
    payload,
  }))
}
