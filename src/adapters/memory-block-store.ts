import type { Block, BlockRef, BlockStore, RangeLimits } from '../contracts/block-store.js'
import { HoldfastError } from '../errors.js'
import {
  requireAncestor,
  requireHeight,
  requireLink,
  requireRangeLimits,
  requireRun,
  requireTip,
} from './block-store-checks.js'

/** Payloads up to this share memory, so much of it: a block keeps its neighbours' as long as it lives. */
const maxPooledBytes = 1_024
const slabBytes = 64 * 1_024

/**
 * A BlockStore in memory, for tests, browsers and chains that are cheap to fetch again.
 *
 * Nothing survives the process, but `close` and `open` of the same object keep the chain. Every
 * operation is one synchronous step, so nothing ever overlaps a write. Payloads are copied on the way
 * in and on the way out; small ones come out as views of memory that they share with their neighbours.
 */
export class MemoryBlockStore implements BlockStore, AsyncDisposable {
  #isOpen = false

  /** Contiguous and linked, and known to nobody else. */
  readonly #blocks: Block[] = []

  async open(): Promise<void> {
    this.#isOpen = true
  }

  async close(): Promise<void> {
    this.#isOpen = false
  }

  /** As `close`: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async tip(): Promise<BlockRef | null> {
    this.#requireOpen()
    return refOf(this.#blocks.at(-1))
  }

  async base(): Promise<BlockRef | null> {
    this.#requireOpen()
    return refOf(this.#blocks[0])
  }

  async get(height: number): Promise<Block | undefined> {
    this.#requireOpen()
    requireHeight(height)
    const block = this.#at(height)
    return block && copyOf(block)
  }

  async hashAt(height: number): Promise<string | undefined> {
    this.#requireOpen()
    requireHeight(height)
    return this.#at(height)?.hash
  }

  async range(from: number, limits: RangeLimits): Promise<Block[]> {
    this.#requireOpen()
    requireHeight(from, 'from')
    requireRangeLimits(limits)
    const blocks: Block[] = []
    let bytes = 0
    for (let height = from; blocks.length < limits.limit; height++) {
      const block = this.#at(height)
      if (block === undefined) break
      bytes += block.payload.length
      if (bytes > limits.maxBytes && blocks.length > 0) break
      blocks.push(block)
    }
    return copiesOf(blocks)
  }

  async append(
    blocks: readonly Block[],
    { expectTip }: { readonly expectTip: BlockRef | null },
  ): Promise<BlockRef | null> {
    return this.#write(expectTip, blocks, expectTip)
  }

  async replace(
    ancestor: BlockRef | null,
    blocks: readonly Block[],
    { expectTip }: { readonly expectTip: BlockRef | null },
  ): Promise<BlockRef | null> {
    return this.#write(ancestor, blocks, expectTip)
  }

  /** Appending is replacing nothing above the tip. All the checks come before the first change. */
  #write(
    ancestor: BlockRef | null,
    blocks: readonly Block[],
    expectTip: BlockRef | null,
  ): BlockRef | null {
    this.#requireOpen()
    if (ancestor !== null) requireHeight(ancestor.height, 'ancestor.height')
    requireRun(blocks)
    requireTip(refOf(this.#blocks.at(-1)), expectTip)
    if (ancestor !== null) requireAncestor(ancestor, this.#at(ancestor.height)?.hash)
    requireLink(ancestor, blocks[0])

    this.#blocks.length = ancestor === null ? 0 : this.#indexOf(ancestor.height) + 1
    for (const block of copiesOf(blocks)) this.#blocks.push(block)
    return refOf(this.#blocks.at(-1))
  }

  #at(height: number): Block | undefined {
    return this.#blocks[this.#indexOf(height)]
  }

  #indexOf(height: number): number {
    return height - (this.#blocks[0]?.height ?? 0)
  }

  #requireOpen(): void {
    if (!this.#isOpen) throw new HoldfastError('STORE_CLOSED', 'the block store is not open')
  }
}

function refOf(block: Block | undefined): BlockRef | null {
  return block === undefined ? null : { height: block.height, hash: block.hash }
}

/** Small payloads next to one another: memory of its own costs more than so many bytes. */
function copiesOf(blocks: readonly Block[]): Block[] {
  const isPooled = ({ payload }: Block): boolean => payload.length <= maxPooledBytes
  let left = blocks.reduce((sum, block) => sum + (isPooled(block) ? block.payload.length : 0), 0)
  let slab = new Uint8Array(0)
  let used = 0
  return blocks.map((block) => {
    const { height, hash, previousHash, payload } = block
    if (!isPooled(block)) return copyOf(block)
    if (slab.length - used < payload.length) {
      slab = new Uint8Array(Math.min(slabBytes, left))
      used = 0
    }
    slab.set(payload, used)
    used += payload.length
    left -= payload.length
    return { height, hash, previousHash, payload: slab.subarray(used - payload.length, used) }
  })
}

function copyOf({ height, hash, previousHash, payload }: Block): Block {
  // Not payload.slice(): on a Buffer that is a window, not a copy.
  return { height, hash, previousHash, payload: new Uint8Array(payload) }
}
