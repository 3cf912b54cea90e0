import type { BlockRef } from '../../contracts/block-store.js'
import type { ChainAnchor, ChainTip } from '../../contracts/chain-rules.js'

/** Every number that sync decides by. Times in milliseconds, sizes in bytes. */
export interface SyncLimits {
  /** Held and outstanding blocks of ordinary sync; a branch under way has `maxReorgBytes` of its own. */
  readonly windowBytes: number
  readonly spanMinBytes: number
  readonly spanMaxBytes: number
  /** A span is what its peer delivers in about this time: long beside a round trip, short beside a wait. */
  readonly spanMs: number
  readonly spanMaxBlocks: number
  /** What a held block costs besides its payload, so that empty blocks are not free. */
  readonly blockOverheadBytes: number
  /** Requests under way at one peer that has proved itself, the last for what is urgent; any other has one. */
  readonly requestsPerPeer: number

  readonly firstByteMs: number
  readonly progressMs: number
  readonly wholeMs: number
  readonly hedgeMs: number
  /** Deadlines grow to so many times their length while most peers miss them. */
  readonly maxPatience: number
  /** How long a cancelled request counts against the window without its terminal reply. */
  readonly cancelledMaxMs: number

  readonly cooldownMinMs: number
  readonly cooldownMaxMs: number
  /** How long the least bad peer rests at least, when everybody cools down. */
  readonly leastBadMs: number
  readonly faultCooldownMinMs: number
  readonly faultCooldownMaxMs: number
  /** The longest `retryAfterMs` of a busy peer that is honoured. */
  readonly busyMaxMs: number
  /** Peers remembered after their connection ended. */
  readonly maxStandings: number

  readonly heartbeatMs: number
  /** How long a new peer may keep us from calling ourselves synced before it said what it has. */
  readonly probeMs: number
  readonly statusIntervalMs: number
  readonly announceIntervalMs: number

  /** From when on a sync that gets nowhere is reported. */
  readonly noProgressMs: number
  /** From when on a store or validation call that has not ended is reported. */
  readonly slowMs: number
  /** When a validation that has not ended is given up and tried again. */
  readonly validationMaxMs: number
  readonly retryMinMs: number
  readonly retryMaxMs: number
  readonly commitMaxBytes: number
  readonly commitMaxBlocks: number
  readonly maxSubmissions: number

  readonly maxReorgDepth: number
  readonly maxReorgBytes: number
  /** How long a fork attempt may go on without progress. */
  readonly forkProgressMs: number
}

export const defaultSyncLimits: SyncLimits = {
  windowBytes: 32 * 1024 * 1024,
  spanMinBytes: 32 * 1024,
  spanMaxBytes: 2 * 1024 * 1024,
  spanMs: 300,
  spanMaxBlocks: 2_048,
  blockOverheadBytes: 256,
  requestsPerPeer: 4,
  firstByteMs: 1_000,
  progressMs: 2_000,
  wholeMs: 10_000,
  hedgeMs: 250,
  maxPatience: 64,
  cancelledMaxMs: 30_000,
  cooldownMinMs: 500,
  cooldownMaxMs: 30_000,
  leastBadMs: 2_000,
  faultCooldownMinMs: 60_000,
  faultCooldownMaxMs: 600_000,
  busyMaxMs: 60_000,
  maxStandings: 4_096,
  heartbeatMs: 10_000,
  probeMs: 3_000,
  statusIntervalMs: 30_000,
  announceIntervalMs: 250,
  noProgressMs: 60_000,
  slowMs: 10_000,
  validationMaxMs: 60_000,
  retryMinMs: 1_000,
  retryMaxMs: 30_000,
  commitMaxBytes: 4 * 1024 * 1024,
  commitMaxBlocks: 1_024,
  maxSubmissions: 64,
  maxReorgDepth: 1_000,
  maxReorgBytes: 64 * 1024 * 1024,
  forkProgressMs: 30_000,
}

/** What sync knows of the chain and of this node; fixed for its life. */
export interface SyncConfig {
  readonly chainId: string
  readonly genesis: ChainAnchor
  readonly maxBlockBytes: number
  /** As ChainRules.compare. Must survive any values, and may throw: then neither tip is better. */
  readonly compare: (a: ChainTip, b: ChainTip) => number
  /** A number in [0, 1), for the jitter of cooldowns. */
  readonly dice: () => number
  readonly limits: SyncLimits
}

/** Where the next block of an empty store is to be found. */
export interface Start {
  readonly from: number
  /** The hash below it, or that it must have itself. */
  readonly after: string | undefined
  readonly mustBe: string | undefined
}

export function startOf(genesis: ChainAnchor): Start {
  switch (genesis.kind) {
    case 'block':
      return { from: genesis.block.height, after: undefined, mustBe: genesis.block.hash }
    case 'hash':
      return { from: genesis.ref.height, after: undefined, mustBe: genesis.ref.hash }
    case 'checkpoint':
      return { from: genesis.ref.height + 1, after: genesis.ref.hash, mustBe: undefined }
    default:
      return genesis satisfies never
  }
}

/** A checkpoint is a block that we know without holding it. */
export const checkpointOf = (genesis: ChainAnchor): BlockRef | undefined =>
  genesis.kind === 'checkpoint' ? genesis.ref : undefined
