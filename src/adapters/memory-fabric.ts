import type { Clock } from '../contracts/clock.js'
import type { Connection, Endpoint } from '../contracts/transport.js'
import { systemError } from './dial-address.js'
import type { Cutting } from './memory-cutting.js'
import { MemoryLink, type LinkEndOptions } from './memory-link.js'
import { MemoryNames } from './memory-names.js'
import { directRoute, type NetworkPolicy } from './memory-policy.js'
import { PortTable } from './port-table.js'

export interface MemoryFabricOptions {
  readonly clock: Clock
  readonly policy: NetworkPolicy
  readonly cutting: Cutting
  readonly maxInFlightBytes: number
  readonly highWaterBytes: number
}

interface Listening {
  readonly endpoint: Endpoint
  readonly clock: Clock
  readonly onConnection: (connection: Connection) => void
}

/** What joins the hosts of a memory network: who listens where, which ports are taken, which links exist. */
export class MemoryFabric {
  readonly #options: MemoryFabricOptions
  readonly names = new MemoryNames()
  readonly #ports = new PortTable()
  readonly #listeners = new Map<string, Listening>()
  readonly #links = new Set<MemoryLink>()
  readonly #generations = new Map<string, number>()
  #nextLinkId = 1

  constructor(options: MemoryFabricOptions) {
    this.#options = options
  }

  get clock(): Clock {
    return this.#options.clock
  }

  /** Every link of which an end is left, and every dial on its way. */
  get links(): ReadonlySet<MemoryLink> {
    return this.#links
  }

  /** How often `host` was unplugged: a transport of an earlier generation is dead. */
  generation(host: string): number {
    return this.#generations.get(host) ?? 0
  }

  unplug(host: string): void {
    this.#generations.set(host, this.generation(host) + 1)
    for (const listening of [...this.#listeners.values()]) {
      if (listening.endpoint.host === host) this.#unlisten(listening)
    }
  }

  /** Takes the endpoint, until `close`; `port` 0 is any. Throws as a system would. */
  listen(
    { host, port }: Endpoint,
    listener: Pick<Listening, 'clock' | 'onConnection'>,
  ): { readonly endpoint: Endpoint; close(): void } {
    const taken = port === 0 ? this.#ports.claimEphemeral(host) : port
    if (taken === undefined || (port !== 0 && !this.#ports.claim(host, port))) {
      throw systemError('listen', 'EADDRINUSE', { host, port })
    }
    const listening = { ...listener, endpoint: { host, port: taken } }
    this.#listeners.set(keyOf(listening.endpoint), listening)
    return {
      endpoint: listening.endpoint,
      close: () => {
        this.#unlisten(listening)
      },
    }
  }

  /** Starts a dial; the function that comes back gives it up. */
  dial(
    from: { readonly host: string; readonly clock: Clock },
    to: Endpoint,
    answered: (result: Connection | Error) => void,
  ): () => void {
    const route = this.#options.policy.route(from.host, to)
    const { localHost, seenAs, acceptedAt, to: target } = route ?? directRoute(from.host, to)
    const port = this.#ports.claimEphemeral(seenAs)
    if (port === undefined) {
      answered(systemError('connect', 'EADDRNOTAVAIL', to))
      return () => undefined
    }
    const link = this.#createLink({
      dialler: { ...from, local: { host: localHost, port }, remote: to },
      acceptor: {
        host: target.host,
        clock: this.#listenerAt(target)?.clock ?? this.#options.clock,
        local: { host: acceptedAt, port: target.port },
        remote: { host: seenAs, port },
      },
      target,
      isRouted: route !== undefined,
      answered: (result) => {
        answered(result === 'refused' ? systemError('connect', 'ECONNREFUSED', to) : result)
      },
    })
    link.dial()
    return () => {
      link.abortDial()
    }
  }

  #createLink(options: {
    readonly dialler: LinkEndOptions
    readonly acceptor: LinkEndOptions
    readonly target: Endpoint
    readonly isRouted: boolean
    readonly answered: (result: Connection | 'refused' | Error) => void
  }): MemoryLink {
    const { dialler, acceptor, target, isRouted, answered } = options
    const link = new MemoryLink({
      ...this.#options,
      id: this.#nextLinkId++,
      dialler,
      acceptor,
      listenerFor: () => (isRouted ? this.#listenerAt(target)?.onConnection : undefined),
      answered,
      over: () => {
        this.#links.delete(link)
        this.#ports.free(acceptor.remote.host, acceptor.remote.port)
      },
    })
    this.#links.add(link)
    return link
  }

  #listenerAt(endpoint: Endpoint): Listening | undefined {
    return this.#listeners.get(keyOf(endpoint))
  }

  /** The host may have been started anew meanwhile: its successor's endpoint is not freed. */
  #unlisten(listening: Listening): void {
    const { host, port } = listening.endpoint
    if (this.#listenerAt(listening.endpoint) !== listening) return
    this.#listeners.delete(keyOf(listening.endpoint))
    this.#ports.free(host, port)
  }
}

function keyOf({ host, port }: Endpoint): string {
  return `${host} ${port}`
}
