import ipaddr from 'ipaddr.js'
import { HoldfastError } from '../errors.js'

declare const peerIpBrand: unique symbol

/**
 * A peer's identity: an IP address in its one canonical form. IPv4-mapped IPv6 is IPv4, IPv6 is as in
 * RFC 5952, there is no zone. Two of them are equal exactly when `===` says so. Only this file makes them.
 */
export type PeerIp = string & { readonly [peerIpBrand]: true }

/** An address as users and configurations write it, taken apart. */
export interface PeerAddress {
  readonly ip: PeerIp
  /** What a dial uses as host: the IP with its zone, if it had one. */
  readonly host: string
  readonly port: number | undefined
}

/** Addresses longer than this are refused unread: the longest IPv6 literal with zone, brackets and port. */
const maxAddressLength = 100

/** Names of network interfaces, and their numbers. */
const zonePattern = /^[\w.~@+-]+$/

/**
 * Reads `1.2.3.4`, `1.2.3.4:24100`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:24100` and
 * `::ffff:1.2.3.4`, each with an optional IPv6 zone. Throws HoldfastError INVALID_ADDRESS for all else:
 * host names, octal or short IPv4, ports outside 1 to 65,535 or with leading zeros.
 */
export function parsePeerAddress(text: string): PeerAddress {
  const address = tryParsePeerAddress(text)
  if (address === undefined) {
    throw new HoldfastError(
      'INVALID_ADDRESS',
      `not an IP address, or IP and port (1.2.3.4, 1.2.3.4:24100, 2001:db8::1, [2001:db8::1]:24100): ${quoteAddress(text)}`,
    )
  }
  return address
}

/** As parsePeerAddress, for a bare IP. */
export function parsePeerIp(text: string): PeerIp {
  const parsed = typeof text === 'string' ? parseHost(text) : undefined
  if (parsed === undefined)
    throw new HoldfastError('INVALID_ADDRESS', `not an IP address: ${quoteAddress(text)}`)
  return parsed.ip
}

/** The canonical form, or undefined for what is not an IP. */
export function tryParsePeerIp(text: unknown): PeerIp | undefined {
  return typeof text === 'string' ? parseHost(text)?.ip : undefined
}

export function tryParsePeerAddress(text: unknown): PeerAddress | undefined {
  if (typeof text !== 'string' || text.length > maxAddressLength) return undefined
  const bracketed = /^\[([^\]]+)\](?::([1-9]\d{0,4}))?$/.exec(text)
  if (bracketed !== null) {
    const [, host = '', port] = bracketed
    return host.includes(':') ? withPort(parseHost(host), port) : undefined
  }
  const bare = parseHost(text)
  if (bare !== undefined) return { ...bare, port: undefined }
  const ipv4 = /^([\d.]+):([1-9]\d{0,4})$/.exec(text)
  return ipv4 === null ? undefined : withPort(parseHost(ipv4[1] ?? ''), ipv4[2])
}

/** `1.2.3.4:24100` or `[2001:db8::1]:24100`. */
export function formatEndpoint(endpoint: { readonly host: string; readonly port: number }): string {
  return endpoint.host.includes(':')
    ? `[${endpoint.host}]:${endpoint.port}`
    : `${endpoint.host}:${endpoint.port}`
}

/**
 * The one order of peers: negative when `a` is lower. Numeric and total: IPv4 before IPv6, then byte by
 * byte. Both the election and the question who dials first use it and nothing else.
 */
export function comparePeerIps(a: PeerIp, b: PeerIp): number {
  if (a === b) return 0
  const aBytes = bytesOf(a)
  const bBytes = bytesOf(b)
  if (aBytes.length !== bBytes.length) return aBytes.length - bBytes.length
  for (const [index, byte] of aBytes.entries()) {
    const difference = byte - (bBytes[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** How far an address reaches: what can be said of who can dial it. */
export type IpScope = 'unspecified' | 'loopback' | 'private' | 'public'

/** Everything that is not reachable from the public internet counts as private, but for loopback. */
export function scopeOf(ip: PeerIp): IpScope {
  switch (ipaddr.parse(ip).range()) {
    case 'unspecified':
      return 'unspecified'
    case 'loopback':
      return 'loopback'
    case 'unicast':
      return 'public'
    default:
      return 'private'
  }
}

/** The 4 or 16 bytes of an address. */
export function peerIpBytes(ip: string): Uint8Array {
  return Uint8Array.from(ipaddr.parse(ip).toByteArray())
}

/** The address of 4 or 16 bytes, IPv4-mapped IPv6 as IPv4; undefined for another number of them. */
export function peerIpFromBytes(bytes: Uint8Array): PeerIp | undefined {
  if (bytes.length !== 4 && bytes.length !== 16) return undefined
  return parseHost(ipaddr.fromByteArray([...bytes]).toString())?.ip
}

function withPort(
  parsed: Pick<PeerAddress, 'ip' | 'host'> | undefined,
  port: string | undefined,
): PeerAddress | undefined {
  if (parsed === undefined) return undefined
  if (port === undefined) return { ...parsed, port: undefined }
  const number = Number(port)
  return number <= 65_535 ? { ...parsed, port: number } : undefined
}

function parseHost(text: string): Pick<PeerAddress, 'ip' | 'host'> | undefined {
  if (text.length > maxAddressLength) return undefined
  if (!text.includes(':')) {
    if (!ipaddr.IPv4.isValidFourPartDecimal(text)) return undefined
    const ip = ipaddr.IPv4.parse(text).toString() as PeerIp
    return { ip, host: ip }
  }
  const [literal = '', zone, ...rest] = text.split('%')
  if (rest.length > 0 || (zone !== undefined && !zonePattern.test(zone))) return undefined
  const groups = withoutDottedTail(literal)
  if (groups === undefined || !ipaddr.IPv6.isValid(groups)) return undefined
  const address = ipaddr.IPv6.parse(groups)
  if (address.isIPv4MappedAddress()) {
    const ip = address.toIPv4Address().toString() as PeerIp
    return { ip, host: ip }
  }
  const ip = address.toRFC5952String() as PeerIp
  return { ip, host: zone === undefined ? ip : `${ip}%${zone}` }
}

/**
 * An IPv6 literal whose dotted end, if it has one, is written as two groups: ipaddr.js would read octal
 * and hexadecimal numbers there, and would take `::1.2.3.4` for the mapped form of 1.2.3.4.
 */
function withoutDottedTail(literal: string): string | undefined {
  if (!literal.includes('.')) return literal
  const start = literal.lastIndexOf(':') + 1
  const tail = literal.slice(start)
  if (!ipaddr.IPv4.isValidFourPartDecimal(tail)) return undefined
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv4.parse(tail).octets
  return `${literal.slice(0, start)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}

function bytesOf(ip: PeerIp): number[] {
  return ipaddr.parse(ip).toByteArray()
}

/** A text that is no address, short enough for an error message. */
export function quoteAddress(text: unknown): string {
  const shown = String(text)
  return JSON.stringify(
    shown.length > maxAddressLength ? `${shown.slice(0, maxAddressLength)}…` : shown,
  )
}
