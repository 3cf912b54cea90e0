import type { CloseReason } from '../../src/contracts/close-reason.js'
import type { Transport } from '../../src/contracts/transport.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { SimulatedNetwork } from '../../src/testing/simulated-network.js'
import type { ElectionRow } from './election-rows.js'
import { rowsOf, watchSteps } from './election-rows.js'
import type { WorldFault } from './coverage.js'
import { Faults } from './faults.js'
import { RunningMachine, worldLimits, type End, type Referee } from './machine.js'
import { canRest, undelivered, unheld, unsettled } from './quiet.js'
import type { Action, Pair, WorldScript } from './script.js'
import { Topology } from './topology.js'
import { Touched } from './touched.js'

const { missedPongsMax, pingIntervalMs, pongTimeoutMs, backoffMaxMs, dialTimeoutMs } = worldLimits
const handshakeTimeoutMs = 25_000

/**
 * So long after the last fault every pair is connected again of which one can dial the other. It is
 * nearly all the time that an end needs to find out that it is dead, where the other end cannot dial:
 * three missed pongs. Then comes the longest rest, a dial that fails and one that succeeds.
 */
export const settlingMs =
  missedPongsMax * pingIntervalMs +
  pongTimeoutMs +
  2 * (backoffMaxMs + dialTimeoutMs) +
  handshakeTimeoutMs

/** Without a fault everybody who can be is connected after patience, a failing dial and a good one. */
const meetingMs = 5_000 + 2 * (backoffMaxMs + dialTimeoutMs)

const quietMs = 60_000
/** The longest rest, the longest challenge with what it may be extended by, a dial and a handshake. */
const halfOpenMs = 2 * (backoffMaxMs + dialTimeoutMs) + 10_000
/** Longer than anything that a script set going. */
const stoppingMs = 150_000

/** Chance in the asynchronous edges, for instance a scheduler that decides which promise settles next. */
export interface Edges {
  wrap(transport: Transport, world: World): Transport
}

export interface WorldReport {
  readonly met: ReadonlySet<WorldFault | ElectionRow>
  readonly settlingMs: number
  readonly mostDials: number
}

/**
 * A world of real nodes on a network that fails by script, and its referee, which looks after every
 * single event: G1, G3 and G5 at all times, G2 and G4 when the faults have ended, bounded dials, and
 * nothing left behind at the end.
 */
export class World implements Referee {
  readonly network: SimulatedNetwork
  readonly dice: SeededRandom
  readonly patienceMs: number
  readonly met = new Set<WorldFault | ElectionRow>()
  readonly #script: WorldScript
  readonly #edges: Edges | undefined
  readonly #topology: Topology
  readonly #running: readonly RunningMachine[]
  readonly #touched: Touched
  readonly #faults: Faults
  #violation: string | undefined

