import { arbiterOf, type Arbiter, type SlotEvent } from '../../src/rules/election.js'
import type { PeerIp } from '../../src/rules/peer-ip.js'
import { runEffect, type SlotActions } from '../../src/slot.js'
import { append, headOf, isPing, isPong, lastOf, maxPing, message } from './fifo.js'
import { onlyFin, withoutHead, withStale } from './fifo.js'
import * as at from './layout.js'
import { WorldState } from './state.js'

const eventKinds = [
  'dialStarted',
  'dialConnected',
  'readyReceived',
  'closed',
  'handshakeExpired',
  'confirmExpired',
  'holdExpired',
  'heldExpired',
] as const
const challengeAnswered = 8
const challengeExpired = 9
const helloAccepted = 10
const closed = 3
const firstExpiry = 4
const heldExpired = 7

/**
 * What happens in a world. Links and ends are modelled here; what a slot decides comes from the real
 * election, and is carried out by the interpreter that ConnectionManager uses.
 */
export class Model extends WorldState {
  /** What the last move broke. */
  violation: string | undefined
  #slot = 0
  #before = 0
  #stepped = 0
  readonly #arbiters: (Arbiter | undefined)[] = []
  readonly #inputs: number[] = []
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
    if (!this.isLiarAt[2 * connection]) this.#event(from, 0, connection)
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
    this.#event(this.slotAt[2 * connection]!, 1, connection)
    this.send(connection, 0, message.hello)
  }

  dialFails(connection: number): void {
    this.#clearRace(connection, 0)
    this.setEnds(connection, 0)
    if (!this.isLiarAt[2 * connection]) this.#queueClosed(connection, 0)
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

  /** A reset overtakes what is in flight. */
  lose(connection: number, link: number): void {
    this.setLink(connection, link, onlyFin(this.link(connection, link)))
  }

  fire(connection: number, side: number, kind: number): void {
    const ends = this.ends(connection)
    this.setEnds(connection, ends & ~at.timerBit(side, kind))
    if (kind === at.timer.hold) this.#clearRace(connection, side)
    const slot = this.slotAt[2 * connection + side]!
    if (kind !== at.timer.challenge) {
      const isInSlot = (this.table.view(this.w[slot]!).held & (1 << connection)) !== 0
      if (isInSlot) this.#event(slot, firstExpiry + kind, connection)
      else if (kind === at.timer.handshake) this.closeEnd(connection, side)
      return
    }
    const isSilent = (ends & at.heardBit(side)) === 0
    this.#event(slot, challengeExpired, connection, isSilent ? 1 : 0)
  }

  /** The ordinary pings of an incumbent were not answered. */
  pingTimeout(connection: number, side: number): void {
    this.closeEnd(connection, side)
  }

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

  /** An end closes, whoever wanted it; the other end will see it. */
  closeEnd(connection: number, side: number): void {
    this.#clearRace(connection, side)
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
    if (!this.isLiarAt[2 * connection + side]) this.#queueClosed(connection, side)
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
      if (this.hostAt[end] === host) this.#crashEnd(end >> 1, end & 1, withReset)
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

  #crashEnd(connection: number, side: number, withReset: boolean): void {
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
      else this.#event(slot, 2, connection)
    } else if (isPong(kind) && kind !== message.pong) {
      this.#event(slot, challengeAnswered, connection, kind - message.pong)
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
    if (side === 0 && !isUs) this.#clearRace(connection, 0)
    if (incumbent !== null && this.#isDead(incumbent.id))
      this.setEnds(connection, this.ends(connection) | at.waitsForDeadBit(side))
    const instance = theirs * 4 + at.incarnationOf(ends, 1 - side)
    this.#event(slot, helloAccepted, connection, (isUs ? 16 : 0) + instance)
  }

  /** Whether nothing that is said on a connection from now on can be answered. */
  #isDead(connection: number): boolean {
    const ends = this.ends(connection)
    const isOpen = at.statusOf(ends, 0) === at.open && at.statusOf(ends, 1) === at.open
    if (!isOpen || at.holesOf(ends) !== 0) return true
    return [0, 1].some((link) => lastOf(this.link(connection, link)) === message.fin)
  }

  /** The incumbent is gone: nobody waits for it any more. */
  #nobodyWaits(): void {
    for (let end = 0; end < 2 * this.connectionCount; end++) {
      if (this.slotAt[end] === this.#slot)
        this.setEnds(end >> 1, this.ends(end >> 1) & ~at.waitsForDeadBit(end & 1))
    }
  }

  /** A candidate is refused: if the incumbent was dead when it came, it must not be for that one's sake. */
  #refused(connection: number, side: number): void {
    const isExpiry = this.#stepped === heldExpired
    const isForDead = (this.ends(connection) & at.waitsForDeadBit(side)) !== 0
    if (isForDead && !isExpiry)
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

  #queueClosed(connection: number, side: number): void {
    this.#inputs.push(connection * 2 + side)
  }

  #runInputs(): void {
    for (let input = this.#inputs.shift(); input !== undefined; input = this.#inputs.shift()) {
      this.#event(this.slotAt[input]!, closed, input >> 1)
    }
  }

  #side(connection: number): number {
    return this.slotAt[2 * connection] === this.#slot ? 0 : 1
  }

  /** Our own dial is over, or its hold: no promise is left that it wins. */
  #clearRace(connection: number, side: number): void {
    if (side === 0) this.setRace(this.slotAt[2 * connection]!, false)
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
        if (why === 'busy') this.addDials(this.slotAt[2 * id]!, 1)
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

/** IPv4 addresses as numbers: the model's own reading of who should decide. */
function numericOrder(a: string, b: string): number {
  const toNumber = (ip: string): number =>
    ip.split('.').reduce((number, part) => number * 256 + Number(part), 0)
  return toNumber(a) - toNumber(b)
}

/** Which instance of a host is meant; the order of the texts decides between equal addresses. */
function instanceId(host: number, incarnation: number): string {
  return `${host}.${incarnation}`
}

function eventOf(kind: number, id: number, side: number, detail: number): SlotEvent {
  if (kind === challengeAnswered) return { kind: 'challengeAnswered', id, ping: detail }
  if (kind === challengeExpired) return { kind: 'challengeExpired', id, isSilent: detail === 1 }
  if (kind === helloAccepted) {
    return {
      kind: 'helloAccepted',
      id,
      origin: side === 0 ? 'dial' : 'inbound',
      arbiter: detail >= 16 ? 'us' : 'them',
      instanceId: instanceId((detail & 15) >> 2, detail & 3),
    }
  }
  return { kind: eventKinds[kind]!, id }
}
