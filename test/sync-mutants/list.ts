import type { Edit } from '../explorer/mutants/list.js'

/** A rule of sync, broken, and the test file that should notice. */
export interface SyncMutant {
  readonly name: string
  readonly edits: readonly Edit[]
  readonly test: string
  /** Among the few that a quick run breaks. */
  readonly isQuick?: boolean
}

const targets = 'test/rules/sync/sync-targets.test.ts'
const forks = 'test/rules/sync/sync-forks.test.ts'
const store = 'test/rules/sync/sync-store.test.ts'
const serving = 'test/parts/sync-server.test.ts'
const work = 'test/parts/sync-work.test.ts'
const properties = 'test/rules/sync/sync-properties.test.ts'
const worlds = 'test/sync-worlds/sync-worlds.test.ts'
const eligibility = 'test/regressions/eligibility.test.ts'

const server = 'src/sync/sync-server.ts'

export const syncMutants: readonly SyncMutant[] = [
  {
    name: 'the terminal reply is dropped when there is nothing to send',
    edits: [
      {
        file: server,
        find: 'peer.post(reply ?? unavailable(id))',
        replace: 'if (reply !== undefined) peer.post(reply)',
      },
    ],
    test: serving,
    isQuick: true,
  },
  {
    name: 'a reply that ended stays counted',
    edits: [
      {
        file: server,
        find: '    this.#end(serving)\n',
        replace: '    if (reply === undefined) this.#end(serving)\n',
      },
    ],
    test: serving,
  },
  {
    name: 'the server fills the send queue without a bound',
    edits: [
      {
        file: server,
        find: 'peer.queuedBytes > this.#limits.maxQueuedBytes',
        replace: 'peer.queuedBytes < -this.#limits.maxQueuedBytes',
      },
    ],
    test: serving,
  },
  {
    name: 'an overloaded server takes on more instead of saying busy',
    edits: [
      {
        file: server,
        find: 'if (isOverloaded(this.#limits, ofPeer?.size ?? 0, this.#count)) {',
        replace: 'if (isOverloaded(this.#limits, 0, this.#count - this.#count)) {',
      },
    ],
    test: serving,
  },
  {
    name: 'an error of the store is blamed on the peers',
    edits: [
      {
        file: 'src/rules/sync/blame.ts',
        find: '  const delayMs = Math.min(retryMaxMs',
        replace:
          "  for (const peer of state.peers.values()) fault(turn, peer, 'our store failed')\n" +
          '  const delayMs = Math.min(retryMaxMs',
      },
    ],
    test: store,
    isQuick: true,
  },
  {
    name: 'a peer on another branch is at fault',
    edits: [
      {
        file: 'src/rules/sync/blame.ts',
        find: "    peer.branch = { kind: 'other' }\n    tellFork",
        replace: "    fault(turn, peer, 'another branch')\n    tellFork",
      },
    ],
    test: forks,
  },
  {
    name: 'a write that hangs is not reported',
    edits: [
      {
        file: 'src/rules/sync/phase.ts',
        find: 'now >= job.sinceMs + state.config.limits.slowMs',
        replace: 'now < job.sinceMs - state.config.limits.slowMs',
      },
    ],
    test: store,
  },
  {
    name: 'a claim that was never kept counts for ever',
    edits: [
      {
        file: 'src/rules/sync/claims.ts',
        find: 'peer.unhonoured < creditAttempts && peer.busyInARow < busyCreditAttempts',
        replace: 'peer.unhonoured < creditAttempts * Infinity && busyCreditAttempts > 0',
      },
    ],
    test: targets,
  },
  {
    name: 'an announcement is not heard',
    edits: [
      {
        file: 'src/rules/sync/claims.ts',
        find: "if (peer.chain !== 'ours' || peer.claim === undefined) return\n",
        replace: "if (peer.chain !== 'other' || peer.claim === undefined) return\n",
      },
    ],
    test: targets,
  },
  {
    name: 'an equal chain is as good as a better one',
    edits: [
      {
        file: 'src/rules/sync/claims.ts',
        find: 'state.config.compare(theirs, ours) > 0',
        replace: 'state.config.compare(theirs, ours) >= 0',
      },
    ],
    test: forks,
  },
  {
    name: 'a branch is taken before what is in hand is better',
    edits: [
      {
        file: 'src/rules/sync/fork.ts',
        find: 'if (!isBetter(state, tip) || !isWithinDepth(state, ancestor)) return undefined',
        replace: 'if (tip.height < 0 || !isWithinDepth(state, ancestor)) return undefined',
      },
    ],
    test: forks,
    isQuick: true,
  },
  {
    name: 'a fork attempt has no deadline',
    edits: [
      {
        file: 'src/rules/sync/fork.ts',
        find: 'fork.progressAtMs + state.config.limits.forkProgressMs <= now',
        replace: 'fork.progressAtMs + state.config.limits.forkProgressMs < 0',
      },
    ],
    test: forks,
  },
  {
    name: 'the reorganisation limit is one block short',
    edits: [
      {
        file: 'src/rules/sync/fork.ts',
        find: '- ancestor.height <= state.config.limits.maxReorgDepth',
        replace: '- ancestor.height < state.config.limits.maxReorgDepth',
      },
    ],
    test: forks,
  },
  {
    name: 'checks hold the event loop to their end',
    edits: [
      {
        file: 'src/sync/sync-work.ts',
        find: 'if (this.#clock.now() >= untilMs && this.#checked < blocks.length) return undefined',
        replace: 'if (this.#clock.now() >= untilMs && this.#checked < 0) return undefined',
      },
    ],
    test: work,
  },
  {
    name: 'a peer that fails does not rest',
    edits: [
      {
        file: 'src/rules/sync/standing.ts',
        find: 'record.cooldownUntilMs = now + backoff(',
        replace: 'record.cooldownUntilMs = now + 0 * backoff(',
      },
    ],
    test: targets,
  },
  {
    name: 'one peer with a refused block is a disagreement with the network',
    edits: [
      {
        file: 'src/rules/sync/blame.ts',
        find: 'if (peers.length !== disagreeingPeers) return',
        replace: 'if (peers.length > disagreeingPeers) return',
      },
    ],
    test: store,
  },
  {
    name: 'a peer that is always busy is asked as often as its hint allows',
    edits: [
      {
        file: 'src/rules/sync/receive.ts',
        find: 'busyMinMs * 2 ** Math.min(peer.busyInARow, 30)',
        replace: 'busyMinMs',
      },
    ],
    test: targets,
  },
  {
    name: 'what a peer owed stays owed when it goes',
    edits: [
      {
        file: 'src/rules/sync/step.ts',
        find: '  for (const request of [...peer.requests]) forget(state, request)\n  state.peers.delete(connection)',
        replace: '  state.peers.delete(connection)',
      },
    ],
    test: properties,
  },
  {
    name: 'an empty store is read as height 0',
    edits: [
      {
        file: 'src/rules/sync/state.ts',
        find: '  return { height: from, after, mustBe }',
        replace: '  return { height: from + 1, after, mustBe }',
      },
    ],
    test: targets,
  },
  {
    name: 'the window counts blocks',
    edits: [
      {
        file: 'src/rules/sync/window.ts',
        find: '  payloadBytes + state.config.limits.blockOverheadBytes',
        replace: '  0 * payloadBytes + state.config.limits.blockOverheadBytes',
      },
    ],
    test: properties,
  },
  {
    name: 'what is being checked is not in the window',
    edits: [
      {
        file: 'src/rules/sync/window.ts',
        find: "if (request.purpose.kind === 'span') bytes += checkingCost(request)",
        replace: "if (request.purpose.kind === 'headers') bytes += checkingCost(request)",
      },
    ],
    test: properties,
  },
  {
    name: 'the first span is asked for though what is before it waits for the store',
    edits: [
      {
        file: 'src/rules/sync/assign.ts',
        find: 'const isUrgent = index === 0 && isStarved(state)',
        replace: 'const isUrgent = index === 0',
      },
    ],
    test: properties,
  },
  {
    name: 'a full window waits for itself',
    edits: [
      {
        file: 'src/rules/sync/window.ts',
        find: '  workInHand(state) === undefined && (state.spans[0]?.held.length ?? 0) === 0',
        replace: '  state.tip === null && workInHand(state) === undefined',
      },
    ],
    test: properties,
  },
  {
    name: 'a claim counts for all peers',
    edits: [
      {
        file: 'src/rules/sync/claims.ts',
        find: '  height <= topOf(peer) &&',
        replace: '  topOf(peer) >= 0 &&',
      },
    ],
    test: properties,
  },
  {
    name: 'a reorganisation takes back first',
    edits: [
      {
        file: 'src/sync/sync-work.ts',
        find: 'void this.#write(token, () => this.#store.replace(ancestor, blocks, { expectTip }))',
        replace:
          'void this.#write(token, async () => {\n          await this.#store.replace(ancestor, blocks.slice(0, 1), { expectTip })\n          const [first] = blocks\n          return this.#store.append(blocks.slice(1), { expectTip: first ?? null })\n        })',
      },
    ],
    test: work,
  },
  {
    name: 'nothing is asked for twice',
    edits: [
      {
        file: 'src/rules/sync/hedge.ts',
        find: '  let total = used\n',
        replace: '  if (used >= 0) return\n  let total = used\n',
      },
    ],
    test: targets,
  },
  {
    name: 'the lane stays taken after a store that threw',
    edits: [
      {
        file: 'src/rules/sync/lane.ts',
        find: '  const { work } = job\n  state.job = undefined\n  switch (result.kind) {',
        replace:
          "  const { work } = job\n  if (result.kind !== 'threw') state.job = undefined\n  switch (result.kind) {",
      },
    ],
    test: store,
  },
  {
    name: 'a tip that moved is never read again',
    edits: [
      {
        file: 'src/rules/sync/lane.ts',
        find: '  state.isTipKnown = false\n  state.moves += 1',
        replace: '  state.moves += 1',
      },
    ],
    test: store,
  },
  {
    name: 'a fork attempt goes on with a peer of another chain',
    edits: [
      {
        file: 'src/rules/sync/fork.ts',
        find: "if (peer?.chain !== 'ours') return endFork(turn)",
        replace: 'if (peer === undefined) return endFork(turn)',
      },
    ],
    test: eligibility,
  },
  {
    name: 'when everybody rests nobody is asked',
    edits: [
      {
        file: 'src/rules/sync/assign.ts',
        find: 'if (best === undefined || best.busyUntilMs > now',
        replace: 'if (best === undefined || state.nowMs >= 0 || best.busyUntilMs > now',
      },
    ],
    test: targets,
  },
  {
    name: 'a peer rests longer each time, without an end',
    edits: [
      {
        file: 'src/rules/sync/standing.ts',
        find: 'now + backoff(cooldownMinMs, cooldownMaxMs, record.failures, state)',
        replace: 'now + backoff(cooldownMinMs, 4 * cooldownMaxMs, record.failures, state)',
      },
    ],
    test: worlds,
  },
  {
    name: 'it does not matter how much comes twice',
    edits: [
      {
        file: 'src/rules/sync/thrift.ts',
        find: 'spanMinBytes + twiceShare * state.cameBytes',
        replace: 'spanMinBytes + twiceShare * state.cameBytes + 1e9',
      },
    ],
    test: worlds,
  },
  {
    name: 'one hedge for each free peer and step',
    edits: [
      {
        file: 'src/rules/sync/hedge.ts',
        find: 'if (!isFree(state, peer, now)) free.delete(peer)',
        replace: 'free.delete(peer)',
      },
    ],
    test: worlds,
  },
  {
    name: 'a branch is fetched in small spans',
    edits: [
      {
        file: 'src/rules/sync/pace.ts',
        find: 'Math.max(spanBytesOf(state, peer), Math.min(mostBytes, bytes))',
        replace: 'Math.min(state.config.limits.spanMinBytes, mostBytes + bytes)',
      },
    ],
    test: forks,
  },
  {
    name: 'a fork attempt waits for a slow peer to the end',
    edits: [
      {
        file: 'src/rules/sync/fork.ts',
        find: 'return whole * overtakingFactor < left',
        replace: 'return whole * overtakingFactor < left && left < 0',
      },
    ],
    test: forks,
  },
  {
    name: 'who does not link to blocks that are not stored has failed',
    edits: [
      {
        file: 'src/rules/sync/blame.ts',
        find: "    if (branch.kind === 'unsure' && branch.tipHash === state.tip.hash) disappoint(turn, peer)\n",
        replace: "    if (branch.kind !== 'other') disappoint(turn, peer)\n",
      },
    ],
    test: worlds,
  },
  {
    name: 'a peer with a slow disk is asked for as little at a time as one without',
    edits: [
      {
        file: 'src/rules/sync/pace.ts',
        find: '[delayOf(peer), answerMsOf(peer)]',
        replace: '[delayOf(peer), delayOf(peer)]',
      },
    ],
    test: targets,
  },
]
