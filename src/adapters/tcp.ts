import { createServer, type Socket } from 'node:net'
import type { Connection, Transport } from '../contracts/transport.js'
import { connectionFromDuplex } from './duplex.js'
import { resolveHost } from './resolve-host.js'
import { listenOnTcp } from './tcp-listener.js'
import { checkTcpOptions, type TcpTransportOptions } from './tcp-options.js'
import { dialSocket, endpointsOf, socketBufferBytes } from './tcp-socket.js'

export { connectionFromDuplex } from './duplex.js'
export type { DuplexEndpoints } from './duplex.js'
export type { ListenAddress, TcpTransportOptions } from './tcp-options.js'

/**
 * TCP over IPv4 and IPv6, with Nagle's algorithm and keep-alive off: the library's own pings are what
 * finds a dead peer. Addresses are reported in canonical form: a peer that an IPv6 socket shows as
 * `::ffff:203.0.113.5` is `203.0.113.5`. Host names are looked up as the system does.
 *
 * Throws TypeError for a host that is not an IP literal and RangeError for a port outside its range.
 * `dial` rejects in the same way for an address that cannot be dialled, and with the system's error
 * (`code` ECONNREFUSED, ETIMEDOUT and so on) when the connection fails.
 */
export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  const settings = checkTcpOptions(options)
  const transport: Transport = {
    name: 'tcp',
    defaultPort: settings.defaultPort,
    dial: async (address, { signal }) =>
      connectionFromSocket(await dialSocket(address, settings, signal)),
    resolve: resolveHost,
  }
  if (settings.listen.length === 0) return transport
  return {
    ...transport,
    listen: (onConnection) =>
      listenOnTcp(settings.listen, () =>
        createServer({ noDelay: true, keepAlive: false, highWaterMark: socketBufferBytes }).on(
          'connection',
          (socket) => {
            // One that is gone before it was looked at has no address any more.
            if (socket.remoteAddress === undefined) socket.destroy()
            else onConnection(connectionFromSocket(socket))
          },
        ),
      ),
  }
}

/**
 * A connected socket of yours as a connection, for instance to hand it to `ConnectionManager.accept`.
 * The socket belongs to the connection from now on. Throws TypeError when it is not connected.
 */
export function connectionFromSocket(socket: Socket): Connection {
  const endpoints = endpointsOf(socket)
  if (endpoints === undefined) throw new TypeError('the socket must be connected')
  socket.setNoDelay(true)
  return connectionFromDuplex(socket, endpoints)
}
