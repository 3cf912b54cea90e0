import ipaddr from 'ipaddr.js'
import type { ToldPeer } from '../contracts/exchange-messages.js'
import type { PeerIp } from './peer-ip.js'

/** How often, how many and how long: of what is asked and of what is answered. */
export interface PeerExchangeLimits {
  /** How often each peer is asked, on average; each pause is drawn from half to one and a half of it. */
  readonly askIntervalMs: number
  /** A peer that asks again sooner than this is not answered. Well below half of `askIntervalMs`. */
  readonly answerIntervalMs: number
  /** Peers that are asked for, and looked at in one answer, at most; at most 1,000. */
  readonly maxAsked: number
  /** Peers in one answer of ours, at most; at most 1,000. */
  readonly maxGiven: number
}

/** The limits of peer exchange where the user names none. */
export const defaultPeerExchangeLimits: PeerExchangeLimits = {
  askIntervalMs: 300_000,
  answerIntervalMs: 60_000,
  maxAsked: 250,
  maxGiven: 250,
}

/** One answer shows no more than this share of what is known, so that nobody reads off all of it at once. */
const givenShare = 0.23

/** In a small network there is nothing to hide, and everybody is to be found. */
const alwaysGiven = 16

/** A peer that was not seen for so long is not passed on. */
const maxGivenAgeMs = 7 * 24 * 3_600_000

/** What decides whether a known peer is passed on to others. */
export interface GivablePeer {
  readonly ip: PeerIp
  readonly port: number | undefined
  /** Banned here, or let go by the user. */
  readonly isUnwanted: boolean
  readonly isConnected: boolean
  readonly timesConnected: number
  /** The last dial since it was connected failed, for instance because it is of another network. */
  readonly hasFailed: boolean
  readonly seenUnixMs: number
}

/**
 * What is given to a partner: peers that were connected here and have not failed since, where they
 * listen, and as far as the partner can reach them; a random part of them, in random order (the share is
 * that of Bitcoin Core's `GetAddr`). Hearsay is never passed on.
 */
export function chooseGiven(
  known: Iterable<GivablePeer>,
  facts: {
    readonly partner: PeerIp
    readonly isPartner: (ip: PeerIp, port: number) => boolean
    readonly asked: number
    readonly isOwn: (ip: PeerIp, port: number) => boolean
    readonly nowUnixMs: number
    /** A number in [0, 1), afresh each time. */
    readonly dice: () => number
  },
  limits: PeerExchangeLimits,
): ToldPeer[] {
  const fit: ToldPeer[] = []
  for (const peer of known) {
    const { ip, port } = peer
    if (port === undefined || facts.isPartner(ip, port) || facts.isOwn(ip, port)) continue
    if (isGood(peer, facts.nowUnixMs) && mayTell(ip, facts.partner)) fit.push({ ip, port })
  }
  const share = Math.max(alwaysGiven, Math.ceil(fit.length * givenShare))
  const count = Math.min(fit.length, share, facts.asked, limits.maxGiven)
  // The first steps of a shuffle (Fisher and Yates).
  for (let index = 0; index < count; index++) {
    const other = index + Math.floor(facts.dice() * (fit.length - index))
    const [a, b] = [fit[index], fit[other]]
    if (a !== undefined && b !== undefined) {
      fit[index] = b
      fit[other] = a
    }
  }
  return fit.slice(0, count)
}

/**
 * What of a list that a partner told is worth knowing: addresses that he can speak of, each once, and
 * not our own. No more than `maxAsked` entries are looked at, however many there are.
 */
export function chooseHeard(
  told: readonly ToldPeer[],
  facts: {
    readonly partner: PeerIp
    readonly isOwn: (ip: PeerIp, port: number) => boolean
  },
  limits: PeerExchangeLimits,
): (ToldPeer & { readonly ip: PeerIp })[] {
  const heard = new Map<string, ToldPeer & { readonly ip: PeerIp }>()
  for (const { ip, port } of told.slice(0, limits.maxAsked)) {
    if (!(Number.isInteger(port) && port >= 1 && port <= 65_535)) continue
    // The codec makes addresses canonical.
    const known = ip as PeerIp
    const name = `${ip} ${port}`
    if (heard.has(name) || facts.isOwn(known, port) || !mayTell(known, facts.partner)) continue
    heard.set(name, { ip: known, port })
  }
  return [...heard.values()]
}

/**
 * Whether an address means the same host to us and to a partner: a public one always, a private one
 * among private ones, loopback on one machine. Unspecified, multicast, link-local and reserved
 * addresses mean nothing.
 */
export function mayTell(ip: PeerIp, partner: PeerIp): boolean {
  const reach = reachOf(ip)
  return reach === 'public' || (reach !== 'none' && reach === reachOf(partner))
}

type Reach = 'public' | 'private' | 'shared' | 'loopback' | 'none'

function reachOf(ip: PeerIp): Reach {
  const address = ipaddr.parse(ip)
  switch (address.range()) {
    case 'unicast':
      // Of IPv6 only 2000::/3 is given out (RFC 4291, IANA).
      return address.kind() === 'ipv4' || (address.toByteArray()[0] ?? 0) >> 5 === 1
        ? 'public'
        : 'none'
    case 'private':
    case 'uniqueLocal':
      return 'private'
    case 'carrierGradeNat':
      return 'shared'
    case 'loopback':
      return 'loopback'
    default:
      return 'none'
  }
}

function isGood(peer: GivablePeer, nowUnixMs: number): boolean {
  if (peer.isUnwanted || peer.timesConnected === 0) return false
  if (peer.isConnected) return true
  return !peer.hasFailed && nowUnixMs - peer.seenUnixMs <= maxGivenAgeMs
}
