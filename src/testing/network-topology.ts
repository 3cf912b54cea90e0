import { directRoute, type Route } from '../adapters/memory.js'
import type { Endpoint } from '../contracts/transport.js'

/** A translator of addresses: who is behind it, and what it lets in. */
export interface NatOptions {
  /** The one address that everybody outside takes these hosts for. */
  readonly publicIp: string
  /** The hosts behind it, by their own addresses. Among themselves they are reached directly. */
  readonly hosts: readonly string[]
  /** Ports of the public address that lead to a host inside. Without one, nobody gets in. */
  readonly forward?: readonly {
    readonly port: number
    readonly to: string
    readonly toPort?: number
  }[]
}

/** Another address of a host, besides the one that it was made with. */
export interface ExtraAddressOptions {
  readonly host: string
  /** Leads to `host` too. */
  readonly ip: string
  /** Whether a dial to `to` leaves from the extra address. Default: none does. */
  readonly dialsFrom?: (to: string) => boolean
}

/** Who is behind which address. */
export class NetworkTopology {
  readonly #nats: NatOptions[] = []
  readonly #extras: ExtraAddressOptions[] = []

  addNat(nat: NatOptions): void {
    this.#nats.push(nat)
  }

  addExtraAddress(extra: ExtraAddressOptions): void {
    this.#extras.push(extra)
  }

  /** Undefined where no way leads: a host behind another's NAT, a port that is not forwarded. */
  route(from: string, to: Endpoint): Route | undefined {
    const outer = this.#natAt(to.host)
    const extra = this.#extras.find(({ ip }) => ip === to.host)
    const target = outer === undefined ? (extra?.host ?? to.host) : forwarded(outer, to.port)?.to
    if (target === undefined) return undefined
    const port = outer === undefined ? to.port : (forwarded(outer, to.port)?.toPort ?? to.port)

    const inside = this.#natOf(target)
    const isHidden = inside !== undefined && outer === undefined && this.#natOf(from) !== inside
    if (isHidden) return undefined

    const localHost = this.#leavingFrom(from, to.host)
    const nat = this.#natOf(from)
    const staysInside = nat !== undefined && outer === undefined && nat === inside
    return {
      ...directRoute(from, to),
      to: { host: target, port },
      localHost,
      seenAs: nat === undefined || staysInside ? localHost : nat.publicIp,
      acceptedAt: outer === undefined ? to.host : target,
    }
  }

  #natAt(ip: string): NatOptions | undefined {
    return this.#nats.find(({ publicIp }) => publicIp === ip)
  }

  #natOf(host: string): NatOptions | undefined {
    return this.#nats.find(({ hosts }) => hosts.includes(host))
  }

  #leavingFrom(host: string, to: string): string {
    return this.#extras.find((extra) => extra.host === host && extra.dialsFrom?.(to))?.ip ?? host
  }
}

function forwarded(
  nat: NatOptions,
  port: number,
): { readonly to: string; readonly toPort?: number } | undefined {
  return nat.forward?.find((entry) => entry.port === port)
}
