import { Socket } from 'node:net'
import type { Endpoint } from '../contracts/transport.js'
import { canonicalHost, dialAddress } from './dial-address.js'
import type { TcpSettings } from './tcp-options.js'

/** Bytes that a socket buffers above the system's own buffers before `write` returns false. */
export const socketBufferBytes = 65_536

/** A socket that is connected to `address`. Rejects as `Transport.dial` does; no socket is left then. */
export async function dialSocket(
  address: Endpoint,
  { localAddressFor }: TcpSettings,
  signal: AbortSignal,
): Promise<Socket> {
  const { host, port } = dialAddress(address)
  signal.throwIfAborted()
  const localAddress = localAddressFor(host)
  return connect({ host, port, ...(localAddress !== undefined && { localAddress }) }, signal)
}

/** Both ends of a connected socket in canonical form; undefined when it is not connected any more. */
export function endpointsOf(
  socket: Socket,
): { readonly local: Endpoint | undefined; readonly remote: Endpoint } | undefined {
  const remote = endpoint(socket.remoteAddress, socket.remotePort)
  return remote && { local: endpoint(socket.localAddress, socket.localPort), remote }
}

function connect(
  to: Endpoint & { readonly localAddress?: string },
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket()
    const settle = (outcome: () => void): void => {
      signal.removeEventListener('abort', abort)
      socket.removeAllListeners('connect').removeAllListeners('error')
      outcome()
    }
    const fail = (reason: unknown): void => {
      settle(() => {
        // Its own error has said all there is to say, and may not come twice.
        socket.on('error', () => undefined).destroy()
        reject(reason)
      })
    }
    const abort = (): void => {
      fail(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    socket.on('error', fail).on('connect', () => {
      if (socket.remoteAddress === undefined) fail(goneError())
      else if (isConnectedToItself(socket)) fail(new Error('the socket connected to itself'))
      else settle(() => resolve(socket))
    })
    socket.connect({ ...to, noDelay: true, keepAlive: false })
  })
}

/** The types of Node.js leave out that a socket takes the options of streams. */
function createSocket(): Socket {
  const options = { allowHalfOpen: false, highWaterMark: socketBufferBytes }
  return new Socket(options)
}

/** A reset can come after the connection was made and before we are told: the error of it is still to be read. */
function goneError(): Error {
  const error = new Error('the connection was reset as soon as it was made')
  return Object.assign(error, { code: 'ECONNRESET' })
}

/** A dial to a free port of this machine can be given that very port to come from, and meet itself. */
function isConnectedToItself(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress
}

function endpoint(address: string | undefined, port: number | undefined): Endpoint | undefined {
  const host = canonicalHost(address)
  return host === undefined || port === undefined ? undefined : { host, port }
}
