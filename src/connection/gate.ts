import type { Clock } from '../contracts/clock.js'
import type { CloseReason } from '../contracts/close-reason.js'
import type { Random } from '../contracts/random.js'
import { isKeptIp, type PeerRegistry } from '../peer-registry.js'
import { RecentMap } from '../recent-map.js'
import { takeAccept, type AcceptBudget, type AcceptVerdict } from '../rules/accept-rate.js'
import { admitInbound, type Admission, type PendingInbound } from '../rules/admission.js'
import type { ConnectionId } from '../rules/election.js'
import { selectEviction, type EvictionCandidate } from '../rules/eviction.js'
import { subnetOf } from '../rules/ip-range.js'
import { scopeOf, type PeerIp } from '../rules/peer-ip.js'
import { judgeRoom } from '../rules/room.js'
import { toHex } from '../wire/binary.js'
import type { ConnectionManagerLimits } from './connection-options.js'
import type { Inbound, LinkTable } from './link-table.js'
import type { PeerConnection } from './peer-connection.js'

export type GateVerdict =
  | Exclude<Admission, { readonly kind: 'refuse' }>
  | { readonly kind: 'refuse'; readonly reason: CloseReason }
  /** Not a word is lost on it. */
  | { readonly kind: 'drop'; readonly reason: CloseReason }

/**
 * Addresses whose budgets are remembered. Whoever has more gains nothing by it: each has a whole budget of
 * its own anyway.
 */
const maxBudgets = 4_096

/** Newcomers that are in handshake although somebody would have to go for them. */
const maxEvicting = 8

export const evicted: CloseReason = {
  kind: 'evicted',
  by: 'us',
  text: 'made room for another inbound connection',
}

/** Who comes in: before a byte is read, when its HELLO is valid, and when it is established. */
export class Gate {
  readonly #registry: PeerRegistry
  readonly #clock: Clock
  readonly #limits: ConnectionManagerLimits
  readonly #evictsInbound: boolean
  /** No newcomer can foresee whom it protects. */
  readonly #salt: string
  readonly #budgets = new RecentMap<string, AcceptBudget>(maxBudgets)
  readonly #evicting = new Set<ConnectionId>()

  constructor(options: {
    readonly registry: PeerRegistry
    readonly clock: Clock
    readonly random: Random
    readonly limits: ConnectionManagerLimits
    readonly evictsInbound: boolean
  }) {
    this.#registry = options.registry
    this.#clock = options.clock
    this.#limits = options.limits
    this.#evictsInbound = options.evictsInbound
    this.#salt = options.evictsInbound ? toHex(options.random.bytes(16)) : ''
  }

  /**
   * A connection came, and nothing was read from it. `pending` gives the others that are in handshake; it is
   * not asked when the address is over its rate, so that a flood from one address costs next to nothing.
   */
  judgeNew(
    ip: PeerIp,
    pending: () => readonly (PendingInbound & { readonly ip: PeerIp })[],
  ): GateVerdict {
    const rate = this.#takeAccept(ip)
    if (rate.kind !== 'admit' && !this.#mayReserve(ip)) {
      const text = 'too many connections from this address'
      if (rate.kind === 'drop') return { kind: 'drop', reason: { kind: 'busy', by: 'us', text } }
      const { retryAfterMs } = rate
      return { kind: 'refuse', reason: { kind: 'busy', by: 'us', text, retryAfterMs } }
    }
    if (!this.#registry.isWelcome(ip)) {
      return { kind: 'refuse', reason: { kind: 'banned', by: 'us' } }
    }
    // Reserved peers have handshakes of their own: strangers cannot take them all.
    const isReserved = this.#mayReserve(ip)
    const rivals = pending().filter((other) => this.#mayReserve(other.ip) === isReserved)
    const admission = admitInbound(rivals, ip, this.#limits)
    return admission.kind === 'refuse' ? { kind: 'refuse', reason: tooManyHandshakes } : admission
  }

  /**
   * A connection said a valid HELLO: why there is no room for it, or undefined. Others count that are
   * established, or have said a valid HELLO as well.
   */
  judgeRoom({ entry, connection }: Inbound, table: LinkTable): CloseReason | undefined {
    const { isKeptByAnyName: isKept, isConnected, ip } = entry
    const isAllowed = this.#registry.access.isAllowed(ip)
    const { inAll: inbound, inSubnet: neighbours } = table.inboundBeside(entry, ip)
    const inSubnet = scopeOf(ip) === 'public' ? neighbours : 0
    const facts = { isKept, isConnected, isAllowed, inbound, inSubnet }
    const verdict = judgeRoom(facts, this.#limits)
    if (verdict === 'admit') return undefined
    if (verdict === 'full' && !isAllowed && this.#mayEvictFor(ip, table)) {
      this.#evicting.add(connection.connectionId)
      return undefined
    }
    const retryAfterMs = this.#limits.busyRetryMs
    const text =
      verdict === 'full'
        ? 'no room for another inbound connection'
        : 'no room for another inbound connection from this subnet'
    return { kind: 'busy', by: 'us', text, retryAfterMs }
  }

  /**
   * A connection was established. Who has to go for it, of the established inbound ones; undefined when
   * nobody has to. It goes itself when nobody else may any more.
   */
  established(connection: PeerConnection, table: LinkTable): PeerConnection | undefined {
    if (!this.#evicting.delete(connection.connectionId)) return undefined
    const inbound = table.establishedInbound()
    if (inbound.length <= this.#limits.maxInbound) return undefined
    const others = inbound.filter((other) => other.connection !== connection)
    const id = this.#evictable(connection.ip, others)
    return others.find((other) => other.connection.connectionId === id)?.connection ?? connection
  }

  ended(id: ConnectionId): void {
    this.#evicting.delete(id)
  }

  #mayEvictFor(ip: PeerIp, table: LinkTable): boolean {
    if (!this.#evictsInbound || this.#evicting.size >= maxEvicting) return false
    return this.#evictable(ip, table.establishedInbound()) !== undefined
  }

  #evictable(ip: PeerIp, established: readonly Inbound[]): ConnectionId | undefined {
    const candidates = established.map((inbound) => this.#candidate(inbound))
    return selectEviction(candidates, { subnet: subnetOf(ip, this.#limits) }, this.#salt)
  }

  #candidate({ entry, connection }: Inbound): EvictionCandidate {
    return {
      id: connection.connectionId,
      subnet: subnetOf(entry.ip, this.#limits),
      roundTripMs: connection.roundTrip.minMs,
      establishedAtMs: connection.establishedAtMs,
      usefulAtMs: connection.usefulAtMs,
      isReserved: entry.isKeptByAnyName || this.#registry.access.isAllowed(entry.ip),
    }
  }

  #mayReserve(ip: PeerIp): boolean {
    return this.#registry.access.isAllowed(ip) || isKeptIp(this.#registry, ip)
  }

  /** One operator has a whole /64 of IPv6, and this machine itself is no stranger. */
  #takeAccept(ip: PeerIp): AcceptVerdict {
    if (scopeOf(ip) === 'loopback') return { kind: 'admit' }
    const key = ip.includes(':') ? subnetOf(ip, this.#limits) : ip
    const { verdict, budget } = takeAccept(this.#budgets.get(key), this.#clock.now(), this.#limits)
    this.#budgets.set(key, budget)
    return verdict
  }
}

export const tooManyHandshakes: CloseReason = {
  kind: 'busy',
  by: 'us',
  text: 'too many handshakes are under way',
}
