import type { Block, BlockRef } from '../../contracts/block-store.js'
import type { HeadersMessage, NotFoundMessage } from '../../contracts/sync-messages.js'
import { isBetter, isForkCandidate, topOf } from './claims.js'
import type { HashesResult } from './inputs.js'
import { checkpointOf } from './limits.js'
import { isRun, lastCommon, locatorHeights } from './locator.js'
import { blocksIn, branchBytesOf, isProven, take } from './pace.js'
import {
  askForBlocks,
  askForHeaders,
  cancel,
  disappoint,
  fail,
  forget,
  isAsked,
} from './requests.js'
import { rateOf } from './speed.js'
import { honour } from './spans.js'
import { isCoolingDown, recordOf, restUntilMs, standingOf } from './standing.js'
import {
  takeToken,
  tell,
  type ForkAttempt,
  type Request,
  type SyncPeer,
  type SyncState,
  type Turn,
  type Work,
} from './state.js'
import { costOf } from './window.js'

const maxHeaders = 2_000

/** A peer that was not measured is taken to bring a small span in this time. */
const unmeasuredMs = 50

/** Failures in a row after which a peer that has brought a part of its branch is not waited for. */
const failuresToStop = 2

/** Another peer takes over that should have the whole branch so many times sooner than this one the rest. */
const overtakingFactor = 2

/** Moves the fork attempt that is under way, and starts one where one is called for. */
export function planFork(turn: Turn): void {
  const { fork } = turn.state
  if (fork !== undefined) move(turn, fork)
  // Also when the one before has just ended: nothing else may happen that would start the next.
  if (turn.state.fork === undefined) startFork(turn)
}

function move(turn: Turn, fork: ForkAttempt): void {
  const { state, now } = turn
  if (fork.stage.kind === 'committing') return
  const peer = state.peers.get(fork.connection)
  // Gone, or of another chain by now.
  if (peer?.chain !== 'ours') return endFork(turn)
  if (fork.progressAtMs + state.config.limits.forkProgressMs <= now) {
    endFork(turn)
    return fail(turn, peer)
  }
  if (isHeldBack(turn, fork, peer) || isOvertaken(turn, fork, peer)) return endFork(turn)
  if (restUntilMs(state, peer.key) > now || peer.busyUntilMs > now) return
  if (fork.stage.kind === 'searching') search(turn, peer, fork.stage.locator)
  if (fork.stage.kind === 'fetching') fetchBranch(turn, fork, peer, fork.stage.ancestor)
}

/** Whether the attempt waits for a peer that failed it, while another one could be tried. */
function isHeldBack(turn: Turn, { held }: ForkAttempt, { key }: SyncPeer): boolean {
  if (!isCoolingDown(turn.state, key, turn.now)) return false
  const next = nextToTry(turn)
  if (next === undefined) return false
  const hasStopped = standingOf(turn.state, key).failures >= failuresToStop
  return held.length === 0 || hasStopped || isUntried(turn.state, next)
}

/**
 * Whether a peer that was not tried yet should have the whole branch long before this one has the rest
 * of it. It takes over once, so that two of them cannot take turns for ever.
 */
function isOvertaken(turn: Turn, fork: ForkAttempt, peer: SyncPeer): boolean {
  const { state, now } = turn
  const { held, stage, startedAtMs } = fork
  if (stage.kind !== 'fetching') return false
  const isMeasured = rateOf(peer) !== undefined
  if (!isMeasured && now < startedAtMs + 2 * state.config.limits.firstByteMs) return false
  const next = nextToTry(turn)
  if (next === undefined || !isUntried(state, next)) return false
  const last = held.at(-1)?.block ?? stage.ancestor
  const left = (topOf(peer) - last.height) / paceOf(state, peer)
  // What it claims beyond that it need not bring.
  const top = Math.min(topOf(next), topOf(peer))
  const whole = (top - stage.ancestor.height) / paceOf(state, next)
  return whole * overtakingFactor < left
}

/** Bytes per millisecond; a peer that was not measured is worth a try that costs little. */
const paceOf = ({ config }: SyncState, peer: SyncPeer): number =>
  rateOf(peer) ?? config.limits.spanMinBytes / unmeasuredMs

/**
 * The least recently tried one first, so that nobody can hold the others back; of those never tried,
 * the fastest of those that have shown that they deliver.
 */
function nextToTry({ state, now }: Turn): SyncPeer | undefined {
  let best: SyncPeer | undefined
  for (const peer of state.peers.values()) {
    if (!isForkCandidate(state, peer, now)) continue
    if (isCoolingDown(state, peer.key, now) || peer.busyUntilMs > now) continue
    if (best === undefined || isSooner(state, peer, best)) best = peer
  }
  return best
}

