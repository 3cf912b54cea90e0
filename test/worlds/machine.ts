import { getEventListeners } from 'node:events'
import type { CloseReason } from '../../src/contracts/close-reason.js'
import type { ServicePeer } from '../../src/contracts/peer-service.js'
import type { Transport } from '../../src/contracts/transport.js'
import { defaultPingLimits } from '../../src/ping-monitor.js'
import { ProcessClock } from '../../src/testing/process-clock.js'
import type { SeededRandom } from '../../src/testing/seeded-random.js'
import type { SimulatedNetwork } from '../../src/testing/simulated-network.js'
import { SimulatedNode } from '../support/simulated-node.js'
import { maxBytesUnderChallenge } from '../../src/rules/election.js'
import type { Machine } from './topology.js'

/** What the nodes of a world are set to: short rests, so that a world ends soon. */
export const worldLimits = {
  ...defaultPingLimits,
  dialTimeoutMs: 4_000,
  backoffBaseMs: 500,
  backoffMaxMs: 8_000,
  stableAfterMs: 200_000,
}

/** One end of an established connection. */
export interface End {
  readonly peer: ServicePeer
  /** The physical connection. */
  readonly link: number
  sent: number
  received: number
}

/** To whom a running machine tells what happens to it. */
export interface Referee {
  readonly network: SimulatedNetwork
  readonly dice: SeededRandom
  readonly patienceMs: number
  note(text: string): void
  fail(what: string): void
  /** An established connection of a machine ended. */
  ended(machine: RunningMachine, end: End, reason: CloseReason): void
  /** Puts chance into the asynchronous edges of a machine. */
  edges(transport: Transport): Transport
}

/** One machine of a world: its node, through all its lives, and the ends that this node holds. */
export class RunningMachine {
  readonly machine: Machine
  node: SimulatedNode
  isDown = false
  /** Calls of users that have not settled. */
  waiting = 0
  /** Dials by its earlier lives, by address. */
  readonly #earlierDials = new Map<string, number>()
  readonly #referee: Referee
  readonly #keeps: readonly string[]
  readonly #signals = new Set<AbortSignal>()
  readonly #ends = new Map<string, End>()
  /** What users were told last of each peer. */
  readonly #told = new Map<string, 'connected' | 'disconnected'>()
  readonly #dialsInFlight = new Set<{ readonly startedMs: number; readonly signal: AbortSignal }>()
  /** A process that stood still is late with everything. */
  #wasFrozen = false
  #process: ProcessClock

  constructor(referee: Referee, machine: Machine, keeps: readonly string[]) {
    this.#referee = referee
    this.machine = machine
    this.#keeps = keeps
    this.#process = new ProcessClock(referee.network.clock)
    this.node = this.#create()
  }

  get host(): string {
    return this.machine.host
  }

  get ends(): ReadonlyMap<string, End> {
    return this.#ends
  }

  /** How often each address was dialled, through all its lives. */
  get dials(): ReadonlyMap<string, number> {
    const dials = new Map(this.#earlierDials)
    for (const { host } of this.node.transport.dialled) dials.set(host, (dials.get(host) ?? 0) + 1)
    return dials
  }

  start(): void {
    this.keepAll()
    this.node.connections.start().catch((error: unknown) => {
      if (!this.isDown) this.#referee.fail(`${this.host} does not start: ${String(error)}`)
    })
  }

  keepAll(): void {
    for (const address of this.#keeps) this.node.connections.keep(address)
  }

  connect(address: string, isAborted: boolean): void {
    if (this.isDown || this.node.connections.status().state !== 'running') return
    const controller = new AbortController()
    this.#signals.add(controller.signal)
    this.#await(this.node.connections.connect(address, { signal: controller.signal }))
    if (!isAborted) return
    this.#referee.network.clock.setTimer(this.#referee.dice.integer(0, 400), () => {
      controller.abort()
    })
  }

  disconnect(ip: string): void {
    if (!this.isDown) this.node.connections.disconnect(ip)
  }

