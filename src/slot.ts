import {
  emptySlot,
  stepElection,
  type ConnectionId,
  type ElectionClose,
  type ElectionLimits,
  type SlotEffect,
  type SlotEvent,
  type SlotState,
  type SlotTimer,
} from './rules/election.js'

/** What carries out the effects of an election. It decides nothing. */
export interface SlotActions {
  abortDial(id: ConnectionId): void
  sendReady(id: ConnectionId): void
  close(id: ConnectionId, why: ElectionClose): void
  established(id: ConnectionId): void
  lost(id: ConnectionId): void
  challenge(id: ConnectionId, ping: number, startsRound: boolean): void
  setTimer(timer: SlotTimer, id: ConnectionId): void
  cancelTimer(timer: SlotTimer, id: ConnectionId): void
}

/**
 * The one place of a peer: the state of its election. ConnectionManager carries its effects out on real
 * connections; the explorer carries the same effects out on a model of the world.
 */
export class Slot {
  readonly key: string
  #state: SlotState = emptySlot

  constructor(key: string) {
    this.key = key
  }

  get state(): SlotState {
    return this.#state
  }

  /** Steps the election: the new state is stored before the first effect runs. */
  handle(event: SlotEvent, actions: SlotActions, limits?: ElectionLimits): void {
    const { state, effects } = stepElection(this.#state, event, limits)
    this.#state = state
    for (const effect of effects) runEffect(effect, actions)
  }
}

/** Carries out one effect. */
export function runEffect(effect: SlotEffect, actions: SlotActions): void {
  switch (effect.kind) {
    case 'abortDial':
      actions.abortDial(effect.id)
      return
    case 'sendReady':
      actions.sendReady(effect.id)
      return
    case 'close':
      actions.close(effect.id, effect.why)
      return
    case 'established':
      actions.established(effect.id)
      return
    case 'lost':
      actions.lost(effect.id)
      return
    case 'challenge':
      actions.challenge(effect.id, effect.ping, effect.startsRound)
      return
    case 'setTimer':
      actions.setTimer(effect.timer, effect.id)
      return
    case 'cancelTimer':
      actions.cancelTimer(effect.timer, effect.id)
      return
    default:
      effect satisfies never
  }
}
