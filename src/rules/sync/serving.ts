import type { Block, BlockRef } from '../../contracts/block-store.js'
import type { GetBlocksMessage, NotFoundReason } from '../../contracts/sync-messages.js'

/** How much a node does for its peers at a time. */
export interface ServingLimits {
  /** Requests of one peer that are worked on at once; more are answered `busy`. */
  readonly requestsPerPeer: number
  readonly requestsInAll: number
  /** What a busy answer tells the peer to wait. */
  readonly retryAfterMs: number
  readonly chunkBytes: number
  readonly chunkBlocks: number
  /** Nothing more is read for a peer while so many bytes wait to be sent to it. */
  readonly maxQueuedBytes: number
  /** How often the send queue is looked at while it is too full. */
  readonly queueCheckMs: number
  /** The most that one request may ask for, whatever it says. */
  readonly maxReplyBytes: number
}

export const defaultServingLimits: ServingLimits = {
  requestsPerPeer: 4,
  requestsInAll: 64,
  retryAfterMs: 500,
  chunkBytes: 256 * 1024,
  chunkBlocks: 512,
  maxQueuedBytes: 1024 * 1024,
  queueCheckMs: 20,
  maxReplyBytes: 8 * 1024 * 1024,
}

export const isOverloaded = (
  { requestsPerPeer, requestsInAll }: ServingLimits,
  ofThisPeer: number,
  inAll: number,
): boolean => ofThisPeer >= requestsPerPeer || inAll >= requestsInAll

/** One reply under way: what was asked for and not sent yet. */
export interface Reply {
  /** Where the next chunk begins, and the hash below it, when that is known. */
  readonly from: number
  readonly after: string | undefined
  readonly countLeft: number
  readonly bytesLeft: number
  readonly hasBegun: boolean
}

export const beginReply = (limits: ServingLimits, request: GetBlocksMessage): Reply => ({
  from: request.from,
  after: request.afterHash,
  countLeft: request.count,
  bytesLeft: Math.min(request.maxBytes, limits.maxReplyBytes),
  hasBegun: false,
})

/** Names of a block, and the head of a frame. */
const frameOverheadBytes = 1_024

/** What to read for the next chunk. */
export const chunkLimits = (
  limits: ServingLimits,
  reply: Reply,
  maxFrameBytes: number,
): { readonly limit: number; readonly maxBytes: number } => ({
  limit: Math.min(limits.chunkBlocks, reply.countLeft),
  // Half of a frame for what is not payload.
  maxBytes: Math.max(
    1,
    Math.min(limits.chunkBytes, reply.bytesLeft, Math.floor(maxFrameBytes / 2)),
  ),
})

export type ChunkDecision =
  | { readonly kind: 'send'; readonly blocks: readonly Block[]; readonly next: Reply | undefined }
  /** The chain ends here, or has changed since the last chunk: the reply ends with what was sent. */
  | { readonly kind: 'end' }
  /** Nothing is there for the first chunk: why depends on tip and base. */
  | { readonly kind: 'missing' }
  /** A block that the peer's frames cannot carry. */
  | { readonly kind: 'tooLarge' }
  | { readonly kind: 'otherBranch' }

/** Judges what the store returned for the next chunk. */
export function judgeChunk(
  reply: Reply,
  blocks: readonly Block[],
  maxFrameBytes: number,
): ChunkDecision {
  const [first] = blocks
  const last = blocks.at(-1)
  if (first === undefined || last === undefined) {
    return reply.hasBegun ? { kind: 'end' } : { kind: 'missing' }
  }
  if (reply.after !== undefined && first.previousHash !== reply.after) {
    return reply.hasBegun ? { kind: 'end' } : { kind: 'otherBranch' }
  }
  const bytes = blocks.reduce((sum, { payload }) => sum + payload.length, 0)
  if (reply.hasBegun && bytes > reply.bytesLeft) return { kind: 'end' }
  if (bytes + frameOverheadBytes > maxFrameBytes) {
    return reply.hasBegun ? { kind: 'end' } : { kind: 'tooLarge' }
  }
  const next: Reply = {
    from: last.height + 1,
    after: last.hash,
    countLeft: reply.countLeft - blocks.length,
    bytesLeft: reply.bytesLeft - bytes,
    hasBegun: true,
  }
  return { kind: 'send', blocks, next: next.countLeft > 0 && next.bytesLeft > 0 ? next : undefined }
}

/** Why there is nothing at `from`. `below` is our hash below it, if we hold that block. */
export function whyMissing(
  request: GetBlocksMessage,
  base: BlockRef | null,
  below: string | undefined,
): NotFoundReason {
  if (base !== null && request.from < base.height) return 'below-base'
  const isOther = below !== undefined && request.afterHash !== undefined
  return isOther && below !== request.afterHash ? 'other-branch' : 'above-tip'
}
