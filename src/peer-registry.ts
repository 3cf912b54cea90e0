import { AccessLists } from './access-lists.js'
import type { Clock } from './contracts/clock.js'
import type { RegistrySnapshot } from './contracts/peer-store.js'
import { systemClock } from './defaults.js'
import { BanList } from './registry/ban-list.js'
import { Departed } from './registry/departed.js'
import { EvictionQueue } from './registry/eviction-queue.js'
import { PeerEntry, type PeerFailure, type PeerSource } from './registry/peer-entry.js'
import {
  infoOf,
  isMeant,
  type PeerFilter,
  type PeerInfo,
  type RegistryChange,
  type RestoreResult,
} from './registry/peer-info.js'
import {
  rankPeers,
  readSnapshot,
  takeSnapshot,
  type ReadPeer,
} from './registry/registry-snapshot.js'
import { ScoreBook } from './registry/score-book.js'
import type { Ban } from './rules/bans.js'
import { evictionRank, mayDisplace } from './rules/known-peers.js'
import { parsePeerAddress, parsePeerIp, type PeerAddress, type PeerIp } from './rules/peer-ip.js'
import { peerIdentities, peerKey, type PeerIdentity } from './rules/peer-key.js'

export type {
  Ban,
  PeerEntry,
  PeerFailure,
  PeerFilter,
  PeerIdentity,
  PeerInfo,
  PeerSource,
  RegistryChange,
  RestoreResult,
}

/** A user's word that a peer is to be dialled goes before how it was met. */
const isLasting = (source: PeerSource): boolean => source === 'kept' || source === 'added'

/** What a PeerRegistry goes by, and how much it may hold. */
export interface PeerRegistryOptions {
  readonly clock?: Clock
  /** Default 10,000. */
  readonly maxKnownPeers?: number
  /** When there is one more, the one that ends first makes room. Default 10,000. */
  readonly maxBans?: number
  /** What makes a peer the same peer. Default `ip`. All nodes of a network need not agree on it. */
  readonly identity?: PeerIdentity
  /** With `endpoint`: the port of an address that names none. Default 24100. */
  readonly defaultPort?: number
  /** IPs and CIDR ranges that are denied, and that are allowed: see AccessLists. */
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
}

let entriesOf: (registry: PeerRegistry) => ReadonlyMap<string, PeerEntry>
let ensureEntry: (
  registry: PeerRegistry,
  address: PeerAddress,
  source: PeerSource,
  /** Default: what the address says. */
  key?: string,
) => PeerEntry | undefined

/**
 * Every change of `isKept` goes through here, so that an IP is known as kept at once: `by` is the host
 * name for which the entry is kept, or undefined for the user's own wish.
 */
let setKept: (registry: PeerRegistry, entry: PeerEntry, isKept: boolean, by?: string) => void

/** A kept peer has this IP. */
let isKeptIp: (registry: PeerRegistry, ip: PeerIp) => boolean

/** The scores of peers that misbehaved: they are kept with what is known of peers. */
let scoresOf: (registry: PeerRegistry) => ScoreBook

/** The entry that an address or a key names. Throws HoldfastError INVALID_ADDRESS. */
let findEntry: (registry: PeerRegistry, name: string) => PeerEntry | undefined

/** Makes a peer known that other peers told of. Returns whether that is news. */
let hearOf: (registry: PeerRegistry, address: PeerAddress) => boolean

/** Tells `onChanged` of what users and other peers made known, of bans, and of what is forgotten. Returns how to end it. */
let watchRegistry: (
  registry: PeerRegistry,
  onChanged: (change: RegistryChange) => void,
) => () => void

/**
 * What is known of each peer, and its one slot. One IP is one peer, whatever the port or the notation;
 * with `identity: 'endpoint'` one IP and listening port is. Bans mean the IP in either case, since
 * anyone can tell any port.
 *
 * It holds at most `maxKnownPeers`. When it is full, somebody makes room who is neither kept nor
 * connected: hearsay that never connected before peers that a user named, these before peers that were
 * connected once, banned ones last; among equals the one with the most failed dials, then the one that
 * was seen least recently. (With more than 32 peers, that a peer may go sooner than before is seen at the
 * latest when a thirty-second of them have gone.) What other peers tell displaces only hearsay that was
 * dialled in vain. When nobody may go, the newcomer is not remembered. It dials nobody by itself: hand it to a
 * ConnectionManager.
 */
