import type { Block } from '../../../src/contracts/block-store.js'
import type { ChainTip } from '../../../src/contracts/chain-rules.js'
import type { GetBlocksMessage, GetHeadersMessage } from '../../../src/contracts/sync-messages.js'
import { refOf, type TestChain } from '../../../src/testing/test-chain.js'
import type { Behaviour, WorldPeer } from './world.js'

export interface Pace {
  readonly latencyMs?: number
  /** Bytes per millisecond. */
  readonly rate?: number
  readonly chunkBlocks?: number
}

/** What an honest server of `chain` sends for a request. */
export function runFor(chain: TestChain, request: GetBlocksMessage): readonly Block[] {
  const blocks: Block[] = []
  let bytes = 0
  const last = Math.min(request.from + request.count - 1, chain.tip.height)
  for (let height = request.from; height <= last; height++) {
    const block = chain.at(height)
    bytes += block.payload.length
    if (blocks.length > 0 && bytes > request.maxBytes) break
    blocks.push(block)
  }
  return blocks
}

/** Serves a chain as a node of ours does. `current` may change what it has over time. */
export function honest(current: TestChain | (() => TestChain), pace: Pace = {}): Behaviour {
  const chainNow = typeof current === 'function' ? current : () => current
  return (message, self) => {
    if (message.kind === 'getHeaders') return answerHeaders(chainNow(), message, self, pace)
    if (message.kind === 'getBlocks') answerBlocks(chainNow(), message, self, pace)
  }
}

function answerHeaders(
  chain: TestChain,
  { id, locator, count }: GetHeadersMessage,
  self: WorldPeer,
  { latencyMs = 10 }: Pace,
): void {
  const known = locator.find(
    ({ height, hash }) =>
      height >= chain.base.height && height <= chain.tip.height && chain.at(height).hash === hash,
  )
  const from = (known?.height ?? 0) + 1
  const headers =
    known === undefined ? [] : chain.blocks.slice(from - chain.base.height).slice(0, count)
  const previousHash = known?.hash ?? ''
  self.reply(latencyMs, { kind: 'headers', id, previousHash, headers: headers.map(refOf) })
}

function answerBlocks(
  chain: TestChain,
  request: GetBlocksMessage,
  self: WorldPeer,
  { latencyMs = 10, rate = 1_000, chunkBlocks = 50 }: Pace,
): void {
  const { id, from, afterHash } = request
  const missing = whyMissing(chain, from, afterHash)
  if (missing !== undefined) {
    const tip = refOf(chain.tip)
    const base = chain.base.height
    return self.reply(latencyMs, { kind: 'notFound', id, reason: missing, base, tip })
  }
  const blocks = runFor(chain, request)
  let delayMs = latencyMs
  for (let start = 0; start < blocks.length; start += chunkBlocks) {
    const chunk = blocks.slice(start, start + chunkBlocks)
    delayMs += chunk.reduce((sum, { payload }) => sum + payload.length, 0) / rate
    const last = start + chunkBlocks >= blocks.length
    self.reply(delayMs, { kind: 'blocks', id, blocks: chunk, last })
  }
}

function whyMissing(chain: TestChain, from: number, afterHash: string | undefined) {
  const below = from - 1
  if (from < chain.base.height) return 'below-base'
  if (afterHash !== undefined && below >= chain.base.height && below <= chain.tip.height) {
    if (chain.at(below).hash !== afterHash) return 'other-branch'
  }
  return from > chain.tip.height ? 'above-tip' : undefined
}

export const silent: Behaviour = () => {}

export const isGetBlocks = (message: { kind: string }): message is GetBlocksMessage =>
  message.kind === 'getBlocks'

/** Answers requests for blocks by what `answer` makes of the honest run. */
export function twisted(
  chain: TestChain,
  answer: (blocks: readonly Block[], request: GetBlocksMessage) => readonly Block[],
): Behaviour {
  return (message, self) => {
    if (message.kind !== 'getBlocks') return honest(chain)(message, self)
    const blocks = answer(runFor(chain, message), message)
    self.reply(10, { kind: 'blocks', id: message.id, blocks, last: true })
  }
}

export const brokenPayload = (block: Block): Block => ({
  ...block,
  payload: Uint8Array.from(block.payload, (byte) => byte ^ 0xff),
})

/** One block at a time, so slowly that it is hardly progress. */
export function dripping(chain: TestChain, everyMs: number): Behaviour {
  return (message, self) => {
    if (message.kind !== 'getBlocks') return
    const blocks = runFor(chain, message)
    for (const [index, block] of blocks.entries()) {
      const last = index === blocks.length - 1
      self.reply(everyMs * (index + 1), {
        kind: 'blocks',
        id: message.id,
        blocks: [block],
        last,
      })
    }
  }
}

export const wrongIds = (chain: TestChain): Behaviour => {
  return (message, self) => {
    if (message.kind !== 'getBlocks') return
    const blocks = runFor(chain, message)
    self.reply(10, { kind: 'blocks', id: (message.id + 7) % 2 ** 32, blocks, last: true })
  }
}

/** Says it has nothing of what it claims. */
export const lacking: Behaviour = (message, self) => {
  if (message.kind !== 'getBlocks') return
  self.reply(10, { kind: 'blocks', id: message.id, blocks: [], last: true })
}

export const alwaysBusy: Behaviour = (message, self) => {
  if (message.kind === 'getBlocks' || message.kind === 'getHeaders') {
    self.reply(10, { kind: 'busy', id: message.id, retryAfterMs: 0 })
  }
}

export const claimOf = (height: number): ChainTip => ({ height, hash: `claimed-${height}` })
