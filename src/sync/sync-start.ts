import type { BlockRef, BlockStore } from '../contracts/block-store.js'
import type { ChainAnchor, ChainRules } from '../contracts/chain-rules.js'
import { HoldfastError } from '../errors.js'

/**
 * Makes sure that an open store begins where the chain does: an empty one receives the genesis block,
 * if that is known. Rejects with STORE_CORRUPT when it holds another block at the anchor's height.
 */
export async function anchoredTip(store: BlockStore, { genesis }: ChainRules): Promise<void> {
  const anchor = anchorRef(genesis)
  if ((await store.tip()) === null) {
    if (genesis.kind === 'block') await store.append([genesis.block], { expectTip: null })
    return
  }
  const held = await store.hashAt(anchor.height)
  if (held === undefined || held === anchor.hash) return
  throw new HoldfastError(
    'STORE_CORRUPT',
    `the store holds another chain: ${held} at height ${anchor.height}, not ${anchor.hash}`,
  )
}

const anchorRef = (genesis: ChainAnchor): BlockRef =>
  genesis.kind === 'block' ? genesis.block : genesis.ref