/** One at a time. */
function startFork(turn: Turn): void {
  const { state, now } = turn
  if (state.tip === null || !state.isTipKnown) return
  const best = nextToTry(turn)
  if (best === undefined) return
  recordOf(state, best.key).forkTriedAtMs = now
  best.branch = { kind: 'other' }
  const token = takeToken(state)
  state.fork = {
    connection: best.connection,
    key: best.key,
    startedAtMs: now,
    progressAtMs: now,
    stage: { kind: 'locating', token },
    held: [],
    heldBytes: 0,
  }
  const heights = locatorHeights(state.tip.height, state.base, state.config.limits.maxReorgDepth)
  turn.effects.push({ kind: 'readHashes', token, heights })
}

function isSooner(state: SyncState, peer: SyncPeer, best: SyncPeer): boolean {
  const [its, bests] = [triedAtMs(state, peer), triedAtMs(state, best)]
  if (its !== bests) return its < bests
  if (isProven(state, peer) !== isProven(state, best)) return isProven(state, peer)
  return paceOf(state, peer) > paceOf(state, best)
}

const triedAtMs = (state: SyncState, peer: SyncPeer): number =>
  standingOf(state, peer.key).forkTriedAtMs

const isUntried = (state: SyncState, peer: SyncPeer): boolean =>
  triedAtMs(state, peer) === -Infinity

/** Hashes of ours that the attempt asked for. */
export function receiveHashes(turn: Turn, token: number, result: HashesResult): void {
  const { state } = turn
  const { fork } = state
  if (fork === undefined || !('token' in fork.stage) || fork.stage.token !== token) return
  const peer = state.peers.get(fork.connection)
  if (result.kind === 'threw' || peer === undefined) return endFork(turn)
  if (fork.stage.kind === 'comparing')
    return compareHeaders(turn, fork, peer, fork.stage, result.refs)
  const locator = [...result.refs].sort((a, b) => b.height - a.height)
  const below = checkpointOf(state.config.genesis)
  const lowest = locator.at(-1)
  if (lowest === undefined) return endFork(turn)
  if (below !== undefined && lowest.height === below.height + 1 && isWithinDepth(state, below)) {
    locator.push(below)
  }
  moveTo(turn, fork, { kind: 'searching', locator })
}

function search(turn: Turn, peer: SyncPeer, locator: readonly BlockRef[]): void {
  if (isAsked(turn.state, 'headers')) return
  askForHeaders(turn, peer, locator, maxHeaders)
}

/** The peer's headers above the highest entry of our locator that it knows. */
export function receiveHeaders(turn: Turn, peer: SyncPeer, message: HeadersMessage): void {
  const { state } = turn
  const request = state.requests.get(message.id)
  if (request?.connection !== peer.connection || request.purpose.kind !== 'headers') return
  forget(state, request)
  peer.lastTerminalAtMs = turn.now
  const { fork } = state
  if (request.stage === 'cancelled' || fork === undefined || fork.connection !== peer.connection)
    return
  if (fork.stage.kind !== 'searching') return
  const headers = message.headers.slice(0, maxHeaders)
  const [first] = headers
  // It knows nothing of what we have, as far down as we may go.
  if (first === undefined) return giveUpDeep(turn, peer)
  const below = fork.stage.locator.find(
    ({ height, hash }) => height === first.height - 1 && hash === message.previousHash,
  )
  if (below === undefined || !isRun(headers)) {
    // Headers that follow nothing we named prove nothing: there is no ancestor in them.
    endFork(turn)
    return fail(turn, peer)
  }
  const token = takeToken(state)
  const isFull = message.headers.length >= maxHeaders
  moveTo(turn, fork, { kind: 'comparing', token, below, headers, isFull })
  const tipHeight = state.tip?.height ?? -1
  const heights = headers.map(({ height }) => height).filter((height) => height <= tipHeight)
  turn.effects.push({ kind: 'readHashes', token, heights })
}

function compareHeaders(
  turn: Turn,
  fork: ForkAttempt,
  peer: SyncPeer,
  stage: Extract<ForkAttempt['stage'], { kind: 'comparing' }>,
  refs: readonly BlockRef[],
): void {
  const { state } = turn
  const ours = new Map(refs.map(({ height, hash }) => [height, hash]))
  const ancestor = lastCommon(stage.below, stage.headers, ours)
  if (ancestor === stage.headers.at(-1)) {
    if (stage.isFull) return moveTo(turn, fork, { kind: 'searching', locator: [ancestor] })
    if (ancestor.height !== state.tip?.height) {
      // All that it has is ours: what it claims beyond is not there.
      endFork(turn)
      return fail(turn, peer)
    }
  }
  if (ancestor.height === state.tip?.height) {
    // It grows out of our tip after all.
    peer.branch = { kind: 'ours' }
    endFork(turn)
    return disappoint(turn, peer)
  }
  if (!isWithinDepth(state, ancestor)) return giveUpDeep(turn, peer)
  moveTo(turn, fork, { kind: 'fetching', ancestor })
}

