import assert from 'node:assert/strict'
import {
  defaultElectionLimits,
  emptySlot,
  stepElection,
  type ConnectionId,
  type SlotEffect,
  type SlotEvent,
  type SlotState,
  type SlotTimer,
} from '../../../src/rules/election.js'
import { describeEffect } from './play.js'

interface WorldConnection {
  readonly id: ConnectionId
  /** `ending`: closed by an effect, its `closed` event is still to come. */
  stage: 'dialing' | 'opening' | 'hello' | 'aborted' | 'ending'
  readonly origin: 'dial' | 'inbound'
  readySent: number
  readyReceived: boolean
  /** The number of the last ping of the challenge when it was held. */
  heldAtPing: number | undefined
}

/** A random number in [0, 1) chosen by the test. */
export type Dice = () => number

/**
 * Everything that can happen round one slot, in any order that real connections and timers allow, and
 * what must be true of every step. `step` picks one of the possible events.
 */
export class ElectionWorld {
  state: SlotState = emptySlot
  readonly counts = new Map<string, number>()
  readonly #connections = new Map<ConnectionId, WorldConnection>()
  readonly #timers = new Set<string>()
  readonly #story: string[] = []
  #pings: number[] = []
  #incumbent: ConnectionId | undefined
  #nextId = 1

