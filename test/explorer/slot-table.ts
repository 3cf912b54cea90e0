import {
  emptySlot,
  mayStartDial,
  stepElection,
  type ConnectionId,
  type SlotEffect,
  type SlotEvent,
  type SlotState,
} from '../../src/rules/election.js'

/** One step of the election of one slot, taken once and remembered. */
export interface Step {
  readonly next: number
  readonly effects: readonly SlotEffect[]
  /** What is wrong with the step, whatever the world around it is. */
  readonly violation: string | undefined
}

/** The election: the real one, unless a test hands in a broken one. */
export type StepElection = typeof stepElection

/** What the explorer asks of a slot state again and again. */
export interface SlotView {
  readonly state: SlotState
  /** Or -1. */
  readonly incumbent: ConnectionId
  /** Bit masks of connection ids: in whatever role, as our dial without connection, as candidates. */
  readonly held: number
  readonly dialing: number
  /** Those of which this end is the arbiter. */
  readonly ours: number
  readonly mayDial: boolean
  /** Pings of the challenge that were sent after the oldest held candidate's first one. */
  readonly challengeAge: number
}

/**
 * All slot states that were ever met, by number, and all steps between them. The election is a pure
 * function, so that each step of it has to be taken only once, however often the explorer comes by.
 */
export class SlotTable {
  readonly #step: StepElection
  readonly #numbers = new Map<string, number>()
  readonly #views: SlotView[] = []
  readonly #steps = new Map<number, Step>()
  readonly #renamed = new Map<number, number>()

  constructor(step: StepElection = stepElection) {
    this.#step = step
    this.#intern(emptySlot)
  }

  get size(): number {
    return this.#views.length
  }

  view(slot: number): SlotView {
    return this.#views[slot]!
  }

  /** `code` names `event`: 14 bits. */
  step(slot: number, code: number, event: () => SlotEvent): Step {
    const key = slot * 16384 + code
    const known = this.#steps.get(key)
    if (known !== undefined) return known
    const before = this.view(slot).state
    const { state, effects } = this.#step(before, event())
    const next = this.#intern(state)
    const step = { next, effects, violation: judgeStep(before, state, effects) }
    this.#steps.set(key, step)
    return step
  }

  /** The number of the same slot state after connection `from` was given the free number `to`. */
  renamed(slot: number, from: ConnectionId, to: ConnectionId): number {
    const key = slot * 256 + from * 16 + to
    const known = this.#renamed.get(key)
    if (known !== undefined) return known
    const { state } = this.view(slot)
    const rename = (id: ConnectionId): ConnectionId => (id === from ? to : id)
    const next = this.#intern({
      ...state,
      incumbent: state.incumbent && { ...state.incumbent, id: rename(state.incumbent.id) },
      elected: state.elected === null ? null : rename(state.elected),
      candidates: state.candidates.map((candidate) => ({ ...candidate, id: rename(candidate.id) })),
      hold: state.hold && { ...state.hold, dialId: rename(state.hold.dialId) },
    })
    this.#renamed.set(key, next)
    return next
  }

  #intern(state: SlotState): number {
    const key = JSON.stringify([
      state.incumbent && [state.incumbent.id, state.incumbent.instanceId],
      state.elected,
      state.candidates.map((c) =>
        c.stage === 'held' || c.stage === 'admitted'
          ? [c.id, c.stage, c.origin, c.arbiter, c.instanceId, c.isReady, c.firstPing]
          : [c.id, c.stage],
      ),
      state.challenge && [state.challenge.lastPing, state.challenge.pingsInRound],
      state.hold && [state.hold.dialId, state.hold.isExpired],
    ])
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#views.length
    this.#numbers.set(key, number)
    this.#views.push(viewOf(state))
    return number
  }
}

function viewOf(state: SlotState): SlotView {
  let held = state.incumbent === null ? 0 : 1 << state.incumbent.id
  let dialing = 0
  let ours = 0
  for (const candidate of state.candidates) {
    const bit = 1 << candidate.id
    held |= bit
    if (candidate.stage === 'dialing') dialing |= bit
    else if ('arbiter' in candidate && candidate.arbiter === 'us') ours |= bit
  }
  return {
    state,
    incumbent: state.incumbent?.id ?? -1,
    held,
    dialing,
    ours,
    mayDial: mayStartDial(state),
    challengeAge: challengeAge(state),
  }
}

function challengeAge({ candidates, challenge }: SlotState): number {
  let age = 0
  for (const candidate of candidates)
    if (candidate.stage === 'held' && challenge !== null)
      age = Math.max(age, challenge.lastPing - candidate.firstPing)
  return age
}

/** Established and lost alternate, one incumbent at a time; and no more candidates than there may be. */
function judgeStep(
  before: SlotState,
  after: SlotState,
  effects: readonly SlotEffect[],
): string | undefined {
  let holder = before.incumbent?.id
  for (const effect of effects) {
    if (effect.kind === 'established') {
      if (holder !== undefined)
        return `connection ${effect.id} is established while ${holder} still is`
      holder = effect.id
    } else if (effect.kind === 'lost') {
      if (holder !== effect.id) return `connection ${effect.id} is lost and was not established`
      holder = undefined
    }
  }
  for (const effect of effects) {
    const isRefusal = effect.kind === 'close' && effect.why === 'duplicate'
    if (isRefusal && before.incumbent === null && after.incumbent === null)
      return `connection ${effect.id} is refused as a duplicate, and nobody is connected`
  }
  if (holder !== after.incumbent?.id) return 'the incumbent changed and nobody was told'
  const isHeld = after.candidates.some(({ stage }) => stage === 'held')
  if (isHeld && after.challenge === null)
    return 'a candidate is held, and nobody is challenged for it'
  const ids = after.candidates.map(({ id }) => id)
  if (new Set(ids).size < ids.length) return 'a connection is a candidate twice'
  if (holder !== undefined && ids.includes(holder)) return 'the incumbent is a candidate as well'
  if (after.elected !== null && !ids.includes(after.elected)) return 'the elected is no candidate'
  const ready = after.candidates.filter(({ origin }) => origin === 'inbound')
  if (ready.length > 2) return 'more inbound candidates than the limit allows'
  if (after.candidates.filter(({ origin }) => origin === 'dial').length > 1)
    return 'two dials of our own'
  return undefined
}
