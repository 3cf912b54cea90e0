import type { Block } from '../../contracts/block-store.js'
import { leaveBranch } from './blame.js'
import { take } from './pace.js'
import { cancel } from './requests.js'
import { isSetAside, recover } from './standing.js'
import {
  createSpan,
  frontOf,
  isComplete,
  linksToFront,
  nextOf,
  type Front,
  type HeldBlock,
  type Request,
  type Span,
  type SyncPeer,
  type SyncState,
  type Turn,
} from './state.js'
import { noteCameTwice } from './thrift.js'
import { costOf, heldCost } from './window.js'

/** The height after the last planned one. */
export const planEnd = (state: SyncState): number =>
  (state.spans.at(-1)?.to ?? frontOf(state).height - 1) + 1

/** What must be below the first missing block of the span, as far as we hold it. */
export function linkOf(state: SyncState, index: number): Front {
  const span = state.spans[index]
  const last = span?.held.at(-1)?.block
  if (last !== undefined) return { height: last.height + 1, after: last.hash, mustBe: undefined }
  if (index === 0) return frontOf(state)
  const before = state.spans[index - 1]
  const below = before !== undefined && isComplete(before) ? before.held.at(-1)?.block : undefined
  return { height: span?.from ?? 0, after: below?.hash, mustBe: undefined }
}

/** Cuts the span so that its first part ends at `to`; the rest becomes a span of its own. */
export function splitSpan(state: SyncState, index: number, to: number): void {
  const span = state.spans[index]
  if (span === undefined || to >= span.to) return
  const rest = createSpan(to + 1, span.to)
  span.to = to
  state.spans.splice(index + 1, 0, rest)
}

/**
 * Takes checked blocks into their span, as far as they go on where it ends. What is there already is
 * skipped; what does not link ends it, and says that the sender is on another branch.
 */
export function mergeIntoSpan(
  turn: Turn,
  peer: SyncPeer,
  request: Request,
  span: Span,
  blocks: readonly Block[],
): void {
  const { state } = turn
  const index = state.spans.indexOf(span)
  if (index < 0) return
  for (const block of blocks) {
    if (block.height < nextOf(span)) {
      noteCameTwice(state, block.payload.length)
      continue
    }
    if (isComplete(span)) break
    const link = linkOf(state, index)
    if (!linksToFront(link, block)) {
      if (block.height === link.height) leaveBranch(turn, peer, isTip(state, link))
      break
    }
    const cost = costOf(state, block.payload.length)
    span.held.push({ block, sender: { connection: peer.connection, key: peer.key } })
    span.heldBytes += cost
    take(state, peer, request, cost)
  }
  if (request.delivered > 0) {
    if (peer.branch.kind === 'unsure') peer.branch = { kind: 'ours' }
    honour(state, peer)
  }
  if (isComplete(span)) cancelSpan(turn, span)
}

/** The peer brought a block that we could use. */
export function honour(state: SyncState, peer: SyncPeer): void {
  if (isSetAside(state, peer.key, state.nowMs)) return
  peer.unhonoured = 0
  peer.busyInARow = 0
  recover(state, peer.key)
  state.missed.clear()
}

/** Takes back the requests for the span that are still open: somebody else was faster. */
function cancelSpan(turn: Turn, span: Span): void {
  for (const request of [...span.requests]) {
    if (request.stage !== 'checking') cancel(turn, request)
  }
}

/** Takes from the front what is held and linked, in order, for one write. */
export function takeBatch(turn: Turn): readonly HeldBlock[] {
  const { state } = turn
  const { commitMaxBlocks, commitMaxBytes } = state.config.limits
  const batch: HeldBlock[] = []
  let link = frontOf(state)
  let bytes = 0
  for (let span = state.spans[0]; span !== undefined; span = state.spans[0]) {
    const [first] = span.held
    if (first === undefined) break
    if (!linksToFront(link, first.block)) {
      misfit(turn, span, first, isTip(state, link))
      break
    }
    let taken = 0
    for (const { block } of span.held) {
      const cost = costOf(state, block.payload.length)
      const isFull = batch.length + taken > 0 && bytes + cost > commitMaxBytes
      if (isFull || batch.length + taken >= commitMaxBlocks) break
      bytes += cost
      taken += 1
    }
    const part = span.held.splice(0, taken)
    span.from += taken
    span.heldBytes -= heldCost(state, part)
    batch.push(...part)
    if (span.from <= span.to) break
    state.spans.shift()
    for (const request of [...span.requests]) cancel(turn, request)
    const last = part.at(-1)?.block
    if (last !== undefined) link = { height: last.height + 1, after: last.hash, mustBe: undefined }
  }
  return batch
}

/** Two neighbours do not link. The one below is on our chain: the one above is fetched again. */
function misfit(turn: Turn, span: Span, first: HeldBlock, isAgainstTip: boolean): void {
  const peer = turn.state.peers.get(first.sender.connection)
  span.held = []
  span.heldBytes = 0
  if (peer !== undefined) leaveBranch(turn, peer, isAgainstTip)
}

/** Whether the link is to what is stored. */
const isTip = (state: SyncState, link: Front): boolean =>
  link.after !== undefined && link.after === state.tip?.hash

/** Puts a batch that was not written back where it came from. */
export function putBack(state: SyncState, held: readonly HeldBlock[]): void {
  const first = held[0]?.block
  const last = held.at(-1)?.block
  if (first === undefined || last === undefined) return
  const span = createSpan(first.height, last.height)
  span.held.push(...held)
  span.heldBytes = heldCost(state, held)
  state.spans.unshift(span)
}

/** Makes the plan begin at the front again, after the tip moved by other hands than the plan's. */
export function rebase(turn: Turn): void {
  const { state } = turn
  const front = frontOf(state).height
  const first = state.spans[0]
  if (first !== undefined && first.from > front) return dropSpans(turn)
  for (let span = state.spans[0]; span !== undefined && span.from < front; span = state.spans[0]) {
    if (span.to >= front) {
      const gone = span.held.splice(0, front - span.from)
      span.heldBytes -= heldCost(state, gone)
      span.from = front
      break
    }
    state.spans.shift()
    for (const request of [...span.requests]) cancel(turn, request)
  }
}

/** Gives the whole plan up; the next one begins at the front. */
export function dropSpans(turn: Turn): void {
  turn.state.spans = []
  for (const request of [...turn.state.requests.values()]) {
    if (request.purpose.kind === 'span') cancel(turn, request)
  }
}
