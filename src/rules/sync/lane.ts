import type { Block, BlockRef } from '../../contracts/block-store.js'
import type { ChainTip } from '../../contracts/chain-rules.js'
import { isBetter } from './claims.js'
import { fault, forgetBranches, getInTrouble, getOutOfTrouble, reject } from './blame.js'
import { branchAdopted, endFork, readyBranch } from './fork.js'
import type { CheckResult, SubmitResult, TipResult, WriteResult } from './inputs.js'
import { count } from './meter.js'
import { dropSpans, putBack, rebase, takeBatch } from './spans.js'
import {
  frontOf,
  linksToFront,
  takeToken,
  tell,
  type HeldBlock,
  type Job,
  type SyncState,
  type Turn,
  type Work,
} from './state.js'
import { heldCost } from './window.js'

/** Tip mismatches in a row after which the store is taken to contradict itself. */
const maxMoves = 3

/**
 * The one lane to the store: validation and writes one after the other, in order. Starts the next job
 * when none is under way.
 */
export function runLane(turn: Turn): void {
  const { state, now } = turn
  expireValidation(turn)
  if (state.job !== undefined) return
  const { trouble } = state
  if (trouble !== undefined && trouble.where !== 'check' && trouble.retryAtMs > now) {
    return refuseSubmissions(turn, { kind: 'threw', error: trouble.error })
  }
  if (!state.isTipKnown) {
    const token = takeToken(state)
    state.job = { kind: 'readTip', token, sinceMs: now }
    turn.effects.push({ kind: 'readTip', token })
    return
  }
  const work = nextWork(turn)
  if (work !== undefined) validate(turn, work)
}

function nextWork(turn: Turn): Work | undefined {
  const { state } = turn
  const { postponed } = state
  if (postponed !== undefined) {
    state.postponed = undefined
    return postponed
  }
  for (let next = state.submissions.shift(); next !== undefined; next = state.submissions.shift()) {
    if (linksToFront(frontOf(state), next.block)) return { kind: 'submit', ...next }
    answer(turn, next.ticket, { kind: 'tipMismatch', tip: state.tip })
  }
  const branch = readyBranch(state)
  if (branch !== undefined && state.fork?.stage.kind === 'fetching') {
    state.fork.stage = { kind: 'committing', ancestor: state.fork.stage.ancestor }
    return branch
  }
  const held = takeBatch(turn)
  return held.length === 0 ? undefined : { kind: 'extend', held, bytes: heldCost(state, held) }
}

function validate(turn: Turn, work: Work): void {
  const { state, now } = turn
  const token = takeToken(state)
  state.job = { kind: 'validate', token, sinceMs: now, work }
  const previous = work.kind === 'reorganise' ? work.ancestor : refOf(state.tip)
  const blocks = blocksOf(work)
  turn.effects.push({ kind: 'validate', token, previous, blocks, work: work.kind })
}

/** A validation can be given up, as it writes nothing. A write never is. */
function expireValidation(turn: Turn): void {
  const { state, now } = turn
  const { job } = state
  if (job?.kind !== 'validate') return
  if (job.sinceMs + state.config.limits.validationMaxMs > now) return
  turn.effects.push({ kind: 'abandon', token: job.token })
  const error = new Error(`validate did not end within ${state.config.limits.validationMaxMs} ms`)
  receiveValidation(turn, job.token, { kind: 'threw', error })
}

