import type { HoldfastError } from '../errors.js'

/** One peer as it is remembered across restarts. Unknown things are left out. */
export interface PeerRecord {
  /** Its IP, with its zone where a dial needs one. */
  readonly host: string
  /** The port that somebody wrote down or told, and the one that the peer told of itself. */
  readonly port?: number
  readonly toldPort?: number
  /** How it became known: see PeerSource. */
  readonly source: string
  readonly firstSeenUnixMs: number
  readonly lastSeenUnixMs?: number
  readonly timesConnected: number
  readonly lastFailure?: { readonly text: string; readonly atUnixMs: number }
}

/** A ban as it is saved. */
export interface BanRecord {
  readonly ip: string
  readonly reason: string
  readonly sinceUnixMs: number
  readonly untilUnixMs: number
}

/** What a PeerRegistry knows, as plain data that JSON carries unchanged. */
export interface RegistrySnapshot {
  readonly version: 1
  readonly savedAtUnixMs: number
  readonly peers: readonly PeerRecord[]
  readonly bans: readonly BanRecord[]
}

/** What a PeerStore found. */
export interface LoadedPeers {
  /** What was saved last, or before that; undefined when there is nothing. It is checked when it is restored. */
  readonly snapshot: unknown
  /** What was there and could not be read: an error STORE_CORRUPT that says where it was put. */
  readonly damage?: HoldfastError
}

/**
 * Where the registry's knowledge outlives the process. It never stands in the node's way: what fails
 * here is reported and tried again, and the node goes on without it.
 */
export interface PeerStore {
  /**
   * Resolves with what was saved last, whole. What is damaged is reported in `damage` and set aside,
   * and an older whole one is returned where there is one. Rejects when nothing can be read for
   * another reason.
   */
  load(): Promise<LoadedPeers>

  /**
   * Stores a snapshot in place of the one before, all or nothing: after a crash at any moment `load`
   * finds this one or the one before. Never called again before it settled.
   */
  save(snapshot: RegistrySnapshot): Promise<void>
}
