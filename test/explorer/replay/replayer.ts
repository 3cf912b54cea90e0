import type { PeerHello } from '../../../src/contracts/peer-service.js'
import { protocolVersion } from '../../../src/rules/handshake.js'
import { SeededRandom } from '../../../src/testing/seeded-random.js'
import type { WireMessage } from '../../../src/wire/messages.js'
import { instanceId, numericOrder } from '../events.js'
import * as at from '../layout.js'
import type { Model } from '../model.js'
import {
  connectionOf,
  detailOf,
  kindOf,
  lies,
  sideOfDetail,
  timerOfDetail,
  type MoveKind,
} from '../moves.js'
import { maxPing, message as messageKind } from '../fifo.js'
import { RawEnd } from './raw-end.js'
import { idIn, ReplayProcess, type PendingDial } from './process.js'
import { otherSide, Wire, WireEnd, type Item, type Side } from './wire.js'

/** Below and above all addresses of the worlds. */
const lowest = '10.0.0.1'
const highest = '10.0.0.200'

/** Something that the model's move asks for is not there. */
export class ReplayError extends Error {}

/**
 * A world of real nodes in which nothing happens but what a move says: each dial, each arrival, each
 * timer. What a move of the model does to connections that are modelled, this does to real ones.
 */
export class Replayer {
  readonly model: Model
  /** All connections that there were, by their numbers in the story. */
  readonly wires: Wire[] = []
  /** The process of each host; a liar has none. */
  readonly processes: (ReplayProcess | undefined)[]
  /** What the hosts' instance ids are called in the model. */
  readonly instances = new Map<string, string>()
  readonly #dials = new Map<Wire, PendingDial>()
  /** Which life of its host each end belongs to. */
  readonly #owners = new Map<Wire, [ReplayProcess | undefined, ReplayProcess | undefined]>()
  /** Dials that were aborted and go on: their transport does not care. */
  readonly #late: PendingDial[] = []
  readonly #lives: number[]
  readonly #dice: SeededRandom
  #seed: number

  constructor(model: Model, seed: number) {
    this.model = model
    this.#seed = seed
    this.#dice = new SeededRandom(seed)
    this.#lives = model.world.hosts.map(() => 0)
    this.processes = model.world.hosts.map(() => undefined)
  }

  async start(): Promise<void> {
    for (const host of this.model.world.hosts.keys()) await this.#startHost(host)
  }

  /**
   * Makes a move that the model is about to make. `wire` is the connection that it names; undefined for
   * a new dial and for what befalls a host.
   */
  async make(move: number, wire: Wire | undefined): Promise<void> {
    const detail = detailOf(move)
    const kind = kindOf(move)
    if (kind === 'dial') await this.#dial(connectionOf(move))
    else if (kind === 'crash' || kind === 'vanish') await this.#crash(detail, kind === 'crash')
    else if (wire === undefined) throw new ReplayError(`${kind} of a connection that nobody knows`)
    else this.#befall(kind, wire, detail)
    await this.settle()
    for (const process of this.processes) this.#releaseSome(process)
    await this.settle()
  }

  /** Everything that follows without the network or the time. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** All is over: late dials go through, all nodes stop. Says what is left behind, if anything is. */
  async stop(): Promise<string[]> {
    const left: string[] = []
    for (const { resolve } of this.#late) {
      const end = new WireEnd(new Wire(0, 0), 0, {
        remoteHost: lowest,
        onOpen: () => left.push('a dial that succeeded after its abort was opened'),
        rewrite: (message) => message,
      })
      resolve(end)
      await this.settle()
      if (end.isOpen) left.push('a dial that succeeded after its abort was left open')
    }
    for (const process of this.processes) void process?.connections.stop()
    await this.settle()
    for (const wire of this.wires) for (const end of wire.ends) end?.release()
    await this.settle()
    for (const [host, process] of this.processes.entries()) {
      if (process === undefined) continue
      const { name } = this.model.world.hosts[host]!
      if (process.connections.status().state !== 'stopped') left.push(`${name} does not stop`)
      for (const timer of process.clock.names) left.push(`at ${name}: ${timer}`)
      for (const bug of process.bugs) left.push(`at ${name}: ${String(bug)}`)
    }
    return left
  }

  /** Whether an end, or the dial of it, belongs to a process that still runs. */
  isHeldBy(wire: Wire, side: Side, process: ReplayProcess | undefined): boolean {
    return this.processAt(wire, side) === process && this.#owners.get(wire)?.[side] === process
  }