function fetchBranch(turn: Turn, fork: ForkAttempt, peer: SyncPeer, ancestor: BlockRef): void {
  const { state } = turn
  const { maxReorgBytes } = state.config.limits
  if (!isWithinDepth(state, ancestor)) return giveUpDeep(turn, peer)
  if (readyBranch(state) !== undefined) return
  if (isAsked(state, 'branch')) return
  const last = fork.held.at(-1)?.block ?? ancestor
  const left = topOf(peer) - last.height
  if (left <= 0) {
    // All of it is here, and it is not better.
    endFork(turn)
    return fail(turn, peer)
  }
  const budget = maxReorgBytes - fork.heldBytes
  if (budget <= 0) return giveUpDeep(turn, peer)
  const maxBytes = Math.max(1, Math.min(branchBytesOf(state, peer), budget))
  const count = Math.min(left, blocksIn(state, maxBytes))
  const run = { from: last.height + 1, count, maxBytes, afterHash: last.hash }
  askForBlocks(turn, peer, { kind: 'branch' }, run)
}

/** Takes checked blocks of the branch, as far as they go on where it ends. */
export function mergeIntoBranch(
  turn: Turn,
  peer: SyncPeer,
  request: Request,
  blocks: readonly Block[],
): void {
  const { state, now } = turn
  const { fork } = state
  if (fork?.connection !== peer.connection || fork.stage.kind !== 'fetching') return
  for (const block of blocks) {
    const last = fork.held.at(-1)?.block ?? fork.stage.ancestor
    if (block.height <= last.height) continue
    if (block.height !== last.height + 1 || block.previousHash !== last.hash) {
      // The peer has reorganised meanwhile: there is another branch to look for.
      endFork(turn)
      return disappoint(turn, peer)
    }
    fork.held.push({ block, sender: { connection: peer.connection, key: peer.key } })
    const cost = costOf(state, block.payload.length)
    fork.heldBytes += cost
    fork.progressAtMs = now
    take(state, peer, request, cost)
  }
  if (request.delivered > 0) honour(state, peer)
}

/** A request of the attempt was answered by "I do not have it". */
export function branchNotFound(turn: Turn, peer: SyncPeer, message: NotFoundMessage): void {
  if (turn.state.fork?.connection !== peer.connection) return
  endFork(turn)
  if (message.reason === 'unavailable') fail(turn, peer)
  else disappoint(turn, peer)
}

/** The branch, when it is in hand and better than what we have. */
export function readyBranch(state: SyncState): Extract<Work, { kind: 'reorganise' }> | undefined {
  const { fork } = state
  const last = fork?.held.at(-1)?.block
  if (fork === undefined || last === undefined || fork.stage.kind !== 'fetching') return undefined
  const { ancestor } = fork.stage
  const claimed = state.peers.get(fork.connection)?.claim?.tip
  const { height, hash } = last
  const tip = claimed?.hash === hash && claimed.height === height ? claimed : { height, hash }
  if (!isBetter(state, tip) || !isWithinDepth(state, ancestor)) return undefined
  // A checkpoint is no block of the store: what leaves it replaces everything.
  const isHeld = ancestor.height >= state.base
  return { kind: 'reorganise', ancestor: isHeld ? ancestor : null, held: fork.held }
}

export function isWithinDepth(state: SyncState, ancestor: BlockRef): boolean {
  return (state.tip?.height ?? 0) - ancestor.height <= state.config.limits.maxReorgDepth
}

/** Beyond what we may adopt: said loudly, and left alone for a while. The others go on. */
function giveUpDeep(turn: Turn, peer: SyncPeer): void {
  const tip = peer.claim?.tip
  endFork(turn)
  if (tip === undefined || tip === null) return
  const { height, hash } = tip
  peer.branch = { kind: 'tooDeep', tipHash: hash, sinceMs: turn.now }
  tell(turn, { kind: 'deepForkFound', peer: peer.key, tip: { height, hash } })
}

/** Ends the attempt and frees what it holds. */
export function endFork(turn: Turn): void {
  const { state } = turn
  state.fork = undefined
  for (const request of [...state.requests.values()]) {
    if (request.purpose.kind !== 'span') cancel(turn, request)
  }
}

/** The branch has become our chain. */
export function branchAdopted(turn: Turn): void {
  const { state } = turn
  const peer = state.fork === undefined ? undefined : state.peers.get(state.fork.connection)
  if (peer !== undefined) {
    peer.branch = { kind: 'ours' }
    honour(state, peer)
  }
  endFork(turn)
  // What comes next is another question, and nobody has failed at that.
  for (const record of state.standings.values()) record.forkTriedAtMs = -Infinity
}

function moveTo(turn: Turn, fork: ForkAttempt, stage: ForkAttempt['stage']): void {
  fork.stage = stage
  fork.progressAtMs = turn.now
}
