import type { Clock } from '../contracts/clock.js'
import { PriorityQueue } from '../priority-queue.js'
import { RecentMap } from '../recent-map.js'
import { banAt, maxBanMs, type Ban } from '../rules/bans.js'
import type { PeerIp } from '../rules/peer-ip.js'

/**
 * Who is banned, and until when. A ban belongs to the IP, whether the peer is known or not. It holds at
 * most `maxBans`: when it is full, the ban that ends first makes room.
 */
export class BanList {
  readonly #clock: Clock
  readonly #maxBans: number
  readonly #bans = new Map<PeerIp, Ban>()
  /** Each ban by its end. */
  readonly #ends = new PriorityQueue<PeerIp>()
  /** When a ban was lifted, so that what was saved before does not bring it back. */
  readonly #lifted: RecentMap<PeerIp, number>

  constructor(clock: Clock, maxBans: number) {
    this.#clock = clock
    this.#maxBans = maxBans
    this.#lifted = new RecentMap(maxBans)
  }

  /** Throws RangeError unless `durationMs` is above 0 and at most a year. */
  add(ip: PeerIp, reason: string, durationMs: number): void {
    if (!(durationMs > 0 && durationMs <= maxBanMs)) {
      throw new RangeError(
        `durationMs must be above 0 and at most 365 days (${maxBanMs}), not ${durationMs}`,
      )
    }
    const sinceUnixMs = this.#clock.unixMs()
    this.#remove(ip)
    this.#insert(ip, { reason, sinceUnixMs, untilUnixMs: sinceUnixMs + durationMs })
  }

  /** Takes a ban that was saved, unless it is over, was lifted since, or a longer one holds. */
  restore(ip: PeerIp, saved: Ban): boolean {
    const ban = banAt(saved, this.#clock.unixMs())
    if (ban === undefined || (this.#lifted.get(ip) ?? -1) >= saved.sinceUnixMs) return false
    if ((this.of(ip)?.untilUnixMs ?? -1) >= ban.untilUnixMs) return false
    this.#insert(ip, ban)
    return true
  }

  lift(ip: PeerIp): boolean {
    this.#lifted.set(ip, this.#clock.unixMs())
    return this.#remove(ip)
  }

  of(ip: PeerIp): Ban | undefined {
    const ban = this.#bans.get(ip)
    if (ban === undefined) return undefined
    const current = banAt(ban, this.#clock.unixMs())
    if (current === undefined) this.#remove(ip)
    else if (current !== ban) this.#put(ip, current)
    return current
  }

  /** Those that hold, by IP. */
  all(): Map<PeerIp, Ban> {
    const held = new Map<PeerIp, Ban>()
    for (const ip of [...this.#bans.keys()]) {
      const ban = this.of(ip)
      if (ban !== undefined) held.set(ip, ban)
    }
    return held
  }

  #insert(ip: PeerIp, ban: Ban): void {
    if (!this.#bans.has(ip) && this.#bans.size >= this.#maxBans) {
      const { first } = this.#ends
      if (first !== undefined) this.#remove(first)
    }
    this.#put(ip, ban)
  }

  #put(ip: PeerIp, ban: Ban): void {
    this.#bans.set(ip, ban)
    this.#ends.set(ip, ban.untilUnixMs)
  }

  #remove(ip: PeerIp): boolean {
    this.#ends.delete(ip)
    return this.#bans.delete(ip)
  }
}
