import { shellMutants } from './shell-list.js'

/** One exact piece of text in a file of src, and what stands there instead. */
export interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** A rule of the election, broken. */
export interface Mutant {
  readonly name: string
  readonly edits: readonly Edit[]
  /** A test file that is asked when the explorer finds nothing. */
  readonly test?: string
  /** Not in the election, but in what carries it out: paths are replayed on real nodes, and no more. */
  readonly isInShell?: boolean
  /** Among the few that a quick run breaks. */
  readonly isQuick?: boolean
}

const election = 'src/rules/election.ts'

const inElection = (find: string, replace: string): Edit => ({ file: election, find, replace })

export const mutants: readonly Mutant[] = [
  {
    name: 'no challenge: a held candidate just waits',
    edits: [
      inElection(
        'if (isWanted && this.#challenge === null) this.#sendPing(incumbentId, 1, 1)',
        'if (isWanted && this.#challenge !== null) this.#sendPing(incumbentId, 1, 1)',
      ),
    ],
  },
  {
    name: 'no hold: an inbound candidate is elected while our own dial is under way',
    edits: [inElection('if (isDialUnderWay && this.#hold?.isExpired !== true) return\n', '')],
    isQuick: true,
  },
  {
    name: 'both ends elect',
    edits: [
      inElection(
        "const mine = admitted.filter((candidate) => candidate.arbiter === 'us')",
        'const mine = admitted',
      ),
    ],
  },
  {
    name: 'each end elects by its own view of the addresses',
    edits: [
      {
        file: 'src/connection/greeting.ts',
        find: 'ourIp: seenIp(hello),',
        replace: 'ourIp: this.ourIp ?? seenIp(hello),',
      },
    ],
    test: 'test/regressions/identity.test.ts',
  },
  {
    name: 'established when READY was sent, before the answer',
    edits: [
      inElection(
        "this.effects.push({ kind: 'setTimer', timer: 'confirm', id: winner.id })",
        'this.#promote(winner)',
      ),
    ],
    isQuick: true,
  },
  {
    name: 'READY promotes a candidate while another is elected',
    edits: [
      inElection(
        '    if (this.#elected !== null) return\n    const admitted',
        '    const admitted',
      ),
      inElection(
        "const mine = admitted.filter((candidate) => candidate.arbiter === 'us')",
        "if (this.#elected !== null) return\n    const mine = admitted.filter((candidate) => candidate.arbiter === 'us')",
      ),
    ],
  },
  {
    name: 'a pong speaks for a candidate that came after its ping',
    edits: [
      inElection(
        "if (candidate.stage === 'held' && candidate.firstPing <= ping) {",
        "if (candidate.stage === 'held' && ping > 0) {",
      ),
    ],
  },
  {
    name: 'the loser is forgotten and not closed',
    edits: [
      inElection(
        "        this.#closeCandidate(candidate.id, 'duplicate')\n      else {",
        '        this.#forget(candidate.id)\n      else {',
      ),
    ],
  },
  {
    name: 'the loser is closed before the winner has answered',
    edits: [
      inElection(
        'this.#elected = winner.id\n',
        "this.#elected = winner.id\n    for (const { id } of mine) if (id !== winner.id) this.#closeCandidate(id, 'duplicate')\n",
      ),
    ],
  },
  {
    name: 'a late close frees the slot, whoever holds it by now',
    edits: [
      inElection(
        'if (this.#incumbent?.id === event.id) this.#loseIncumbent()',
        'if (this.#incumbent !== null) this.#loseIncumbent()',
      ),
    ],
    isQuick: true,
  },
  {
    name: 'a stale timer: the handshake deadline outlives the handshake',
    edits: [
      inElection(
        "    this.#cancelTimer('handshake', winner.id)\n    this.#incumbent =",
        '    this.#incumbent =',
      ),
      inElection(
        "if (event.id !== this.#elected) this.#closeCandidate(event.id, 'handshake-timeout')",
        "this.#emitClose(event.id, 'handshake-timeout')",
      ),
    ],
  },
  {
    name: 'the limit of candidates is dropped',
    edits: [
      inElection('inbound.length >= this.#limits.maxInboundCandidates', 'inbound.length < 0'),
    ],
    test: 'test/rules/election.test.ts',
  },
  {
    name: 'the self check is dropped',
    edits: [
      {
        file: 'src/rules/handshake.ts',
        find: '  if (facts.isOwnNonce || hello.instanceId === facts.instanceId)',
        replace: '  if (facts.isOwnNonce && hello.instanceId !== facts.instanceId)',
      },
    ],
    test: 'test/rules/handshake.test.ts',
  },
  {
    name: 'addresses are compared as texts',
    edits: [
      {
        file: 'src/rules/peer-ip.ts',
        find: '  if (a === b) return 0\n',
        replace: '  if (typeof a === typeof b) return a === b ? 0 : a < b ? -1 : 1\n',
      },
    ],
    isQuick: true,
  },
  {
    name: 'no confirm deadline: the elected is waited for without end',
    edits: [
      inElection(
        "    this.effects.push({ kind: 'setTimer', timer: 'confirm', id: winner.id })\n",
        '',
      ),
    ],
  },
  {
    name: 'a new instance replaces the incumbent, without a challenge',
    edits: [
      inElection(
        "    if (isHeld) this.effects.push({ kind: 'setTimer', timer: 'held', id })",
        '    if (isHeld) {\n' +
          "      this.effects.push({ kind: 'setTimer', timer: 'held', id })\n" +
          '      const incumbent = this.#incumbent\n' +
          '      if (incumbent !== null && incumbent.instanceId !== instanceId) {\n' +
          "        this.#emitClose(incumbent.id, 'duplicate')\n" +
          '        this.#loseIncumbent()\n' +
          '      }\n' +
          '    }',
      ),
    ],
  },
  {
    name: 'the first connection wins: a later one is refused, the incumbent unasked',
    edits: [
      inElection(
        "    if (isHeld) this.effects.push({ kind: 'setTimer', timer: 'held', id })",
        "    if (isHeld) this.#closeCandidate(id, 'duplicate')",
      ),
    ],
  },
  {
    name: 'READY that came while another was elected is forgotten',
    edits: [
      inElection(
        "if (candidate.arbiter === 'them' && !candidate.isReady) {",
        "if (candidate.arbiter === 'them' && this.#elected !== null) return\n" +
          "    if (candidate.arbiter === 'them' && !candidate.isReady) {",
      ),
    ],
  },
  {
    name: 'READY on a held candidate establishes it',
    edits: [
      inElection(
        "    if (candidate.arbiter === 'them' && !candidate.isReady) {",
        "    if (candidate.stage === 'held') {\n" +
          '      this.#promote(candidate)\n' +
          "    } else if (candidate.arbiter === 'them' && !candidate.isReady) {",
      ),
    ],
  },
  {
    name: 'the incumbent is dropped after a challenge, whatever it said',
    edits: [inElection('} else if (isSilent) {', '} else if (isSilent || lastPing > 0) {')],
    test: 'test/rules/election.test.ts',
  },
  {
    name: 'our own dial goes on after another connection won',
    edits: [
      inElection(
        'if (!isAdmissible(candidate)) this.#abortOwnDial(candidate)',
        'if (!isAdmissible(candidate)) this.#remove(candidate.id)',
      ),
    ],
  },
  {
    name: 'the hold begins anew each time it ends',
    edits: [
      inElection(
        'if (this.#hold?.dialId === event.id) this.#hold = { dialId: event.id, isExpired: true }',
        "if (this.#hold?.dialId === event.id) this.effects.push({ kind: 'setTimer', timer: 'hold', id: event.id })",
      ),
    ],
  },
  {
    name: 'a challenge that was not answered begins again, and again',
    edits: [
      inElection(
        '} else if (isSilent) {',
        '} else if (isSilent) {\n      this.#sendPing(incumbentId, 1, 1)\n    } else if (lastPing < 0) {',
      ),
    ],
  },
  {
    name: 'the deadline of a held candidate goes before the verdict that is due with it',
    edits: [
      inElection(
        'isHeldFromFirstPing(candidate) && lastPing === this.#lastPingOfTwoRounds',
        'isHeldFromFirstPing(candidate) && lastPing < 0',
      ),
    ],
  },
  ...shellMutants,
]
