import { HoldfastError } from '../errors.js'
import { quoteAddress, tryParsePeerAddress, type PeerAddress } from './peer-ip.js'

/** A host name as users write it, with the port of those who are there. */
export interface HostName {
  /** What a transport resolves: lower case. */
  readonly host: string
  readonly port: number | undefined
  /** `host` or `host:port`: the same name written twice is the same text. */
  readonly text: string
}

/** Whom a user means: one peer, or whoever is at a host name. */
export type NamedPeer =
  | { readonly kind: 'address'; readonly address: PeerAddress }
  | { readonly kind: 'name'; readonly name: HostName }

/** RFC 1123, section 2.1, and the underscore that container networks use. */
const labelPattern = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** A name that ends so is a number to many systems, and an address that nobody meant. */
const numberPattern = /^(?:\d+|0x[0-9a-f]*)$/

const maxHostNameLength = 253

/**
 * As parsePeerAddress, and takes `example.org` and `example.org:24100` as well. Names are ASCII: others
 * are written as `xn--…`. Throws HoldfastError INVALID_ADDRESS for all else.
 */
export function parseNamedPeer(text: string): NamedPeer {
  const address = tryParsePeerAddress(text)
  if (address !== undefined) return { kind: 'address', address }
  const name = typeof text === 'string' ? tryParseHostName(text) : undefined
  if (name !== undefined) return { kind: 'name', name }
  throw new HoldfastError(
    'INVALID_ADDRESS',
    `not an IP address or a host name, each with an optional port: ${quoteAddress(text)}`,
  )
}

function tryParseHostName(text: string): HostName | undefined {
  if (text.length > maxHostNameLength + 7) return undefined
  const [, written = '', digits] = /^([^:]+)(?::([1-9]\d{0,4}))?$/.exec(text) ?? []
  const host = written.toLowerCase()
  const port = digits === undefined ? undefined : Number(digits)
  if (host.length > maxHostNameLength || (port ?? 1) > 65_535) return undefined
  const labels = host.replace(/\.$/, '').split('.')
  if (!labels.every((label) => labelPattern.test(label))) return undefined
  if (numberPattern.test(labels.at(-1) ?? '')) return undefined
  return { host, port, text: port === undefined ? host : `${host}:${port}` }
}
