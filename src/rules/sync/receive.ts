import type { Block } from '../../contracts/block-store.js'
import type { BlocksMessage, BusyMessage, NotFoundMessage } from '../../contracts/sync-messages.js'
import { fault, getInTrouble, getOutOfTrouble, leaveBranch } from './blame.js'
import { lowerClaim, raiseBase } from './claims.js'
import { branchNotFound, mergeIntoBranch } from './fork.js'
import type { CheckResult } from './inputs.js'
import { learnFromReply } from './deadline.js'
import { learnBlockBytes, narrow } from './pace.js'
import { cancel, disappoint, fail, forget, loadOf } from './requests.js'
import { mergeIntoSpan } from './spans.js'
import { learnChunk } from './speed.js'
import { isSetAside } from './standing.js'
import {
  isComplete,
  isOpen,
  post,
  takeToken,
  type Request,
  type SyncPeer,
  type SyncState,
  type Turn,
} from './state.js'
import { noteCame, noteCameTwice } from './thrift.js'
import { blocksCost, costOf, isOverfull } from './window.js'

/** The shortest wait that a busy peer gets. */
const busyMinMs = 50

/**
 * Takes a chunk of a reply. What nobody asked for is dropped here, before it costs anything. What comes
 * after its deadline is taken all the same while it is still missing: over a slow link, to ask again
 * would never end.
 */
export function receiveBlocks(turn: Turn, peer: SyncPeer, message: BlocksMessage): void {
  peer.lastBlocksAtMs = turn.now
  const request = requestFor(turn, peer, message.id)
  if (request === undefined || request.purpose.kind === 'headers') return
  if (request.stage === 'checking') return
  learnChunk(peer, request, message.blocks, turn.now)
  const payloadBytes = message.blocks.reduce((sum, { payload }) => sum + payload.length, 0)
  noteCame(turn.state, payloadBytes)
  if (request.stage === 'cancelled' && !isStillMissing(turn.state, peer, request)) {
    request.isSkipped = true
    noteCameTwice(turn.state, payloadBytes)
    if (message.last) end(turn, peer, request)
    return
  }
  const { blocks, ending } = takeRun(turn, request, message.blocks)
  const bytes = blocksCost(turn.state, blocks)
  if (!isAdmitted(turn.state, request, bytes)) return refuse(turn, peer, request, message)
  if (blocks.length > 0) {
    if (request.stage === 'awaiting') request.stage = 'streaming'
    request.progressAtMs = turn.now
    const token = takeToken(turn.state)
    request.checks.set(token, { blocks, bytes })
    turn.effects.push({ kind: 'check', token, blocks })
  }
  if (message.last || ending.kind !== 'open') finishReading(turn, peer, request, message.last)
  if (ending.kind === 'broken') fault(turn, peer, ending.what)
  else if (message.last && request.receivedBlocks === 0) lacks(turn, peer, request)
}

function isStillMissing(state: SyncState, { key }: SyncPeer, request: Request): boolean {
  const { purpose } = request
  if (request.isSkipped || isSetAside(state, key, state.nowMs)) return false
  return purpose.kind === 'span' && !isComplete(purpose.span) && state.spans.includes(purpose.span)
}

/**
 * Room was granted by what blocks have been like. When these are so much larger that they do not fit,
 * they come again when there is room; the first span, which everything waits for, is always taken.
 */
function isAdmitted(state: SyncState, { purpose }: Request, bytes: number): boolean {
  if (purpose.kind !== 'span') return true
  return state.spans[0] === purpose.span || !isOverfull(state, bytes)
}

function refuse(
  turn: Turn,
  peer: SyncPeer,
  request: Request,
  { blocks, last }: BlocksMessage,
): void {
  for (const { payload } of blocks) {
    learnBlockBytes(turn.state, costOf(turn.state, payload.length))
  }
  request.isSkipped = true
  if (last) end(turn, peer, request)
  else cancel(turn, request)
}

type RunEnding =
  | { readonly kind: 'open' }
  /** All that was asked for is here; anything more is dropped. */
  | { readonly kind: 'enough' }
  /** The server's chain changed between two chunks: no fault, and no use in going on. */
  | { readonly kind: 'switched' }
  /** Proof of a fault. */
  | { readonly kind: 'broken'; readonly what: string }

function takeRun(
  turn: Turn,
  request: Request,
  blocks: readonly Block[],
): { readonly blocks: readonly Block[]; readonly ending: RunEnding } {
  const good: Block[] = []
  for (const block of blocks) {
    const ending = endingAt(turn, request, block, good.length === 0)
    if (ending.kind !== 'open') return { blocks: good, ending }
    good.push(block)
    request.receivedBytes += block.payload.length
    request.receivedBlocks += 1
    request.nextHeight += 1
    request.lastHash = block.hash
  }
  const isAll = request.receivedBlocks >= request.count
  return { blocks: good, ending: { kind: isAll ? 'enough' : 'open' } }
}

