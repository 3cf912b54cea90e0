import ipaddr from 'ipaddr.js'
import { tryParsePeerIp, type PeerIp } from './peer-ip.js'

/** Prefix lengths by which addresses count as neighbours. */
export interface SubnetBits {
  readonly subnetBitsIpv4: number
  readonly subnetBitsIpv6: number
}

/** The network in which `ip` lies, such as `203.0.113.0/24`: equal for neighbours and only for them. */
export function subnetOf(ip: PeerIp, bits: SubnetBits): string {
  return networkOf(ip, isIpv6(ip) ? bits.subnetBitsIpv6 : bits.subnetBitsIpv4)
}

/**
 * The canonical form of `203.0.113.0/24`, `2001:db8::/32`, `::ffff:203.0.113.0/120` or a single address;
 * undefined for anything else. Bits behind the prefix are cleared. A range is of IPv4 or of IPv6: what
 * is IPv4-mapped counts as IPv4, so `::/0` is all of IPv6 and nothing of IPv4.
 */
export function tryParseIpRange(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined
  const [address = '', prefix, ...rest] = text.split('/')
  const ip = address.includes('%') ? undefined : tryParsePeerIp(address)
  if (ip === undefined || rest.length > 0) return undefined
  const widest = isIpv6(ip) ? 128 : 32
  if (prefix === undefined) return networkOf(ip, widest)
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix)) return undefined
  const mappedBits = !isIpv6(ip) && address.includes(':') ? 96 : 0
  const bits = Number(prefix) - mappedBits
  return bits >= 0 && bits <= widest ? networkOf(ip, bits) : undefined
}

/** Ranges of addresses. The cost of a look-up grows with the different prefix lengths, not the ranges. */
export class IpRangeSet {
  readonly #ranges = new Set<string>()
  /** How many ranges there are of each prefix length. */
  readonly #lengths = { IPv4: new Map<number, number>(), IPv6: new Map<number, number>() }

  get list(): string[] {
    return [...this.#ranges]
  }

  /** `range` is in its canonical form. */
  add(range: string): void {
    if (this.#ranges.has(range)) return
    this.#ranges.add(range)
    this.#count(range, 1)
  }

  delete(range: string): boolean {
    if (!this.#ranges.delete(range)) return false
    this.#count(range, -1)
    return true
  }

  has(ip: PeerIp): boolean {
    const lengths = this.#lengths[isIpv6(ip) ? 'IPv6' : 'IPv4']
    for (const bits of lengths.keys()) if (this.#ranges.has(networkOf(ip, bits))) return true
    return false
  }

  #count(range: string, change: number): void {
    const lengths = this.#lengths[range.includes(':') ? 'IPv6' : 'IPv4']
    const bits = Number(range.slice(range.indexOf('/') + 1))
    const count = (lengths.get(bits) ?? 0) + change
    if (count === 0) lengths.delete(bits)
    else lengths.set(bits, count)
  }
}

function networkOf(ip: PeerIp, bits: number): string {
  const bytes = ipaddr.parse(ip).toByteArray()
  const masked = bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, bits - 8 * index))
    return byte & (0xff << (8 - kept)) & 0xff
  })
  const network = ipaddr.fromByteArray(masked)
  return `${network.kind() === 'ipv6' ? (network as ipaddr.IPv6).toRFC5952String() : network.toString()}/${bits}`
}

function isIpv6(ip: PeerIp): boolean {
  return ip.includes(':')
}