  send(ip: string, count: number): void {
    const end = this.#ends.get(ip)
    if (end === undefined) return
    for (let index = 0; index < count; index += 1) {
      end.peer.send('count', Uint8Array.of(end.link >> 8, end.link, end.sent >> 8, end.sent))
      end.sent += 1
    }
  }

  /** Sends so much that the silence of the other end proves nothing. */
  sendBulk(ip: string): void {
    this.#ends.get(ip)?.peer.send('bulk', new Uint8Array(2 * maxBytesUnderChallenge))
  }

  ask(ip: string): void {
    const peer = this.#ends.get(ip)?.peer
    if (peer === undefined) return
    const controller = new AbortController()
    this.#signals.add(controller.signal)
    this.#await(peer.request('late', new Uint8Array(1), { signal: controller.signal }))
  }

  freeze(ms: number): void {
    this.#wasFrozen = true
    this.#process.freeze(ms)
  }

  crash(): void {
    this.isDown = true
    this.#ends.clear()
    this.#told.clear()
    this.#dialsInFlight.clear()
    // The process is gone: its manager only has to let go of the clock.
    const { connections } = this.node
    queueMicrotask(() => void connections.stop())
  }

  restart(): void {
    for (const [address, count] of this.dials) this.#earlierDials.set(address, count)
    this.#process = new ProcessClock(this.#referee.network.clock)
    this.#wasFrozen = false
    this.node = this.#create()
    this.isDown = false
    this.start()
  }

  stop(): Promise<void> {
    const stopping = this.node.connections.stop()
    this.isDown = true
    return stopping
  }

  /** What a machine that stopped has left behind; empty when there is nothing. */
  leftovers(): string[] {
    const { transport, connections } = this.node
    const { inbound, outbound, handshaking, dialing, queuedDials } = connections.status()
    const listeners = [...this.#signals].reduce(
      (sum, signal) => sum + getEventListeners(signal, 'abort').length,
      0,
    )
    const counts = {
      'calls that never settled': this.waiting,
      'listeners on signals': listeners,
      'listeners for connections': transport.openListeners,
      'dials in flight': transport.inFlight,
      'dials that wait': dialing + queuedDials,
      connections: inbound + outbound + handshaking,
    }
    return Object.entries(counts)
      .filter(([, count]) => count !== 0)
      .map(([what, count]) => `${this.host} has left ${count} ${what}`)
  }

