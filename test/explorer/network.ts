import { append, lastOf, message, onlyFin } from './fifo.js'
import * as at from './layout.js'
import { WorldState } from './state.js'

/**
 * The network between the hosts: connections of two ends and two links. Messages arrive in order or not
 * at all; the close of one end is one more message to the other; a reset may overtake what was sent.
 */
export class Network extends WorldState {
  /** Ends that are over, as connection × 2 + side, and whose slots were not told yet. */
  protected readonly ended: number[] = []

  send(connection: number, side: number, kind: number): void {
    const link = side
    const ends = this.ends(connection)
    const content = this.link(connection, link)
    if ((ends & at.holeBit(link)) !== 0 || lastOf(content) === message.fin) return
    if (at.statusOf(ends, 1 - side) !== at.open) {
      // It is answered with a reset, which may overtake what the closed end had sent.
      if (this.link(connection, 1 - link) !== 0)
        this.setEnds(connection, ends | at.losableBit(1 - link))
      return
    }
    const isStale = kind === message.ping || kind === message.pong
    if (isStale && lastOf(content) === kind) return
    this.setLink(connection, link, append(content, kind))
  }

  /** A reset overtakes what is in flight. */
  lose(connection: number, link: number): void {
    this.setLink(connection, link, onlyFin(this.link(connection, link)))
  }

  /** An end closes, whoever wanted it; the other end will see it. */
  closeEnd(connection: number, side: number): void {
    this.clearRace(connection, side)
    let ends = this.ends(connection)
    if (at.statusOf(ends, side) === at.over) return
    const isOtherOpen = at.statusOf(ends, 1 - side) === at.open
    if (isOtherOpen) {
      this.send(connection, side, message.fin)
      if (this.link(connection, 1 - side) !== 0 && this.link(connection, side) !== 0)
        ends |= at.losableBit(side)
    }
    this.setLink(connection, 1 - side, 0)
    ends =
      at.withStatus(ends, side, at.over) &
      ~at.allTimers(side) &
      ~at.heardBit(side) &
      ~at.waitsForDeadBit(side)
    this.setEnds(connection, ends)
    if ((ends & at.touchedBit) !== 0) this.judgeMustConnect()
    if (!this.isLiarAt[2 * connection + side]) this.queueClosed(connection, side)
  }

  crashEnd(connection: number, side: number, withReset: boolean): void {
    const status = at.statusOf(this.ends(connection), side)
    if (status === at.over) return
    if (status === at.dialing) {
      this.setEnds(connection, 0)
      return
    }
    if (withReset) this.send(connection, side, message.fin)
    this.setLink(connection, 1 - side, 0)
    const ends = this.ends(connection) & ~at.allTimers(side) & ~at.heardBit(side)
    this.setEnds(
      connection,
      at.withStatus(ends, side, at.over) | at.losableBit(side) | at.touchedBit,
    )
    if (at.statusOf(ends, 1 - side) !== at.open) this.setLink(connection, side, 0)
  }

  /** The network ends a connection: both ends see it, each in its own time. */
  resetConnection(connection: number): void {
    for (const side of [0, 1]) this.send(connection, side, message.fin)
    this.setEnds(
      connection,
      this.ends(connection) | at.losableBit(0) | at.losableBit(1) | at.touchedBit,
    )
  }

  /** From here on nothing arrives on the links whose bits are set. */
  openHole(connection: number, links: number): void {
    for (const link of [0, 1]) {
      if ((links & (1 << link)) === 0) continue
      this.setLink(connection, link, 0)
      this.setEnds(connection, this.ends(connection) | at.holeBit(link) | at.touchedBit)
    }
  }

  /** Whether nothing that is said on a connection from now on can be answered. */
  isDead(connection: number): boolean {
    const ends = this.ends(connection)
    const isOpen = at.statusOf(ends, 0) === at.open && at.statusOf(ends, 1) === at.open
    if (!isOpen || at.holesOf(ends) !== 0) return true
    return [0, 1].some((link) => lastOf(this.link(connection, link)) === message.fin)
  }

  /** Our own dial is over, or its hold: no promise is left that it wins. */
  clearRace(connection: number, side: number): void {
    if (side === 0) this.setRace(this.slotAt[2 * connection]!, false)
  }

  queueClosed(connection: number, side: number): void {
    this.ended.push(connection * 2 + side)
  }
}
