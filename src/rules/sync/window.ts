import { bytesLeft } from './pace.js'
import type { HeldBlock, Request, SyncState, Work } from './state.js'

/** What a block costs while we hold it. */
export const costOf = (state: SyncState, payloadBytes: number): number =>
  payloadBytes + state.config.limits.blockOverheadBytes

/**
 * What a request is charged: so many blocks as they have been of late, and no less than the largest
 * of them, for the first block comes even when it is larger than what was asked for. The largest that
 * the chain allows would leave room for a handful of requests where blocks are small. `isOverfull`
 * bounds what a surprise can do.
 */
export const grantCost = (state: SyncState, count: number, maxBytes: number): number =>
  Math.max(
    state.largestBytes,
    Math.min(maxBytes + count * state.config.limits.blockOverheadBytes, count * state.blockBytes),
  )

/** Bytes of the window in use: blocks held, being checked or stored, and replies outstanding. */
export function windowUse(state: SyncState): number {
  let bytes = heldInAll(state)
  for (const request of state.requests.values()) bytes += outstandingCost(state, request)
  return bytes
}

/** Whether so much more would exceed the window by itself, whatever is outstanding. */
export const isOverfull = (state: SyncState, bytes: number): boolean =>
  heldInAll(state) + bytes > state.config.limits.windowBytes

/**
 * Whether nothing is here that could be stored next. Then the first span is asked for whatever the window
 * says, or a full window would wait for itself. Where something is, it goes first, however long that takes.
 */
export const isStarved = (state: SyncState): boolean =>
  workInHand(state) === undefined && (state.spans[0]?.held.length ?? 0) === 0

/** What is being validated or stored. */
const workInHand = ({ job, postponed }: SyncState): Work | undefined =>
  job !== undefined && 'work' in job ? job.work : postponed

/** What is really here: held, being checked, being stored. */
function heldInAll(state: SyncState): number {
  let bytes = 0
  for (const span of state.spans) bytes += span.heldBytes
  for (const request of state.requests.values()) {
    if (request.purpose.kind === 'span') bytes += checkingCost(request)
  }
  const work = workInHand(state)
  if (work?.kind === 'extend') bytes += work.bytes
  return bytes
}

/** What a cancelled request still brings is dropped, but it comes through the same pipe. */
function outstandingCost(state: SyncState, request: Request): number {
  if (request.purpose.kind !== 'span') return 0
  switch (request.stage) {
    case 'awaiting':
      return grantCost(state, request.count, request.maxBytes)
    case 'streaming':
    case 'cancelled':
      return bytesLeft(state, request)
    case 'checking':
      return 0
    default:
      return request.stage satisfies never
  }
}

function checkingCost(request: Request): number {
  let sum = 0
  for (const { bytes } of request.checks.values()) sum += bytes
  return sum
}

export function blocksCost(
  state: SyncState,
  blocks: readonly { readonly payload: Uint8Array }[],
): number {
  let bytes = 0
  for (const { payload } of blocks) bytes += costOf(state, payload.length)
  return bytes
}

export function heldCost(state: SyncState, held: readonly HeldBlock[]): number {
  let bytes = 0
  for (const { block } of held) bytes += costOf(state, block.payload.length)
  return bytes
}
