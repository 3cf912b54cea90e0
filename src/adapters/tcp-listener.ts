import type { AddressInfo, Server } from 'node:net'
import type { Endpoint, Listener } from '../contracts/transport.js'
import { HoldfastError } from '../errors.js'
import { formatEndpoint } from '../rules/peer-ip.js'
import { canonicalHost } from './dial-address.js'

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use',
  EACCES: 'not permitted; ports below 1024 need a privilege',
  EADDRNOTAVAIL: 'no such address on this machine',
  EAFNOSUPPORT: 'no such kind of address on this machine',
}

/**
 * Listens on all of `wanted`, each with a server of its own, until the listener is closed. All or
 * nothing: rejects with HoldfastError LISTEN_FAILED that names the one that failed, and none is left.
 */
export async function listenOnTcp(
  wanted: readonly Endpoint[],
  createServer: () => Server,
): Promise<Listener> {
  const servers: Server[] = []
  try {
    for (const endpoint of wanted) {
      const server = createServer()
      await startListening(server, endpoint, isIpv6Only(endpoint, wanted))
      servers.push(server)
      // A failed accept (too many open files) costs one socket; the next one may work again.
      server.on('error', () => undefined)
    }
  } catch (error) {
    await Promise.all(servers.map(stopListening))
    throw error
  }
  return {
    endpoints: servers.map(endpointOf),
    close: async () => {
      await Promise.all(servers.map(stopListening))
    },
  }
}

/** `::` takes IPv4 too, unless somebody else is there for it. */
function isIpv6Only(endpoint: Endpoint, wanted: readonly Endpoint[]): boolean {
  return wanted.some((other) => !other.host.includes(':') && other.port === endpoint.port)
}

function startListening(server: Server, wanted: Endpoint, ipv6Only: boolean): Promise<void> {
  const { host, port } = wanted
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new HoldfastError('LISTEN_FAILED', describeFailure(wanted, cause), { cause }))
    })
    server.listen({ host, port, exclusive: true, ipv6Only }, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}

/** The server's own `close` event waits for every accepted socket; the port is free long before it. */
function stopListening(server: Server): Promise<void> {
  server.close()
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function endpointOf(server: Server): Endpoint {
  const { address, port } = server.address() as AddressInfo
  return { host: canonicalHost(address) ?? address, port }
}

function describeFailure(wanted: Endpoint, cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  const reason = reasons[code]
  const text = reason === undefined ? code : `${reason} (${code})`
  return `cannot listen on ${formatEndpoint(wanted)}: ${text}`
}
