import { arbiterOf, type Arbiter } from '../../src/rules/election.js'
import type { PeerIp } from '../../src/rules/peer-ip.js'
import { runEffect, type SlotActions } from '../../src/slot.js'
import { event, eventOf, instanceId, numericOrder } from './events.js'
import { headOf, isPing, isPong, maxPing, message, withoutHead, withStale } from './fifo.js'
import * as at from './layout.js'
import { Network } from './network.js'

/**
 * What happens in a world. Links and ends are modelled here; what a slot decides comes from the real
 * election, and is carried out by the interpreter that ConnectionManager uses.
 */
export class Model extends Network {
  /** What the last move broke. */
  violation: string | undefined
  /** In the last move a dial was told to come again later. */
  isComingAgain = false
  #slot = 0
  #before = 0
  #stepped = 0
  readonly #arbiters: (Arbiter | undefined)[] = []
  readonly #actions = this.#buildActions()

  /** Makes all links and slots consistent again after a move, and the state canonical. */
  settle(): void {
    this.#runInputs()
    this.makeCanonical()
  }

  dial(route: number): void {
    const { from } = this.world.routes[route]!
    const first = this.firstOfRoute[route]!
    let connection = first
    while (this.ends(connection) !== 0) connection++
    if (this.routeOf[connection] !== route) throw new Error('a route of the world is too narrow')
    this.addDials(from, -1)
    const host = this.hostAt[2 * connection]!
    this.setEnds(
      connection,
      at.withStatus(0, 0, at.dialing) | at.incarnationBits(0, this.incarnation(host)),
    )
    if (!this.isLiarAt[2 * connection]) this.#event(from, event.dialStarted, connection)
  }

  /** The dial has its connection: HELLO leaves. The acceptor's end waits for it. */
  connect(connection: number): void {
    let ends = this.ends(connection)
    ends = at.withStatus(at.withStatus(ends, 0, at.open), 1, at.open)
    ends |= at.incarnationBits(1, this.incarnation(this.hostAt[2 * connection + 1]!))
    ends |= at.timerBit(0, at.timer.handshake) | at.timerBit(1, at.timer.handshake)
    this.setEnds(connection, ends)
    const { from, to } = this.world.routes[this.routeOf[connection]!]!
    if (this.isUntrue(from) || this.isUntrue(to)) this.touch(connection)
    if (this.isLiarAt[2 * connection]) return
    this.#event(this.slotAt[2 * connection]!, event.dialConnected, connection)
    this.send(connection, 0, message.hello)
  }

  dialFails(connection: number): void {
    this.clearRace(connection, 0)
    this.setEnds(connection, 0)
    if (!this.isLiarAt[2 * connection]) this.queueClosed(connection, 0)
  }

  deliver(connection: number, link: number): void {
    const side = 1 - link
    const content = this.link(connection, link)
    const kind = headOf(content)
    this.setLink(connection, link, withoutHead(content))
    const ends = this.ends(connection)
    if (at.statusOf(ends, side) !== at.open) throw new Error('delivered to a closed end')
    if ((ends & at.timerBit(side, at.timer.challenge)) !== 0)
      this.setEnds(connection, ends | at.heardBit(side))
    if (kind === message.fin) this.closeEnd(connection, side)
    else if (isPing(kind)) this.send(connection, side, kind - message.ping + message.pong)
    else if (!this.isLiarAt[2 * connection + side]) this.#receive(connection, side, kind)
  }

  fire(connection: number, side: number, kind: number): void {
    const ends = this.ends(connection)
    this.setEnds(connection, ends & ~at.timerBit(side, kind))
    if (kind === at.timer.hold) this.clearRace(connection, side)
    const slot = this.slotAt[2 * connection + side]!
    if (kind !== at.timer.challenge) {
      const isInSlot = (this.table.view(this.w[slot]!).held & (1 << connection)) !== 0
      if (isInSlot) this.#event(slot, event.firstExpiry + kind, connection)
      else if (kind === at.timer.handshake) this.closeEnd(connection, side)
      return
    }
    const isSilent = (ends & at.heardBit(side)) === 0
    this.#event(slot, event.challengeExpired, connection, isSilent ? 1 : 0)
  }

  /** The ordinary pings of an incumbent were not answered. */
  pingTimeout(connection: number, side: number): void {
    this.closeEnd(connection, side)
  }

  liarSays(connection: number, side: number, kind: number): void {
    if (kind === message.fin) {
      this.closeEnd(connection, side)
      return
    }
    this.setEnds(
      connection,
      this.ends(connection) | at.saidBit(kind === message.ready ? 'ready' : 'hello'),
    )
    this.send(connection, side, kind)
  }

