import { Socket, isIPv6 } from 'node:net'
import type { Connection, Endpoint, Listener, Transport } from '../contracts/transport.js'
import { canonicalHost, checkPort, dialAddress } from './dial-address.js'
import { connectionFromDuplex } from './duplex.js'
import { listenOnTcp, socketBufferBytes } from './tcp-listener.js'

export { connectionFromDuplex } from './duplex.js'
export type { DuplexEndpoints } from './duplex.js'

export interface TcpTransportOptions {
  /**
   * The address to listen on: an IP literal; `0.0.0.0` is every IPv4 address, `::` every address of
   * both kinds. Without it the transport can only dial.
   */
  readonly host?: string

  /** The port to listen on; 0 is any free one. Default 24100. */
  readonly port?: number

  /** Default: true when there is a `host`. With false the transport can only dial. */
  readonly listen?: boolean

  /**
   * The address that dials come from: an IP literal. Default: `host`, where that is one address of this
   * machine, so that peers see one IP in both directions; otherwise the system chooses. It binds only
   * dials to addresses of its own kind, IPv4 or IPv6.
   */
  readonly localAddress?: string

  /** The port of an address that names none. Default: `port`, or 24100 where that is 0. */
  readonly defaultPort?: number
}

const standardPort = 24_100

/**
 * TCP over IPv4 and IPv6, with Nagle's algorithm and keep-alive off: the library's own pings are what
 * finds a dead peer. Addresses are reported in canonical form: a peer that an IPv6 socket shows as
 * `::ffff:203.0.113.5` is `203.0.113.5`.
 *
 * Throws TypeError for a host that is not an IP literal and RangeError for a port outside its range.
 * `dial` rejects in the same way for an address that cannot be dialled, and with the system's error
 * (`code` ECONNREFUSED, ETIMEDOUT and so on) when the connection fails.
 */
export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  const host = options.host === undefined ? undefined : checkHost('host', options.host)
  const port = checkPort('port', options.port ?? standardPort)
  const localAddress = options.localAddress ?? (isOneAddress(host) ? host : undefined)
  const transport: Transport = {
    name: 'tcp',
    defaultPort: checkPort('defaultPort', options.defaultPort ?? (port || standardPort)),
    dial: dialFrom(
      localAddress === undefined ? undefined : checkHost('localAddress', localAddress),
    ),
  }
  if (!(options.listen ?? host !== undefined)) return transport
  if (host === undefined) throw new TypeError('listen needs a host')
  return {
    ...transport,
    listen: (onConnection: (connection: Connection) => void): Promise<Listener> =>
      listenOnTcp({ host, port }, (socket) => {
        // One that is gone before it was looked at has no address any more.
        if (socket.remoteAddress === undefined) socket.destroy()
        else onConnection(connectionFromSocket(socket))
      }),
  }
}

/**
 * A connected socket of yours as a connection, for instance to hand it to `ConnectionManager.accept`.
 * The socket belongs to the connection from now on. Throws TypeError when it is not connected.
 */
export function connectionFromSocket(socket: Socket): Connection {
  const remote = endpoint(socket.remoteAddress, socket.remotePort)
  if (remote === undefined) throw new TypeError('the socket must be connected')
  socket.setNoDelay(true)
  return connectionFromDuplex(socket, {
    local: endpoint(socket.localAddress, socket.localPort),
    remote,
  })
}

function dialFrom(localAddress: string | undefined): Transport['dial'] {
  return async (address, { signal }) => {
    const { host, port } = dialAddress(address)
    signal.throwIfAborted()
    const isBound = localAddress !== undefined && isIPv6(localAddress) === isIPv6(host)
    return connect({ host, port, ...(isBound ? { localAddress } : {}) }, signal)
  }
}

function connect(
  to: Endpoint & { readonly localAddress?: string },
  signal: AbortSignal,
): Promise<Connection> {
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
      if (isConnectedToItself(socket)) fail(new Error('the socket connected to itself'))
      else settle(() => resolve(connectionFromSocket(socket)))
    })
    socket.connect({ ...to, noDelay: true, keepAlive: false })
  })
}

/** The types of Node.js leave out that a socket takes the options of streams. */
function createSocket(): Socket {
  const options = { allowHalfOpen: false, highWaterMark: socketBufferBytes }
  return new Socket(options)
}

/** A dial to a free port of this machine can be given that very port to come from, and meet itself. */
function isConnectedToItself(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress
}

function endpoint(address: string | undefined, port: number | undefined): Endpoint | undefined {
  const host = canonicalHost(address)
  return host === undefined || port === undefined ? undefined : { host, port }
}

function checkHost(name: string, value: string): string {
  const host = canonicalHost(value)
  if (host === undefined) {
    throw new TypeError(`${name} must be an IP literal, not ${JSON.stringify(value)}`)
  }
  return host
}

function isOneAddress(host: string | undefined): boolean {
  return host !== '0.0.0.0' && host !== '::'
}
