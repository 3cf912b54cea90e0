import type { Block, BlockRef } from './block-store.js'
import type { ChainTip } from './chain-rules.js'

/** What a node has: sent once when a connection is established, and again when it changed. */
export interface StatusMessage {
  readonly kind: 'status'
  readonly chainId: string
  /** The lowest height that can be served; 0 when `tip` is null. */
  readonly base: number
  readonly tip: ChainTip | null
}

/** A new tip, in short. */
export interface AnnounceMessage {
  readonly kind: 'announce'
  readonly tip: ChainTip
}

/** Asks for the headers that follow the highest locator entry that the server knows. */
export interface GetHeadersMessage {
  readonly kind: 'getHeaders'
  readonly id: number
  /** Highest first, at most 64. */
  readonly locator: readonly BlockRef[]
  /** 1 to 2,000. */
  readonly count: number
}

/** A terminal reply to `getHeaders`: a contiguous run of names, lowest first; empty: nothing known. */
export interface HeadersMessage {
  readonly kind: 'headers'
  readonly id: number
  /** The hash below the first. */
  readonly previousHash: string
  readonly headers: readonly BlockRef[]
}

/** Asks for a run of blocks. Exactly one terminal reply: a last `blocks`, `notFound` or `busy`. */
export interface GetBlocksMessage {
  readonly kind: 'getBlocks'
  readonly id: number
  readonly from: number
  /** At least 1. */
  readonly count: number
  /** Payload bytes wanted at most; the first block comes even when it is larger. */
  readonly maxBytes: number
  /** The hash that the block below `from` must have, so that a fork shows at once. */
  readonly afterHash?: string
}

/** A chunk of a reply: a contiguous run that goes on where the chunk before it ended. */
export interface BlocksMessage {
  readonly kind: 'blocks'
  readonly id: number
  readonly blocks: readonly Block[]
  /** Whether this chunk ends the reply. */
  readonly last: boolean
}

/** Why a peer has none of the blocks that it was asked for. */
export type NotFoundReason =
  /** `from` is above the server's tip. */
  | 'above-tip'
  /** `from` is below the server's base. */
  | 'below-base'
  /** The server's block below `from` is another one than `afterHash`. */
  | 'other-branch'
  /** The request was cancelled, or the server is stopping or could not read its store. */
  | 'unavailable'

/** A terminal reply: the server does not have it. */
export interface NotFoundMessage {
  readonly kind: 'notFound'
  readonly id: number
  readonly reason: NotFoundReason
  readonly base: number
  readonly tip: ChainTip | null
}

/** A terminal reply: ask again later. */
export interface BusyMessage {
  readonly kind: 'busy'
  readonly id: number
  readonly retryAfterMs: number
}

/** Takes a request back. The server still ends it with one terminal reply. */
export interface CancelMessage {
  readonly kind: 'cancel'
  readonly id: number
}

/** The messages of sync. Ids are chosen by the requester: 0 to 2^32 - 1, unique per connection. */
export type SyncMessage =
  | StatusMessage
  | AnnounceMessage
  | GetHeadersMessage
  | HeadersMessage
  | GetBlocksMessage
  | BlocksMessage
  | NotFoundMessage
  | BusyMessage
  | CancelMessage
