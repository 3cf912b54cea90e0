import {
  emptySlot,
  stepElection,
  type Arbiter,
  type ConnectionId,
  type ElectionLimits,
  type SlotEffect,
  type SlotEvent,
  type SlotState,
  type SlotTimer,
} from '../../../src/rules/election.js'

export const dial = (id: ConnectionId): SlotEvent => ({ kind: 'dialStarted', id })
export const connected = (id: ConnectionId): SlotEvent => ({ kind: 'dialConnected', id })
export const ready = (id: ConnectionId): SlotEvent => ({ kind: 'readyReceived', id })
export const closed = (id: ConnectionId): SlotEvent => ({ kind: 'closed', id })
export const pong = (id: ConnectionId, ping: number): SlotEvent => ({
  kind: 'challengeAnswered',
  id,
  ping,
})

/** A step of the challenge is over; `silent`: not a byte came since the round began. */
export const challengeOver = (id: ConnectionId, heard: 'silent' | 'heard'): SlotEvent => ({
  kind: 'challengeExpired',
  id,
  isSilent: heard === 'silent',
})

export const expired = (timer: Exclude<SlotTimer, 'challenge'>, id: ConnectionId): SlotEvent => ({
  kind: `${timer}Expired`,
  id,
})

/** A valid HELLO of the peer on a connection that it opened, or on the one that we dialled. */
export const hello = (
  id: ConnectionId,
  facts: {
    readonly on: 'dial' | 'inbound'
    readonly arbiter: Arbiter
    /** The process that speaks; one peer that did not restart is the same one. */
    readonly from?: string
  },
): SlotEvent => ({
  kind: 'helloAccepted',
  id,
  origin: facts.on,
  arbiter: facts.arbiter,
  instanceId: facts.from ?? 'peer',
})

export interface Played {
  readonly state: SlotState
  /** What the last event caused, one line for each effect. */
  readonly effects: readonly string[]
  /** What all events caused. */
  readonly allEffects: readonly string[]
  /** Plays on from here. */
  readonly then: (...events: readonly SlotEvent[]) => Played
}

/** Plays events on an empty slot. */
export function play(...events: readonly SlotEvent[]): Played {
  return playFrom({ state: emptySlot, allEffects: [] }, events, undefined)
}

/** As `play`, with other limits than the defaults. */
export function playWith(limits: ElectionLimits, ...events: readonly SlotEvent[]): Played {
  return playFrom({ state: emptySlot, allEffects: [] }, events, limits)
}

function playFrom(
  start: Pick<Played, 'state' | 'allEffects'>,
  events: readonly SlotEvent[],
  limits: ElectionLimits | undefined,
): Played {
  let { state } = start
  let effects: string[] = []
  const allEffects = [...start.allEffects]
  for (const event of events) {
    const step = stepElection(state, event, limits)
    state = step.state
    effects = step.effects.map(describeEffect)
    allEffects.push(...effects)
  }
  const played = { state, effects, allEffects }
  return { ...played, then: (...more) => playFrom(played, more, limits) }
}

export function describeEffect(effect: SlotEffect): string {
  switch (effect.kind) {
    case 'close':
      return `close ${effect.id}: ${effect.why}`
    case 'challenge':
      return `challenge ${effect.id} with ping ${effect.ping}${effect.startsRound ? ', a new round' : ''}`
    case 'setTimer':
    case 'cancelTimer':
      return `${effect.kind} ${effect.timer} ${effect.id}`
    case 'abortDial':
    case 'sendReady':
    case 'established':
    case 'lost':
      return `${effect.kind} ${effect.id}`
  }
}
