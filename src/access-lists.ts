import { IpRangeSet, tryParseIpRange } from './rules/ip-range.js'
import type { PeerIp } from './rules/peer-ip.js'

/**
 * Ranges of addresses that are denied, and ranges that are allowed. A range is an IP or a CIDR block
 * (`203.0.113.0/24`, `2001:db8::/32`).
 *
 * Who is denied is neither accepted nor dialled. Who is allowed has reserved slots, and is free of the
 * limits per subnet and per time; and an allowed range goes before a denied one, so that denying
 * `0.0.0.0/0` and `::/0` lets in those that are allowed and nobody else. A ban of an IP counts in any
 * case. Changes take effect at once: a connection to a peer that is denied now is closed as `banned`.
 */
export class AccessLists {
  readonly #allowed = new IpRangeSet()
  readonly #denied = new IpRangeSet()
  readonly #onChanged: () => void

  /** Throws TypeError or RangeError that names the entry that is wrong. */
  constructor(
    lists: { readonly allow?: readonly string[]; readonly deny?: readonly string[] } = {},
    onChanged: () => void = () => undefined,
  ) {
    this.#onChanged = onChanged
    this.add(lists)
  }

  /** Adds to both lists at once, or to none. Throws TypeError or RangeError that names what is wrong. */
  add(lists: { readonly allow?: readonly string[]; readonly deny?: readonly string[] }): void {
    const allow = entries('allow', lists.allow)
    const deny = entries('deny', lists.deny)
    for (const range of allow) this.#allowed.add(range)
    for (const range of deny) this.#denied.add(range)
    if (allow.length + deny.length > 0) this.#onChanged()
  }

  /** In canonical form, in the order in which they came. */
  get allowed(): readonly string[] {
    return this.#allowed.list
  }

  /** The denied ranges, in canonical form. */
  get denied(): readonly string[] {
    return this.#denied.list
  }

  /** Throws RangeError for what is no range. */
  allow(range: string): void {
    this.add({ allow: [range] })
  }

  /** Throws RangeError for what is no range. */
  deny(range: string): void {
    this.add({ deny: [range] })
  }

  /** Takes exactly this range off both lists. Returns whether it was on one. Throws RangeError. */
  remove(range: string): boolean {
    const canonical = checkRange('range', range)
    const wasAllowed = this.#allowed.delete(canonical)
    const wasDenied = this.#denied.delete(canonical)
    if (wasAllowed || wasDenied) this.#onChanged()
    return wasAllowed || wasDenied
  }

  /** Whether a range that is allowed contains this IP. */
  isAllowed(ip: PeerIp): boolean {
    return this.#allowed.has(ip)
  }

  /** Whether this IP is in a range that is denied, and in none that is allowed. */
  isDenied(ip: PeerIp): boolean {
    return this.#denied.has(ip) && !this.#allowed.has(ip)
  }
}

function entries(name: string, list: readonly string[] | undefined): string[] {
  if (list === undefined) return []
  if (!Array.isArray(list)) throw new TypeError(`${name} must be an array of IPs and CIDR ranges`)
  return list.map((range) => checkRange(name, range))
}

function checkRange(name: string, text: unknown): string {
  const range = tryParseIpRange(text)
  if (range !== undefined) return range
  throw new RangeError(`${name}: not an IP or a CIDR range: ${JSON.stringify(String(text))}`)
}
