import type { SlotEffect, SlotEvent } from '../../src/rules/election.js'

/** Events of a slot as numbers, and numbers as events. */
export const event = {
  dialStarted: 0,
  dialConnected: 1,
  readyReceived: 2,
  closed: 3,
  /** The deadlines follow in the order of the timers. */
  firstExpiry: 4,
  heldExpired: 7,
  challengeAnswered: 8,
  challengeExpired: 9,
  helloAccepted: 10,
} as const

const kinds = [
  'dialStarted',
  'dialConnected',
  'readyReceived',
  'closed',
  'handshakeExpired',
  'confirmExpired',
  'holdExpired',
  'heldExpired',
] as const

/** IPv4 addresses as numbers: the model's own reading of who should decide. */
export function numericOrder(a: string, b: string): number {
  const toNumber = (ip: string): number =>
    ip.split('.').reduce((number, part) => number * 256 + Number(part), 0)
  return toNumber(a) - toNumber(b)
}

/** Which instance of a host is meant; the order of the texts decides between equal addresses. */
export function instanceId(host: number, incarnation: number): string {
  return `${host}.${incarnation}`
}

export function eventOf(kind: number, id: number, side: number, detail: number): SlotEvent {
  if (kind === event.challengeAnswered) return { kind: 'challengeAnswered', id, ping: detail }
  if (kind === event.challengeExpired)
    return { kind: 'challengeExpired', id, isSilent: detail === 1 }
  if (kind === event.helloAccepted) {
    return {
      kind: 'helloAccepted',
      id,
      origin: side === 0 ? 'dial' : 'inbound',
      arbiter: detail >= 16 ? 'us' : 'them',
      instanceId: instanceId((detail & 15) >> 2, detail & 3),
    }
  }
  return { kind: kinds[kind]!, id }
}

/** All kinds of events and effects there are. */
export const slotEventKinds = [
  ...kinds,
  'challengeAnswered',
  'challengeExpired',
  'helloAccepted',
] as const satisfies readonly SlotEvent['kind'][]

export const slotEffectKinds = [
  'abortDial',
  'sendReady',
  'close',
  'established',
  'lost',
  'challenge',
  'setTimer',
  'cancelTimer',
] as const satisfies readonly SlotEffect['kind'][]
