import type { Ban } from '../rules/bans.js'
import type { PeerEntry, PeerFailure, PeerSource } from './peer-entry.js'

/** What is known of one peer, at the moment of asking. */
export interface PeerInfo {
  readonly key: string
  readonly ip: string
  /** Where it can be dialled, when that is known: never an ephemeral port. */
  readonly listeningPort: number | undefined
  readonly source: PeerSource
  readonly isKept: boolean
  readonly isConnected: boolean
  /** Not banned, and somebody said where it listens: itself, a user, or other peers. */
  readonly isDialable: boolean
  readonly firstSeenUnixMs: number
  /** When a connection to it was last established or ended. */
  readonly lastSeenUnixMs: number | undefined
  readonly timesConnected: number
  /** Dials in a row that failed since this node started, and what the last one said. */
  readonly failures: number
  readonly lastFailure: PeerFailure | undefined
  readonly ban: Ban | undefined
}

/** Which peers are meant: those of whom everything that is given is true. */
export interface PeerFilter {
  readonly isConnected?: boolean
  readonly isKept?: boolean
  readonly isBanned?: boolean
  readonly isDialable?: boolean
}

/** What came of a snapshot. */
export interface RestoreResult {
  readonly peers: number
  readonly bans: number
  /** Entries that made no sense. */
  readonly damaged: number
  /** Peers for whom there was no room. */
  readonly withoutRoom: number
}

/** What changed, for those who look after an entry or after all of them. */
export type RegistryChange =
  | { readonly kind: 'entry'; readonly entry: PeerEntry }
  /** A ban began or was lifted, whether its peer is known or not. */
  | { readonly kind: 'bans' }

export function infoOf(entry: PeerEntry, ban: Ban | undefined): PeerInfo {
  return {
    key: entry.key,
    ip: entry.ip,
    listeningPort: entry.listeningPort,
    source: entry.source,
    isKept: entry.isKept,
    isConnected: entry.isConnected,
    isDialable: entry.isDialable && ban === undefined,
    firstSeenUnixMs: entry.firstSeenUnixMs,
    lastSeenUnixMs: entry.lastSeenUnixMs,
    timesConnected: entry.timesConnected,
    failures: entry.failures,
    lastFailure: entry.lastFailure,
    ban,
  }
}

export function isMeant(peer: PeerInfo, filter: PeerFilter): boolean {
  const { isConnected, isKept, isBanned, isDialable } = filter
  return (
    (isConnected ?? peer.isConnected) === peer.isConnected &&
    (isKept ?? peer.isKept) === peer.isKept &&
    (isBanned === undefined || isBanned === (peer.ban !== undefined)) &&
    (isDialable ?? peer.isDialable) === peer.isDialable
  )
}
