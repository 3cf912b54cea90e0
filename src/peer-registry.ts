import type { Clock } from './contracts/clock.js'
import { systemClock } from './defaults.js'
import { PeerEntry, peerKey, type PeerSource } from './registry/peer-entry.js'
import { parsePeerAddress, parsePeerIp, type PeerAddress } from './rules/peer-ip.js'

export { peerKey, type PeerEntry, type PeerSource }

/** A user's word that a peer is to be dialled goes before how it was met. */
const isLasting = (source: PeerSource): boolean => source === 'kept' || source === 'added'

export interface Ban {
  readonly reason: string
  readonly untilUnixMs: number
}

/** What is known of one peer, at the moment of asking. */
export interface PeerInfo {
  readonly key: string
  readonly ip: string
  /** Where it can be dialled, when that is known: never an ephemeral port. */
  readonly listeningPort: number | undefined
  readonly source: PeerSource
  readonly isKept: boolean
  readonly isConnected: boolean
  readonly firstSeenUnixMs: number
  /** When a connection to it was last established or ended. */
  readonly lastSeenUnixMs: number | undefined
  readonly timesConnected: number
  /** Dials in a row that failed, and what the last one said. */
  readonly failures: number
  readonly lastFailure: string | undefined
  readonly ban: Ban | undefined
}

let entriesOf: (registry: PeerRegistry) => ReadonlyMap<string, PeerEntry>
let ensureEntry: (
  registry: PeerRegistry,
  address: PeerAddress,
  source: PeerSource,
) => PeerEntry | undefined

/** Tells `onChanged` of peers that users made known, banned or unbanned. Returns how to end it. */
let watchEntries: (registry: PeerRegistry, onChanged: (entry: PeerEntry) => void) => () => void

/**
 * What is known of each peer, and its one slot. One IP is one peer, whatever the port or the notation.
 *
 * It holds at most `maxKnownPeers`: when it is full, the peer that was seen least recently among those
 * that are neither kept, nor connected, nor banned makes room; when there is none, the newcomer is not
 * remembered. It dials nobody by itself: hand it to a ConnectionManager.
 */
export class PeerRegistry {
  readonly #clock: Clock
  readonly #maxKnownPeers: number
  readonly #entries = new Map<string, PeerEntry>()
  readonly #bans = new Map<string, Ban>()
  readonly #watchers = new Set<(entry: PeerEntry) => void>()

  static {
    entriesOf = (registry) => registry.#entries
    ensureEntry = (registry, address, source) => registry.#ensure(address, source)
    watchEntries = (registry, onChanged) => {
      registry.#watchers.add(onChanged)
      return () => registry.#watchers.delete(onChanged)
    }
  }

  constructor(options: { readonly clock?: Clock; readonly maxKnownPeers?: number } = {}) {
    this.#clock = options.clock ?? systemClock
    this.#maxKnownPeers = options.maxKnownPeers ?? 10_000
    if (!Number.isSafeInteger(this.#maxKnownPeers) || this.#maxKnownPeers < 1) {
      throw new RangeError(
        `maxKnownPeers must be a whole number above 0, not ${this.#maxKnownPeers}`,
      )
    }
  }

  /** How many peers are known. */
  get size(): number {
    return this.#entries.size
  }

  /**
   * Makes a peer known, so that it is dialled when there is room. Accepts what parsePeerAddress accepts
   * and throws HoldfastError INVALID_ADDRESS for anything else. Returns undefined when there is no room.
   */
  add(address: string): PeerInfo | undefined {
    const entry = this.#ensure(parsePeerAddress(address), 'added')
    if (entry === undefined) return undefined
    this.#changed(entry.key)
    return this.#info(entry)
  }

  /** What is known of a peer, by its IP in any notation. Throws HoldfastError INVALID_ADDRESS. */
  get(ip: string): PeerInfo | undefined {
    const entry = this.#entries.get(peerKey(parsePeerAddress(ip).ip))
    return entry === undefined ? undefined : this.#info(entry)
  }

  list(): PeerInfo[] {
    return Array.from(this.#entries.values(), (entry) => this.#info(entry))
  }

  /**
   * Bans an IP for `durationMs` (a day by default): it is neither dialled nor accepted, and
   * what is in handshake ends. An established connection goes on until `ConnectionManager.disconnect`.
   */
  ban(ip: string, options: { readonly reason: string; readonly durationMs?: number }): void {
    const durationMs = options.durationMs ?? 24 * 3_600_000
    if (!(durationMs > 0)) throw new RangeError(`durationMs must be above 0, not ${durationMs}`)
    const untilUnixMs = this.#clock.unixMs() + durationMs
    const key = peerKey(parsePeerIp(ip))
    this.#bans.set(key, { reason: options.reason, untilUnixMs })
    this.#changed(key)
  }

  /** Ends a ban. Returns whether there was one. */
  unban(ip: string): boolean {
    const key = peerKey(parsePeerIp(ip))
    const wasBanned = this.#bans.delete(key)
    this.#changed(key)
    return wasBanned
  }

  isBanned(ip: string): boolean {
    return this.#banOf(peerKey(parsePeerIp(ip))) !== undefined
  }

  #changed(key: string): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) for (const onChanged of this.#watchers) onChanged(entry)
  }

  #banOf(key: string): Ban | undefined {
    const ban = this.#bans.get(key)
    if (ban === undefined || ban.untilUnixMs > this.#clock.unixMs()) return ban
    this.#bans.delete(key)
    return undefined
  }

  #ensure(address: PeerAddress, source: PeerSource): PeerEntry | undefined {
    const known = this.#entries.get(peerKey(address.ip))
    if (known !== undefined) {
      if (isLasting(source) && !isLasting(known.source)) known.source = source
      if (address.port !== undefined) {
        known.configuredPort = address.port
        known.host = address.host
      }
      return known
    }
    if (this.#entries.size >= this.#maxKnownPeers && !this.#makeRoom()) return undefined
    const entry = new PeerEntry(address, source, this.#clock.unixMs())
    this.#entries.set(entry.key, entry)
    return entry
  }

  #makeRoom(): boolean {
    let oldest: PeerEntry | undefined
    for (const entry of this.#entries.values()) {
      if (!entry.isIdle || this.#bans.has(entry.key)) continue
      if (oldest === undefined || seenMs(entry) < seenMs(oldest)) oldest = entry
    }
    return oldest !== undefined && this.#entries.delete(oldest.key)
  }

  #info(entry: PeerEntry): PeerInfo {
    return {
      key: entry.key,
      ip: entry.ip,
      listeningPort: entry.toldPort ?? entry.configuredPort,
      source: entry.source,
      isKept: entry.isKept,
      isConnected: entry.isConnected,
      firstSeenUnixMs: entry.firstSeenUnixMs,
      lastSeenUnixMs: entry.lastSeenUnixMs,
      timesConnected: entry.timesConnected,
      failures: entry.dial.failures,
      lastFailure: entry.lastFailure,
      ban: this.#banOf(entry.key),
    }
  }
}

function seenMs(entry: PeerEntry): number {
  return entry.lastSeenUnixMs ?? entry.firstSeenUnixMs
}

export { ensureEntry, entriesOf, watchEntries }