  step(dice: Dice): void {
    const event = pick(this.#possibleEvents(dice), dice)
    const before = this.state
    const { state, effects } = stepElection(before, event)
    this.#story.push(`${JSON.stringify(event)} → ${effects.map(describeEffect).join(', ')}`)
    this.state = state
    try {
      this.#noteEvent(event)
      for (const effect of effects) this.#carryOut(effect)
      if (event.kind === 'challengeAnswered') this.#checkPong(before, effects, event.ping)
      this.#checkState()
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      throw new Error(`${what}\n${this.#story.join('\n')}`, { cause: error })
    }
    this.#count(event.kind)
    for (const effect of effects) this.#count(effect.kind)
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  #possibleEvents(dice: Dice): SlotEvent[] {
    const events: SlotEvent[] = []
    const id = this.#nextId
    const facts = () => ({
      arbiter: dice() < 0.5 ? ('us' as const) : ('them' as const),
      instanceId: dice() < 0.7 ? 'x' : 'y',
    })
    if (this.#connections.size < 8) {
      events.push({ kind: 'dialStarted', id })
      events.push({ kind: 'helloAccepted', id, origin: 'inbound', ...facts() })
    }
    for (const connection of this.#connections.values()) {
      const { id, origin, stage } = connection
      events.push({ kind: 'closed', id })
      if (stage === 'dialing' || stage === 'aborted') events.push({ kind: 'dialConnected', id })
      if (stage === 'opening') events.push({ kind: 'helloAccepted', id, origin, ...facts() })
      // A READY on the incumbent ends the connection before the election hears of it.
      if (stage === 'hello' && id !== this.#incumbent) events.push({ kind: 'readyReceived', id })
    }
    if (this.#incumbent !== undefined) {
      for (const ping of this.#pings) {
        events.push({ kind: 'challengeAnswered', id: this.#incumbent, ping })
      }
    }
    for (const key of this.#timers) {
      const [timer = '', idText] = key.split(' ')
      const id = Number(idText)
      events.push(
        timer === 'challenge'
          ? { kind: 'challengeExpired', id, isSilent: dice() < 0.5 }
          : { kind: `${timer as Exclude<SlotTimer, 'challenge'>}Expired`, id },
      )
    }
    return events
  }

  #noteEvent(event: SlotEvent): void {
    const { id } = event
    const connection = this.#connections.get(id)
    switch (event.kind) {
      case 'dialStarted':
        this.#open(id, 'dial', 'dialing')
        return
      case 'dialConnected':
        if (connection?.stage === 'dialing') {
          connection.stage = 'opening'
          this.#timers.add(`handshake ${id}`)
        }
        return
      case 'helloAccepted': {
        const opened = connection ?? this.#open(id, event.origin, 'hello')
        opened.stage = 'hello'
        this.#timers.add(`handshake ${id}`)
        const lastPing = this.#pings.at(-1)
        opened.heldAtPing = this.#incumbent === undefined ? undefined : (lastPing ?? 0)
        return
      }
      case 'readyReceived':
        if (connection !== undefined) connection.readyReceived = true
        return
      case 'closed':
        this.#connections.delete(id)
        this.#timers.delete(`handshake ${id}`)
        return
      case 'challengeAnswered':
        return
      case 'handshakeExpired':
      case 'confirmExpired':
      case 'holdExpired':
      case 'heldExpired':
      case 'challengeExpired':
        this.#timers.delete(`${event.kind.replace('Expired', '')} ${id}`)
        return
    }
  }

  #open(
    id: ConnectionId,
    origin: 'dial' | 'inbound',
    stage: WorldConnection['stage'],
  ): WorldConnection {
    this.#nextId = id + 1
    const connection: WorldConnection = {
      id,
      origin,
      stage,
      readySent: 0,
      readyReceived: false,
      heldAtPing: undefined,
    }
    this.#connections.set(id, connection)
    return connection
  }

  #carryOut(effect: SlotEffect): void {
    const connection = this.#connections.get(effect.id)
    const isOpen = connection !== undefined && connection.stage !== 'ending'
    switch (effect.kind) {
      case 'abortDial':
        assert.equal(connection?.stage, 'dialing', 'only a dial on its way is aborted')
        connection.stage = 'aborted'
        return
      case 'sendReady':
        assert.ok(isOpen && connection.stage === 'hello', 'READY goes to an open connection')
        connection.readySent += 1
        assert.equal(connection.readySent, 1, 'READY is sent at most once per connection')
        return
      case 'close':
        assert.ok(isOpen, 'no effect names a connection after its close')
        connection.stage = 'ending'
        this.#timers.delete(`handshake ${effect.id}`)
        return
      case 'established':
        assert.ok(isOpen, 'what is established is open')
        assert.ok(connection.readySent === 1 && connection.readyReceived, 'READY went both ways')
        assert.equal(this.#incumbent, undefined, 'an incumbent is never replaced before it is lost')
        this.#incumbent = effect.id
        this.#pings = []
        return
      case 'lost':
        assert.equal(this.#incumbent, effect.id, 'only the incumbent is lost')
        assert.ok(!isOpen, 'an incumbent is lost by its end alone')
        this.#incumbent = undefined
        this.#pings = []
        return
      case 'challenge':
        assert.equal(this.#incumbent, effect.id, 'only the incumbent is challenged')
        assert.equal(effect.ping, (this.#pings.at(-1) ?? 0) + 1, 'pings count up')
        for (const { id, stage } of this.state.candidates) {
          const held = this.#connections.get(id)
          if (stage === 'held' && held !== undefined) held.heldAtPing ??= this.#pings.length
        }
        this.#pings.push(effect.ping)
        return
      case 'setTimer': {
        const key = `${effect.timer} ${effect.id}`
        assert.ok(!this.#timers.has(key), `${key} is not set twice`)
        this.#timers.add(key)
        return
      }
      case 'cancelTimer':
        this.#timers.delete(`${effect.timer} ${effect.id}`)
        if (effect.timer === 'challenge') this.#endChallenge()
        return
    }
  }

  #endChallenge(): void {
    this.#pings = []
    for (const connection of this.#connections.values()) {
      if (connection.heldAtPing !== undefined) connection.heldAtPing = 0
    }
  }

  /** A pong speaks for those alone who were held before its ping left, and for all of them. */
  #checkPong(before: SlotState, effects: readonly SlotEffect[], ping: number): void {
    for (const { id, stage } of before.candidates) {
      if (stage !== 'held') continue
      const wasClosed = effects.some((effect) => effect.kind === 'close' && effect.id === id)
      const heldAtPing = this.#connections.get(id)?.heldAtPing ?? 0
      assert.equal(wasClosed, ping > heldAtPing, `a pong of ping ${ping}, held at ${heldAtPing}`)
    }
  }

  #checkState(): void {
    const { incumbent, elected, candidates, challenge, hold } = this.state
    assert.equal(incumbent?.id, this.#incumbent, 'the incumbent is the one that was established')
    const ids = candidates.map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length, 'a candidate is in the slot once')
    assert.ok(incumbent === null || !ids.includes(incumbent.id), 'the incumbent is no candidate')
    for (const { id } of candidates) {
      const connection = this.#connections.get(id)
      assert.ok(connection !== undefined, 'a candidate is a connection')
      assert.ok(connection.stage !== 'ending' && connection.stage !== 'aborted', 'and an open one')
    }
    for (const [id, { stage }] of this.#connections) {
      const isHeld = ids.includes(id) || id === incumbent?.id
      assert.ok(isHeld || stage === 'ending' || stage === 'aborted', 'nothing open is forgotten')
    }
    const ofDial = candidates.filter(({ origin }) => origin === 'dial')
    assert.ok(ofDial.length <= 1, 'at most one dial')
    assert.ok(
      candidates.length - ofDial.length <= defaultElectionLimits.maxInboundCandidates,
      'at most so many inbound candidates',
    )
    this.#checkRest(ofDial[0]?.id)
    const timers = new Set<string>()
    if (elected !== null) timers.add(`confirm ${elected}`)
    if (hold !== null && !hold.isExpired) timers.add(`hold ${hold.dialId}`)
    if (challenge !== null && incumbent !== null) timers.add(`challenge ${incumbent.id}`)
    for (const { id, stage } of candidates) if (stage === 'held') timers.add(`held ${id}`)
    const running = [...this.#timers].filter((key) => !key.startsWith('handshake'))
    assert.deepEqual(
      new Set(running),
      timers,
      'a timer runs exactly while its subject waits for it',
    )
    for (const id of [elected, incumbent?.id]) {
      assert.ok(!this.#timers.has(`handshake ${id}`), 'the handshake of the chosen is over')
    }
  }

  /** Nothing that the state allows to decide is left undecided. */
  #checkRest(dialId: ConnectionId | undefined): void {
    const { incumbent, elected, candidates, challenge, hold } = this.state
    const stages = candidates.map(({ stage }) => stage)
    assert.equal(challenge !== null, stages.includes('held'), 'a challenge runs while one is held')
    if (incumbent !== null) {
      assert.ok(!stages.includes('admitted') && elected === null && hold === null)
      assert.ok(!stages.includes('dialing') && !stages.includes('opening'), 'no dial any more')
      return
    }
    assert.ok(!stages.includes('held'), 'nobody is held in a free slot')
    const chosen = candidates.find(({ id }) => id === elected)
    if (elected !== null) {
      assert.ok(chosen?.stage === 'admitted' && chosen.arbiter === 'us', 'only an arbiter elects')
      return
    }
    for (const candidate of candidates) {
      if (candidate.stage !== 'admitted') continue
      assert.ok(candidate.arbiter === 'us' || !candidate.isReady, 'READY is answered')
      const isWaiting = hold !== null && hold.dialId === dialId && !hold.isExpired
      assert.ok(
        candidate.arbiter === 'them' || isWaiting,
        'the arbiter elects, or waits for its dial',
      )
    }
  }
}

function pick<Item>(items: readonly Item[], dice: Dice): Item {
  return items[Math.floor(dice() * items.length)] as Item
}
