import type { BlockStore } from '../contracts/block-store.js'
import type { ChainRules, ChainTip } from '../contracts/chain-rules.js'
import type { Clock } from '../contracts/clock.js'
import type { Random } from '../contracts/random.js'
import { defaultSyncLimits, type SyncConfig, type SyncLimits } from '../rules/sync/limits.js'
import { defaultServingLimits, type ServingLimits } from '../rules/sync/serving.js'

/** The chain that is synced, its rules, and the limits of sync. */
export interface SyncCoordinatorOptions {
  readonly rules: ChainRules
  readonly store: BlockStore
  readonly clock?: Clock
  readonly random?: Random
  /** Bytes of blocks held and outstanding, at most. Default 32 MiB. */
  readonly windowBytes?: number
  /** The deepest fork that is adopted, in blocks of our own branch given up. Default 1,000. */
  readonly maxReorgDepth?: number
  /** Bytes of a branch held until it is better than ours. Default 64 MiB. */
  readonly maxReorgBytes?: number
  /** How many blocks of the largest size a branch must be able to have. Default 8. */
  readonly fullReorgDepth?: number
  /** The first and the longest rest of a peer that failed. Default 500 ms and 30 s. */
  readonly cooldownMinMs?: number
  readonly cooldownMaxMs?: number
  /** How often peers are told what we have. Default 30 s. */
  readonly statusIntervalMs?: number
  /** Requests under way at one peer, of which the last is for what is urgent. Default 4. */
  readonly requestsPerPeer?: number
  /** Requests of one peer that we work on at once. Default 4. */
  readonly serveRequestsPerPeer?: number
  /** How long `stop` waits for a write that hangs. Default 5 s. */
  readonly stopTimeoutMs?: number
}

export interface CheckedSyncOptions {
  readonly config: SyncConfig
  readonly serving: ServingLimits
  readonly stopTimeoutMs: number
}

const defaultFullReorgDepth = 8
const defaultStopTimeoutMs = 5_000
const maxChainIdBytes = 128

/** The fixed options of sync. TypeError or RangeError names the value that makes no sense. */
export function checkSyncOptions(
  options: SyncCoordinatorOptions,
  random: Random,
): CheckedSyncOptions {
  const { rules, store } = options
  if (typeof rules !== 'object' || (rules as unknown) === null) {
    throw new TypeError('rules must be ChainRules')
  }
  if (typeof (store as Partial<BlockStore> | undefined)?.append !== 'function') {
    throw new TypeError('store must be a BlockStore, for instance new MemoryBlockStore()')
  }
  checkRules(rules)
  const limits = limitsOf(options)
  checkReorg(rules, limits, options.fullReorgDepth)
  const config: SyncConfig = {
    chainId: rules.chainId,
    genesis: rules.genesis,
    maxBlockBytes: rules.maxBlockBytes,
    compare: rules.compare?.bind(rules) ?? compareHeights,
    dice: () => random.next(),
    limits,
  }
  const { serveRequestsPerPeer, stopTimeoutMs = defaultStopTimeoutMs } = options
  if (serveRequestsPerPeer !== undefined) {
    requireInteger('serveRequestsPerPeer', serveRequestsPerPeer, 1)
  }
  requireInteger('stopTimeoutMs', stopTimeoutMs, 0)
  const requestsPerPeer = serveRequestsPerPeer ?? defaultServingLimits.requestsPerPeer
  return { config, serving: { ...defaultServingLimits, requestsPerPeer }, stopTimeoutMs }
}

const compareHeights = (a: ChainTip, b: ChainTip): number => a.height - b.height

function limitsOf(options: SyncCoordinatorOptions): SyncLimits {
  const given = {
    windowBytes: options.windowBytes,
    maxReorgDepth: options.maxReorgDepth,
    maxReorgBytes: options.maxReorgBytes,
    cooldownMinMs: options.cooldownMinMs,
    cooldownMaxMs: options.cooldownMaxMs,
    statusIntervalMs: options.statusIntervalMs,
    requestsPerPeer: options.requestsPerPeer,
  }
  const limits = { ...defaultSyncLimits }
  for (const [name, value] of Object.entries(given) as [keyof typeof given, number | undefined][]) {
    if (value === undefined) continue
    requireInteger(name, value, 1)
    limits[name] = value
  }
  if (limits.windowBytes < limits.spanMinBytes) {
    throw new RangeError(
      `windowBytes (${limits.windowBytes}) must hold a span of ${limits.spanMinBytes} bytes`,
    )
  }
  if (limits.cooldownMaxMs < limits.cooldownMinMs) {
    const { cooldownMinMs, cooldownMaxMs } = limits
    throw new RangeError(
      `cooldownMaxMs (${cooldownMaxMs}) must be at least cooldownMinMs (${cooldownMinMs})`,
    )
  }
  return limits
}

function checkRules(rules: ChainRules): void {
  const { chainId, maxBlockBytes } = rules
  const bytes = typeof chainId === 'string' ? new TextEncoder().encode(chainId).length : 0
  if (bytes < 1 || bytes > maxChainIdBytes) {
    throw new RangeError(`rules.chainId must have 1 to ${maxChainIdBytes} bytes, not ${bytes}`)
  }
  requireInteger('rules.maxBlockBytes', maxBlockBytes, 1)
  if (typeof rules.checkIntegrity !== 'function') {
    throw new TypeError('rules.checkIntegrity must be a function')
  }
}

/** A fork of ordinary depth must fit into the budget even when every block is as large as allowed. */
function checkReorg(
  { maxBlockBytes }: ChainRules,
  { maxReorgBytes, maxReorgDepth }: SyncLimits,
  fullReorgDepth = Math.min(defaultFullReorgDepth, maxReorgDepth),
): void {
  requireInteger('fullReorgDepth', fullReorgDepth, 1)
  const needed = maxBlockBytes * fullReorgDepth
  if (maxReorgBytes >= needed) return
  throw new RangeError(
    `maxReorgBytes (${maxReorgBytes}) must be at least rules.maxBlockBytes (${maxBlockBytes}) × ` +
      `fullReorgDepth (${fullReorgDepth}) = ${needed}`,
  )
}

export function requireInteger(name: string, value: number, min: number): void {
  if (typeof value !== 'number')
    throw new TypeError(`${name} must be a number, not ${typeof value}`)
  if (!Number.isSafeInteger(value) || value < min) {
    throw new RangeError(`${name} must be an integer of at least ${min}, not ${value}`)
  }
}
