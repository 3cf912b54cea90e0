import { faultNumber } from './faults.js'
import type { Model } from './model.js'
import {
  connectionOf,
  detailOf,
  kindOf,
  lies,
  sideOfDetail,
  timerOfDetail,
  type MoveKind,
} from './moves.js'

/** Makes a move. */
export function play(model: Model, move: number): void {
  const connection = connectionOf(move)
  const detail = detailOf(move)
  const kind = kindOf(move)
  model.isComingAgain = false
  switch (kind) {
    case 'dial':
      model.dial(connection)
      break
    case 'connect':
      model.connect(connection)
      break
    case 'dialFails':
      model.dialFails(connection)
      break
    case 'deliver':
      model.deliver(connection, detail)
      break
    case 'lose':
      model.lose(connection, detail)
      break
    case 'timer':
      model.fire(connection, sideOfDetail(detail), timerOfDetail(detail))
      break
    case 'pingTimeout':
      model.pingTimeout(connection, detail)
      break
    case 'liarSays':
      model.liarSays(connection, sideOfDetail(detail), lies[timerOfDetail(detail)]!)
      break
    default:
      playFault(model, kind, connection, detail)
  }
  model.settle()
}

function playFault(
  model: Model,
  kind: Extract<MoveKind, 'crash' | 'vanish' | 'reset' | 'hole' | 'early' | 'dialFailsEarly'>,
  connection: number,
  detail: number,
): void {
  switch (kind) {
    case 'crash':
    case 'vanish':
      model.spendFault(faultNumber[kind])
      model.crash(detail, kind === 'crash')
      break
    case 'reset':
      model.spendFault(faultNumber.reset)
      model.resetConnection(connection)
      break
    case 'hole':
      model.spendFault(detail === 3 ? faultNumber.hole : faultNumber.halfHole)
      model.openHole(connection, detail)
      break
    case 'early':
      model.spendFault(faultNumber.early)
      model.touch(connection)
      model.fireEarly(connection, sideOfDetail(detail), timerOfDetail(detail))
      break
    case 'dialFailsEarly':
      model.spendFault(faultNumber.dialFail)
      model.dialFails(connection)
      break
    default:
      kind satisfies never
  }
  if (model.hasMixedRoles) model.touchAll()
  model.judgeMustConnect()
}
