import type { Clock } from '../contracts/clock.js'
import type { Random } from '../contracts/random.js'
import { asWritten, atRandom } from './memory-cutting.js'
import { MemoryFabric } from './memory-fabric.js'
import type { MemoryLink } from './memory-link.js'
import {
  faultlessPolicy,
  type Latency,
  type LinkView,
  type NetworkPolicy,
} from './memory-policy.js'
import { MemoryTransport, type MemoryTransportOptions } from './memory-transport.js'
import { SystemClock } from './system-clock.js'
import { SystemRandom } from './system-random.js'

export type {
  Latency,
  LinkEvent,
  LinkSide,
  LinkView,
  NetworkPolicy,
  Route,
} from './memory-policy.js'
export type { LinkEndView } from './memory-policy.js'
export { directRoute, drawLatencyMs, otherSide } from './memory-policy.js'
export type { MemoryTransport, MemoryTransportOptions } from './memory-transport.js'

/** The dice, the time and the pipes of a network in memory. */
export interface MemoryNetworkOptions {
  /** One way, in milliseconds. Default 0: as soon as the event loop gets to it. */
  readonly latencyMs?: Latency

  /** Cuts the streams anywhere, and copies them. Default false: chunks arrive as they were written. */
  readonly recut?: boolean

  /** Bytes that may be on their way to a reader, or unread there. Default 1 MiB. */
  readonly maxInFlightBytes?: number

  /** Above so many bytes that are not on their way yet, `write` returns false. Default 64 KiB. */
  readonly highWaterBytes?: number

  /** Default: the system's. */
  readonly clock?: Clock
  readonly random?: Random
}

/**
 * A network in this process: many hosts, each with its own address and ports, joined by pipes that
 * behave as TCP's do. For tests, demonstrations and programs that hold several nodes.
 *
 * ```ts
 * const network = memoryNetwork({ latencyMs: [20, 80] })
 * const a = createNode({ transport: network.transport({ host: '10.0.0.1' }), … })
 * const b = createNode({ transport: network.transport({ host: '10.0.0.2' }), … })
 * ```
 *
 * With a seeded `random` and a simulated `clock` (`holdfast/testing`) a run can be repeated exactly;
 * for faults, see `SimulatedNetwork` there.
 */
export function memoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  return new MemoryNetwork(options)
}

/** A physical connection, with what can be done to it. */
export type NetworkLink = LinkView & Pick<MemoryLink, 'reset' | 'abandon' | 'release'>

/**
 * A network within this process: each transport of it is a host, and its policy decides what becomes of
 * traffic.
 */
export class MemoryNetwork {
  readonly clock: Clock
  readonly random: Random
  readonly #fabric: MemoryFabric

  /** `policy` takes the place of `latencyMs`. */
  constructor(options: MemoryNetworkOptions & { readonly policy?: NetworkPolicy } = {}) {
    this.clock = options.clock ?? new SystemClock()
    this.random = options.random ?? new SystemRandom()
    this.#fabric = new MemoryFabric({
      clock: this.clock,
      policy: options.policy ?? faultlessPolicy(options.latencyMs ?? 0, this.random),
      cutting: options.recut === true ? atRandom(this.random) : asWritten,
      maxInFlightBytes: atLeastOne('maxInFlightBytes', options.maxInFlightBytes ?? 2 ** 20),
      highWaterBytes: atLeastOne('highWaterBytes', options.highWaterBytes ?? 2 ** 16),
    })
  }

  /** A host's way into this network. A host may have several, with different ports. */
  transport(options: MemoryTransportOptions): MemoryTransport {
    return new MemoryTransport(this.#fabric, options)
  }

  /**
   * Says for which IP literals a host name stands from now on; none: for nobody, as before. `delayMs` is
   * how long a lookup takes, 0 by default. Throws TypeError for what is no IP literal.
   */
  setName(
    name: string,
    addresses: readonly string[],
    { delayMs = 0 }: { readonly delayMs?: number } = {},
  ): void {
    this.#fabric.names.set(name, addresses, delayMs)
  }

  /** Every physical connection of which an end is left, and every dial on its way. */
  get links(): ReadonlySet<NetworkLink> {
    return this.#fabric.links
  }

  /** What the policy held may pass again: asks it anew. */
  release(): void {
    for (const link of this.links) link.release()
  }

  /**
   * Takes a host's process away: nobody listens at `host` any more, and its transports are dead for
   * good. Its connections are left to the caller (`links`). A new transport starts it again.
   */
  unplug(host: string): void {
    this.#fabric.unplug(host)
  }
}

function atLeastOne(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new RangeError(`${name} must be a whole number of at least 1, not ${String(value)}`)
}
