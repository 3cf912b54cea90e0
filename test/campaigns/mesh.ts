import type { CloseReason, CloseReasonKind } from '../../src/contracts/close-reason.js'
import type { PeerService, ServicePeer } from '../../src/contracts/peer-service.js'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import { defaultPingLimits } from '../../src/ping-monitor.js'
import { formatEndpoint } from '../../src/rules/peer-ip.js'
import { ProcessClock } from '../../src/testing/process-clock.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { SimulatedNetwork } from '../../src/testing/simulated-network.js'
import { SimulatedNode } from '../support/simulated-node.js'

const { missedPongsMax, pingIntervalMs, pongTimeoutMs } = defaultPingLimits
const { backoffMaxMs, dialTimeoutMs, handshakeTimeoutMs } = defaultConnectionLimits

/** So long after the last fault a connection may still end that this fault broke: three missed pongs. */
export const detectionMs = missedPongsMax * pingIntervalMs + pongTimeoutMs

/** So long after the last fault every pair is connected: the longest rest, and one dial that succeeds. */
export const settlingMs = detectionMs + backoffMaxMs + dialTimeoutMs + handshakeTimeoutMs

/** One established connection, as one of its ends saw it begin. */
interface End {
  readonly peer: ServicePeer
  readonly sinceMs: number
}

/** What one end of one connection looked like at one moment. */
interface EndView {
  /** The physical connection. */
  readonly link: number
  readonly pingsSent: number
  readonly pongsReceived: number
}

/** Each end of each connection, by its host and its peer. */
export type MeshView = ReadonlyMap<string, EndView>

/** Nodes of which each keeps all others, on one network, and what must be true of them. */
export class Mesh {
  readonly network: SimulatedNetwork
  readonly members: readonly Member[]
  /** Established connections that ended, each counted at each end that told of it. */
  readonly closes: Partial<Record<CloseReasonKind, number>> = {}
  /** The same, of those that ended after the last fault. */
  closesAfterLastFault = 0
  latestCloseAfterMs = 0
  readonly #dice: SeededRandom
  #lastFaultMs = Infinity
  #isStopping = false
  #violation: string | undefined

  constructor(count: number, seed: number) {
    this.network = new SimulatedNetwork({ seed, latencyMs: [5, 50], recut: false })
    this.#dice = new SeededRandom(seed + 1)
    const hosts = Array.from({ length: count }, (_, index) => `10.0.0.${index + 1}`)
    this.members = hosts.map((host) => new Member(this, host, hosts))
  }

  get nowMs(): number {
    return this.network.clock.now()
  }

  /** What the referee saw first; undefined while all is well. */
  get violation(): string | undefined {
    return this.#violation
  }

  async start(): Promise<void> {
    await Promise.all(this.members.map((member) => member.node.connections.start()))
  }

  /** Ends all nodes, and looks for what they left behind. */
  async stop(): Promise<void> {
    this.#isStopping = true
    const stopping = Promise.all(this.members.map((member) => member.node.connections.stop()))
    await this.network.clock.advance(60_000)
    await stopping
    const { pendingTimers } = this.network.clock
    if (pendingTimers > 0) this.fail(`${pendingTimers} timers are left of stopped nodes`)
    this.throwIfFailed()
  }

  /** From now on nothing is broken any more. */
  faultsEnded(): void {
    this.network.timeline.note('the last fault is over')
    this.#lastFaultMs = this.nowMs
  }

  fork(): SeededRandom {
    return this.#dice.fork()
  }

  fail(what: string): void {
    this.network.timeline.note(`VIOLATION: ${what}`)
    this.#violation ??= what
  }

