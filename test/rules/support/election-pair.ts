import assert from 'node:assert/strict'
import {
  emptySlot,
  stepElection,
  type ConnectionId,
  type SlotEffect,
  type SlotEvent,
  type SlotState,
} from '../../../src/rules/election.js'
import { describeEffect } from './play.js'

export type End = 'A' | 'B'
/** What becomes of a dial: it arrives, it fails, or nothing is ever heard of it. */
export type DialFate = 'arrives' | 'fails' | 'vanishes'
export type Message = 'hello' | 'ready' | 'end' | `ping ${number}` | `pong ${number}`

interface Pipe {
  readonly dialer: End
  readonly ids: Readonly<Record<End, ConnectionId>>
  readonly fate: DialFate
  isArrived: boolean
  /** On their way to each end, first in, first out. */
  readonly inbox: Record<End, Message[]>
  readonly isClosed: Record<End, boolean>
}

interface Choice {
  readonly name: string
  readonly run: () => void
}

const other = (end: End): End => (end === 'A' ? 'B' : 'A')

/**
 * The smallest world with two nodes: two slots and the connections between them. A has the lower IP, so
 * it is the arbiter of both connections. Which of the possible things happens next is for the test to
 * choose; closes are seen late, and bytes in flight arrive before them or are lost with the reader.
 */
export class ElectionPair {
  readonly slots: Record<End, SlotState> = { A: emptySlot, B: emptySlot }
  readonly lost: string[] = []
  readonly established: string[] = []
  readonly story: string[] = []
  isHoldExpired = false
  readonly #fates: Readonly<Record<End, DialFate>>
  readonly #pipes: Partial<Record<End, Pipe>> = {}
  readonly #timers = new Set<string>()
  readonly #lateCloses = new Set<string>()

  constructor(fates: Readonly<Record<End, DialFate>>) {
    this.#fates = fates
  }

  startDial(end: End): void {
    const id = 1
    const pipe: Pipe = {
      dialer: end,
      ids: { [end]: id, [other(end)]: 2 } as Record<End, ConnectionId>,
      fate: this.#fates[end],
      isArrived: false,
      inbox: { A: [], B: [] },
      isClosed: { A: false, B: false },
    }
    this.#pipes[end] = pipe
    this.#handle(end, { kind: 'dialStarted', id })
  }