  /** Between two events, what the node says agrees with what it told. */
  look(): void {
    if (this.isDown) return
    const { connections, bugs, transport } = this.node
    const connected = connections.peers()
    for (const peer of connected) {
      if (this.#ends.get(peer.ip)?.peer !== peer || !peer.isConnected)
        this.#fail(`G1: ${this.host} lists a connection to ${peer.ip} that is none`)
      if (this.#told.get(peer.ip) !== 'connected') this.#fail(`${peer.ip} was not announced`)
    }
    if (connected.length !== this.#ends.size)
      this.#fail(`G1: ${this.host} has ${this.#ends.size} connections, lists ${connected.length}`)
    for (const bug of bugs) this.#fail(`${this.host}: a service threw ${String(bug)}`)
    for (const { startedMs, signal } of this.#dialsInFlight) {
      const forMs = this.#referee.network.clock.now() - startedMs
      // Sums of fractions of milliseconds are not exact.
      if (forMs > worldLimits.dialTimeoutMs + 0.001 && !signal.aborted && !this.#wasFrozen)
        this.#fail(`${this.host} has dialled for ${forMs} ms`)
    }
    if (transport.maxInFlightPerHost > 1)
      this.#fail(`${this.host} had two dials to one address in flight`)
  }

  #create(): SimulatedNode {
    const { network, dice, patienceMs } = this.#referee
    const { host, port, localIp } = this.machine
    const transport = network.transport({ host, port, defaultPort: port, clock: this.#process })
    const node = new SimulatedNode(
      host,
      { transport, clock: this.#process, random: dice.fork() },
      {
        ...worldLimits,
        patienceMs,
        ...(localIp === undefined ? {} : { localIp }),
        wrapTransport: (inner) => this.#timed(this.#referee.edges(inner)),
      },
    )
    const ifAlive = (act: () => void): void => {
      if (this.node === node && !this.isDown) act()
    }
    node.connections.serve({
      peerConnected: (peer) => {
        ifAlive(() => this.#connected(peer))
      },
      peerDisconnected: (peer, reason) => {
        ifAlive(() => this.#disconnected(peer, reason))
      },
    })
    node.connections.handle('count', (bytes, peer) => {
      ifAlive(() => this.#counted(bytes, peer))
    })
    node.connections.handle('late', () => this.#answerLate())
    node.connections
      .on('peerConnected', ({ peer }) => {
        ifAlive(() => this.#tell('connected', peer.ip))
      })
      .on('peerDisconnected', ({ peer }) => {
        ifAlive(() => this.#tell('disconnected', peer.ip))
      })
      .on('inboundRefused', ({ remote, reason }) => {
        if (reason.kind === 'misbehaved')
          this.#fail(`${remote.host} misbehaved to ${this.host}: ${reason.what}`)
      })
      .on('dialFailed', ({ ip, error }) => {
        if (error.reason?.kind === 'misbehaved')
          this.#fail(`${ip} misbehaved to ${this.host}: ${error.message}`)
      })
    return node
  }

  /** The same transport; how long its dials take is looked after. */
  #timed(transport: Transport): Transport {
    const { name, defaultPort } = transport
    const dial: Transport['dial'] = async (address, options) => {
      const dialling = { startedMs: this.#referee.network.clock.now(), signal: options.signal }
      this.#dialsInFlight.add(dialling)
      try {
        return await transport.dial(address, options)
      } finally {
        this.#dialsInFlight.delete(dialling)
      }
    }
    const listen = transport.listen?.bind(transport)
    return { name, defaultPort, dial, ...(listen && { listen }) }
  }

  #connected(peer: ServicePeer): void {
    const link = this.#referee.network.idOf(this.host, peer)
    if (link === undefined) {
      this.#fail(`${this.host} is connected to ${peer.ip} by no connection`)
      return
    }
    this.#referee.note(`${this.host} is connected to ${peer.ip} by #${link} (${peer.direction})`)
    if (this.#ends.has(peer.ip)) this.#fail(`G1: ${this.host} has two connections to ${peer.ip}`)
    this.#ends.set(peer.ip, { peer, link, sent: 0, received: 0 })
    this.send(peer.ip, 3)
  }

  #disconnected(peer: ServicePeer, reason: CloseReason): void {
    this.#referee.note(`${this.host} lost ${peer.ip}: ${JSON.stringify(reason)}`)
    const end = this.#ends.get(peer.ip)
    this.#ends.delete(peer.ip)
    if (end?.peer !== peer) this.#fail(`${this.host} lost ${peer.ip} without having it`)
    else this.#referee.ended(this, end, reason)
  }

  #counted(bytes: Uint8Array, peer: unknown): void {
    const [linkHigh = 0, linkLow = 0, high = 0, low = 0] = bytes
    const end = [...this.#ends.values()].find((candidate) => candidate.peer === peer)
    if (end === undefined) return
    if ((end.link & 0xffff) !== linkHigh * 256 + linkLow)
      this.#fail(`G5: a message of another connection came on #${end.link}`)
    if (high * 256 + low !== end.received)
      this.#fail(`G5: #${end.link} brought ${high * 256 + low} after ${end.received}`)
    end.received += 1
  }

  /** Connected and disconnected alternate. */
  #tell(what: 'connected' | 'disconnected', ip: string): void {
    const isFirst = what === 'disconnected' && !this.#told.has(ip)
    if (isFirst || this.#told.get(ip) === what) this.#fail(`${ip} was ${what} twice`)
    this.#told.set(ip, what)
  }

  #answerLate(): Promise<Uint8Array> {
    return new Promise((resolve) => {
      this.#process.setTimer(this.#referee.dice.integer(0, 3_000), () => {
        resolve(new Uint8Array(1))
      })
    })
  }

  #await(promise: Promise<unknown>): void {
    this.waiting += 1
    const settled = (): void => {
      this.waiting -= 1
    }
    promise.then(settled, settled)
  }

  #fail(what: string): void {
    this.#referee.fail(what)
  }
}
