import { otherSide, type Latency, type LinkSide, type LinkView } from '../adapters/memory.js'

/** Hosts by their own addresses. */
export type Hosts = string | readonly string[]

/** Traffic by sender and receiver; what is left out is anybody. */
export interface Flow {
  readonly from?: Hosts
  readonly to?: Hosts
}

export type FaultEffect =
  /** Dials get their refusal. */
  | { readonly kind: 'refuse-dials'; readonly flow: Flow }
  /** Dials get no answer at all; after healing they get it late. */
  | { readonly kind: 'hold-dials'; readonly flow: Flow }
  | { readonly kind: 'delay-dials'; readonly flow: Flow; readonly ms: number }
  /** Nothing gets through, of old connections or new ones, and nobody is told. */
  | { readonly kind: 'black-hole'; readonly flow: Flow }
  /** As `black-hole`, for what one end of one connection sends. */
  | { readonly kind: 'black-hole-connection'; readonly id: number; readonly side: LinkSide }
  | { readonly kind: 'partition'; readonly groups: readonly (readonly string[])[] }
  | { readonly kind: 'latency'; readonly flow: Flow; readonly latency: Latency }
  | { readonly kind: 'bandwidth'; readonly flow: Flow; readonly bytesPerMs: number }

type EffectOf<Kind extends FaultEffect['kind']> = Extract<FaultEffect, { readonly kind: Kind }>

/** Kinds of which each sets something for a flow. */
type FlowKind = 'refuse-dials' | 'delay-dials' | 'latency' | 'bandwidth'

/** The faults in force. Of several that set the same thing, the latest counts. */
export class FaultSet {
  readonly #effects = new Set<FaultEffect>()
  readonly #freeAtMs = new Map<string, number>()

  add(effect: FaultEffect): void {
    this.#effects.add(effect)
  }

  /** False when it was not in force any more. */
  remove(effect: FaultEffect): boolean {
    return this.#effects.delete(effect)
  }

  refusesDial(from: string, to: string): boolean {
    return this.#latest('refuse-dials', from, to) !== undefined
  }

  holds(link: LinkView, side: LinkSide): boolean {
    const [from, to] = [link[side].host, link[otherSide(side)].host]
    for (const effect of this.#effects) {
      switch (effect.kind) {
        case 'black-hole':
          if (matches(effect.flow, from, to)) return true
          break
        case 'black-hole-connection':
          if (effect.id === link.id && effect.side === side) return true
          break
        case 'partition':
          if (separates(effect.groups, from, to)) return true
          break
        case 'hold-dials':
          if (!link.isEstablished && matches(effect.flow, link.dialler.host, link.acceptor.host))
            return true
          break
        case 'refuse-dials':
        case 'delay-dials':
        case 'latency':
        case 'bandwidth':
          break
        default:
          effect satisfies never
      }
    }
    return false
  }

  /** Milliseconds that a dial from `from` to `to` is late by. */
  dialDelayMs(from: string, to: string): number {
    return this.#latest('delay-dials', from, to)?.ms ?? 0
  }

  latency(from: string, to: string): Latency | undefined {
    return this.#latest('latency', from, to)?.latency
  }

  /** Milliseconds until the last of `bytes` has left, behind everything that left before. */
  queueingMs(from: string, to: string, bytes: number, nowMs: number): number {
    const limit = this.#latest('bandwidth', from, to)
    if (limit === undefined) return 0
    const key = `${from} ${to}`
    const freeAtMs = Math.max(nowMs, this.#freeAtMs.get(key) ?? 0) + bytes / limit.bytesPerMs
    this.#freeAtMs.set(key, freeAtMs)
    return freeAtMs - nowMs
  }

  #latest<Kind extends FlowKind>(kind: Kind, from: string, to: string): EffectOf<Kind> | undefined {
    let found: EffectOf<Kind> | undefined
    for (const effect of this.#effects) {
      if (!isOfKind(effect, kind)) continue
      const { flow }: { readonly flow: Flow } = effect
      if (matches(flow, from, to)) found = effect
    }
    return found
  }
}

export function describeFlow({ from, to }: Flow): string {
  return `${describeHosts(from)} → ${describeHosts(to)}`
}

export function describeHosts(hosts: Hosts | undefined): string {
  if (hosts === undefined) return 'anybody'
  return typeof hosts === 'string' ? hosts : hosts.join(', ')
}

function isOfKind<Kind extends FaultEffect['kind']>(
  effect: FaultEffect,
  kind: Kind,
): effect is EffectOf<Kind> {
  return effect.kind === kind
}

function matches(flow: Flow, from: string, to: string): boolean {
  return includes(flow.from, from) && includes(flow.to, to)
}

function includes(hosts: Hosts | undefined, host: string): boolean {
  if (hosts === undefined) return true
  return typeof hosts === 'string' ? hosts === host : hosts.includes(host)
}

/** Hosts of different groups are separated; a host of no group reaches all. */
function separates(groups: readonly (readonly string[])[], from: string, to: string): boolean {
  const [a, b] = [from, to].map((host) => groups.findIndex((group) => group.includes(host)))
  return a !== -1 && b !== -1 && a !== b
}