  /** Everything that can happen now; timers are apart, because time passes when nothing else does. */
  choices(): Choice[] {
    const choices: Choice[] = []
    for (const end of ['A', 'B'] as const) {
      const pipe = this.#pipes[end]
      if (pipe === undefined) {
        choices.push({ name: `${end} dials`, run: () => this.startDial(end) })
        continue
      }
      if (!pipe.isArrived && !pipe.isClosed[end] && pipe.fate !== 'vanishes') {
        choices.push({ name: `the dial of ${end} ${pipe.fate}`, run: () => this.#settleDial(pipe) })
      }
      for (const reader of ['A', 'B'] as const) {
        if (pipe.inbox[reader].length === 0) continue
        choices.push({
          name: `${reader} reads ${pipe.inbox[reader][0] ?? ''} on the connection of ${end}`,
          run: () => this.#deliver(pipe, reader),
        })
      }
    }
    for (const key of this.#lateCloses) {
      choices.push({
        name: `${key} is over`,
        run: () => {
          this.#lateCloses.delete(key)
          const [end = '', id] = key.split(' ')
          this.#handle(end as End, { kind: 'closed', id: Number(id) })
        },
      })
    }
    return choices
  }

  /** The timers that run. A challenge that fires truly finds silence only when a pong was due. */
  timers(kinds: readonly string[]): Choice[] {
    return [...this.#timers]
      .filter((key) => kinds.includes(key.split(' ')[1] ?? ''))
      .map((key) => ({ name: `${key} expires`, run: () => this.#expire(key) }))
  }

  run(choice: Choice): void {
    this.story.push(choice.name)
    choice.run()
  }

  /** The dialer of the connection that an end holds. */
  heldBy(end: End): End | undefined {
    const { incumbent } = this.slots[end]
    const pipes = Object.values(this.#pipes)
    return pipes.find((pipe) => pipe.ids[end] === incumbent?.id)?.dialer
  }

  /** Connections that one end still has open although no slot holds them. */
  get forgotten(): string[] {
    const forgotten: string[] = []
    for (const pipe of Object.values(this.#pipes)) {
      for (const end of ['A', 'B'] as const) {
        const { incumbent, candidates } = this.slots[end]
        const id = pipe.ids[end]
        const isHeld = incumbent?.id === id || candidates.some((candidate) => candidate.id === id)
        if (pipe.isArrived && !pipe.isClosed[end] && !isHeld) forgotten.push(`${end} ${id}`)
      }
    }
    return forgotten
  }

  #settleDial(pipe: Pipe): void {
    const { dialer, ids } = pipe
    if (pipe.fate === 'fails') {
      pipe.isClosed[dialer] = true
      this.#handle(dialer, { kind: 'closed', id: ids[dialer] })
      return
    }
    pipe.isArrived = true
    pipe.inbox[other(dialer)].push('hello')
    this.#handle(dialer, { kind: 'dialConnected', id: ids[dialer] })
  }

  #deliver(pipe: Pipe, end: End): void {
    const message = pipe.inbox[end].shift()
    if (message === undefined || pipe.isClosed[end]) return
    const id = pipe.ids[end]
    const [kind, ping] = message.split(' ')
    switch (kind) {
      case 'hello': {
        const isDialer = end === pipe.dialer
        if (!isDialer) pipe.inbox[pipe.dialer].push('hello')
        const origin = isDialer ? 'dial' : 'inbound'
        const arbiter = end === 'A' ? 'us' : 'them'
        const instanceId = other(end)
        this.#handle(end, { kind: 'helloAccepted', id, origin, arbiter, instanceId })
        return
      }
      case 'ready':
        this.#handle(end, { kind: 'readyReceived', id })
        return
      case 'ping':
        pipe.inbox[other(end)].push(`pong ${Number(ping)}`)
        return
      case 'pong':
        this.#handle(end, { kind: 'challengeAnswered', id, ping: Number(ping) })
        return
      case 'end':
        pipe.isClosed[end] = true
        this.#handle(end, { kind: 'closed', id })
        return
      default:
        assert.fail(`unknown message ${message}`)
    }
  }

  #expire(key: string): void {
    this.#timers.delete(key)
    const [end = '', timer, idText] = key.split(' ')
    const id = Number(idText)
    if (timer === 'hold') {
      this.isHoldExpired = true
      this.#handle(end as End, { kind: 'holdExpired', id })
    } else if (timer === 'held') {
      this.#handle(end as End, { kind: 'heldExpired', id })
    } else if (timer === 'challenge') {
      this.#handle(end as End, { kind: 'challengeExpired', id, isSilent: false })
    }
  }

  #handle(end: End, event: SlotEvent): void {
    const { state, effects } = stepElection(this.slots[end], event)
    this.slots[end] = state
    this.story.push(
      `  ${end}: ${event.kind} ${event.id} → ${effects.map(describeEffect).join(', ')}`,
    )
    for (const effect of effects) this.#carryOut(end, effect)
  }

  #carryOut(end: End, effect: SlotEffect): void {
    const pipe = Object.values(this.#pipes).find(({ ids }) => ids[end] === effect.id)
    assert.ok(pipe !== undefined, `${end} has a connection ${effect.id}`)
    const send = (message: Message): void => {
      if (pipe.isArrived && !pipe.isClosed[end]) pipe.inbox[other(end)].push(message)
    }
    switch (effect.kind) {
      case 'abortDial':
        pipe.isClosed[end] = true
        this.#lateCloses.add(`${end} ${effect.id}`)
        return
      case 'close':
        send('end')
        pipe.isClosed[end] = true
        this.#lateCloses.add(`${end} ${effect.id}`)
        return
      case 'sendReady':
        send('ready')
        return
      case 'challenge':
        send(`ping ${effect.ping}`)
        return
      case 'established':
        this.established.push(end)
        return
      case 'lost':
        this.lost.push(end)
        return
      case 'setTimer':
        this.#timers.add(`${end} ${effect.timer} ${effect.id}`)
        return
      case 'cancelTimer':
        this.#timers.delete(`${end} ${effect.timer} ${effect.id}`)
        return
    }
  }
}
