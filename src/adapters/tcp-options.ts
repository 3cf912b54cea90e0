import { isIPv6 } from 'node:net'
import type { Endpoint } from '../contracts/transport.js'
import { canonicalHost, checkPort } from './dial-address.js'

/** One of several addresses to listen on. */
export interface ListenAddress {
  /** An IP literal; `0.0.0.0` is every IPv4 address, `::` every address of both kinds. */
  readonly host: string
  /** 0 is any free one. Default: `port` of the transport. */
  readonly port?: number
}

/** Where a transport over TCP listens, and where its dials come from. */
export interface TcpTransportOptions {
  /**
   * The address to listen on: an IP literal; `0.0.0.0` is every IPv4 address, `::` every address of
   * both kinds. Without it, and without a list in `listen`, the transport can only dial.
   */
  readonly host?: string

  /** The port to listen on; 0 is any free one. Default 24100. */
  readonly port?: number

  /**
   * Several addresses to listen on, all of them or none; peers are told the port of the first. Or false:
   * the transport can only dial. Default: `host`, if there is one.
   */
  readonly listen?: boolean | readonly ListenAddress[]

  /**
   * The address that dials come from: an IP literal. Default: the listening address of the same kind,
   * IPv4 or IPv6, where that is one address of this machine, so that peers see one IP in both
   * directions; otherwise the system chooses. It binds only dials to addresses of its own kind.
   */
  readonly localAddress?: string

  /** The port of an address that names none. Default: the first listening port, or 24100 where that is 0. */
  readonly defaultPort?: number
}

/** The options of a transport over TCP, checked. */
export interface TcpSettings {
  /** Empty for a transport that only dials. */
  readonly listen: readonly Endpoint[]
  readonly defaultPort: number
  /** Where a dial to `host` comes from; undefined leaves it to the system. */
  readonly localAddressFor: (host: string) => string | undefined
}

const standardPort = 24_100

/** Addresses that one transport listens on. */
const maxListenAddresses = 64

/** Throws TypeError or RangeError that names what is wrong. */
export function checkTcpOptions(options: TcpTransportOptions): TcpSettings {
  const host = options.host === undefined ? undefined : checkHost('host', options.host)
  const port = checkPort('port', options.port ?? standardPort)
  const listen = listenAddresses(options.listen, host, port)
  const firstPort = listen[0]?.port ?? port
  const defaultPort = checkPort('defaultPort', options.defaultPort ?? (firstPort || standardPort))
  const local =
    options.localAddress === undefined
      ? [...listen.map((address) => address.host), ...(host === undefined ? [] : [host])]
      : [checkHost('localAddress', options.localAddress)]
  const bound = local.filter(isOneAddress)
  return {
    listen,
    defaultPort,
    localAddressFor: (to) => bound.find((address) => isIPv6(address) === isIPv6(to)),
  }
}

function listenAddresses(
  listen: TcpTransportOptions['listen'],
  host: string | undefined,
  port: number,
): readonly Endpoint[] {
  if (typeof listen === 'object') {
    if (!Array.isArray(listen)) throw new TypeError('listen must be a list of addresses or false')
    const addresses = listen as readonly ListenAddress[]
    if (host !== undefined) throw new TypeError('host and a list in listen do not go together')
    if (addresses.length === 0 || addresses.length > maxListenAddresses) {
      throw new RangeError(
        `listen must name 1 to ${maxListenAddresses} addresses, not ${addresses.length}`,
      )
    }
    return addresses.map((address, index) => ({
      host: checkHost(`listen[${index}].host`, address.host),
      port: checkPort(`listen[${index}].port`, address.port ?? port),
    }))
  }
  if (!(listen ?? host !== undefined)) return []
  if (host === undefined) throw new TypeError('listen needs a host')
  return [{ host, port }]
}

function checkHost(name: string, value: string): string {
  const host = canonicalHost(value)
  if (host === undefined) {
    throw new TypeError(`${name} must be an IP literal, not ${JSON.stringify(value)}`)
  }
  return host
}

function isOneAddress(host: string): boolean {
  return host !== '0.0.0.0' && host !== '::'
}
