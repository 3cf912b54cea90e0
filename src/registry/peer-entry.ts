import type { PeerRecord } from '../contracts/peer-store.js'
import type { KnownPorts } from '../rules/dial-port.js'
import { initialDialState, type DialState } from '../rules/dial-policy.js'
import type { PeerAddress, PeerIp } from '../rules/peer-ip.js'
import { Slot } from '../slot.js'

/**
 * How a peer became known: by a user's `keep`, `add` or `connect`, because it came by itself, or because
 * other peers told of it.
 */
export type PeerSource = (typeof peerSources)[number]

export const peerSources = ['kept', 'added', 'connect', 'inbound', 'exchange'] as const

/** Why a dial of a peer came to nothing, and when. */
export interface PeerFailure {
  readonly text: string
  readonly atUnixMs: number
}

/** Of most entries: there may be very many, and a list of their own costs each more than all else. */
const none: readonly never[] = []

function without<Item>(list: readonly Item[], item: Item): readonly Item[] {
  const rest = list.filter((other) => other !== item)
  return rest.length === 0 ? none : rest
}

/** A peer's entry, with what ConnectionManager keeps there. */
export class PeerEntry {
  readonly key: string
  readonly ip: PeerIp
  readonly slot: Slot
  firstSeenUnixMs: number
  /** What a dial uses: the IP with its zone. */
  host: string
  /** A port that somebody wrote down, and the one that the peer told in its HELLO, which wins. */
  configuredPort: number | undefined
  toldPort: number | undefined
  /** Ports that users who wait for it have named, and that were not tried yet. */
  askedPorts: readonly number[] = none
  source: PeerSource
  /** The user keeps this address. */
  isKeptItself = false
  /** The kept host names that stand for it. */
  keptBy: readonly string[] = none
  /** The user sent it away or let it go: no automatic dial until he wants it again. */
  isDialPaused = false
  /** Somebody is in a hurry for it: its dials go before those of others until it is connected. */
  isHurried = false
  dial: DialState = initialDialState
  lastSeenUnixMs: number | undefined
  timesConnected = 0
  /** The last dial that failed since it was last connected. */
  lastFailure: PeerFailure | undefined
  /** It made room for another one: it is not dialled, and another entry may stand for its peer. */
  isForgotten = false
  /** The peer that answers when this address is dialled, where it goes by another key. */
  leadsTo: PeerEntry | undefined
  /** The entries that lead here: other ports at which this peer is dialled. */
  detours: readonly PeerEntry[] = none

  constructor(key: string, address: PeerAddress, source: PeerSource, unixMs: number) {
    this.key = key
    this.ip = address.ip
    this.host = address.host
    this.configuredPort = address.port
    this.source = source
    this.slot = new Slot(this.key)
    this.firstSeenUnixMs = unixMs
  }

  /**
   * Takes what was saved of it, as far as nothing newer is known. Failures and pauses are not saved: how
   * it stood before a restart keeps nobody from being dialled.
   */
  recall(record: PeerRecord): void {
    this.configuredPort ??= record.port
    this.toldPort ??= record.toldPort
    this.firstSeenUnixMs = Math.min(this.firstSeenUnixMs, record.firstSeenUnixMs)
    const lastSeenUnixMs = Math.max(this.lastSeenUnixMs ?? 0, record.lastSeenUnixMs ?? 0)
    if (lastSeenUnixMs > 0) this.lastSeenUnixMs = lastSeenUnixMs
    this.timesConnected = Math.max(this.timesConnected, record.timesConnected)
    if (!this.isConnected) this.lastFailure ??= record.lastFailure
  }

  get isConnected(): boolean {
    return this.slot.state.incumbent !== null
  }

  /** It has a connection, or something is on its way to one. */
  get isOpen(): boolean {
    return this.isConnected || this.slot.state.candidates.length > 0
  }

  /** Known only from what other peers said. */
  get isHearsay(): boolean {
    return this.source === 'exchange' && this.timesConnected === 0
  }

  /** Where it listens is known: an ephemeral port never counts. */
  get isDialable(): boolean {
    return this.listeningPort !== undefined || this.source !== 'inbound'
  }

  get listeningPort(): number | undefined {
    return this.toldPort ?? this.configuredPort
  }

  get ports(): KnownPorts {
    const { askedPorts: asked, toldPort: told, configuredPort: configured, failures } = this
    return { asked, told, configured, failures }
  }

  get failures(): number {
    return this.dial.failures
  }

  get seenUnixMs(): number {
    return this.lastSeenUnixMs ?? this.firstSeenUnixMs
  }

  get isKept(): boolean {
    return this.isKeptItself || this.keptBy.length > 0
  }

  /** Kept, by this or another name. */
  get isKeptByAnyName(): boolean {
    return this.isKept || this.detours.some((detour) => detour.isKept)
  }

  /** The peer behind this entry, and every entry that leads to it. The first one has its slot. */
  get names(): readonly PeerEntry[] {
    const peer = this.leadsTo ?? this
    return [peer, ...peer.detours]
  }

  /** A kept host name stands for it from now on, or no longer does. */
  keepBy(name: string, isKept: boolean): void {
    const others = without(this.keptBy, name)
    this.keptBy = isKept ? [...others, name] : others
  }

  /** A user who waits for it wants this port tried. */
  ask(port: number): void {
    if (!this.askedPorts.includes(port)) this.askedPorts = [...this.askedPorts, port]
  }

  /** Its address was dialled, and `peer` answered. */
  answeredBy(peer: PeerEntry): void {
    if (this.leadsTo !== undefined) this.leadsTo.detours = without(this.leadsTo.detours, this)
    this.leadsTo = peer === this ? undefined : peer
    if (this.leadsTo !== undefined) this.leadsTo.detours = [...this.leadsTo.detours, this]
  }
}
