import { createServer, type Server, type Socket } from 'node:net'
import type { Endpoint, Listener } from '../contracts/transport.js'
import { HoldfastError } from '../errors.js'
import { formatEndpoint } from '../rules/peer-ip.js'
import { canonicalHost } from './dial-address.js'

/** Bytes that a socket buffers above the system's own buffers before `write` returns false. */
export const socketBufferBytes = 65_536

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use',
  EACCES: 'not permitted',
  EADDRNOTAVAIL: 'no such address on this machine',
  EAFNOSUPPORT: 'no such kind of address on this machine',
}

/** Listens until the listener is closed. Rejects with HoldfastError LISTEN_FAILED. */
export async function listenOnTcp(
  wanted: Endpoint,
  onSocket: (socket: Socket) => void,
): Promise<Listener> {
  const options = { noDelay: true, keepAlive: false, highWaterMark: socketBufferBytes }
  const server = createServer(options, onSocket)
  try {
    await startListening(server, wanted)
  } catch (cause) {
    throw new HoldfastError('LISTEN_FAILED', describeFailure(wanted, cause), { cause })
  }
  // A failed accept (too many open files) costs one socket; the next one may work again.
  server.on('error', () => undefined)
  return { endpoints: endpointsOf(server), close: () => stopListening(server) }
}

function startListening(server: Server, { host, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject)
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

function endpointsOf(server: Server): Endpoint[] {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return []
  return [{ host: canonicalHost(bound.address) ?? bound.address, port: bound.port }]
}

function describeFailure(wanted: Endpoint, cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  const reason = reasons[code]
  const text = reason === undefined ? code : `${reason} (${code})`
  return `cannot listen on ${formatEndpoint(wanted)}: ${text}`
}
