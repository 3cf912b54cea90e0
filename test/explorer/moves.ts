import { headOf, isPing, isPong, lastOf, message, onlyFin, some } from './fifo.js'
import * as at from './layout.js'
import type { Model } from './model.js'

/** Everything that can happen in one instant; a move is `kind << 8 | connection << 4 | detail`. */
export const moveKinds = [
  'dial',
  'connect',
  'dialFails',
  'deliver',
  'lose',
  'timer',
  'pingTimeout',
  'liarSays',
  'crash',
  'vanish',
  'reset',
  'hole',
  'early',
  'dialFailsEarly',
] as const
export type MoveKind = (typeof moveKinds)[number]

const kindNumber = Object.fromEntries(moveKinds.map((kind, number) => [kind, number])) as Record<
  MoveKind,
  number
>
export const moveOf = (kind: MoveKind, connection: number, detail: number): number =>
  (kindNumber[kind] << 8) | (connection << 4) | detail
export const kindOf = (move: number): MoveKind => moveKinds[move >> 8]!
export const connectionOf = (move: number): number => (move >> 4) & 15
export const detailOf = (move: number): number => move & 15

/** Side and timer in one detail. */
export const timerDetail = (side: number, kind: number): number => side * 8 + kind
export const sideOfDetail = (detail: number): number => detail >> 3
export const timerOfDetail = (detail: number): number => detail & 7

/** What a liar may say. */
export const lies = [message.hello, message.helloOfLiar, message.ready, message.fin] as const

/**
 * What may happen next without a fault. When nothing else can, time passes: then every timer that is
 * armed may fire, and a state without any move at all is a quiet one.
 */
export function freeMoves(model: Model, moves: number[]): void {
  const { world } = model
  for (const [route, { from }] of world.routes.entries()) {
    if (model.dialsLeft(from) === 0) continue
    const isLiar = world.hosts[world.slots[from]!.host]!.isLiar === true
    if (isLiar ? model.hasRoom(route) : model.table.view(model.w[from]!).mayDial)
      moves.push(moveOf('dial', route, 0))
  }
  for (let connection = 0; connection < model.connectionCount; connection++) {
    const ends = model.ends(connection)
    if (ends === 0) continue
    if (at.statusOf(ends, 0) === at.dialing) {
      const { isReachable } = world.routes[model.routeOf[connection]!]!
      moves.push(moveOf(isReachable ? 'connect' : 'dialFails', connection, 0))
    }
    for (const link of [0, 1]) {
      const content = model.link(connection, link)
      if (content === 0) continue
      moves.push(moveOf('deliver', connection, link))
      const mayBeLost =
        (ends & at.losableBit(link)) !== 0 || model.isLiarAt[2 * connection + 1 - link]
      if (mayBeLost && content !== onlyFin(content)) moves.push(moveOf('lose', connection, link))
    }
    for (const side of [0, 1]) permittedTimers(model, connection, side, moves)
    for (const side of [0, 1]) liarMoves(model, connection, side, moves)
  }
  if (moves.length === 0) timePasses(model, moves)
}

/** A candidate is held for two challenges of three steps each. */
const heldSteps = 6

/**
 * Which timers may fire although other things are still going on: those for whose end nothing has to
 * arrive in time. The hold may always end while our own dial is under way. The others wait for an answer,
 * and their limits are longer than an answer takes; so they may fire once it cannot come any more, and
 * one that fires before is a fault ("early").
 */
function permittedTimers(model: Model, connection: number, side: number, moves: number[]): void {
  const ends = model.ends(connection)
  if (at.statusOf(ends, side) === at.over || model.isLiarAt[2 * connection + side]) return
  const armed = at.timersOf(ends, side)
  const slot = model.table.view(model.w[model.slotAt[2 * connection + side]!]!)
  const isIncumbent = slot.incumbent === connection
  if (armed === 0 && !isIncumbent) return
  if ((armed & (1 << at.timer.hold)) !== 0)
    moves.push(moveOf('timer', connection, timerDetail(side, at.timer.hold)))
  const mayAnswer = canStillAnswer(model, connection, side)
  for (const kind of [at.timer.handshake, at.timer.confirm]) {
    if (!mayAnswer && (armed & (1 << kind)) !== 0)
      moves.push(moveOf('timer', connection, timerDetail(side, kind)))
  }
  if ((armed & (1 << at.timer.challenge)) !== 0) {
    if (!isPingOutstanding(model, connection, side) && slot.challengeAge < heldSteps)
      moves.push(moveOf('timer', connection, timerDetail(side, at.timer.challenge)))
  }
  const isDue = slot.state.challenge === null || slot.challengeAge >= heldSteps - 1
  if (isDue && (armed & (1 << at.timer.held)) !== 0)
    moves.push(moveOf('timer', connection, timerDetail(side, at.timer.held)))
  if (isIncumbent && !mayAnswer) moves.push(moveOf('pingTimeout', connection, side))
}

/** Whether the other end may still say something that this one hears. */
export function canStillAnswer(model: Model, connection: number, side: number): boolean {
  if (model.isLiarAt[2 * connection + 1 - side]) return false
  const ends = model.ends(connection)
  if (at.statusOf(ends, side) === at.dialing) return true
  const incoming = model.link(connection, 1 - side)
  if (headOf(incoming) !== 0 && headOf(incoming) !== message.fin) return true
  if (at.statusOf(ends, 1 - side) !== at.open) return false
  if ((ends & (at.holeBit(0) | at.holeBit(1))) !== 0) return false
  return incoming !== message.fin && lastOf(model.link(connection, side)) !== message.fin
}

/** A ping of a running challenge that was neither answered nor lost. */
function isPingOutstanding(model: Model, connection: number, side: number): boolean {
  const isAsked = some(model.link(connection, side), (m) => isPing(m) && m !== message.ping)
  return isAsked || some(model.link(connection, 1 - side), (m) => isPong(m) && m !== message.pong)
}

function liarMoves(model: Model, connection: number, side: number, moves: number[]): void {
  if (!model.isLiarAt[2 * connection + side]) return
  const ends = model.ends(connection)
  if (at.statusOf(ends, side) !== at.open) return
  const maySayHello = (ends & at.saidBit('hello')) === 0
  if (maySayHello) {
    moves.push(
      moveOf('liarSays', connection, side * 8),
      moveOf('liarSays', connection, side * 8 + 1),
    )
  } else if ((ends & at.saidBit('ready')) === 0)
    moves.push(moveOf('liarSays', connection, side * 8 + 2))
  moves.push(moveOf('liarSays', connection, side * 8 + 3))
}

/** Nothing else happens: all timers that run come to their end, the shorter ones before the handshakes. */
function timePasses(model: Model, moves: number[]): void {
  for (const isHandshake of [false, true]) {
    for (let connection = 0; connection < model.connectionCount; connection++) {
      for (const side of [0, 1]) {
        for (const kind of [0, 1, 2, 3, 4]) {
          if ((kind === at.timer.handshake) !== isHandshake) continue
          if ((model.ends(connection) & at.timerBit(side, kind)) !== 0)
            moves.push(moveOf('timer', connection, timerDetail(side, kind)))
        }
      }
    }
    if (moves.length > 0) return
  }
}
