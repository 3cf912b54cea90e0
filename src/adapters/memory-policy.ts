import type { Endpoint } from '../contracts/transport.js'
import type { Random } from '../contracts/random.js'

/** The two ends of a physical connection: who dialled, and who accepted. */
export type LinkSide = 'dialler' | 'acceptor'

/** The other end of a connection. */
export function otherSide(side: LinkSide): LinkSide {
  return side === 'dialler' ? 'acceptor' : 'dialler'
}

/** One end of a physical connection, as the network knows it. */
export interface LinkEndView {
  /** The host's own address, whatever others take it for. */
  readonly host: string
  /** What the end says of itself and of the other: with NAT between, the other end says otherwise. */
  readonly local: Endpoint
  readonly remote: Endpoint
  /** Whether its user was handed the connection and has not seen, or caused, its end. */
  readonly isOpen: boolean
}

/** A physical connection of a memory network, or an attempt at one. */
export interface LinkView {
  /** Unique in the network. */
  readonly id: number
  readonly dialler: LinkEndView
  readonly acceptor: LinkEndView
  /** False while the dial is on its way. */
  readonly isEstablished: boolean
}

/** How a dial goes through the network, and what each end sees of it. */
export interface Route {
  /** Who is asked whether he listens, under his own address. */
  readonly to: Endpoint
  /** The address that the dial leaves from, as the dialler sees it. */
  readonly localHost: string
  /** The address that the acceptor takes the dialler for. */
  readonly seenAs: string
  /** The address that the acceptor was reached at, as he sees it. */
  readonly acceptedAt: string
}

/** What became of a physical connection. */
export type LinkEvent =
  | { readonly kind: 'dialled' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'established' }
  /** One end is over. `error` is what its user is told. */
  | { readonly kind: 'ended'; readonly side: LinkSide; readonly error: Error | undefined }

/**
 * What a network does to traffic; the pipes themselves are always the same. Everything is asked again
 * for each item, so answers may change at any time; after `passes` has turned true, call
 * `MemoryNetwork.release()`.
 */
export interface NetworkPolicy {
  /** Where a dial from the host `from` to `to` arrives; undefined: it is refused. */
  route(from: string, to: Endpoint): Route | undefined

  /** Milliseconds that `bytes` leaving `side` now take to the other end. */
  delayMs(link: LinkView, side: LinkSide, bytes: number): number

  /** Whether what left `side` gets through. A dial needs both directions. */
  passes(link: LinkView, side: LinkSide): boolean

  /** Told of everything that happens to a connection, as it happens. Must not call back. */
  observe(link: LinkView, event: LinkEvent): void
}

/** Milliseconds: the same for all, between two bounds at random, or by sender and receiver. */
export type Latency =
  | number
  | readonly [minMs: number, maxMs: number]
  | ((from: string, to: string) => number | readonly [minMs: number, maxMs: number])

/** A network in which everything goes through. */
export function faultlessPolicy(latency: Latency, random: Random): NetworkPolicy {
  return {
    route: directRoute,
    delayMs: (link, side) => {
      return drawLatencyMs(latency, link[side].host, link[otherSide(side)].host, random)
    },
    passes: () => true,
    observe: () => undefined,
  }
}

/** A dial that goes where it says, seen as coming from where it comes from. */
export function directRoute(from: string, to: Endpoint): Route {
  return { to, localHost: from, seenAs: from, acceptedAt: to.host }
}

/** How long one item takes, in milliseconds, by the dice. */
export function drawLatencyMs(latency: Latency, from: string, to: string, random: Random): number {
  const drawn = typeof latency === 'function' ? latency(from, to) : latency
  if (typeof drawn === 'number') return checkedMs(drawn)
  const [minMs, maxMs] = drawn
  return checkedMs(minMs + random.next() * (maxMs - minMs))
}

function checkedMs(ms: number): number {
  if (ms >= 0 && Number.isFinite(ms)) return ms
  throw new RangeError(`a latency must be finite and at least 0 ms, not ${ms}`)
}
