import type { Block, BlockRef } from '../../contracts/block-store.js'
import type { ChainTip } from '../../contracts/chain-rules.js'
import { noWaits, type Waits } from './bottleneck.js'
import type { Reading, SyncEffect } from './inputs.js'
import type { SyncConfig } from './limits.js'
import { startOf } from './limits.js'
import { createMeter, type Meter } from './meter.js'
import type { SyncNotice, SyncPhase } from './notices.js'
import type { Speed } from './speed.js'

/** Who sent a block: the connection it came on, and the peer that answers for it. */
export interface Sender {
  readonly connection: number
  readonly key: string
}

export interface HeldBlock {
  readonly block: Block
  readonly sender: Sender
}

/**
 * A run of heights that is fetched as one piece. `held` is its contiguous, linked, checked beginning.
 * Several requests may be under way for the rest: the first to deliver wins.
 */
export interface Span {
  from: number
  /** The last height. */
  to: number
  held: HeldBlock[]
  heldBytes: number
  /** Those that were neither cancelled nor are done, in the order in which they were sent. */
  readonly requests: Set<Request>
}

export type Purpose =
  | { readonly kind: 'span'; readonly span: Span }
  /** Blocks of the branch of the fork attempt. */
  | { readonly kind: 'branch' }
  /** Headers for the fork attempt. */
  | { readonly kind: 'headers' }

/**
 * - awaiting: nothing came yet
 * - streaming: chunks came, the terminal reply did not
 * - checking: it is complete, and the last blocks are being checked
 * - cancelled: given up; the terminal reply is still owed
 */
export type RequestStage = 'awaiting' | 'streaming' | 'checking' | 'cancelled'

/** A chunk that is being checked, and what it costs meanwhile. */
export interface Check {
  readonly blocks: readonly Block[]
  readonly bytes: number
}

export interface Request {
  readonly id: number
  readonly connection: number
  readonly purpose: Purpose
  readonly from: number
  readonly count: number
  readonly maxBytes: number
  /** What the peer had to send before, when it was sent. */
  readonly aheadBytes: number
  /** Whether it was asked for what follows our tip of then: "other branch" is certain then. */
  readonly isAfterTip: boolean
  stage: RequestStage
  sentAtMs: number
  /** When the last chunk came, or the request was sent or cancelled. */
  progressAtMs: number
  /** Reading pauses of ours before the request; deadlines stand still in later ones. */
  readPausedMs: number
  /** A chunk was dropped by us: those that follow it are too, for they do not begin where we are. */
  isSkipped: boolean
  /** The height that the next chunk must begin with, and the hash below it. */
  nextHeight: number
  lastHash: string | undefined
  receivedBytes: number
  receivedBlocks: number
  /** Chunks whose integrity is being checked, by token, in order. */
  readonly checks: Map<number, Check>
  /** Blocks that were good and new. */
  delivered: number
}

/** What a peer says it has. Believed only as far as it makes the peer worth asking. */
export interface Claim {
  base: number
  tip: ChainTip | null
}

export type Branch =
  | { readonly kind: 'ours' }
  /**
   * Does not link to blocks that we hold and have not stored: one of the two senders is on another
   * branch. Until it has brought a block of ours it is asked only for what follows the tip itself, where
   * its answer tells. `tipHash`: our tip when that was found.
   */
  | { readonly kind: 'unsure'; readonly tipHash: string }
  /** Does not link to our chain: to be looked at by a fork attempt. */
  | { readonly kind: 'other' }
  /** Beyond our limits, or of another genesis: rests for a while. */
  | { readonly kind: 'tooDeep'; readonly tipHash: string; readonly sinceMs: number }

