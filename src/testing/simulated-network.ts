import {
  MemoryNetwork,
  drawLatencyMs,
  otherSide,
  type Latency,
  type LinkEvent,
  type LinkSide,
  type LinkView,
  type MemoryTransport,
  type MemoryTransportOptions,
  type NetworkLink,
  type NetworkPolicy,
} from '../adapters/memory.js'
import type { Endpoint } from '../contracts/transport.js'
import { formatEndpoint } from '../rules/peer-ip.js'
import { FaultSet } from './fault-set.js'
import { describeLink, describeLinkEvent } from './link-text.js'
import { NetworkFaults } from './network-faults.js'
import { NetworkTopology, type ExtraAddressOptions, type NatOptions } from './network-topology.js'
import { SeededRandom } from './seeded-random.js'
import { SimulatedClock } from './simulated-clock.js'
import { Timeline } from './timeline.js'

/** The dice, the time and the pipes of a simulated network. */
export interface SimulatedNetworkOptions {
  /** Everything that is left to chance comes from it: the same seed gives the same run. */
  readonly seed: number
  /** Default: a new one. */
  readonly clock?: SimulatedClock
  /** One way, in milliseconds. Default: 5 to 50 at random, drawn anew for every piece. */
  readonly latencyMs?: Latency
  /** Default true: streams are cut anywhere. */
  readonly recut?: boolean
  readonly maxInFlightBytes?: number
  readonly highWaterBytes?: number
  /** Events that the timeline holds. Default 10000. */
  readonly maxTimelineEvents?: number
}

/** So many connections that are over are still known by their ids. */
const maxRemembered = 1_000

/** Dials from one host to another, counted by their own addresses. */
export interface DialCounts {
  readonly dialled: number
  readonly refused: number
  readonly established: number
}

const noDials: DialCounts = { dialled: 0, refused: 0, established: 0 }

/**
 * A network that fails on command, in virtual time, the same way for the same seed.
 *
 * Hosts are named by their own addresses throughout, also those behind a NAT. Streams stay streams: what
 * a black hole or a partition swallows is held and goes on after healing, as TCP would send it again, and
 * is lost for good only with its connection.
 */
export class SimulatedNetwork {
  readonly clock: SimulatedClock
  readonly random: SeededRandom
  readonly timeline: Timeline
  readonly faults: NetworkFaults
  readonly #network: MemoryNetwork
  readonly #topology = new NetworkTopology()
  readonly #effects = new FaultSet()
  readonly #counts = new Map<string, DialCounts>()
  readonly #downHosts = new Set<string>()
  /** Ends of connections that are over: their nodes may hear of it, and speak of them, only now. */
  readonly #ended = new Map<string, number>()

