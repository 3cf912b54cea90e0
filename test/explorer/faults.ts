import * as at from './layout.js'
import type { Model } from './model.js'
import { canStillAnswer, moveOf, timerDetail } from './moves.js'
import { faultKinds, type FaultKind } from './world.js'

/** The number of each kind in the budget of a state. */
export const faultNumber = Object.fromEntries(
  faultKinds.map((kind, number) => [kind, number]),
) as Record<FaultKind, number>

/** What a fault of the budget may do next. */
export function faultMoves(model: Model, moves: number[]): void {
  const { world } = model
  for (const kind of ['crash', 'vanish'] as const) {
    if (!model.mayFault(faultNumber[kind])) continue
    for (const [host, { isLiar }] of world.hosts.entries())
      if (isLiar !== true) moves.push(moveOf(kind, 0, host))
  }
  for (let connection = 0; connection < model.connectionCount; connection++) {
    const ends = model.ends(connection)
    if (ends === 0) continue
    if (at.statusOf(ends, 0) === at.dialing) {
      if (
        model.mayFault(faultNumber.dialFail) &&
        world.routes[model.routeOf[connection]!]!.isReachable
      )
        moves.push(moveOf('dialFailsEarly', connection, 0))
      continue
    }
    if (model.mayFault(faultNumber.reset)) moves.push(moveOf('reset', connection, 0))
    const holes = at.holesOf(ends)
    if (holes === 0 && model.mayFault(faultNumber.hole)) moves.push(moveOf('hole', connection, 3))
    if (holes === 0 && model.mayFault(faultNumber.halfHole))
      moves.push(moveOf('hole', connection, 1), moveOf('hole', connection, 2))
    if (model.mayFault(faultNumber.early)) earlyTimers(model, connection, ends, moves)
  }
}

function earlyTimers(model: Model, connection: number, ends: number, moves: number[]): void {
  for (const side of [0, 1]) {
    if (!canStillAnswer(model, connection, side)) continue
    for (const kind of [at.timer.handshake, at.timer.confirm, at.timer.held, at.timer.challenge])
      if ((ends & at.timerBit(side, kind)) !== 0)
        moves.push(moveOf('early', connection, timerDetail(side, kind)))
  }
}
