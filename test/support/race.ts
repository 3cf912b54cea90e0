import fc from 'fast-check'
import type { CloseReasonKind } from '../../src/contracts/close-reason.js'
import type { PeerService, ServicePeer } from '../../src/contracts/peer-service.js'
import type { Fault } from '../../src/testing/network-faults.js'
import { World, type SimulatedNode } from './simulated-node.js'

/** A host by its place in the race's list of hosts. */
type HostIndex = number

export type RaceAction =
  | { readonly kind: 'connect'; readonly from: HostIndex; readonly to: HostIndex }
  | { readonly kind: 'disconnect'; readonly from: HostIndex; readonly to: HostIndex }
  | {
      readonly kind: 'send'
      readonly from: HostIndex
      readonly to: HostIndex
      readonly count: number
    }
  /** All connections of a pair break; each end sees it after its own time. */
  | {
      readonly kind: 'reset'
      readonly from: HostIndex
      readonly to: HostIndex
      readonly diallerAfterMs: number
      readonly acceptorAfterMs: number
    }
  | {
      readonly kind: 'crash'
      readonly host: HostIndex
      readonly isSilent: boolean
      readonly downMs: number
    }
  | {
      readonly kind: 'fault'
      readonly what: 'holdDials' | 'refuseDials' | 'delayDials' | 'blackHole' | 'partition'
      readonly from: HostIndex
      readonly to: HostIndex
      readonly forMs: number
    }

export interface RaceScript {
  readonly seed: number
  /** Own addresses; the order of the list is not the order of the addresses. */
  readonly hosts: readonly string[]
  /** Milliseconds one way, by sender and receiver. */
  readonly latencies: readonly (readonly [minMs: number, maxMs: number])[]
  readonly patienceMs: number
  /** Whether the nodes meet in peace before the actions begin. */
  readonly isCalmAtFirst: boolean
  /** Dials from one to the other never get through. */
  readonly oneWay: readonly { readonly from: HostIndex; readonly to: HostIndex }[]
  readonly actions: readonly (RaceAction & { readonly afterMs: number })[]
  /** At last a connection of this pair breaks; `from` sees it at once, and `to` for long not at all. */
  readonly halfOpen: { readonly from: HostIndex; readonly to: HostIndex }
}

/** All hosts of a race behind one address, each at a port of its own: its key is IP and port. */
export interface SharedRaceAddress {
  readonly publicIp: string
  readonly firstPort: number
}

/** Ends that a fault of the network explains. Nothing explains the others on an established connection. */
const endsByFault: ReadonlySet<CloseReasonKind> = new Set([
  'ended',
  'transport-error',
  'ping-timeout',
  'confirm-timeout',
])

/** More than patience, the longest hold and a few round trips. */
const meetMs = 8_000
const settleMs = 60_000
/** The longest backoff and the longest challenge, a dial and a handshake. */
const halfOpenMs = 8_000 + 5_000 + 5_000
const quietMs = 300_000

/** Random scripts for two to four nodes. */
export function raceScripts(hosts: readonly string[]): fc.Arbitrary<RaceScript> {
  return fc.integer({ min: 2, max: hosts.length }).chain((count) => {
    const host = fc.nat(count - 1)
    const pair = fc
      .tuple(host, fc.integer({ min: 1, max: count - 1 }))
      .map(([from, step]) => ({ from, to: (from + step) % count }))
    const latency = fc
      .tuple(fc.integer({ min: 1, max: 300 }), fc.constantFrom(0, 20, 200))
      .map(([minMs, spreadMs]) => [minMs, minMs + spreadMs] as const)
    return fc.record({
      seed: fc.nat(),
      hosts: fc.shuffledSubarray([...hosts], { minLength: count, maxLength: count }),
      latencies: fc.array(latency, { minLength: count * count, maxLength: count * count }),
      patienceMs: fc.constantFrom(0, 0, 2_000),
      isCalmAtFirst: fc.boolean(),
      oneWay: fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: pair.map((only) => [only]) },
      ),
      actions: fc.array(
        fc.tuple(gapMs, actionOf(host, pair)).map(([afterMs, action]) => ({ ...action, afterMs })),
        { maxLength: 14 },
      ),
      halfOpen: pair,
    })
  })
}