  throwIfFailed(): void {
    if (this.#violation === undefined) return
    throw new Error(`${this.#violation}\n${this.network.timeline.report(80)}`)
  }

  /** An established connection ended. After the last fault only what it broke may end, and in time. */
  lost(member: Member, end: End, reason: CloseReason): void {
    if (this.#isStopping) return
    this.closes[reason.kind] = (this.closes[reason.kind] ?? 0) + 1
    const text = `${member.host} lost ${end.peer.ip}: ${JSON.stringify(reason)}`
    this.network.timeline.note(text)
    if (reason.kind === 'duplicate') this.fail(`${text}: closed as a duplicate while established`)
    const afterMs = this.nowMs - this.#lastFaultMs
    if (afterMs <= 0) return
    this.closesAfterLastFault += 1
    this.latestCloseAfterMs = Math.max(this.latestCloseAfterMs, afterMs)
    if (end.sinceMs > this.#lastFaultMs) this.fail(`${text}, and no fault had touched it`)
    else if (afterMs > detectionMs) this.fail(`${text}, ${afterMs} ms after the last fault`)
  }

  /** Lets quiet time pass. Returns the smallest and the largest number of timers that were set. */
  async pass(ms: number): Promise<{ readonly min: number; readonly max: number }> {
    const { clock } = this.network
    const untilMs = clock.now() + ms
    let [min, max] = [Infinity, 0]
    for (;;) {
      const nextMs = clock.nextTimerAtMs ?? Infinity
      if (nextMs > untilMs) break
      clock.advanceSync(nextMs - clock.now())
      // All that pings do between two timers is to leave: one microtask. `advance` would wait for the
      // event loop, which takes half as long again.
      await Promise.resolve()
      min = Math.min(min, clock.pendingTimers)
      max = Math.max(max, clock.pendingTimers)
      this.throwIfFailed()
    }
    clock.advanceSync(untilMs - clock.now())
    return { min, max }
  }

  /** Looks at every end, and fails unless each pair has one connection, the same at both ends. */
  view(): MeshView {
    const open = this.network.connections()
    const linkAt = new Map<string, number>()
    for (const { id, dialler, acceptor } of open) {
      for (const { host, local, remote } of [dialler, acceptor]) {
        linkAt.set(`${host} ${local.port} ${formatEndpoint(remote)}`, id)
      }
    }
    const view = new Map<string, EndView>()
    for (const member of this.members) {
      for (const { peer } of member.ends) {
        const at = `${member.host} ${peer.local?.port ?? 0} ${formatEndpoint(peer.remote)}`
        const { pingsSent = 0, pongsReceived = 0 } = member.node.pings.statsOf(peer) ?? {}
        view.set(keyOf(member.host, peer.ip), {
          link: linkAt.get(at) ?? -1,
          pingsSent,
          pongsReceived,
        })
      }
      member.checkQuiet()
    }
    this.#checkPairs(view, open.length)
    this.throwIfFailed()
    return view
  }

  /** Fails unless the connections are the same as `beforeMs` ago, with one ping for each interval. */
  compare(before: MeshView, now: MeshView, beforeMs: number): void {
    const pings = beforeMs / pingIntervalMs
    for (const [key, end] of now) {
      const earlier = before.get(key)
      if (earlier?.link !== end.link) this.fail(`${key}: another connection than before`)
      const sent = end.pingsSent - (earlier?.pingsSent ?? 0)
      if (sent !== pings) this.fail(`${key}: ${sent} pings in ${pings} intervals`)
      // A pong may be on its way at either moment.
      const received = end.pongsReceived - (earlier?.pongsReceived ?? 0)
      if (Math.abs(received - pings) > 1) this.fail(`${key}: ${received} pongs of ${pings} pings`)
    }
    this.throwIfFailed()
  }

  get dials(): number {
    return this.members.reduce((sum, { node }) => sum + node.transport.dialled.length, 0)
  }

  #checkPairs(view: MeshView, open: number): void {
    const { members } = this
    for (const { host: a } of members) {
      for (const { host: b } of members) {
        if (a >= b) continue
        const [atA, atB] = [view.get(keyOf(a, b)), view.get(keyOf(b, a))]
        if (atA === undefined || atB === undefined) this.fail(`${a} and ${b} are not connected`)
        else if (atA.link === -1 || atA.link !== atB.link)
          this.fail(`${a} holds #${atA.link} to ${b}, which holds #${atB.link}`)
      }
    }
    const pairs = (members.length * (members.length - 1)) / 2
    if (open !== pairs) this.fail(`${open} connections are open for ${pairs} pairs`)
  }
}

/** One host, through all its incarnations. */
export class Member implements PeerService {
  readonly host: string
  node: SimulatedNode
  isDown = false
  readonly #mesh: Mesh
  readonly #others: readonly string[]
  readonly #ends = new Map<string, End>()
  #process: ProcessClock

  constructor(mesh: Mesh, host: string, hosts: readonly string[]) {
    this.#mesh = mesh
    this.host = host
    this.#others = hosts.filter((other) => other !== host)
    this.#process = new ProcessClock(mesh.network.clock)
    this.node = this.#create()
  }

  get ends(): readonly End[] {
    return [...this.#ends.values()]
  }

  freeze(ms: number): void {
    this.#mesh.network.timeline.note(`${this.host} is frozen for ${ms} ms`)
    this.#process.freeze(ms)
  }

  crash(options: { readonly silently: boolean }): void {
    this.isDown = true
    this.#ends.clear()
    this.#mesh.network.crash(this.host, options)
    const { connections } = this.node
    // The process is gone: its manager only has to let go of the clock.
    queueMicrotask(() => void connections.stop())
  }

  restart(): void {
    if (!this.isDown) return
    this.#mesh.network.timeline.note(`${this.host} starts again`)
    this.#process = new ProcessClock(this.#mesh.network.clock)
    this.node = this.#create()
    this.isDown = false
    this.node.connections.start().catch((error: unknown) => {
      this.#mesh.fail(`${this.host} does not start: ${String(error)}`)
    })
  }

  /** Lets go of what the node told so far: over weeks it is much, and holds every connection there was. */
  forget(): void {
    const { connected, disconnected, dialFailed, inboundRefused } = this.node
    for (const told of [connected, disconnected, dialFailed, inboundRefused]) told.length = 0
  }

  checkQuiet(): void {
    const { handshaking, dialing, queuedDials } = this.node.connections.status()
    if (handshaking + dialing + queuedDials > 0) {
      this.#mesh.fail(
        `${this.host} is quiet, and has ${handshaking} handshakes, ${dialing} dials, ${queuedDials} queued`,
      )
    }
    if (this.node.connections.peers().length !== this.#ends.size) {
      this.#mesh.fail(`${this.host} does not list the peers that its services were told`)
    }
    for (const bug of this.node.bugs)
      this.#mesh.fail(`${this.host}: a service threw ${String(bug)}`)
  }

  peerConnected(peer: ServicePeer): void {
    if (this.isDown) return
    if (this.#ends.has(peer.ip)) this.#mesh.fail(`${this.host} has two connections to ${peer.ip}`)
    this.#ends.set(peer.ip, { peer, sinceMs: this.#mesh.nowMs })
  }

  peerDisconnected(peer: ServicePeer, reason: CloseReason): void {
    if (this.isDown) return
    const end = this.#ends.get(peer.ip)
    this.#ends.delete(peer.ip)
    if (end?.peer !== peer) this.#mesh.fail(`${this.host} lost ${peer.ip} without having it`)
    else this.#mesh.lost(this, end, reason)
  }

  #create(): SimulatedNode {
    const { network } = this.#mesh
    const node = new SimulatedNode(this.host, {
      transport: network.transport({ host: this.host, clock: this.#process }),
      clock: this.#process,
      random: this.#mesh.fork(),
    })
    const service: PeerService = {
      peerConnected: (peer) => {
        if (this.node === node) this.peerConnected(peer)
      },
      peerDisconnected: (peer, reason) => {
        if (this.node === node) this.peerDisconnected(peer, reason)
      },
    }
    node.connections.serve(service)
    for (const other of this.#others) node.connections.keep(other)
    return node
  }
}

function keyOf(host: string, peer: string): string {
  return `${host} → ${peer}`
}
