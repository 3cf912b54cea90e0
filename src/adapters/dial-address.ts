import { formatEndpoint, tryParsePeerAddress } from '../rules/peer-ip.js'
import type { Endpoint } from '../contracts/transport.js'

/**
 * `address` as a dial takes it: the host in canonical form, with its zone. Throws TypeError when the
 * host is not an IP literal and RangeError when the port is not one that can be dialled.
 */
export function dialAddress(address: Endpoint): Endpoint {
  const host = canonicalHost(address.host)
  if (host === undefined) {
    throw new TypeError(
      `the host to dial must be an IP literal, not ${JSON.stringify(address.host)}`,
    )
  }
  if (!(Number.isInteger(address.port) && address.port >= 1 && address.port <= 65_535)) {
    throw new RangeError(`the port to dial must be 1 to 65535, not ${address.port}`)
  }
  return { host, port: address.port }
}

/** The canonical form of an IP literal, with its zone; undefined for what is none. */
export function canonicalHost(host: unknown): string | undefined {
  return typeof host === 'string' && !host.startsWith('[')
    ? withoutPort(tryParsePeerAddress(host))
    : undefined
}

/** Throws RangeError unless `port` is 0 to 65,535. */
export function checkPort(name: string, port: number): number {
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new RangeError(`${name} must be 0 to 65535, not ${String(port)}`)
}

/** An error such as the system's own, for what happens without a system. */
export function systemError(syscall: string, code: string, endpoint: Endpoint): Error {
  const error = new Error(`${syscall} ${code} ${formatEndpoint(endpoint)}`)
  return Object.assign(error, { code, syscall, address: endpoint.host, port: endpoint.port })
}

function withoutPort(parsed: ReturnType<typeof tryParsePeerAddress>): string | undefined {
  return parsed?.port === undefined ? parsed?.host : undefined
}
