import type { BlockRef } from '../../contracts/block-store.js'
import { deadlineOf, learnFromMiss } from './deadline.js'
import { narrow, underWayAt } from './pace.js'
import { coolDown } from './standing.js'
import {
  isOpen,
  post,
  type Purpose,
  type Request,
  type SyncPeer,
  type SyncState,
  type Turn,
} from './state.js'

const maxId = 2 ** 32

/** Attempts in a row without a block that cost nothing: a claim may be a moment old. */
const freeAttempts = 1

export interface BlockRun {
  readonly from: number
  readonly count: number
  readonly maxBytes: number
  readonly afterHash: string | undefined
}

/** Asks the peer for a run of blocks. */
export function askForBlocks(turn: Turn, peer: SyncPeer, purpose: Purpose, run: BlockRun): Request {
  const { from, count, maxBytes, afterHash } = run
  const request = open(turn, peer, purpose, run)
  post(turn, peer.connection, {
    kind: 'getBlocks',
    id: request.id,
    from,
    count,
    maxBytes,
    ...(afterHash === undefined ? {} : { afterHash }),
  })
  return request
}

/** Asks the peer what follows the highest entry of the locator that it knows. */
export function askForHeaders(
  turn: Turn,
  peer: SyncPeer,
  locator: readonly BlockRef[],
  count: number,
): Request {
  const run = { from: locator[0]?.height ?? 0, count, maxBytes: 0, afterHash: undefined }
  const request = open(turn, peer, { kind: 'headers' }, run)
  post(turn, peer.connection, { kind: 'getHeaders', id: request.id, locator, count })
  return request
}

function open(turn: Turn, peer: SyncPeer, purpose: Purpose, run: BlockRun): Request {
  const { state, now } = turn
  const request: Request = {
    id: takeId(state),
    connection: peer.connection,
    purpose,
    from: run.from,
    count: run.count,
    maxBytes: run.maxBytes,
    aheadBytes: underWayAt(state, peer),
    isAfterTip: run.afterHash !== undefined && run.afterHash === state.tip?.hash,
    stage: 'awaiting',
    sentAtMs: now,
    progressAtMs: now,
    readPausedMs: peer.reading.readPausedMs,
    isSkipped: false,
    nextHeight: run.from,
    lastHash: undefined,
    receivedBytes: 0,
    receivedBlocks: 0,
    checks: new Map(),
    delivered: 0,
  }
  state.requests.set(request.id, request)
  peer.requests.add(request)
  if (purpose.kind === 'span') purpose.span.requests.add(request)
  return request
}

/** An id that no request still uses, on any connection. */
function takeId(state: SyncState): number {
  while (state.requests.has(state.nextRequestId))
    state.nextRequestId = (state.nextRequestId + 1) % maxId
  const id = state.nextRequestId
  state.nextRequestId = (id + 1) % maxId
  return id
}

/**
 * Takes the request back. Its terminal reply is still owed, and what has come is still checked: that is
 * progress if it is still missing, and nothing if not.
 */
export function cancel(turn: Turn, request: Request): void {
  if (!isOpen(request)) return
  request.stage = 'cancelled'
  leaveSpan(request)
  request.progressAtMs = turn.now
  post(turn, request.connection, { kind: 'cancel', id: request.id })
}

/** Gives up on all that is under way: what is being checked will not be answered either. */
export function cancelAll(turn: Turn): void {
  for (const request of [...turn.state.requests.values()]) {
    cancel(turn, request)
    request.checks.clear()
    if (request.stage === 'checking') forget(turn.state, request)
  }
}

/** Forgets the request: its terminal reply came, or its connection is gone. */
export function forget(state: SyncState, request: Request): void {
  state.requests.delete(request.id)
  state.peers.get(request.connection)?.requests.delete(request)
  leaveSpan(request)
}

function leaveSpan(request: Request): void {
  if (request.purpose.kind === 'span') request.purpose.span.requests.delete(request)
}

/** Whether the fork attempt waits for a reply of this kind. */
export function isAsked(state: SyncState, kind: 'branch' | 'headers'): boolean {
  for (const { purpose, stage } of state.requests.values()) {
    if (purpose.kind === kind && stage !== 'cancelled') return true
  }
  return false
}

/** How many requests the peer has to work on. */
export function loadOf(peer: SyncPeer): number {
  let load = 0
  for (const request of peer.requests) if (isOpen(request)) load += 1
  return load
}

/** How many terminal replies the peer owes, those of cancelled requests too: its server counts them. */
export function owedBy(peer: SyncPeer): number {
  let owed = 0
  for (const { stage } of peer.requests) if (stage !== 'checking') owed += 1
  return owed
}

/** Gives up what missed its deadline, and what was cancelled long ago. */
export function expireRequests(turn: Turn): void {
  const { state, now } = turn
  for (const request of [...state.requests.values()]) {
    const peer = state.peers.get(request.connection)
    if (peer === undefined) continue
    if (request.stage === 'cancelled') {
      if (request.progressAtMs + state.config.limits.cancelledMaxMs <= now) forget(state, request)
    } else if (isOpen(request) && deadlineOf(state, request, peer) <= now) {
      cancel(turn, request)
      narrow(state, peer)
      learnFromMiss(state, peer, answeredCount(state))
      fail(turn, peer)
    }
  }
}

/** The peer did not do what was asked: it rests, and its claim counts for less. */
export function fail(turn: Turn, peer: SyncPeer): void {
  peer.unhonoured += 1
  coolDown(turn.state, peer.key, turn.now)
}

/** The peer does not have what it claimed. Once that is no failure; in a row it is. */
export function disappoint(turn: Turn, peer: SyncPeer): void {
  peer.unhonoured += 1
  if (peer.unhonoured > freeAttempts) coolDown(turn.state, peer.key, turn.now)
}

/** Those that said what they have: also those that have nothing for us show that we can be reached. */
function answeredCount(state: SyncState): number {
  let count = 0
  for (const { chain } of state.peers.values()) if (chain === 'ours') count += 1
  return count
}
