import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Connection, Endpoint } from '../contracts/transport.js'
import { connectionFromDuplex } from './duplex.js'
import { accepted, failureOf, tlsError, verdictByte, verdictKind } from './tls-failure.js'
import { judgePeer, securityOf, type TlsTrust } from './tls-identity.js'

/** Names this use of TLS, so that another service is recognised as one (RFC 7301). */
export const alpnProtocol = 'holdfast/1'

/** How long the last word to a peer that is refused may take. */
const lastWordMs = 1_000

/**
 * Finishes a TLS handshake: each end looks at the other's certificate and tells its verdict in one byte.
 * In TLS 1.3 a client is done before the server has looked at its certificate: without the byte a
 * refusal would look like a broken connection. Resolves with the connection, which waits to be opened;
 * rejects with TLS_FAILED, and the socket is on its way out then.
 */
export async function exchangeVerdicts(
  socket: TLSSocket,
  facts: {
    readonly local: Endpoint | undefined
    readonly remote: Endpoint
    readonly isDialled: boolean
  },
  trust: TlsTrust,
): Promise<Connection> {
  const { local, remote, isDialled } = facts
  if (socket.alpnProtocol !== alpnProtocol) {
    socket.destroy()
    throw tlsError(remote, { kind: 'wrong-protocol', by: 'us' })
  }
  const x509 = socket.getPeerX509Certificate()
  const chainError = socket.authorized ? undefined : String(socket.authorizationError)
  const kind = judgePeer(x509, { ip: remote.host, isDialled, chainError }, trust)
  socket.write(Uint8Array.of(verdictByte(kind)))
  if (kind !== undefined || x509 === undefined) {
    endSoon(socket)
    throw tlsError(remote, { kind: kind ?? 'no-certificate', by: 'us' })
  }
  const theirs = await readByte(socket, remote)
  if (theirs !== accepted) {
    endSoon(socket)
    throw tlsError(remote, { kind: verdictKind(theirs), by: 'peer' })
  }
  const { name: cipher } = socket.getCipher()
  const protocol = socket.getProtocol() ?? 'TLS'
  return connectionFromDuplex(socket, {
    local,
    remote,
    security: securityOf(x509 satisfies X509Certificate, { protocol, cipher }),
  })
}

/** Reads one byte, and leaves the stream as if nobody had looked at it. */
function readByte(socket: TLSSocket, remote: Endpoint): Promise<number> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void): void => {
      socket.off('readable', look).off('error', fail).off('close', fail)
      outcome()
    }
    const fail = (error?: unknown): void => {
      const cause = error instanceof Error ? error : undefined
      settle(() => {
        socket.on('error', () => undefined).destroy()
        reject(tlsError(remote, { kind: failureOf(cause), by: 'us' }, cause))
      })
    }
    const look = (): void => {
      const byte = socket.read(1) as Buffer | null
      if (byte === null) {
        if (socket.readableEnded) fail()
        return
      }
      settle(() => {
        // Until it is a connection's, an error of the socket has nobody else to go to.
        socket.once('error', () => undefined)
        resolve(byte[0] ?? 255)
      })
    }
    socket.on('readable', look).on('error', fail).on('close', fail)
    look()
  })
}

/** Sends what was written, then ends. */
function endSoon(socket: TLSSocket): void {
  const deadline = setTimeout(() => socket.destroy(), lastWordMs)
  socket
    .on('error', () => undefined)
    .on('close', () => {
      clearTimeout(deadline)
    })
    .on('finish', () => socket.destroySoon())
  socket.resume()
  socket.end()
}