export function receiveValidation(turn: Turn, token: number, result: CheckResult): void {
  const { state } = turn
  const { job } = state
  if (job?.token !== token || job.kind !== 'validate') return
  const { work } = job
  state.job = undefined
  if (result.kind === 'threw') {
    if (work.kind === 'submit') return answer(turn, work.ticket, result)
    state.postponed = work
    return getInTrouble(turn, 'validation', result.error)
  }
  getOutOfTrouble(turn, 'validation')
  if (result.kind === 'passed') {
    if (work.kind === 'reorganise' && isLighter(state, work, result.weight)) {
      return blameWeight(turn)
    }
    return write(turn, work)
  }
  switch (work.kind) {
    case 'submit':
      return answer(turn, work.ticket, { kind: 'refused', reason: result.reason })
    case 'reorganise':
      endFork(turn)
      return rejectAt(turn, work.held, result)
    case 'extend': {
      const good = work.held.slice(0, result.index)
      // All that was planned above grows out of the refused block.
      dropSpans(turn)
      forgetBranches(state)
      rejectAt(turn, work.held, result)
      if (good.length === 0) return
      return write(turn, { kind: 'extend', held: good, bytes: heldCost(state, good) })
    }
    default:
      return work satisfies never
  }
}

function rejectAt(
  turn: Turn,
  held: readonly HeldBlock[],
  { index, reason }: Extract<CheckResult, { kind: 'refused' }>,
): void {
  const bad = held[index]
  if (bad !== undefined) reject(turn, bad, reason)
}

function write(turn: Turn, work: Work): void {
  const { state, now } = turn
  const token = takeToken(state)
  state.job = { kind: 'write', token, sinceMs: now, work }
  const blocks = blocksOf(work)
  const expectTip = refOf(state.tip)
  if (work.kind === 'reorganise') {
    turn.effects.push({ kind: 'replace', token, ancestor: work.ancestor, blocks, expectTip })
  } else turn.effects.push({ kind: 'append', token, blocks, expectTip })
}

export function receiveWrite(turn: Turn, token: number, result: WriteResult): void {
  const { state } = turn
  const { job } = state
  if (job?.token !== token || job.kind !== 'write') return
  const { work } = job
  state.job = undefined
  switch (result.kind) {
    case 'written':
      return written(turn, work, result.tip)
    case 'moved':
      return moved(turn, work, result.tip)
    case 'unknownAncestor':
      endFork(turn)
      return moved(turn, work, state.tip)
    case 'threw':
      if (work.kind === 'submit') return answer(turn, work.ticket, result)
      state.postponed = work
      return getInTrouble(turn, 'store', result.error)
    default:
      return result satisfies never
  }
}

function written(turn: Turn, work: Work, tip: ChainTip | null): void {
  const { state, now } = turn
  const before = state.tip
  const blocks = blocksOf(work)
  getOutOfTrouble(turn, 'store')
  state.moves = 0
  if (before === null || (work.kind === 'reorganise' && work.ancestor === null)) {
    state.base = blocks[0]?.height ?? 0
  }
  setTip(turn, tip)
  count(
    state.meter,
    now,
    blocks.length,
    blocks.reduce((sum, { payload }) => sum + payload.length, 0),
  )
  const ref = refOf(tip)
  if (work.kind === 'reorganise') {
    if (ref !== null) {
      const { ancestor } = work
      tell(turn, { kind: 'chainReplaced', ancestor, previousTip: refOf(before), tip: ref })
    }
    forgetBranches(state)
    judgeBranch(turn, before, tip)
    branchAdopted(turn)
  } else if (ref !== null) {
    tell(turn, { kind: 'blocksAppended', from: blocks[0]?.height ?? ref.height, tip: ref })
  }
  if (work.kind === 'submit') answer(turn, work.ticket, { kind: 'appended', tip })
  rebase(turn)
}

/** Our own rules know what the branch weighs, and it is not better than what we have. */
function isLighter(
  state: SyncState,
  { held }: Extract<Work, { kind: 'reorganise' }>,
  weight: Uint8Array | undefined,
): boolean {
  const last = held.at(-1)?.block
  if (weight === undefined || last === undefined) return false
  return !isBetter(state, { height: last.height, hash: last.hash, weight })
}

function blameWeight(turn: Turn): void {
  const { state } = turn
  const peer = state.fork === undefined ? undefined : state.peers.get(state.fork.connection)
  endFork(turn)
  if (peer !== undefined) fault(turn, peer, lied)
}

