import type { HeldBlock, Request, SyncState } from './state.js'

/** What a block costs while we hold it. */
export const costOf = (state: SyncState, payloadBytes: number): number =>
  payloadBytes + state.config.limits.blockOverheadBytes

/**
 * What a request for so much may bring at worst: the first block comes even when it is larger than
 * what was asked for.
 */
export const grantCost = (state: SyncState, count: number, maxBytes: number): number =>
  Math.max(maxBytes, state.config.maxBlockBytes) + count * state.config.limits.blockOverheadBytes

/** Bytes of the window in use: blocks held, being checked or stored, and replies outstanding. */
export function windowUse(state: SyncState): number {
  let bytes = 0
  for (const span of state.spans) bytes += span.heldBytes
  for (const request of state.requests.values()) bytes += requestCost(state, request)
  const work = state.job !== undefined && 'work' in state.job ? state.job.work : state.postponed
  if (work?.kind === 'extend') bytes += work.bytes
  return bytes
}

function requestCost(state: SyncState, request: Request): number {
  if (request.purpose.kind !== 'span') return 0
  const unchecked = checkingCost(state, request)
  const left = request.count - request.receivedBlocks
  switch (request.stage) {
    case 'awaiting':
      return grantCost(state, request.count, request.maxBytes)
    case 'streaming':
      return (
        unchecked +
        Math.max(0, request.maxBytes - request.receivedBytes) +
        left * state.config.limits.blockOverheadBytes
      )
    case 'checking':
      return unchecked
    case 'cancelled':
      // What still comes is dropped, but it comes through the same pipe.
      return unchecked + Math.max(0, request.maxBytes - request.receivedBytes)
    default:
      return request.stage satisfies never
  }
}

function checkingCost(state: SyncState, request: Request): number {
  let bytes = 0
  for (const blocks of request.checks.values()) {
    for (const { payload } of blocks) bytes += costOf(state, payload.length)
  }
  return bytes
}

export function heldCost(state: SyncState, held: readonly HeldBlock[]): number {
  let bytes = 0
  for (const { block } of held) bytes += costOf(state, block.payload.length)
  return bytes
}