const gapMs = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 100 }),
  fc.integer({ min: 100, max: 1_500 }),
  fc.integer({ min: 1_500, max: 12_000 }),
)

function actionOf(
  host: fc.Arbitrary<HostIndex>,
  pair: fc.Arbitrary<{ readonly from: HostIndex; readonly to: HostIndex }>,
): fc.Arbitrary<RaceAction> {
  const lateMs = fc.constantFrom(0, 0, 5, 300, 2_500, 8_000)
  const of = <Kind extends string, More>(
    kind: Kind,
    more: { readonly [Name in keyof More]: fc.Arbitrary<More[Name]> },
  ) =>
    fc
      .tuple(pair, fc.record(more))
      .map(([hosts, rest]) => ({ kind, ...hosts, ...(rest as More) }) as const)
  return fc.oneof(
    { weight: 3, arbitrary: of('connect', {}) },
    { weight: 1, arbitrary: of('disconnect', {}) },
    { weight: 2, arbitrary: of('send', { count: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 4, arbitrary: of('reset', { diallerAfterMs: lateMs, acceptorAfterMs: lateMs }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('crash' as const),
        host,
        isSilent: fc.boolean(),
        downMs: fc.constantFrom(0, 50, 1_000, 6_000),
      }),
    },
    {
      weight: 4,
      arbitrary: of('fault', {
        what: fc.constantFrom(
          'holdDials' as const,
          'refuseDials' as const,
          'delayDials' as const,
          'blackHole' as const,
          'partition' as const,
        ),
        forMs: fc.constantFrom(100, 1_500, 5_000, 15_000),
      }),
    },
  )
}

/** What the referee knows of one end of an established connection. */
interface End {
  readonly peer: ServicePeer
  readonly racer: Racer
  /** The physical connection. */
  readonly link: number
  sent: number
  received: number
}

/**
 * A race of real nodes over a network that fails by script, and its referee, which looks after every
 * single event: G1, G3 and G5 at all times, G2 and G4 when the faults have ended.
 */
export class Race {
  readonly world: World
  readonly shared: SharedRaceAddress | undefined
  readonly #script: RaceScript
  readonly #racers: Racer[] = []
  readonly #faults = new Map<Fault, readonly [string, string]>()
  /** Why a physical connection may end: by a fault, or by a user. */
  readonly #touched = new Map<number, 'fault' | 'user'>()
  #violation: string | undefined

  constructor(script: RaceScript, shared?: SharedRaceAddress) {
    this.#script = script
    this.shared = shared
    const { hosts, latencies } = script
    this.world = new World({
      seed: script.seed,
      recut: true,
      latencyMs: (from, to) =>
        latencies[hosts.indexOf(from) * hosts.length + hosts.indexOf(to)] ?? 10,
    })
  }

  /** Runs the script to its end. Throws what the referee saw, with the network's timeline. */
  async run(): Promise<void> {
    const { hosts, oneWay, actions } = this.#script
    if (this.shared !== undefined) {
      const forward = hosts.map((to) => ({ port: this.portOf(to), to }))
      this.world.network.nat({ publicIp: this.shared.publicIp, hosts, forward })
    }
    for (const { from, to } of oneWay) {
      this.world.network.faults.refuseDials({ from: hosts[from]!, to: hosts[to]! })
    }
    for (const host of hosts) this.#racers.push(new Racer(this, host))
    for (const racer of this.#racers) racer.start()
    if (this.#script.isCalmAtFirst) await this.#meet()
    for (const action of actions) {
      await this.#watch(action.afterMs)
      this.note(`script: ${JSON.stringify(action)}`)
      this.#act(action)
    }
    await this.#watch(15_000)
    for (const fault of [...this.#faults.keys()]) this.#heal(fault)
    for (const racer of this.#racers) racer.wantAll()
    await this.#watch(settleMs)
    this.#checkQuiet()
    const dialsBefore = this.#countDials()
    await this.#watch(quietMs)
    this.#checkQuiet()
    if (this.#countDials() !== dialsBefore) this.fail('a dial left although nothing had happened')
    await this.#breakHalf()
    for (const racer of this.#racers) await racer.stop(this.world)
  }

  /** Without a fault they are all connected soon, and no dial has failed but where none gets through. */
  async #meet(): Promise<void> {
    await this.#watch(meetMs)
    this.#checkPairs()
    for (const { node } of this.#racers) {
      for (const { ip, error } of node.dialFailed) {
        if (error.code !== 'DIAL_FAILED')
          this.fail(`${node.host} failed to dial ${ip}: ${String(error)}`)
      }
      for (const { remote, reason } of node.inboundRefused) {
        this.fail(`${node.host} refused ${remote.host}: ${reason.kind}`)
      }
    }
    this.#look()
  }

  /** An end that is dead and does not know it locks nobody out. */
  async #breakHalf(): Promise<void> {
    const { hosts, halfOpen, oneWay } = this.#script
    if (oneWay.some(({ from, to }) => from === halfOpen.from && to === halfOpen.to)) return
    const [from, to] = [hosts[halfOpen.from]!, hosts[halfOpen.to]!]
    for (const { id, dialler } of this.world.network.connections(from, to)) {
      this.#touched.set(id, 'fault')
      this.world.network.reset(
        id,
        dialler.host === from ? { acceptorAfterMs: 120_000 } : { diallerAfterMs: 120_000 },
      )
    }
    await this.#watch(halfOpenMs)
    this.#checkPairs()
    this.#look()
  }

  get hosts(): readonly string[] {
    return this.#script.hosts
  }

  portOf(host: string): number {
    return (this.shared?.firstPort ?? 24_100) + (this.shared ? this.hosts.indexOf(host) : 0)
  }

  /** What a host is called by the others. */
  keyOf(host: string): string {
    return this.shared === undefined ? host : `${this.shared.publicIp}:${this.portOf(host)}`
  }

  get patienceMs(): number {
    return this.#script.patienceMs
  }

  note(text: string): void {
    this.world.network.timeline.note(text)
  }

  fail(what: string): void {
    this.note(`VIOLATION: ${what}`)
    this.#violation ??= what
  }

  /** Judges the end of an established connection. */
  judgeEnd(end: End, kind: CloseReasonKind): void {
    const touched = this.#touched.get(end.link)
    const isExplained =
      touched === 'user'
        ? kind === 'disconnected' || endsByFault.has(kind)
        : touched === 'fault' && endsByFault.has(kind)
    if (!isExplained) {
      this.fail(
        `G3: ${end.racer.host} lost #${end.link} as ${kind}, touched: ${touched ?? 'never'}`,
      )
    }
  }

  /** Lets time pass, and looks after every event. */
  async #watch(ms: number): Promise<void> {
    const { clock } = this.world
    const untilMs = clock.now() + ms
    await clock.runUntil(
      () => {
        this.#look()
        return false
      },
      { maxMs: ms },
    )
    await clock.advance(Math.max(0, untilMs - clock.now()))
    this.#look()
  }

  #look(): void {
    this.#touchFaulty()
    for (const racer of this.#racers) racer.look()
    if (this.#violation === undefined) return
    throw new Error(`${this.#violation}\n${this.world.network.timeline.report(120)}`)
  }

  #act(action: RaceAction): void {
    const { hosts } = this.#script
    const { network } = this.world
    switch (action.kind) {
      case 'connect':
        this.#racers[action.from]!.connect(hosts[action.to]!)
        return
      case 'disconnect':
        this.#touch(hosts[action.from]!, hosts[action.to], 'user')
        this.#racers[action.from]!.node.connections.disconnect(this.keyOf(hosts[action.to]!))
        return
      case 'send':
        this.#racers[action.from]!.send(hosts[action.to]!, action.count)
        return
      case 'reset':
        for (const { id } of network.connections(hosts[action.from], hosts[action.to])) {
          this.#touched.set(id, 'fault')
          network.reset(id, action)
        }
        return
      case 'crash':
        this.#crash(action)
        return
      case 'fault':
        this.#inflict(action)
        return
      default:
        action satisfies never
    }
  }

  #crash({ host, isSilent, downMs }: Extract<RaceAction, { readonly kind: 'crash' }>): void {
    const racer = this.#racers[host]!
    if (racer.isDown) return
    this.#touch(racer.host, undefined, 'fault')
    racer.crash()
    this.world.network.crash(racer.host, { silently: isSilent })
    this.world.clock.setTimer(downMs, () => {
      racer.restart()
    })
  }

  #inflict({ what, from, to, forMs }: Extract<RaceAction, { readonly kind: 'fault' }>): void {
    const { faults } = this.world.network
    const [a, b] = [this.#script.hosts[from]!, this.#script.hosts[to]!]
    const flow = { from: a, to: b }
    const inflict = {
      holdDials: () => faults.holdDials(flow),
      refuseDials: () => faults.refuseDials(flow),
      delayDials: () => faults.delayDials(flow, 3_000),
      blackHole: () => faults.blackHole(flow),
      partition: () => faults.partition([a], [b]),
    }
    const fault = inflict[what]()
    if (what === 'blackHole' || what === 'partition') this.#faults.set(fault, [a, b])
    this.world.clock.setTimer(forMs, () => {
      this.#heal(fault)
    })
  }

  #heal(fault: Fault): void {
    this.#touchFaulty()
    this.#faults.delete(fault)
    fault.heal()
  }

  /** Whatever a silence meets, it may end. */
  #touchFaulty(): void {
    for (const [a, b] of this.#faults.values()) this.#touch(a, b, 'fault')
  }

  #touch(a: string, b: string | undefined, why: 'fault' | 'user'): void {
    for (const { id } of this.world.network.connections(a, b)) {
      if (this.#touched.get(id) !== 'user') this.#touched.set(id, why)
    }
  }

  #countDials(): number {
    return this.#racers.reduce((sum, racer) => sum + racer.node.transport.dialled.length, 0)
  }

  #checkPairs(): void {
    for (const racer of this.#racers) {
      for (const other of this.#racers) if (other !== racer) this.#checkPair(racer, other)
    }
  }

  #checkQuiet(): void {
    this.#checkPairs()
    for (const racer of this.#racers) {
      const { handshaking, dialing } = racer.node.connections.status()
      if (handshaking + dialing > 0) {
        this.fail(`${racer.host} is quiet, and has ${handshaking} handshakes, ${dialing} dials`)
      }
    }
    this.#look()
  }

  #checkPair(racer: Racer, other: Racer): void {
    const end = racer.endTo(other.host)
    const otherEnd = other.endTo(racer.host)
    if (end === undefined || otherEnd === undefined) {
      this.fail(`G4: ${racer.host} and ${other.host} are not connected`)
    } else if (end.link !== otherEnd.link) {
      this.fail(`G2: ${racer.host} holds #${end.link}, ${other.host} holds #${otherEnd.link}`)
    } else if (otherEnd.received !== end.sent) {
      this.fail(`G5: ${end.sent} sent, ${otherEnd.received} received on #${end.link}`)
    }
  }
}