/** What a connected peer is worth. Dies with the connection. */
export interface SyncPeer extends Sender {
  readonly connectedAtMs: number
  reading: Reading
  chain: 'unknown' | 'ours' | 'other'
  claim: Claim | undefined
  /** The highest height worth asking for, lowered when the peer does not honour its claim. */
  ceiling: number
  branch: Branch
  /** The tip that was last told as a fork, so that it is told once. */
  forkToldHash: string | undefined
  /** Requests in a row that brought no block, busy ones apart. */
  unhonoured: number
  busyInARow: number
  busyUntilMs: number
  /** What it answers at once, until then: one more was refused as busy. */
  admits: { readonly count: number; readonly untilMs: number } | undefined
  readonly speed: Speed
  /** Slow start: what it may be asked for at once, until the line is full. */
  windowBytes: number
  /** When the last whole message came, and the last with blocks, of whatever request. */
  lastMessageAtMs: number
  lastBlocksAtMs: number
  lastTerminalAtMs: number
  /** Everything that it still owes a terminal reply for, and what is being checked. */
  readonly requests: Set<Request>
}

/** What is remembered of a peer beyond its connection. */
export interface Standing {
  /** In a row. */
  failures: number
  failedAtMs: number
  cooldownUntilMs: number
  faults: number
  setAsideUntilMs: number
  /** The block it was last found guilty of: the same one is told once. */
  rejectedHash: string | undefined
  forkTriedAtMs: number
}

/** What goes through the one lane to the store. */
export type Work =
  | { readonly kind: 'extend'; readonly held: readonly HeldBlock[]; readonly bytes: number }
  | {
      readonly kind: 'reorganise'
      readonly ancestor: BlockRef | null
      readonly held: readonly HeldBlock[]
    }
  | { readonly kind: 'submit'; readonly ticket: number; readonly block: Block }

/** The one call of store or validation that is under way. */
export type Job = { readonly token: number; sinceMs: number } & (
  | { readonly kind: 'validate'; readonly work: Work }
  | { readonly kind: 'write'; readonly work: Work }
  | { readonly kind: 'readTip' }
)

/** Our own store or validation fails. Over when the same kind of call has succeeded. */
export interface Trouble {
  readonly where: 'store' | 'validation' | 'check'
  readonly failures: number
  readonly error: unknown
  retryAtMs: number
}

export interface ForkAttempt extends Sender {
  progressAtMs: number
  readonly startedAtMs: number
  stage:
    | { readonly kind: 'locating'; readonly token: number }
    | { readonly kind: 'searching'; readonly locator: readonly BlockRef[] }
    | {
        readonly kind: 'comparing'
        readonly token: number
        readonly below: BlockRef
        readonly headers: readonly BlockRef[]
        readonly isFull: boolean
      }
    | { readonly kind: 'fetching'; readonly ancestor: BlockRef }
    | { readonly kind: 'committing'; readonly ancestor: BlockRef }
  held: HeldBlock[]
  heldBytes: number
}

export interface Rejection extends BlockRef {
  readonly reason: string
}

export interface SyncState {
  readonly config: SyncConfig
  /** The time of the last step. */
  nowMs: number
  isRunning: boolean
  /** Valid while `isTipKnown`: the last tip that the store told. */
  tip: ChainTip | null
  base: number
  isTipKnown: boolean
  tipMovedAtMs: number
  readonly peers: Map<number, SyncPeer>
  readonly standings: Map<string, Standing>
  /** Contiguous, in order. The first one begins at the front: one above the tip and the work on it. */
  spans: Span[]
  readonly requests: Map<number, Request>
  nextRequestId: number
  nextToken: number
  job: Job | undefined
  /** Work that failed for a reason of ours, to be tried again. */
  postponed: Work | undefined
  trouble: Trouble | undefined
  submissions: { readonly ticket: number; readonly block: Block }[]
  fork: ForkAttempt | undefined
  rejection: Rejection | undefined
  /** Tip mismatches in a row: one is another writer, many are a store that contradicts itself. */
  moves: number
  /** Since when we know of something better than we have, or undefined. */
  behindSinceMs: number | undefined
  /** How many times longer deadlines are than usual, and who missed one since the last good block. */
  patience: number
  readonly missed: Set<string>
  /** What a block takes, with its overhead: the mean of late, and the largest of late. */
  blockBytes: number
  largestBytes: number
  /** Payload that came of late, and how much of it we had already: more and more seldom is asked twice. */
  cameBytes: number
  cameTwiceBytes: number
  statusDueAtMs: number
  announcedHash: string | undefined
  announcedAtMs: number
  phase: SyncPhase
  /** When to look again, whatever happens. */
  wakeAtMs: number
  /** When the next wait ends that holds the plan up: a deadline, a cooldown, a retry. */
  nextMoveAtMs: number
  readonly meter: Meter
  /** As they were at the last step. */
  waits: Waits
}

