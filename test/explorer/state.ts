import { lengthOf } from './fifo.js'
import * as at from './layout.js'
import type { SlotTable } from './slot-table.js'
import { faultKinds, isUntrue, type World } from './world.js'

/** One state of a world, in packed words, and which slot and host each end of a connection belongs to. */
export class WorldState {
  readonly world: World
  readonly table: SlotTable
  /** Words of a state, and where the words of what is left to happen and of the connections begin. */
  readonly size: number
  readonly left: number
  readonly firstConnection: number
  readonly connectionCount: number
  readonly routeOf: readonly number[]
  readonly firstOfRoute: readonly number[]
  /** By connection × 2 + side. */
  readonly slotAt: readonly number[]
  readonly hostAt: readonly number[]
  readonly isLiarAt: readonly boolean[]
  /** By route: a dial gets through, and both hosts are honest. */
  readonly isPromising: readonly boolean[]
  readonly w: Int32Array
  /** What `settle` renumbered, as from × 16 + to: for those who tell a story. */
  readonly renames: number[] = []

  constructor(world: World, table: SlotTable) {
    this.world = world
    this.table = table
    this.routeOf = world.routes.flatMap(({ width }, route) => Array<number>(width).fill(route))
    this.firstOfRoute = world.routes.map((_, route) => this.routeOf.indexOf(route))
    this.connectionCount = this.routeOf.length
    if (this.connectionCount > 16) throw new Error('at most 16 connections at the same time')
    this.slotAt = this.routeOf.flatMap((r) => [world.routes[r]!.from, world.routes[r]!.to])
    this.hostAt = this.slotAt.map((slot) => world.slots[slot]!.host)
    this.isLiarAt = this.hostAt.map((host) => world.hosts[host]!.isLiar === true)
    this.isPromising = world.routes.map(
      ({ from, to, isReachable }) => isReachable && !this.isUntrue(from) && !this.isUntrue(to),
    )
    this.left = world.slots.length
    this.firstConnection = this.left + 2
    this.size = this.firstConnection + at.wordsPerConnection * this.connectionCount
    this.w = new Int32Array(this.size)
    this.reset()
  }

  /** The first state: nothing has happened, all faults and dials are to come. */
  reset(): void {
    this.w.fill(0)
    for (const [slot, { dials }] of this.world.slots.entries()) this.addDials(slot, dials)
    let faults = 0
    for (const [kind, name] of faultKinds.entries()) {
      const count = this.world.faults[name] ?? 0
      this.w[this.left + 1]! |= count << at.field.fault(kind)
      faults += count
    }
    this.w[this.left + 1]! |= Math.min(faults, this.world.maxFaults ?? faults) << at.field.faults
    this.judgeMustConnect()
  }

  isUntrue(slot: number): boolean {
    return isUntrue(this.world.hosts[this.world.slots[slot]!.host]!)
  }

  ends(connection: number): number {
    return this.w[this.firstConnection + at.wordsPerConnection * connection]!
  }

  setEnds(connection: number, ends: number): void {
    this.w[this.firstConnection + at.wordsPerConnection * connection] = ends
  }

  link(connection: number, link: number): number {
    return this.w[this.firstConnection + at.wordsPerConnection * connection + 1 + link]!
  }

  setLink(connection: number, link: number, content: number): void {
    this.w[this.firstConnection + at.wordsPerConnection * connection + 1 + link] = content
  }

  dialsLeft(slot: number): number {
    return at.read(this.w[this.left]!, at.field.dials(slot), 3)
  }

  hasRoom(route: number): boolean {
    const first = this.firstOfRoute[route]!
    return this.ends(first + this.world.routes[route]!.width - 1) === 0
  }

  addDials(slot: number, count: number): void {
    const dials = Math.min(3, this.dialsLeft(slot) + count)
    this.w[this.left] = at.write(this.w[this.left]!, at.field.dials(slot), 3, dials)
  }

  incarnation(host: number): number {
    return at.read(this.w[this.left]!, at.field.incarnation(host), 3)
  }