/** One host of a race: its node, through all its incarnations, and the ends that this node holds. */
class Racer implements PeerService {
  readonly host: string
  node: SimulatedNode
  isDown = false
  readonly #race: Race
  readonly #ends = new Map<string, End>()
  /** What users were told last of each peer. */
  readonly #told = new Map<string, 'connected' | 'disconnected'>()

  constructor(race: Race, host: string) {
    this.#race = race
    this.host = host
    this.node = this.#create()
  }

  start(): void {
    this.wantAll()
    this.node.connections.start().catch((error: unknown) => {
      this.#race.fail(`${this.host} does not start: ${String(error)}`)
    })
  }

  wantAll(): void {
    for (const host of this.#race.hosts) {
      if (host !== this.host) this.node.connections.keep(this.#race.keyOf(host))
    }
  }

  connect(host: string): void {
    if (this.isDown) return
    this.node.connections.connect(this.#race.keyOf(host)).catch(() => undefined)
  }

  crash(): void {
    this.isDown = true
    this.#ends.clear()
    this.#told.clear()
    const { connections } = this.node
    // The process is gone: its manager only has to let go of the clock.
    queueMicrotask(() => void connections.stop())
  }

  restart(): void {
    this.node = this.#create()
    this.isDown = false
    this.start()
  }

  async stop(world: World): Promise<void> {
    const stopping = this.node.connections.stop()
    this.isDown = true
    await world.advance(2_000)
    await stopping
  }

  endTo(host: string): End | undefined {
    return this.#ends.get(this.#race.keyOf(host))
  }

  send(host: string, count: number): void {
    const end = this.endTo(host)
    if (end !== undefined) this.#sendOn(end, count)
  }

  #sendOn(end: End, count: number): void {
    for (let index = 0; index < count; index += 1) {
      end.peer.send('race', Uint8Array.of(end.link >> 8, end.link, end.sent >> 8, end.sent))
      end.sent += 1
    }
  }

  /** Between two events, what the node says agrees with what it told. */
  look(): void {
    if (this.isDown) return
    const connected = this.node.connections.peers()
    for (const peer of connected) {
      if (this.#ends.get(peer.key)?.peer !== peer || !peer.isConnected) {
        this.#race.fail(`G1: ${this.host} lists a connection to ${peer.key} that is none`)
      }
      if (this.#told.get(peer.key) !== 'connected') this.#race.fail(`${peer.key} was not announced`)
    }
    if (connected.length !== this.#ends.size) {
      this.#race.fail(
        `G1: ${this.host} has ${this.#ends.size} connections, lists ${connected.length}`,
      )
    }
    for (const bug of this.node.bugs) this.#race.fail(`a service threw: ${String(bug)}`)
  }

  peerConnected(peer: ServicePeer): void {
    if (this.isDown) return
    const link = this.#race.world.network.idOf(this.host, peer)
    const before = this.#ends.get(peer.key)
    this.#race.note(`${this.host} is connected to ${peer.key} by #${link} (${peer.direction})`)
    if (before !== undefined) this.#race.fail(`G1: ${this.host} has two connections to ${peer.key}`)
    const end: End = { peer, racer: this, link: link ?? -1, sent: 0, received: 0 }
    this.#ends.set(peer.key, end)
    this.#sendOn(end, 3)
  }

  peerDisconnected(peer: ServicePeer, reason: { readonly kind: CloseReasonKind }): void {
    if (this.isDown) return
    this.#race.note(`${this.host} lost ${peer.key}: ${JSON.stringify(reason)}`)
    const end = this.#ends.get(peer.key)
    if (end?.peer !== peer) this.#race.fail(`${this.host} lost ${peer.key} without having it`)
    else this.#race.judgeEnd(end, reason.kind)
    this.#ends.delete(peer.key)
  }

  #receive(bytes: Uint8Array, peer: unknown): void {
    const [linkHigh = 0, linkLow = 0, high = 0, low = 0] = bytes
    const end = [...this.#ends.values()].find((candidate) => candidate.peer === peer)
    if (end === undefined) return
    if (((end.link & 0xffff) >> 8) * 256 + (end.link & 0xff) !== linkHigh * 256 + linkLow) {
      this.#race.fail(`G5: a message of another connection came on #${end.link}`)
    }
    if (high * 256 + low !== end.received) {
      this.#race.fail(`G5: #${end.link} brought ${high * 256 + low} after ${end.received}`)
    }
    end.received += 1
  }

  #create(): SimulatedNode {
    const node = this.#race.world.node(this.host, {
      port: this.#race.portOf(this.host),
      ...(this.#race.shared === undefined ? {} : { identity: 'endpoint' }),
      patienceMs: this.#race.patienceMs,
      dialTimeoutMs: 4_000,
      backoffBaseMs: 500,
      backoffMaxMs: 8_000,
      pingIntervalMs: 50_000,
      stableAfterMs: 200_000,
    })
    const told = (what: 'connected' | 'disconnected', ip: string): void => {
      if (this.node !== node || this.isDown) return
      const isFirst = what === 'disconnected' && !this.#told.has(ip)
      if (isFirst || this.#told.get(ip) === what) this.#race.fail(`${ip} was ${what} twice`)
      this.#told.set(ip, what)
    }
    node.connections.serve(this)
    node.connections.handle('race', (bytes, peer) => {
      if (this.node === node && !this.isDown) this.#receive(bytes, peer)
    })
    node.connections.on('inboundRefused', ({ remote, reason }) => {
      if (reason.kind === 'misbehaved') this.#race.fail(`${remote.host} misbehaved: ${reason.what}`)
    })
    node.connections.on('dialFailed', ({ ip, error }) => {
      if (error.reason?.kind === 'misbehaved') this.#race.fail(`${ip} misbehaved: ${error.message}`)
    })
    node.connections.on('peerConnected', ({ peer }) => told('connected', peer.key))
    node.connections.on('peerDisconnected', ({ peer }) => told('disconnected', peer.key))
    return node
  }
}