/** One step under way: its time, and what it wants done so far. */
export interface Turn {
  readonly state: SyncState
  readonly now: number
  readonly effects: SyncEffect[]
}

/** Before the first block was seen. */
const guessedBlockBytes = 1_024

export function createSyncState(config: SyncConfig): SyncState {
  return {
    config,
    nowMs: 0,
    isRunning: false,
    tip: null,
    base: 0,
    isTipKnown: false,
    tipMovedAtMs: 0,
    peers: new Map(),
    standings: new Map(),
    spans: [],
    requests: new Map(),
    nextRequestId: 0,
    nextToken: 0,
    job: undefined,
    postponed: undefined,
    trouble: undefined,
    submissions: [],
    fork: undefined,
    rejection: undefined,
    moves: 0,
    behindSinceMs: undefined,
    patience: 1,
    missed: new Set(),
    blockBytes: guessedBlockBytes,
    cameBytes: 0,
    cameTwiceBytes: 0,
    largestBytes: guessedBlockBytes,
    statusDueAtMs: Infinity,
    announcedHash: undefined,
    announcedAtMs: -Infinity,
    phase: { kind: 'stopped' },
    wakeAtMs: Infinity,
    nextMoveAtMs: Infinity,
    meter: createMeter(),
    waits: noWaits,
  }
}

export function takeToken(state: SyncState): number {
  state.nextToken += 1
  return state.nextToken
}

export function tell(turn: Turn, notice: SyncNotice): void {
  turn.effects.push({ kind: 'tell', notice })
}

export function post(
  turn: Turn,
  connection: number,
  message: Extract<SyncEffect, { kind: 'post' }>['message'],
): void {
  turn.effects.push({ kind: 'post', connection, message })
}

/** The lowest height that is neither stored nor on its way into the store, and what must be below it. */
export interface Front {
  readonly height: number
  readonly after: string | undefined
  readonly mustBe: string | undefined
}

export function frontOf(state: SyncState): Front {
  const work = state.job !== undefined && 'work' in state.job ? state.job.work : state.postponed
  const last = work?.kind === 'extend' ? work.held.at(-1)?.block : undefined
  if (last !== undefined) return { height: last.height + 1, after: last.hash, mustBe: undefined }
  if (state.tip !== null) {
    return { height: state.tip.height + 1, after: state.tip.hash, mustBe: undefined }
  }
  const { from, after, mustBe } = startOf(state.config.genesis)
  return { height: from, after, mustBe }
}

export const linksToFront = (front: Front, block: Block): boolean =>
  block.height === front.height &&
  (front.after === undefined || block.previousHash === front.after) &&
  (front.mustBe === undefined || block.hash === front.mustBe)

export const createSpan = (from: number, to: number): Span => ({
  from,
  to,
  held: [],
  heldBytes: 0,
  requests: new Set(),
})

export const nextOf = (span: Span): number => span.from + span.held.length

export const isComplete = (span: Span): boolean => nextOf(span) > span.to

/** Whether an answer is still waited for. */
export const isOpen = (request: Request): boolean =>
  request.stage === 'awaiting' || request.stage === 'streaming'