  processAt(wire: Wire, side: Side): ReplayProcess | undefined {
    return this.processes[this.#hostAt(wire, side)]
  }

  /** What a host calls its end of a connection, or its dial of it. */
  idAt(wire: Wire, side: Side): number | undefined {
    return (side === 0 ? this.#dials.get(wire)?.id : undefined) ?? wire.ends[side]?.id
  }

  #befall(kind: Exclude<MoveKind, 'dial' | 'crash' | 'vanish'>, wire: Wire, detail: number): void {
    switch (kind) {
      case 'connect':
        this.#connect(wire)
        return
      case 'dialFails':
      case 'dialFailsEarly':
        this.#dialFails(wire)
        return
      case 'deliver':
        this.#deliver(wire, detail as Side)
        return
      case 'lose':
        wire.lose(detail as Side)
        return
      case 'timer':
      case 'early':
        this.#fire(wire, sideOfDetail(detail) as Side, timerOfDetail(detail), kind === 'early')
        return
      case 'pingTimeout':
        this.#giveUp(wire, detail as Side)
        return
      case 'liarSays':
        this.#lie(wire, sideOfDetail(detail) as Side, lies[timerOfDetail(detail)]!)
        return
      case 'reset':
        for (const side of [0, 1] as const)
          wire.send(side, { kind: 'end', bye: undefined, isReset: true })
        return
      case 'hole':
        for (const side of [0, 1] as const) if ((detail & (1 << side)) !== 0) wire.openHole(side)
        return
    }
  }

  async #dial(route: number): Promise<void> {
    const { from } = this.model.world.routes[route]!
    const { host, peerIp } = this.model.world.slots[from]!
    const wire = new Wire(this.wires.length + 1, route)
    this.wires.push(wire)
    const process = this.processes[host]
    this.#owners.set(wire, [process, undefined])
    if (process === undefined) return
    process.dial(peerIp)
    await this.settle()
    const dial = process.dials.shift()
    if (dial?.host !== peerIp) throw new ReplayError(`${peerIp} is not dialled`)
    this.#dials.set(wire, dial)
    dial.signal.addEventListener('abort', () => {
      wire.isDialing = false
      if (this.#dice.next() < 0.5) dial.reject(dial.signal.reason)
      else this.#late.push(dial)
    })
  }

  #connect(wire: Wire): void {
    wire.isDialing = false
    this.#owners.get(wire)![1] = this.processAt(wire, 1)
    const ends = ([0, 1] as const).map((side) => this.#endAt(wire, side))
    const [dialer, acceptor] = ends as [WireEnd, WireEnd]
    if (this.processAt(wire, 1) === undefined) new RawEnd(acceptor)
    else this.processAt(wire, 1)?.accept(acceptor)
    const dial = this.#dials.get(wire)
    if (dial === undefined) new RawEnd(dialer)
    else dial.resolve(dialer)
  }

  #endAt(wire: Wire, side: Side): WireEnd {
    const { slots, routes } = this.model.world
    const { from, to } = routes[wire.route]!
    const slot = slots[side === 0 ? from : to]!
    const process = this.processes[slot.host]
    return new WireEnd(wire, side, {
      remoteHost: slot.peerIp,
      onOpen: (end) => {
        if (process !== undefined) end.id = idIn(process.clock.lastName, 'handshake')
      },
      rewrite: (message) => this.#asSeen(wire, side, message),
    })
  }