/** A branch was adopted for the weight that its peer claimed: had it lied, it is caught now. */
function judgeBranch(turn: Turn, before: ChainTip | null, tip: ChainTip | null): void {
  const { state } = turn
  const peer = state.fork === undefined ? undefined : state.peers.get(state.fork.connection)
  if (before === null || tip === null || peer === undefined) return
  if (isWorse(state, tip, before)) fault(turn, peer, lied)
}

const lied = 'a claimed weight that the branch does not have'

function isWorse(state: SyncState, tip: ChainTip, before: ChainTip): boolean {
  try {
    return state.config.compare(tip, before) < 0
  } catch {
    return false
  }
}

/** Somebody else wrote: the tip is read again and the plan is made anew. Nobody is to blame. */
function moved(turn: Turn, work: Work, tip: ChainTip | null): void {
  const { state } = turn
  state.isTipKnown = false
  state.moves += 1
  if (work.kind === 'submit') answer(turn, work.ticket, { kind: 'tipMismatch', tip })
  if (work.kind === 'extend') putBack(state, work.held)
  if (work.kind === 'reorganise' && state.fork?.stage.kind === 'committing') {
    state.fork.stage = { kind: 'fetching', ancestor: state.fork.stage.ancestor }
    state.fork.progressAtMs = turn.now
  }
  if (state.moves < maxMoves) return getOutOfTrouble(turn, 'store')
  getInTrouble(turn, 'store', new Error('the store refuses the tip that it tells'))
}

export function receiveTip(turn: Turn, token: number, result: TipResult): void {
  const { state } = turn
  if (state.job?.token !== token) return
  state.job = undefined
  if (result.kind === 'threw') return getInTrouble(turn, 'store', result.error)
  if (state.moves < maxMoves) getOutOfTrouble(turn, 'store')
  state.isTipKnown = true
  state.base = result.base
  setTip(turn, result.tip)
  rebase(turn)
}

export function setTip(turn: Turn, tip: ChainTip | null): void {
  const { state, now } = turn
  if (state.tip?.hash !== tip?.hash || state.tip?.height !== tip?.height) state.tipMovedAtMs = now
  state.tip = tip
  if (state.rejection !== undefined && (tip?.height ?? -1) >= state.rejection.height) {
    state.rejection = undefined
  }
}

/** Takes a block of our own. Its answer comes when it is stored, or is not going to be. */
export function submit(turn: Turn, ticket: number, block: Block): void {
  const { state } = turn
  if (!state.isRunning) return answer(turn, ticket, { kind: 'notRunning' })
  if (state.submissions.length >= state.config.limits.maxSubmissions) {
    return answer(turn, ticket, { kind: 'queueFull' })
  }
  state.submissions.push({ ticket, block })
}

export function refuseSubmissions(turn: Turn, result: SubmitResult): void {
  for (const { ticket } of turn.state.submissions.splice(0)) answer(turn, ticket, result)
}

/** The job is not waited for any longer: its write, if it is one, may still land. */
export function leaveLane(turn: Turn): void {
  const { state } = turn
  const work = workOf(state.job)
  if (work?.kind === 'submit') answer(turn, work.ticket, { kind: 'notRunning' })
  if (state.job?.kind === 'validate') turn.effects.push({ kind: 'abandon', token: state.job.token })
  state.job = undefined
  state.postponed = undefined
  refuseSubmissions(turn, { kind: 'notRunning' })
}

const workOf = (job: Job | undefined): Work | undefined =>
  job !== undefined && 'work' in job ? job.work : undefined

function answer(turn: Turn, ticket: number, result: SubmitResult): void {
  turn.effects.push({ kind: 'answer', ticket, result })
}

const refOf = (tip: BlockRef | null): BlockRef | null =>
  tip === null ? null : { height: tip.height, hash: tip.hash }

const blocksOf = (work: Work): readonly Block[] =>
  work.kind === 'submit' ? [work.block] : work.held.map(({ block }) => block)
