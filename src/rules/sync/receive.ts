import type { Block } from '../../contracts/block-store.js'
import type { BlocksMessage, BusyMessage, NotFoundMessage } from '../../contracts/sync-messages.js'
import { fault, getInTrouble, getOutOfTrouble, isWithinLimits, leaveBranch } from './blame.js'
import { lowerClaim, raiseBase } from './claims.js'
import { branchNotFound, mergeIntoBranch } from './fork.js'
import type { CheckResult } from './inputs.js'
import { learnFromReply } from './pace.js'
import { cancel, disappoint, fail, forget } from './requests.js'
import { mergeIntoSpan } from './spans.js'
import {
  isOpen,
  post,
  takeToken,
  type Request,
  type SyncPeer,
  type SyncState,
  type Turn,
} from './state.js'

/** The shortest wait that a busy peer gets. */
const busyMinMs = 50

/** Takes a chunk of a reply. What nobody asked for is dropped here, before it costs anything. */
export function receiveBlocks(turn: Turn, peer: SyncPeer, message: BlocksMessage): void {
  const request = requestFor(turn, peer, message.id)
  if (request === undefined || request.purpose.kind === 'headers') return
  if (request.stage === 'cancelled') {
    if (message.last) end(turn, peer, request)
    return
  }
  if (!isOpen(request)) return
  const { blocks, ending } = takeRun(turn, request, message.blocks)
  if (blocks.length > 0) {
    request.stage = 'streaming'
    request.progressAtMs = turn.now
    const token = takeToken(turn.state)
    request.checks.set(token, blocks)
    turn.effects.push({ kind: 'check', token, blocks })
  }
  if (message.last || ending !== 'open') finishReading(turn, peer, request, message.last)
  if (ending === 'broken') fault(turn, peer, 'blocks that do not follow each other')
}

type RunEnding =
  | 'open'
  /** All that was asked for is here; anything more is dropped. */
  | 'enough'
  /** The server's chain changed between two chunks: no fault, and no use in going on. */
  | 'switched'
  /** Proof of a fault. */
  | 'broken'

function takeRun(
  turn: Turn,
  request: Request,
  blocks: readonly Block[],
): { readonly blocks: readonly Block[]; readonly ending: RunEnding } {
  const good: Block[] = []
  const done = (ending: RunEnding) => ({ blocks: good, ending })
  for (const block of blocks) {
    if (request.receivedBlocks >= request.count) return done('enough')
    if (block.height !== request.nextHeight) return done('broken')
    if (request.lastHash !== undefined && block.previousHash !== request.lastHash) {
      return done(good.length === 0 ? 'switched' : 'broken')
    }
    if (!isWithinLimits(turn, block)) return done('broken')
    const bytes = request.receivedBytes + block.payload.length
    if (request.receivedBlocks > 0 && bytes > request.maxBytes) return done('enough')
    good.push(block)
    request.receivedBytes = bytes
    request.receivedBlocks += 1
    request.nextHeight += 1
    request.lastHash = block.hash
  }
  return done(request.receivedBlocks >= request.count ? 'enough' : 'open')
}

function finishReading(turn: Turn, peer: SyncPeer, request: Request, isTerminal: boolean): void {
  const { state, now } = turn
  if (request.receivedBlocks === 0) {
    // An empty reply is a way of saying: I do not have it.
    if (!isTerminal) cancel(turn, request)
    else end(turn, peer, request)
    lowerClaim(peer, request.from, NaN, null)
    disappoint(turn, peer)
    return
  }
  learnFromReply(state, peer, request, now)
  if (!isTerminal) post(turn, peer.connection, { kind: 'cancel', id: request.id })
  request.stage = 'checking'
  peer.lastTerminalAtMs = now
}

/** The check of a chunk has ended. */
export function receiveCheck(turn: Turn, token: number, result: CheckResult): void {
  const { state } = turn
  const request = requestOfCheck(state, token)
  const blocks = request?.checks.get(token)
  if (request === undefined || blocks === undefined) return
  request.checks.delete(token)
  const peer = state.peers.get(request.connection)
  if (peer === undefined) return
  if (result.kind === 'threw') {
    getInTrouble(turn, 'check', result.error)
    cancel(turn, request)
    return
  }
  getOutOfTrouble(turn, 'check')
  const good = result.kind === 'refused' ? blocks.slice(0, result.index) : blocks
  merge(turn, peer, request, good)
  if (result.kind === 'refused') {
    const bad = blocks[result.index]
    fault(turn, peer, `block ${bad?.height ?? '?'} fails its check: ${result.reason}`)
  }
  if (request.stage === 'checking' && request.checks.size === 0) forget(state, request)
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
  if (request.receivedBlocks > 0 && stage === 'streaming') {
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
      return leaveBranch(turn, peer)
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
  const { busyMaxMs } = turn.state.config.limits
  const waitMs = Number.isFinite(message.retryAfterMs) ? message.retryAfterMs : busyMinMs
  peer.busyUntilMs = turn.now + Math.min(busyMaxMs, Math.max(busyMinMs, waitMs))
  peer.busyInARow += 1
  peer.maxRequests = 1
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