  /** A process ends and starts again: it remembers nothing. Its connections are reset, or just silent. */
  crash(host: number, withReset: boolean): void {
    for (let end = 0; end < 2 * this.connectionCount; end++) {
      if (this.hostAt[end] === host) this.crashEnd(end >> 1, end & 1, withReset)
    }
    for (const [slot, { host: owner, dialsAfterRestart }] of this.world.slots.entries()) {
      if (owner !== host) continue
      this.w[slot] = 0
      this.setRace(slot, false)
      this.addDials(slot, dialsAfterRestart ?? 0)
    }
    const incarnation = Math.min(3, this.incarnation(host) + 1)
    this.w[this.left] = at.write(this.w[this.left]!, at.field.incarnation(host), 3, incarnation)
  }

  /** A timer ends before the answer that it waits for could come; a challenge with all of its steps. */
  fireEarly(connection: number, side: number, kind: number): void {
    const bit = at.timerBit(side, kind)
    do {
      this.setEnds(connection, this.ends(connection) & ~at.heardBit(side))
      this.fire(connection, side, kind)
    } while (kind === at.timer.challenge && (this.ends(connection) & bit) !== 0)
  }

  #receive(connection: number, side: number, kind: number): void {
    const slot = this.slotAt[2 * connection + side]!
    if (kind === message.hello || kind === message.helloOfLiar) {
      if (side === 1) this.send(connection, 1, message.hello)
      this.#acceptHello(connection, side, kind === message.helloOfLiar)
    } else if (kind === message.ready) {
      if (this.table.view(this.w[slot]!).incumbent === connection) this.closeEnd(connection, side)
      else this.#event(slot, event.readyReceived, connection)
    } else if (isPong(kind) && kind !== message.pong) {
      this.#event(slot, event.challengeAnswered, connection, kind - message.pong)
    }
  }

  #acceptHello(connection: number, side: number, isLie: boolean): void {
    const slot = this.slotAt[2 * connection + side]!
    const theirs = this.hostAt[2 * connection + 1 - side]!
    const ends = this.ends(connection)
    const isUs = (this.#arbiter(connection, side) === 'us') !== isLie
    const { candidates, incumbent, elected, hold } = this.table.view(this.w[slot]!).state
    const isOpen = incumbent === null && elected === null && hold?.isExpired !== true
    if (side === 1 && isUs && isOpen) {
      const own = candidates.find(({ origin }) => origin === 'dial')
      const isOurs = own !== undefined && (!('arbiter' in own) || own.arbiter === 'us')
      if (isOurs) this.setRace(slot, true)
    }
    if (side === 0 && !isUs) this.clearRace(connection, 0)
    if (incumbent !== null && this.isDead(incumbent.id))
      this.setEnds(connection, this.ends(connection) | at.waitsForDeadBit(side))
    const instance = theirs * 4 + at.incarnationOf(ends, 1 - side)
    this.#event(slot, event.helloAccepted, connection, (isUs ? 16 : 0) + instance)
  }

  /** The incumbent is gone: nobody waits for it any more. */
  #nobodyWaits(): void {
    for (let end = 0; end < 2 * this.connectionCount; end++) {
      if (this.slotAt[end] === this.#slot)
        this.setEnds(end >> 1, this.ends(end >> 1) & ~at.waitsForDeadBit(end & 1))
    }
  }

  /**
   * A candidate is refused. If the incumbent was dead when it came, it must not be for that one's sake:
   * but where bytes of the dead one still came in, or the candidate came in the middle of a challenge, or
   * its time was cut short.
   */
  #refused(connection: number, side: number): void {
    if ((this.ends(connection) & at.waitsForDeadBit(side)) === 0) return
    const { candidates, incumbent } = this.table.view(this.#before).state
    const isHeard =
      incumbent !== null && (this.ends(incumbent.id) & at.heardBit(this.#side(incumbent.id))) !== 0
    if (this.#stepped === event.challengeExpired && isHeard) return
    if (this.#stepped === event.heldExpired) {
      const candidate = candidates.find(({ id }) => id === connection)
      const isLater = candidate?.stage === 'held' && candidate.firstPing > 1
      if (isHeard || isLater || (this.ends(connection) & at.touchedBit) !== 0) return
    }
    this.violation ??= `connection ${connection} is refused for one that was dead when it came`
  }

  /** The arbiter as this end sees it: a pure function of what the HELLOs said, computed once. */
  #arbiter(connection: number, side: number): Arbiter {
    const ends = this.ends(connection)
    const ours = at.incarnationOf(ends, side)
    const theirs = at.incarnationOf(ends, 1 - side)
    const key = ((2 * connection + side) * 4 + ours) * 4 + theirs
    const known = this.#arbiters[key]
    if (known !== undefined) return known
    const { hosts, slots, routes } = this.world
    const end = 2 * connection + side
    const { seen } = routes[this.routeOf[connection]!]!
    const [seenUs, seenThem] =
      side === 0 ? [seen?.dialer, seen?.acceptor] : [seen?.acceptor, seen?.dialer]
    const honest = seenUs ?? slots[this.slotAt[end ^ 1]!]!.peerIp
    const theirIp = seenThem ?? slots[this.slotAt[end]!]!.peerIp
    const { tellsIp } = hosts[this.hostAt[end ^ 1]!]!
    const arbiter = arbiterOf({
      ourIp: (tellsIp ?? honest) as PeerIp,
      theirIp: theirIp as PeerIp,
      ourInstanceId: instanceId(this.hostAt[end]!, ours),
      theirInstanceId: instanceId(this.hostAt[end ^ 1]!, theirs),
    })
    this.#arbiters[key] = arbiter
    const expected = numericOrder(tellsIp ?? honest, theirIp)
    if (expected !== 0 && expected < 0 !== (arbiter === 'us'))
      this.violation ??= `the higher of ${tellsIp ?? honest} and ${theirIp} decides`
    return arbiter
  }

  /** One event of one slot, stepped and carried out. */
  #event(slot: number, kind: number, connection: number, detail = 0): void {
    const number = this.w[slot]!
    this.#before = number
    this.#stepped = kind
    const side = this.slotAt[2 * connection] === slot ? 0 : 1
    const code = (kind << 9) | (side << 13) | (connection << 5) | detail
    const step = this.table.step(number, code, () => eventOf(kind, connection, side, detail))
    this.w[slot] = step.next
    this.violation ??= step.violation
    this.#slot = slot
    for (const effect of step.effects) runEffect(effect, this.#actions)
  }

  #runInputs(): void {
    for (let input = this.ended.shift(); input !== undefined; input = this.ended.shift()) {
      this.#event(this.slotAt[input]!, event.closed, input >> 1)
    }
  }

  #side(connection: number): number {
    return this.slotAt[2 * connection] === this.#slot ? 0 : 1
  }

  #established(connection: number, side: number): void {
    if (at.statusOf(this.ends(connection), side) !== at.open)
      this.violation ??= `connection ${connection} is established, and it is not open`
    const isArbiter = (this.table.view(this.#before).ours & (1 << connection)) !== 0
    if (side === 1 && isArbiter && this.hasRace(this.#slot))
      this.violation ??= 'the preferred dial was under way, and another connection won'
    this.setRace(this.#slot, false)
  }

  /** The nonces of a challenge that is over are forgotten. */
  #challengeIsOver(connection: number, side: number): void {
    this.setEnds(connection, this.ends(connection) & ~at.heardBit(side))
    this.setLink(connection, side, withStale(this.link(connection, side), message.ping))
    const back = this.link(connection, 1 - side)
    this.setLink(connection, 1 - side, withStale(back, message.pong))
  }

  #buildActions(): SlotActions {
    return {
      abortDial: (id) => {
        if (at.statusOf(this.ends(id), 0) === at.dialing) this.dialFails(id)
      },
      sendReady: (id) => {
        this.send(id, this.#side(id), message.ready)
      },
      close: (id, why) => {
        // "Busy" asks to come again later: the dial is not used up.
        if (why === 'duplicate') this.#refused(id, this.#side(id))
        if (why === 'busy') {
          this.addDials(this.slotAt[2 * id]!, 1)
          this.isComingAgain = true
        }
        this.closeEnd(id, this.#side(id))
      },
      established: (id) => {
        this.#established(id, this.#side(id))
      },
      lost: (id) => {
        this.#challengeIsOver(id, this.#side(id))
        this.#nobodyWaits()
        if ((this.ends(id) & at.touchedBit) === 0)
          this.violation ??= `established connection ${id} was closed, and no fault had touched it`
      },
      challenge: (id, ping, startsRound) => {
        if (ping > maxPing) {
          this.violation ??= 'more challenge pings than the model can number'
          return
        }
        const side = this.#side(id)
        if (startsRound) this.setEnds(id, this.ends(id) & ~at.heardBit(side))
        this.send(id, side, message.ping + ping)
      },
      setTimer: (kind, id) => {
        const side = this.#side(id)
        if (at.statusOf(this.ends(id), side) !== at.over)
          this.setEnds(id, this.ends(id) | at.timerBit(side, at.timer[kind]))
      },
      cancelTimer: (kind, id) => {
        const side = this.#side(id)
        this.setEnds(id, this.ends(id) & ~at.timerBit(side, at.timer[kind]))
        if (kind === 'challenge') this.#challengeIsOver(id, side)
      },
    }
  }
}