  /** A dial fails by itself, or never comes to an end until its own deadline. */
  #dialFails(wire: Wire): void {
    const dial = this.#dials.get(wire)
    if (dial === undefined) {
      wire.isDialing = false
      return
    }
    const process = this.processAt(wire, 0)!
    if (this.#dice.next() < 0.5) {
      this.#expectToFire(process, `timeout ${dial.id}`)
      return
    }
    wire.isDialing = false
    dial.reject(Object.assign(new Error('refused in the replay'), { code: 'ECONNREFUSED' }))
  }

  /** What means nothing any more is one message to the model, however often it was said. */
  #deliver(wire: Wire, from: Side): void {
    const queue = wire.inFlight[from]
    const first = queue.shift()
    if (first === undefined) throw new ReplayError('nothing is in flight')
    const end = wire.ends[otherSide(from)]!
    end.deliver(first, { cut: this.#dice.next() * 2 - 1, losesBye: this.#dice.next() < 0.2 })
    const stale = this.staleKind(wire, from, first)
    if (stale === undefined) return
    while (queue[0] !== undefined && this.staleKind(wire, from, queue[0]) === stale)
      end.deliver(queue.shift()!, { cut: 0, losesBye: false })
  }

  /** Ping or pong of a challenge that is over. */
  staleKind(wire: Wire, from: Side, item: Item): 'ping' | 'pong' | undefined {
    if (item.kind === 'end') return undefined
    const { message } = item
    if (message.kind !== 'ping' && message.kind !== 'pong') return undefined
    const asked = wire.ends[message.kind === 'ping' ? from : otherSide(from)]
    return asked?.pingNumbers.has(message.nonce) === true ? undefined : message.kind
  }

  #fire(wire: Wire, side: Side, kind: number, isEarly: boolean): void {
    const process = this.processAt(wire, side)!
    const name = `${at.timerKinds[kind]} ${this.idAt(wire, side)}`
    this.#expectToFire(process, name)
    // One that ends before any answer could come ends with all of its steps.
    if (!isEarly || kind !== at.timer.challenge) return
    for (let steps = 2; process.clock.fire(name); steps++)
      if (steps > maxPing) throw new ReplayError(`the timer '${name}' is set again, and again`)
  }

  #expectToFire(process: ReplayProcess, name: string): void {
    if (!process.clock.fire(name)) throw new ReplayError(`the timer '${name}' is not set`)
  }

  #giveUp(wire: Wire, side: Side): void {
    const isGivenUp = this.processAt(wire, side)?.giveUp(this.idAt(wire, side) ?? 0)
    if (isGivenUp !== true) throw new ReplayError('what is to be given up is not established')
  }

  #lie(wire: Wire, side: Side, what: number): void {
    const end = wire.ends[side]!
    if (what === messageKind.fin) end.close()
    else if (what === messageKind.ready) RawEnd.say(end, { kind: 'ready' })
    else {
      const hello = this.#helloOfLiar(wire, side, what === messageKind.helloOfLiar)
      RawEnd.say(end, { kind: 'hello', nonce: '0123456789abcdef', hello })
    }
  }

  #helloOfLiar(wire: Wire, side: Side, isLie: boolean): PeerHello {
    const { slots, routes } = this.model.world
    const { from, to } = routes[wire.route]!
    const seen = slots[side === 0 ? from : to]!.peerIp
    const own = slots[side === 0 ? to : from]!.peerIp
    const opposite = numericOrder(seen, own) < 0 ? highest : lowest
    const host = this.#hostAt(wire, side)
    const instance = `${host}f`.padStart(32, '0')
    this.instances.set(instance, instanceId(host, 0))
    return {
      version: protocolVersion,
      network: 'replay',
      instanceId: instance,
      yourIp: isLie ? opposite : seen,
      listeningPort: undefined,
      agent: 'a liar',
      maxFrameBytes: 2 ** 23,
      appData: new Uint8Array(0),
    }
  }

  /** A HELLO as the other end reads it, where this end sees, or says, another address than the slot's. */
  #asSeen(wire: Wire, side: Side, message: WireMessage): WireMessage {
    if (message.kind !== 'hello') return message
    const { hosts, slots, routes } = this.model.world
    const { from, to, seen } = routes[wire.route]!
    const { tellsIp } = hosts[this.#hostAt(wire, side)]!
    let yourIp = tellsIp ?? message.hello.yourIp
    if (seen !== undefined) {
      const [them, us] = side === 0 ? [seen.acceptor, seen.dialer] : [seen.dialer, seen.acceptor]
      const sender = slots[side === 0 ? to : from]!.peerIp
      yourIp = numericOrder(them, us) < 0 ? lowest : highest
      if (sender === yourIp) throw new Error('no address is left for the order that is wanted')
    }
    return { ...message, hello: { ...message.hello, yourIp } }
  }

  async #crash(host: number, withReset: boolean): Promise<void> {
    for (const wire of this.wires) {
      for (const side of [0, 1] as const) {
        if (this.#hostAt(wire, side) !== host) continue
        if (side === 0 && wire.isDialing) wire.isDialing = false
        else wire.ends[side]?.crash(withReset)
      }
    }
    this.#lives[host]! += 1
    await this.#startHost(host)
  }

  async #startHost(host: number): Promise<void> {
    if (this.model.world.hosts[host]!.isLiar === true) return
    this.#seed += 1
    const process = new ReplayProcess(this.#seed)
    this.processes[host] = process
    const life = Math.min(3, this.#lives[host]!)
    this.instances.set(process.instanceId, instanceId(host, life))
    await process.connections.start()
  }

  /** Ends that were closed are released at some time. */
  #releaseSome(process: ReplayProcess | undefined): void {
    for (const wire of this.wires)
      for (const side of [0, 1] as const)
        if (this.processAt(wire, side) === process && this.#dice.next() < 0.3)
          wire.ends[side]?.release()
  }

  #hostAt(wire: Wire, side: Side): number {
    const { slots, routes } = this.model.world
    const { from, to } = routes[wire.route]!
    return slots[side === 0 ? from : to]!.host
  }
}
