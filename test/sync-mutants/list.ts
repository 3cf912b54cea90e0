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
]