function endingAt(turn: Turn, request: Request, block: Block, isFirst: boolean): RunEnding {
  const { nextHeight, lastHash } = request
  if (request.receivedBlocks >= request.count) return { kind: 'enough' }
  if (block.height !== nextHeight) {
    return { kind: 'broken', what: `block ${block.height} where ${nextHeight} comes next` }
  }
  if (lastHash !== undefined && block.previousHash !== lastHash) {
    if (isFirst) return { kind: 'switched' }
    return { kind: 'broken', what: `block ${block.height} does not link to the one before it` }
  }
  if (block.payload.length > turn.state.config.maxBlockBytes) {
    return { kind: 'broken', what: `block ${block.height} is larger than any valid one` }
  }
  const bytes = request.receivedBytes + block.payload.length
  const isMore = request.receivedBlocks > 0 && bytes > request.maxBytes
  return { kind: isMore ? 'enough' : 'open' }
}

function finishReading(turn: Turn, peer: SyncPeer, request: Request, isTerminal: boolean): void {
  const { state, now } = turn
  if (request.receivedBlocks === 0) {
    if (isTerminal) end(turn, peer, request)
    else cancel(turn, request)
    return
  }
  learnFromReply(state, request, now)
  if (!isTerminal && isOpen(request)) {
    post(turn, peer.connection, { kind: 'cancel', id: request.id })
  }
  peer.lastTerminalAtMs = now
  request.stage = 'checking'
  forgetChecked(state, request)
}

/** All of it has come and was checked. */
function forgetChecked(state: SyncState, request: Request): void {
  if (request.stage === 'checking' && request.checks.size === 0) forget(state, request)
}

/** An empty reply is a way of saying: I do not have it. */
function lacks(turn: Turn, peer: SyncPeer, request: Request): void {
  if (request.stage === 'cancelled') return
  lowerClaim(peer, request.from, NaN, null)
  disappoint(turn, peer)
}

/** The check of a chunk has ended. */
export function receiveCheck(turn: Turn, token: number, result: CheckResult): void {
  const { state } = turn
  const request = requestOfCheck(state, token)
  const blocks = request?.checks.get(token)?.blocks
  if (request === undefined || blocks === undefined) return
  request.checks.delete(token)
  const peer = state.peers.get(request.connection)
  if (peer === undefined) return
  if (result.kind === 'threw') {
    getInTrouble(turn, 'check', result.error)
    cancel(turn, request)
    return forgetChecked(state, request)
  }
  getOutOfTrouble(turn, 'check')
  const good = result.kind === 'refused' ? blocks.slice(0, result.index) : blocks
  merge(turn, peer, request, good)
  if (result.kind === 'refused') {
    const bad = blocks[result.index]
    fault(turn, peer, `block ${bad?.height ?? '?'} fails its check: ${result.reason}`)
  }
  forgetChecked(state, request)
}

function merge(turn: Turn, peer: SyncPeer, request: Request, blocks: readonly Block[]): void {
  switch (request.purpose.kind) {
    case 'span':
      return mergeIntoSpan(turn, peer, request, request.purpose.span, blocks)
    case 'branch':
      return mergeIntoBranch(turn, peer, request, blocks)
    case 'headers':
      return
    default:
      return request.purpose satisfies never
  }
}

export function receiveNotFound(turn: Turn, peer: SyncPeer, message: NotFoundMessage): void {
  const request = requestFor(turn, peer, message.id)
  if (request === undefined || request.stage === 'checking') return
  const { stage } = request
  if (request.receivedBlocks > 0) {
    // The server could not go on: what came is good.
    finishReading(turn, peer, request, true)
    return
  }
  end(turn, peer, request)
  if (stage === 'cancelled') return
  if (request.purpose.kind !== 'span') return branchNotFound(turn, peer, message)
  switch (message.reason) {
    case 'above-tip':
      lowerClaim(peer, request.from, message.base, message.tip)
      return disappoint(turn, peer)
    case 'below-base':
      raiseBase(peer, request.from, message.base)
      return disappoint(turn, peer)
    case 'other-branch':
      return leaveBranch(turn, peer, request.isAfterTip)
    case 'unavailable':
      return fail(turn, peer)
    default:
      return message.reason satisfies never
  }
}

/** The peer asks us to wait: it is left alone as long as it says, within reason, and not blamed. */
export function receiveBusy(turn: Turn, peer: SyncPeer, message: BusyMessage): void {
  const request = requestFor(turn, peer, message.id)
  if (request === undefined || request.stage === 'checking') return
  end(turn, peer, request)
  const { busyMaxMs, leastBadMs } = turn.state.config.limits
  const waitMs = Number.isFinite(message.retryAfterMs) ? message.retryAfterMs : busyMinMs
  // Who is busy again and again is asked more and more seldom, whatever its hint says.
  const leastMs = Math.min(leastBadMs, busyMinMs * 2 ** Math.min(peer.busyInARow, 30))
  peer.busyUntilMs = turn.now + Math.min(busyMaxMs, Math.max(leastMs, waitMs))
  peer.busyInARow += 1
  if (loadOf(peer) > 0) peer.admits = { count: loadOf(peer), untilMs: turn.now + busyMaxMs }
  narrow(turn.state, peer)
}

function end(turn: Turn, peer: SyncPeer, request: Request): void {
  peer.lastTerminalAtMs = turn.now
  forget(turn.state, request)
}

/** The request that a reply belongs to: a reply to another connection's request is nobody's. */
export function requestFor(turn: Turn, peer: SyncPeer, id: number): Request | undefined {
  const request = turn.state.requests.get(id)
  return request?.connection === peer.connection ? request : undefined
}

function requestOfCheck(state: SyncState, token: number): Request | undefined {
  for (const request of state.requests.values()) if (request.checks.has(token)) return request
  return undefined
}