export class PeerRegistry {
  /** Who is denied, and who has reserved slots. Changes take effect at once. */
  readonly access: AccessLists
  readonly #clock: Clock
  readonly #maxKnownPeers: number
  readonly #defaultPort: number
  readonly identity: PeerIdentity
  readonly #entries = new Map<string, PeerEntry>()
  readonly #evictable = new EvictionQueue<PeerEntry>(this.#entries, (entry) => this.#rankOf(entry))
  /** How many kept entries each IP has. */
  readonly #keptIps = new Map<PeerIp, number>()
  readonly #bans: BanList
  readonly #scores = new ScoreBook()
  readonly #watchers = new Set<(change: RegistryChange) => void>()
  readonly #departed: Departed

  static {
    entriesOf = (registry) => registry.#entries
    scoresOf = (registry) => registry.#scores
    ensureEntry = (registry, address, source, key) => registry.#ensure(address, source, key)
    findEntry = (registry, name) => registry.#find(name)
    setKept = (registry, entry, isKept, by) => {
      const wasKept = entry.isKept
      if (by === undefined) entry.isKeptItself = isKept
      else entry.keepBy(by, isKept)
      if (entry.isKept === wasKept) return
      const count = (registry.#keptIps.get(entry.ip) ?? 0) + (entry.isKept ? 1 : -1)
      if (count > 0) registry.#keptIps.set(entry.ip, count)
      else registry.#keptIps.delete(entry.ip)
    }
    isKeptIp = (registry, ip) => registry.#keptIps.has(ip)
    hearOf = (registry, address) => registry.#hear(address)
    watchRegistry = (registry, onChanged) => {
      registry.#watchers.add(onChanged)
      return () => registry.#watchers.delete(onChanged)
    }
  }

  /** Throws RangeError that names the option when one is wrong. */
  constructor(options: PeerRegistryOptions = {}) {
    const { clock = systemClock, maxKnownPeers = 10_000, maxBans = 10_000 } = options
    const { identity = 'ip', defaultPort = 24_100 } = options
    for (const [name, value] of Object.entries({ maxKnownPeers, maxBans })) {
      if (!Number.isSafeInteger(value) || value < 1) {
        throw new RangeError(`${name} must be a whole number above 0, not ${value}`)
      }
    }
    if (!peerIdentities.includes(identity)) {
      throw new RangeError(`identity must be 'ip' or 'endpoint', not '${identity}'`)
    }
    if (!(Number.isInteger(defaultPort) && defaultPort >= 1 && defaultPort <= 65_535)) {
      throw new RangeError(`defaultPort must be 1 to 65535, not ${defaultPort}`)
    }
    this.access = new AccessLists(options, () => {
      for (const entry of [...this.#entries.values()]) this.#tell({ kind: 'entry', entry })
    })
    this.#clock = clock
    this.#maxKnownPeers = maxKnownPeers
    this.identity = identity
    this.#defaultPort = defaultPort
    this.#bans = new BanList(clock, maxBans)
    this.#departed = new Departed(clock, maxKnownPeers)
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
    this.#tell({ kind: 'entry', entry })
    return this.#info(entry)
  }

  /**
   * What is known of a peer, by its IP in any notation (with `identity: 'endpoint'`: IP and port) or by
   * its key. Throws HoldfastError INVALID_ADDRESS.
   */
  get(peer: string): PeerInfo | undefined {
    const entry = this.#find(peer)
    return entry === undefined ? undefined : this.#info(entry)
  }

  /** The known peers, or those that are meant by `filter`, in the order in which they became known. */
  list(filter: PeerFilter = {}): PeerInfo[] {
    const peers = Array.from(this.#entries.values(), (entry) => this.#info(entry))
    return peers.filter((peer) => isMeant(peer, filter))
  }

  /** Forgets a peer, but for its ban. Returns false for one that is not known, is kept, or is connected. */
  remove(peer: string): boolean {
    const entry = this.#find(peer)
    if (entry === undefined || entry.isKept || entry.isOpen) return false
    this.#forget(entry)
    return true
  }

  /**
   * Bans an IP for `durationMs` (a day by default, a year at most): it is neither dialled nor accepted,
   * and a connection to it is closed as `banned`. Another ban of the same IP takes the place of the
   * first; none becomes permanent. Throws HoldfastError INVALID_ADDRESS, and RangeError for a duration
   * out of range.
   */
  ban(ip: string, options: { readonly reason: string; readonly durationMs?: number }): void {
    const { reason, durationMs = 24 * 3_600_000 } = options
    if (typeof reason !== 'string') {
      throw new TypeError(`the reason of a ban must be a string, not ${typeof reason}`)
    }
    const parsed = parsePeerIp(ip)
    this.#bans.add(parsed, reason, durationMs)
    this.#banChanged(parsed)
  }

  /**
   * Ends a ban, by whatever rule it came, and forgets what brought it; none that was saved brings it back.
   * Returns whether there was one.
   */
  unban(ip: string): boolean {
    const parsed = parsePeerIp(ip)
    const wasBanned = this.#bans.lift(parsed)
    this.#scores.delete(parsed)
    this.#banChanged(parsed)
    return wasBanned
  }

  /** Whether an IP is banned now. Throws as `parsePeerIp`. */
  isBanned(ip: string): boolean {
    return this.#bans.of(parsePeerIp(ip)) !== undefined
  }

  /**
   * The one rule of who may be dialled, accepted or told of: who is neither banned nor denied. Throws
   * HoldfastError INVALID_ADDRESS.
   */
  isWelcome(ip: string): boolean {
    const parsed = parsePeerIp(ip)
    return this.#bans.of(parsed) === undefined && !this.access.isDenied(parsed)
  }

  /** The bans that hold, of known peers and others. */
  bans(): (Ban & { readonly ip: string })[] {
    return Array.from(this.#bans.all(), ([ip, ban]) => ({ ip, ...ban }))
  }

  /**
   * All that is worth remembering, as plain data that JSON carries unchanged. Whether a peer is kept is
   * configuration and no part of it.
   */
  snapshot(): RegistrySnapshot {
    return takeSnapshot(this.#entries.values(), this.#bans.all(), this.#clock.unixMs())
  }

  /**
   * Adds what a snapshot says to what is known. Newer knowledge stays, bans that were lifted stay
   * lifted, times in the future become now, and when there is not room for all, the last to make room
   * come first. Throws HoldfastError SNAPSHOT_INVALID for what is no snapshot, and has changed nothing
   * then; entries that make no sense are left out and counted.
   */
  restore(snapshot: unknown): RestoreResult {
    const { peers, bans, damaged } = readSnapshot(snapshot, this.#clock.unixMs())
    const restoredBans = bans.filter(({ ip, ban }) => this.#bans.restore(ip, ban))
    const bestFirst = rankPeers(peers, (ip) => this.#bans.of(ip) !== undefined)
    const restored = bestFirst.filter((peer) => this.#recall(peer))
    for (const { ip } of restoredBans) this.#banChanged(ip)
    return {
      peers: restored.length,
      bans: restoredBans.length,
      damaged,
      withoutRoom: peers.length - restored.length,
    }
  }

  /** Takes a peer that was saved, if it is known already or there is room without anybody's going. */
  #recall(peer: ReadPeer): boolean {
    const isEndpoint = this.identity === 'endpoint'
    const port = isEndpoint ? (peer.toldPort ?? peer.port) : undefined
    // Without a port it went by its process, which may be over.
    if (isEndpoint && port === undefined) return false
    const address = { ip: peer.ip, host: peer.host, port }
    const isKnown = this.#entries.has(this.#keyOf(address))
    if (!isKnown && this.#entries.size >= this.#maxKnownPeers) return false
    const entry = this.#ensure(address, peer.source)
    entry?.recall(peer)
    if (entry !== undefined) this.#tell({ kind: 'entry', entry })
    return entry !== undefined
  }

  /** With `identity: 'endpoint'`, several peers may be at one IP. */
  #banChanged(ip: PeerIp): void {
    this.#tell({ kind: 'bans' })
    for (const entry of [...this.#entries.values()]) {
      if (entry.ip === ip) this.#tell({ kind: 'entry', entry })
    }
  }

  #tell(change: RegistryChange): void {
    for (const onChanged of this.#watchers) onChanged(change)
  }

  #find(name: string): PeerEntry | undefined {
    return this.#entries.get(name) ?? this.#entries.get(this.#keyOf(parsePeerAddress(name)))
  }

  /** What an address says of who is there, before its HELLO has said it. */
  #keyOf({ ip, port = this.#defaultPort }: PeerAddress): string {
    return peerKey(this.identity, ip, { listeningPort: port })
  }

  #ensure(given: PeerAddress, source: PeerSource, key = this.#keyOf(given)): PeerEntry | undefined {
    // An endpoint is dialled at its own port, also where the address left it out.
    const isEndpoint = this.identity === 'endpoint' && source !== 'inbound'
    const address = isEndpoint ? { ...given, port: given.port ?? this.#defaultPort } : given
    const known = this.#entries.get(key)
    if (known !== undefined) {
      if (isLasting(source) && !isLasting(known.source)) known.source = source
      if (address.port !== undefined) {
        // What `connect` names is tried once, and written down when somebody answered there.
        if (source !== 'connect') known.configuredPort = address.port
        known.host = address.host
      }
      return known
    }
    if (!this.#hasRoomFor(source)) return undefined
    const entry = new PeerEntry(key, address, source, this.#clock.unixMs())
    this.#entries.set(entry.key, entry)
    this.#evictable.add(entry)
    return entry
  }

  /**
   * Hearsay changes nothing of a peer that is known, but that another port may be tried where nobody ever
   * answered. It brings back neither who is banned nor who made room a short while ago.
   */
  #hear(address: PeerAddress): boolean {
    const key = this.#keyOf(address)
    const known = this.#entries.get(key)
    if (known !== undefined) {
      const isFruitless = known.isHearsay && known.failures > 0 && !known.isOpen
      if (!isFruitless || known.configuredPort === address.port) return false
    }
    if (this.#bans.of(address.ip) !== undefined || this.#departed.has(key)) return false
    const entry = this.#ensure(address, 'exchange')
    if (entry !== undefined && known === undefined) this.#tell({ kind: 'entry', entry })
    return entry !== undefined && known === undefined
  }

  #hasRoomFor(source: PeerSource): boolean {
    if (this.#entries.size < this.#maxKnownPeers) return true
    const first = this.#evictable.first()
    const isHearsay = source === 'exchange'
    if (first === undefined || !mayDisplace({ isHearsay }, first.rank)) return false
    this.#forget(first.peer)
    return true
  }

  #rankOf(entry: PeerEntry): number {
    const { isKept, isOpen, isHearsay, timesConnected, failures, seenUnixMs } = entry
    const isBanned = this.#bans.of(entry.ip) !== undefined
    return evictionRank({
      isKept,
      isOpen,
      isHearsay,
      isBanned,
      timesConnected,
      failures,
      seenUnixMs,
    })
  }

  #forget(entry: PeerEntry): void {
    this.#entries.delete(entry.key)
    this.#evictable.delete(entry)
    entry.answeredBy(entry)
    entry.isForgotten = true
    this.#departed.add(entry.key)
    this.#tell({ kind: 'entry', entry })
  }

  #info(entry: PeerEntry): PeerInfo {
    return infoOf(entry, this.#bans.of(entry.ip))
  }
}

export { ensureEntry, entriesOf, findEntry, hearOf, isKeptIp, scoresOf, setKept, watchRegistry }
