import type { Mutant } from './list.js'

/** A mutant of one of the files that carry the election out. */
const inShell = (name: string, file: string, ...pairs: readonly [string, string][]): Mutant => ({
  name,
  isInShell: true,
  edits: pairs.map(([find, replace]) => ({ file: `src/connection/${file}.ts`, find, replace })),
})

/** What carries the election out, broken. */
export const shellMutants: readonly Mutant[] = [
  inShell('a timer that was cancelled goes on', 'elections', [
    "this.#timers.cancel(`${timer} ${id}`)\n        if (timer === 'challenge')",
    "if (timer === 'challenge')",
  ]),
  inShell('a connection that ends takes the timers of the others with it', 'elections', [
    '    ] satisfies SlotTimer[]) {\n      this.#timers.cancel(`${timer} ${id}`)',
    "    ] satisfies SlotTimer[]) {\n      if (timer !== 'handshake' || id > 0) this.#timers.cancelAll()",
  ]),
  inShell('the deadlines of a connection outlive it', 'links', [
    '    this.#elections.forget(id)\n',
    '',
  ]),
  inShell(
    'HELLO is answered late, after the election was held',
    'links',
    ['    if (isInbound) this.#greeting.answer(connection)\n', ''],
    [
      '      instanceId: hello.instanceId,\n    })\n',
      "      instanceId: hello.instanceId,\n    })\n    if (connection.direction === 'inbound') this.#greeting.answer(connection)\n",
    ],
  ),
  inShell('READY is not sent', 'elections', [
    "this.#host.connection(id)?.sendHandshake({ kind: 'ready' })",
    'this.#host.connection(id)',
  ]),
  inShell('another connection is closed than the one that lost', 'elections', [
    '      close: (id, why) => {\n        const connection = this.#host.connection(id)\n',
    "      close: (id, why) => {\n        const connection = this.#host.connection(why === 'duplicate' ? id - 1 : id)\n",
  ]),
  inShell('our dial goes on when it is to be aborted', 'elections', [
    'this.#host.abortDial(id)\n',
    'this.#host.connection(id)\n',
  ]),
  inShell('a dial that succeeds after it was aborted is left open', 'dial-deadline', [
    'if (signal.aborted) dialing.then(destroy, ignore)',
    'if (signal.aborted) dialing.then(ignore, ignore)',
  ]),
  inShell('nobody is told that a peer is lost', 'elections', [
    'if (connection !== undefined) this.#host.lost(entry, connection)',
    'if (connection === undefined) throw new Error()',
  ]),
  inShell('nobody is told that a peer is connected', 'elections', [
    'if (connection !== undefined) this.#host.established(entry, connection)',
    'connection?.establish()',
  ]),
  inShell('a pong counts as one of a later ping', 'elections', [
    'challenge.pingNumbers.set(incumbent.ping(), ping)',
    'challenge.pingNumbers.set(incumbent.ping(), ping + 1)',
  ]),
  inShell('a pong of a challenge does not reach the election', 'links', [
    'if (entry !== undefined) this.#elections.pongReceived(entry, connection, pong.nonce)',
    'if (entry === undefined) return',
  ]),
  inShell(
    'silence is measured from the beginning of the challenge, not of its round',
    'elections',
    ['} else if (startsRound) {', '} else if (startsRound && ping < 0) {'],
  ),
  inShell('one that never says HELLO is never given up', 'links', [
    "if (link.entry === undefined) connection.closeFor({ kind: 'handshake-timeout', by: 'us' })",
    'if (link.entry === undefined) return',
  ]),
  inShell('a connection that ended is not taken out of its slot', 'links', [
    "    this.#handle(connection, { kind: 'closed', id })\n",
    '',
  ]),
  inShell('a failed dial is not taken out of its slot', 'links', [
    "this.#elections.handle(entry, { kind: 'closed', id })\n      debug('dial of",
    "debug('dial of",
  ]),
  inShell('a READY is passed over', 'links', [
    "    this.#handle(connection, { kind: 'readyReceived', id: connection.connectionId })\n",
    '    this.connection(connection.connectionId)\n',
  ]),
]