  mayFault(kind: number): boolean {
    const word = this.w[this.left + 1]!
    return at.read(word, at.field.faults, 7) > 0 && at.read(word, at.field.fault(kind), 3) > 0
  }

  /** Takes a fault from the budget. */
  spendFault(kind: number): void {
    const word = this.w[this.left + 1]! - (1 << at.field.fault(kind)) - (1 << at.field.faults)
    // Without a fault left, it makes no difference which kinds there might have been.
    const isLast = at.read(word, at.field.faults, 7) === 0
    this.w[this.left + 1] = isLast ? at.write(word, 0, (1 << at.field.faults) - 1, 0) : word
  }

  /**
   * A fault happened, or showed its effect. From here on, and until that happens again: is something
   * left that no fault touched, and that must connect somebody?
   */
  judgeMustConnect(): void {
    let isPossible = this.world.routes.some(
      ({ from }, route) => this.isPromising[route]! && this.dialsLeft(from) > 0,
    )
    for (let connection = 0; connection < this.connectionCount; connection++) {
      const ends = this.ends(connection)
      const isPromising = this.isPromising[this.routeOf[connection]!]!
      if (isPromising && (ends & at.touchedBit) === 0 && at.isUnderWay(ends)) isPossible = true
    }
    const word = this.w[this.left + 1]!
    this.w[this.left + 1] = at.write(word, at.field.mustConnect, 1, isPossible ? 1 : 0)
  }

  get mustConnect(): boolean {
    return at.read(this.w[this.left + 1]!, at.field.mustConnect, 1) === 1
  }

  hasRace(slot: number): boolean {
    return at.read(this.w[this.left + 1]!, at.field.race(slot), 1) === 1
  }

  setRace(slot: number, isOn: boolean): void {
    const word = this.w[this.left + 1]!
    this.w[this.left + 1] = at.write(word, at.field.race(slot), 1, isOn ? 1 : 0)
  }

  /**
   * Where each end decides about one of two connections between the same slots, each may wait for the
   * other's answer: what befalls one of the two touches both.
   */
  get hasMixedRoles(): boolean {
    return this.world.routes.some(({ seen }) => seen !== undefined)
  }

  touchAll(): void {
    for (let connection = 0; connection < this.connectionCount; connection++)
      if (this.ends(connection) !== 0) this.touch(connection)
  }

  touch(connection: number): void {
    this.setEnds(connection, this.ends(connection) | at.touchedBit)
  }

  /**
   * The state in its canonical form: nothing is remembered of a connection that is over at both ends, and
   * those of one route are numbered without gaps, in the order of their dials. Numbers are names: the
   * election compares them for equality only.
   */
  makeCanonical(): void {
    this.renames.length = 0
    for (const [route, { width }] of this.world.routes.entries()) {
      let free = this.firstOfRoute[route]!
      const end = free + width
      for (let connection = free; connection < end; connection++) {
        const ends = this.ends(connection)
        if (ends === 0) continue
        if ((ends & 15) === 0) {
          this.#move(connection, -1)
          continue
        }
        this.#dropEmptyLosses(connection, ends)
        if (connection !== free) this.#move(connection, free)
        free++
      }
    }
  }

  #dropEmptyLosses(connection: number, ends: number): void {
    let result = ends
    for (const link of [0, 1]) {
      const isEmpty = lengthOf(this.link(connection, link)) === 0
      if (isEmpty) result &= ~at.losableBit(link)
    }
    if (result !== ends) this.setEnds(connection, result)
  }

  #move(from: number, to: number): void {
    const start = this.firstConnection + at.wordsPerConnection * from
    if (to >= 0) {
      this.w.copyWithin(
        this.firstConnection + at.wordsPerConnection * to,
        start,
        start + at.wordsPerConnection,
      )
      for (const slot of [this.slotAt[2 * from]!, this.slotAt[2 * from + 1]!])
        this.w[slot] = this.table.renamed(this.w[slot]!, from, to)
      this.renames.push(from * 16 + to)
    }
    this.w.fill(0, start, start + at.wordsPerConnection)
  }
}
