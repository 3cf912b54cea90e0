import type { Block, BlockRef } from '../../contracts/block-store.js'
import type { ChainTip } from '../../contracts/chain-rules.js'
import type {
  AnnounceMessage,
  BlocksMessage,
  BusyMessage,
  HeadersMessage,
  NotFoundMessage,
  StatusMessage,
  SyncMessage,
} from '../../contracts/sync-messages.js'
import type { SyncNotice } from './notices.js'

/** What is measured on a connection, as it was when the input arose. */
export interface Reading {
  readonly lastReceivedAtMs: number
  readonly readPausedMs: number
  readonly roundTripMs: number | undefined
}

/** The messages that sync itself reads; the others are requests of the peer, which the server answers. */
export type ReplyMessage =
  StatusMessage | AnnounceMessage | HeadersMessage | BlocksMessage | NotFoundMessage | BusyMessage

export interface Threw {
  readonly kind: 'threw'
  readonly error: unknown
}

/**
 * How a check of blocks ended. `index` counts from the first block that was given; `weight` is that of a
 * branch, where our rules know it.
 */
export type CheckResult =
  | { readonly kind: 'passed'; readonly weight?: Uint8Array }
  | { readonly kind: 'refused'; readonly index: number; readonly reason: string }
  | Threw

export type WriteResult =
  | { readonly kind: 'written'; readonly tip: ChainTip | null }
  /** The tip was not the expected one; `tip` is what it was, where the store says so. */
  | { readonly kind: 'moved'; readonly tip: ChainTip | null }
  | { readonly kind: 'unknownAncestor' }
  | Threw

export type TipResult =
  { readonly kind: 'read'; readonly tip: ChainTip | null; readonly base: number } | Threw

export type HashesResult = { readonly kind: 'read'; readonly refs: readonly BlockRef[] } | Threw

/** What is validated and written: more of our chain, a block of our own, or a branch. */
export type WorkKind = 'extend' | 'submit' | 'reorganise'

/** Everything that can happen to sync. Tokens name the effect that an answer belongs to. */
export type SyncInput =
  | { readonly kind: 'started'; readonly tip: ChainTip | null; readonly base: number }
  | { readonly kind: 'stopped' }
  | {
      readonly kind: 'peerConnected'
      readonly connection: number
      readonly key: string
      readonly reading: Reading
    }
  | { readonly kind: 'peerDisconnected'; readonly connection: number }
  | {
      readonly kind: 'message'
      readonly connection: number
      readonly message: ReplyMessage
      readonly reading: Reading
    }
  | {
      readonly kind: 'wake'
      readonly readings: readonly { readonly connection: number; readonly reading: Reading }[]
    }
  | { readonly kind: 'checked'; readonly token: number; readonly result: CheckResult }
  | { readonly kind: 'validated'; readonly token: number; readonly result: CheckResult }
  | { readonly kind: 'written'; readonly token: number; readonly result: WriteResult }
  | { readonly kind: 'tipRead'; readonly token: number; readonly result: TipResult }
  | { readonly kind: 'hashesRead'; readonly token: number; readonly result: HashesResult }
  | { readonly kind: 'submitted'; readonly ticket: number; readonly block: Block }

/** How the submission of a block of our own ended. */
export type SubmitResult =
  | { readonly kind: 'appended'; readonly tip: ChainTip | null }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'tipMismatch'; readonly tip: ChainTip | null }
  | { readonly kind: 'notRunning' }
  | { readonly kind: 'queueFull' }
  | Threw

/**
 * What sync wants done. `check`, `validate`, `append`, `replace`, `readTip` and `readHashes` are each
 * answered by exactly one input with their token, unless `abandon` took the token back or sync stopped.
 */
export type SyncEffect =
  | { readonly kind: 'post'; readonly connection: number; readonly message: SyncMessage }
  /** Integrity of each block, in order, up to the first that fails. */
  | { readonly kind: 'check'; readonly token: number; readonly blocks: readonly Block[] }
  | {
      readonly kind: 'validate'
      readonly token: number
      readonly previous: BlockRef | null
      readonly blocks: readonly Block[]
      /** Of a submitted block integrity is to be checked as well; a branch is to be weighed. */
      readonly work: WorkKind
    }
  | {
      readonly kind: 'append'
      readonly token: number
      readonly blocks: readonly Block[]
      readonly expectTip: BlockRef | null
    }
  | {
      readonly kind: 'replace'
      readonly token: number
      readonly ancestor: BlockRef | null
      readonly blocks: readonly Block[]
      readonly expectTip: BlockRef | null
    }
  | { readonly kind: 'abandon'; readonly token: number }
  | { readonly kind: 'readTip'; readonly token: number }
  /** The hashes at those heights that the store holds. */
  | { readonly kind: 'readHashes'; readonly token: number; readonly heights: readonly number[] }
  | { readonly kind: 'answer'; readonly ticket: number; readonly result: SubmitResult }
  | { readonly kind: 'tell'; readonly notice: SyncNotice }