  constructor(options: SimulatedNetworkOptions) {
    this.random = new SeededRandom(options.seed)
    this.clock = options.clock ?? new SimulatedClock()
    this.timeline = new Timeline(() => this.clock.now(), options.maxTimelineEvents ?? 10_000)
    this.#network = new MemoryNetwork({
      recut: true,
      ...options,
      clock: this.clock,
      random: this.random,
      policy: this.#policy(options.latencyMs ?? [5, 50]),
    })
    this.faults = new NetworkFaults(
      this.#effects,
      (text) => {
        this.timeline.note(text)
      },
      () => {
        this.#network.release()
      },
    )
  }

  /** A host's way into the network. Starts the host again if it crashed. */
  transport(options: MemoryTransportOptions): MemoryTransport {
    const transport = this.#network.transport(options)
    if (this.#downHosts.delete(transport.host)) this.#network.release()
    return transport
  }

  /**
   * Says for which IP literals a host name stands from now on, for all hosts; none: for nobody, as before.
   * `delayMs` is how long a lookup takes, 0 by default.
   */
  setName(
    name: string,
    addresses: readonly string[],
    options: { readonly delayMs?: number } = {},
  ): void {
    this.timeline.note(`${name} stands for ${addresses.join(', ') || 'nobody'}`)
    this.#network.setName(name, addresses, options)
  }

  /** Puts hosts behind one address of which nobody outside sees more. */
  nat(options: NatOptions): void {
    this.#topology.addNat(options)
  }

  /** Gives a host a second address. */
  extraAddress(options: ExtraAddressOptions): void {
    this.#topology.addExtraAddress(options)
  }

  /**
   * Breaks a connection: what is on its way is lost from now on, and each end sees `closed(error)` after
   * its own latency, or that much later than `…AfterMs` says.
   */
  reset(
    id: number,
    after: { readonly diallerAfterMs?: number; readonly acceptorAfterMs?: number } = {},
  ): void {
    const link = this.#link(id)
    this.timeline.note(`${describeLink(link)} is reset`)
    this.#resetAfter(link, 'dialler', after.diallerAfterMs ?? 0)
    this.#resetAfter(link, 'acceptor', after.acceptorAfterMs ?? 0)
  }

  /** Resets every connection between two hosts. Returns how many there were. */
  resetBetween(a: string, b: string): number {
    const links = this.connections(a, b)
    for (const { id } of links) this.reset(id)
    return links.length
  }

  /**
   * Ends a host's process: its transports are dead for good, its own ends of connections see
   * `closed(error)`. Its kernel resets the other ends; with `silently` (power loss) they hear nothing,
   * until they send something after the host has come back. `transport` starts the host again.
   */
  crash(host: string, { silently = false }: { readonly silently?: boolean } = {}): void {
    this.timeline.note(`${host} crashes${silently ? ' silently' : ''}`)
    this.#network.unplug(host)
    if (silently) this.#downHosts.add(host)
    for (const link of [...this.#network.links]) {
      for (const side of ['dialler', 'acceptor'] as const) {
        if (link[side].host !== host) continue
        link.abandon(side, new Error(`${host} crashed`))
        if (!silently) link.reset(otherSide(side))
      }
    }
  }

  /** Established connections of which an end is open, of all hosts, one host or a pair. */
  connections(a?: string, b?: string): LinkView[] {
    return [...this.#network.links].filter(
      (link) =>
        link.isEstablished &&
        (link.dialler.isOpen || link.acceptor.isOpen) &&
        [a, b].every((host) => host === undefined || hostsOf(link).includes(host)),
    )
  }

  /**
   * The id of the physical connection that `host` holds as `end`: two nodes hold the same one exactly when
   * this is the same number for both. Undefined when it has been gone for long.
   */
  idOf(
    host: string,
    end: { readonly local: Endpoint | undefined; readonly remote: Endpoint },
  ): number | undefined {
    const link = [...this.#network.links].find((candidate) =>
      [candidate.dialler, candidate.acceptor].some(
        (view) =>
          view.host === host &&
          view.local.port === end.local?.port &&
          formatEndpoint(view.remote) === formatEndpoint(end.remote),
      ),
    )
    return link?.id ?? this.#ended.get(keyOf(host, end))
  }

  /** What came of the dials from one host to another, so far. */
  dials(from: string, to: string): DialCounts {
    return this.#counts.get(`${from} ${to}`) ?? noDials
  }

  #policy(latency: Latency): NetworkPolicy {
    const effects = this.#effects
    return {
      route: (from, to) => {
        const route = this.#topology.route(from, to)
        return route === undefined || effects.refusesDial(from, route.to.host) ? undefined : route
      },
      delayMs: (link, side, bytes) => {
        const [from, to] = [link[side].host, link[otherSide(side)].host]
        const { dialler, acceptor } = link
        return (
          effects.queueingMs(from, to, bytes, this.clock.now()) +
          drawLatencyMs(effects.latency(from, to) ?? latency, from, to, this.random) +
          (link.isEstablished ? 0 : effects.dialDelayMs(dialler.host, acceptor.host))
        )
      },
      passes: (link, side) =>
        !this.#downHosts.has(link[otherSide(side)].host) && !effects.holds(link, side),
      observe: (link, event) => {
        this.#observe(link, event)
      },
    }
  }

  #observe(link: LinkView, event: LinkEvent): void {
    this.timeline.note(`${describeLink(link)} ${describeLinkEvent(event)}`)
    if (event.kind === 'ended') {
      this.#remember(link, event.side)
      return
    }
    const key = hostsOf(link).join(' ')
    const counts = this.#counts.get(key) ?? noDials
    this.#counts.set(key, { ...counts, [event.kind]: counts[event.kind] + 1 })
  }

  #remember(link: LinkView, side: LinkSide): void {
    const key = keyOf(link[side].host, link[side])
    this.#ended.delete(key)
    this.#ended.set(key, link.id)
    const [oldest] = this.#ended.keys()
    if (this.#ended.size > maxRemembered && oldest !== undefined) this.#ended.delete(oldest)
  }

  #resetAfter(link: NetworkLink, side: LinkSide, ms: number): void {
    if (ms === 0) {
      link.reset(side)
      return
    }
    const hole = { kind: 'black-hole-connection', id: link.id, side: otherSide(side) } as const
    this.#effects.add(hole)
    this.clock.setTimer(ms, () => {
      this.#effects.remove(hole)
      link.reset(side)
    })
  }

  #link(id: number): NetworkLink {
    const link = [...this.#network.links].find((candidate) => candidate.id === id)
    if (link === undefined) throw new RangeError(`there is no connection #${id}`)
    return link
  }
}

function keyOf(
  host: string,
  { local, remote }: { readonly local: Endpoint | undefined; readonly remote: Endpoint },
): string {
  return `${host} ${local?.port ?? 0} ${formatEndpoint(remote)}`
}

function hostsOf({ dialler, acceptor }: LinkView): [string, string] {
  return [dialler.host, acceptor.host]
}
