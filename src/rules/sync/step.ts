import { announceTip, postStatus, refreshStatus } from './announce.js'
import { assign } from './assign.js'
import { waitsAt } from './bottleneck.js'
import { hearStatus, hearTip } from './claims.js'
import { endFork, planFork, receiveHashes, receiveHeaders } from './fork.js'
import type { ReplyMessage, SyncEffect, SyncInput } from './inputs.js'
import {
  leaveLane,
  receiveTip,
  receiveValidation,
  receiveWrite,
  runLane,
  setTip,
  submit,
} from './lane.js'
import { updatePhase } from './phase.js'
import { receiveBlocks, receiveBusy, receiveCheck, receiveNotFound } from './receive.js'
import { cancelAll, expireRequests, forget } from './requests.js'
import { createSpeed } from './speed.js'
import { dropSpans } from './spans.js'
import type { SyncPeer, SyncState, Turn } from './state.js'
import { forgiveLateness, setWake } from './wake.js'

/**
 * Takes one input, makes the plan anew from all that is known, and returns what is to be done, in
 * order. Owns and changes `state`; `nowMs` never goes backwards. After it, `state.wakeAtMs` is when a
 * `wake` must come if nothing else does.
 *
 * Level-triggered: no input is remembered as something to do, so that one that is lost costs time and
 * never the sync.
 */
export function step(state: SyncState, nowMs: number, input: SyncInput): SyncEffect[] {
  const turn: Turn = { state, now: nowMs, effects: [] }
  state.waits = waitsAt(state, nowMs)
  state.nowMs = nowMs
  forgiveLateness(turn)
  take(turn, input)
  plan(turn)
  return turn.effects
}

function plan(turn: Turn): void {
  if (turn.state.isRunning) {
    expireRequests(turn)
    runLane(turn)
    planFork(turn)
    assign(turn)
    refreshStatus(turn)
    announceTip(turn)
  }
  updatePhase(turn)
  setWake(turn)
}

function take(turn: Turn, input: SyncInput): void {
  switch (input.kind) {
    case 'started':
      return start(turn, input)
    case 'stopped':
      return stop(turn)
    case 'peerConnected':
      return addPeer(turn, input)
    case 'peerDisconnected':
      return removePeer(turn, input.connection)
    case 'message': {
      const peer = turn.state.peers.get(input.connection)
      if (peer === undefined) return
      peer.reading = input.reading
      peer.lastMessageAtMs = turn.now
      return receive(turn, peer, input.message)
    }
    case 'wake':
      for (const { connection, reading } of input.readings) {
        const peer = turn.state.peers.get(connection)
        if (peer !== undefined) peer.reading = reading
      }
      return
    case 'checked':
      return receiveCheck(turn, input.token, input.result)
    case 'validated':
      return receiveValidation(turn, input.token, input.result)
    case 'written':
      return receiveWrite(turn, input.token, input.result)
    case 'tipRead':
      return receiveTip(turn, input.token, input.result)
    case 'hashesRead':
      return receiveHashes(turn, input.token, input.result)
    case 'submitted':
      return submit(turn, input.ticket, input.block)
    default:
      return input satisfies never
  }
}

function receive(turn: Turn, peer: SyncPeer, message: ReplyMessage): void {
  switch (message.kind) {
    case 'status':
      return hearStatus(turn, peer, message)
    case 'announce':
      return hearTip(turn, peer, message.tip)
    case 'headers':
      return receiveHeaders(turn, peer, message)
    case 'blocks':
      return receiveBlocks(turn, peer, message)
    case 'notFound':
      return receiveNotFound(turn, peer, message)
    case 'busy':
      return receiveBusy(turn, peer, message)
    default:
      return message satisfies never
  }
}

function start(turn: Turn, { tip, base }: Extract<SyncInput, { kind: 'started' }>): void {
  const { state, now } = turn
  state.isRunning = true
  state.isTipKnown = true
  state.base = base
  state.moves = 0
  state.announcedHash = tip?.hash
  setTip(turn, tip)
  state.statusDueAtMs = now
}

/** Gives everything up that is not stored. Peers and what is known of them stay. */
function stop(turn: Turn): void {
  const { state } = turn
  if (!state.isRunning) return
  leaveLane(turn)
  endFork(turn)
  dropSpans(turn)
  cancelAll(turn)
  state.isRunning = false
  state.isTipKnown = false
  state.trouble = undefined
  state.statusDueAtMs = Infinity
}

function addPeer(turn: Turn, input: Extract<SyncInput, { kind: 'peerConnected' }>): void {
  const { state, now } = turn
  const { connection, key, reading } = input
  state.peers.set(connection, {
    connection,
    key,
    connectedAtMs: now,
    reading,
    chain: 'unknown',
    claim: undefined,
    ceiling: Infinity,
    branch: { kind: 'ours' },
    forkToldHash: undefined,
    unhonoured: 0,
    busyInARow: 0,
    busyUntilMs: -Infinity,
    admits: undefined,
    speed: createSpeed(),
    windowBytes: state.config.limits.spanMinBytes,
    lastMessageAtMs: now,
    lastBlocksAtMs: -Infinity,
    lastTerminalAtMs: -Infinity,
    requests: new Set(),
  })
  postStatus(turn, connection)
}

/** The claim ends with the connection, and so do its requests; what is remembered of the peer stays. */
function removePeer(turn: Turn, connection: number): void {
  const { state } = turn
  const peer = state.peers.get(connection)
  if (peer === undefined) return
  for (const request of [...peer.requests]) forget(state, request)
  state.peers.delete(connection)
}
