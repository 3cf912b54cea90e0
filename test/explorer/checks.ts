import * as at from './layout.js'
import type { Model } from './model.js'

/** What must be true in every state; the first thing that is not, in words. */
export function checkState(model: Model): string | undefined {
  if (model.violation !== undefined) return model.violation
  for (let end = 0; end < 2 * model.connectionCount; end++) {
    const connection = end >> 1
    const side = end & 1
    const ends = model.ends(connection)
    const status = at.statusOf(ends, side)
    if (model.isLiarAt[end]) continue
    const view = model.table.view(model.w[model.slotAt[end]!]!)
    const isHeld = (view.held & (1 << connection)) !== 0
    if (status === at.over) {
      if (isHeld && sideInSlot(model, end))
        return `a slot holds connection ${connection}, which is over`
    } else if (status === at.dialing) {
      if (!isHeld) return `dial ${connection} is under way and no slot knows of it`
    } else if (!isHeld) {
      // Before its HELLO came, an accepted connection belongs to no slot; its deadline ends it.
      const isNew = side === 1 && (ends & at.timerBit(1, at.timer.handshake)) !== 0
      if (!isNew) return `connection ${connection} is open, and nobody holds it`
    }
  }
  return undefined
}

/** A number in a slot means the connection whose end lies in this slot. */
function sideInSlot(model: Model, end: number): boolean {
  return model.slotAt[end] !== model.slotAt[end ^ 1]
}

/** What must be true when nothing more can happen. */
export function checkQuiet(model: Model): string | undefined {
  let incumbents = 0
  for (let end = 0; end < 2 * model.connectionCount; end++) {
    const connection = end >> 1
    if (at.statusOf(model.ends(connection), end & 1) === at.over) continue
    if (model.table.view(model.w[model.slotAt[end]!]!).incumbent !== connection)
      return `all is quiet, and connection ${connection} is left open without being established`
    const other = end ^ 1
    const isSame =
      at.statusOf(model.ends(connection), other & 1) === at.open &&
      model.table.view(model.w[model.slotAt[other]!]!).incumbent === connection
    if (!isSame) return `all is quiet, and only one end holds connection ${connection}`
    incumbents++
  }
  if (incumbents === 0 && model.mustConnect) {
    return 'all is quiet, and nobody is connected although a dial was left after the last fault'
  }
  return undefined
}