  constructor(script: WorldScript, edges?: Edges) {
    const { seed, latencies, machines } = script
    this.#script = script
    this.#edges = edges
    this.patienceMs = script.patienceMs
    this.dice = new SeededRandom(seed + 1)
    this.#topology = new Topology(script)
    const hosts = this.#topology.machines.map(({ host }) => host)
    this.network = new SimulatedNetwork({
      seed,
      latencyMs: (from, to) =>
        latencies[hosts.indexOf(from) * machines.length + hosts.indexOf(to)] ?? 10,
    })
    this.#topology.build(this.network)
    this.#touched = new Touched(this.network)
    this.#running = this.#topology.machines.map((machine) => {
      const others = this.#topology.machines.filter((other) => other !== machine)
      const keeps = others.flatMap((other) => this.#topology.addresses(machine, other))
      return new RunningMachine(this, machine, keeps)
    })
    this.#faults = new Faults({
      network: this.network,
      touched: this.#touched,
      running: this.#running,
      met: (fault) => {
        this.met.add(fault)
      },
    })
    this.#meetTopology()
  }

  /** Runs the script to its end. Throws what the referee saw, with the network's timeline. */
  async run(): Promise<WorldReport> {
    const unwatch = watchSteps((step) => {
      for (const row of rowsOf(step)) this.met.add(row)
    })
    try {
      return await this.#play()
    } finally {
      unwatch()
    }
  }

  note(text: string): void {
    this.network.timeline.note(text)
  }

  fail(what: string): void {
    this.note(`VIOLATION: ${what}`)
    this.#violation ??= what
  }

  /** G3: an established connection ends only because something happened to it. */
  ended(machine: RunningMachine, { link }: End, reason: CloseReason): void {
    const done = this.#touched.unexplained(link, reason)
    if (done !== undefined)
      this.fail(`G3: ${machine.host} lost #${link} as ${reason.kind}, and what touched it: ${done}`)
  }

  edges(transport: Transport): Transport {
    return this.#edges?.wrap(transport, this) ?? transport
  }

  async #play(): Promise<WorldReport> {
    const { isCalmAtFirst, actions } = this.#script
    for (const running of this.#running) running.start()
    if (isCalmAtFirst) await this.#settle(meetingMs, 'without any fault')
    for (const action of actions) {
      await this.#watch(action.afterMs)
      this.note(`script: ${JSON.stringify(action)}`)
      this.#act(action)
    }
    await this.#watch(15_000)
    await this.#watch(this.#faults.heal())
    for (const running of this.#running) running.keepAll()
    const tookMs = await this.#settle(settlingMs, 'after the last fault')
    await this.#watch(backoffMaxMs + handshakeTimeoutMs)
    this.#checkQuiet()
    await this.#staysQuiet()
    await this.#breakHalf()
    const mostDials = this.#checkDials()
    await this.#stop()
    return { met: this.met, settlingMs: tookMs, mostDials }
  }

  #act(action: Action): void {
    switch (action.kind) {
      case 'connect':
        if (action.isAborted) this.met.add('connect that is aborted')
        for (const address of this.#addresses(action))
          this.#running[action.from]!.connect(address, action.isAborted)
        return
      case 'disconnect':
        this.met.add('disconnect by a user')
        this.#disconnect(this.#running[action.from]!, this.#running[action.to]!)
        return
      case 'send':
        for (const ip of this.#ips(action)) this.#running[action.from]!.send(ip, action.count)
        return
      case 'ask':
        for (const ip of this.#ips(action)) this.#running[action.from]!.ask(ip)
        return
      case 'race':
        this.#faults.inflict(action)
        this.#connectBoth(action)
        return
      default:
        this.#faults.inflict(action)
    }
  }

  /** In one tick, when both have seen that they are not connected any more. */
  #connectBoth({ from, to }: Pair): void {
    this.network.clock.setTimer(700, () => {
      for (const pair of [
        { from, to },
        { from: to, to: from },
      ]) {
        const [address] = this.#addresses(pair)
        this.#running[pair.from]!.connect(address!, false)
      }
    })
  }

  /** Whoever shares an address with the one that is meant is sent away with him. */
  #disconnect(from: RunningMachine, to: RunningMachine): void {
    for (const { host } of this.#topology.lookalikes(from.machine, to.machine))
      this.#touched.between(from.host, host, 'user')
    for (const ip of this.#topology.ipsOf(from.machine, to.machine)) from.disconnect(ip)
  }

  #addresses({ from, to }: Pair): string[] {
    const { machines } = this.#topology
    return this.#topology.addresses(machines[from]!, machines[to]!)
  }

  #ips({ from, to }: Pair): readonly string[] {
    const { machines } = this.#topology
    return this.#topology.ipsOf(machines[from]!, machines[to]!)
  }

  /** Lets time pass, and looks after every event. */
  async #watch(ms: number, until: () => boolean = () => false): Promise<boolean> {
    const { clock } = this.network
    const untilMs = clock.now() + ms
    const isThere = await clock.runUntil(
      () => {
        this.#look()
        return until()
      },
      { maxMs: ms },
    )
    if (!isThere) await clock.advance(Math.max(0, untilMs - clock.now()))
    this.#look()
    return isThere
  }

  #look(): void {
    this.#touched.look()
    for (const running of this.#running) running.look()
    this.#throwIfFailed()
  }

  #throwIfFailed(): void {
    if (this.#violation === undefined) return
    throw new Error(`${this.#violation}\n${this.network.timeline.report(150)}`)
  }

  /** Waits until all are connected that can be. Returns how long it took. */
  async #settle(maxMs: number, when: string): Promise<number> {
    const startMs = this.network.clock.now()
    const isSettled = await this.#watch(
      maxMs,
      () => unsettled(this.#topology, this.#running).length === 0,
    )
    if (!isSettled) {
      for (const what of unsettled(this.#topology, this.#running))
        this.fail(`${what}, ${maxMs} ms ${when}`)
    }
    this.#throwIfFailed()
    return this.network.clock.now() - startMs
  }

  #checkQuiet(): void {
    for (const what of unsettled(this.#topology, this.#running)) this.fail(what)
    for (const what of undelivered(this.#running)) this.fail(what)
    if (this.#isAtRest()) {
      for (const what of unheld(this.network, this.#running)) this.fail(what)
      for (const { host, node } of this.#running) {
        const { handshaking, dialing } = node.connections.status()
        if (handshaking + dialing > 0)
          this.fail(`${host} is quiet, and has ${handshaking} handshakes, ${dialing} dials`)
      }
    }
    this.#throwIfFailed()
  }

  /** Whether all is quiet now, and not only those who cannot be. */
  #isAtRest(): boolean {
    return this.#topology.machines.every((machine) => canRest(this.#topology, machine))
  }

  /** Nothing changes any more: no connection ends, nobody dials who need not. */
  async #staysQuiet(): Promise<void> {
    const links = (): string =>
      this.#running.map(({ ends }) => [...ends.values()].map(({ link }) => link).join()).join(';')
    const dials = (): number =>
      this.#running.flatMap((running) => [...running.dials.values()]).reduce((a, b) => a + b, 0)
    const [linksBefore, dialsBefore] = [links(), dials()]
    await this.#watch(quietMs)
    this.#checkQuiet()
    if (links() !== linksBefore) this.fail('connections changed although nothing had happened')
    if (this.#isAtRest() && dials() !== dialsBefore)
      this.fail('a dial left although nothing had happened')
    this.#throwIfFailed()
  }

  /**
   * An end that is dead and does not know it locks nobody out who can dial. (Where a machine has two
   * addresses, or two share one, the next connection may be another pair's, and only the pings find the
   * dead end.)
   */
  async #breakHalf(): Promise<void> {
    const { halfOpen } = this.#script
    const [from, to] = [this.#running[halfOpen.from]!, this.#running[halfOpen.to]!]
    const { isBusy } = halfOpen
    if (!this.#topology.canDial(from.machine, to.machine)) return
    for (const { id, dialler } of this.network.connections(from.host, to.host)) {
      this.#touched.connection(id)
      if (isBusy) for (const ip of this.#topology.ipsOf(to.machine, from.machine)) to.sendBulk(ip)
      this.met.add('half-open end')
      const isDialler = dialler.host === from.host
      this.network.reset(id, isDialler ? { acceptorAfterMs: 120_000 } : { diallerAfterMs: 120_000 })
    }
    const isSamePair = [
      [from.machine, to.machine] as const,
      [to.machine, from.machine] as const,
    ].every(
      ([one, other]) =>
        this.#topology.ipsOf(one, other).length === 1 &&
        this.#topology.lookalikes(one, other).length === 1,
    )
    await this.#watch(isSamePair && !isBusy ? halfOpenMs : settlingMs)
    for (const what of unsettled(this.#topology, this.#running)) this.fail(what)
    this.#throwIfFailed()
  }

  /**
   * Dials are bounded, by peer: two for each thing that may have asked for one, and beyond that what
   * backoff permits, whose rests are half its cap in the mean.
   */
  #checkDials(): number {
    const causes = this.#script.actions.length + 5
    const rests = this.network.clock.now() / (backoffMaxMs / 4)
    let mostDials = 0
    for (const { host, dials } of this.#running) {
      for (const [address, count] of dials) {
        mostDials = Math.max(mostDials, count)
        if (count > 2 * causes + rests)
          this.fail(`${host} dialled ${address} ${count} times, more than ${2 * causes + rests}`)
      }
    }
    this.#throwIfFailed()
    return mostDials
  }

  async #stop(): Promise<void> {
    const stopping = Promise.all(this.#running.map((running) => running.stop()))
    await this.#watch(stoppingMs)
    await stopping
    for (const running of this.#running) for (const what of running.leftovers()) this.fail(what)
    const { pendingTimers } = this.network.clock
    if (pendingTimers > 0) this.fail(`${pendingTimers} timers are left of stopped nodes`)
    const open = this.network.connections().length
    if (open > 0) this.fail(`${open} connections are left of stopped nodes`)
    this.#throwIfFailed()
  }

  #meetTopology(): void {
    const { machines, nat, oneWay } = this.#script
    if (oneWay.length > 0) this.met.add('one-way reachability')
    if (nat.size > 0) this.met.add('NAT')
    if (nat.size === 2) this.met.add(nat.isHairpin ? 'equal IPs at both ends' : 'shared address')
    if (nat.size === 2 && machines.length > 2) this.met.add('shared address')
    for (const [index, { localIp, second }] of machines.entries()) {
      if (localIp === 'unknown') this.met.add('unknown own IP')
      else if (localIp !== 'right') this.met.add('wrong own IP')
      if (index < nat.size) continue
      if (second === 'other-family') this.met.add('dual stack')
      if (second === 'same-family') this.met.add('two addresses of one family')
    }
  }
}
