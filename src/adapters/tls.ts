import type { Socket } from 'node:net'
import {
  connect,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls'
import type { Connection, Endpoint, Transport } from '../contracts/transport.js'
import { resolveHost } from './resolve-host.js'
import { checkTcpOptions, type TcpTransportOptions } from './tcp-options.js'
import { dialSocket, endpointsOf } from './tcp-socket.js'
import { failureOf, tlsError } from './tls-failure.js'
import { readPins, type PeerName, type PinOption, type TlsTrust } from './tls-identity.js'
import { TlsListener } from './tls-listener.js'
import { alpnProtocol, exchangeVerdicts } from './tls-verdicts.js'

export { fingerprintsOf } from './tls-identity.js'
export type { PeerName, PinOption } from './tls-identity.js'
export type { ListenAddress, TcpTransportOptions } from './tcp-options.js'

/** The options of TCP, and who this node is and whom it trusts. */
export interface TlsTransportOptions extends TcpTransportOptions {
  /** This node's certificate, and those between it and the authority, as PEM. */
  readonly cert: string | Buffer
  /** Its private key, as PEM. */
  readonly key: string | Buffer
  readonly passphrase?: string

  /**
   * The authorities whose signature makes a peer, as PEM: nobody else's counts, not even those that the
   * system trusts. The dates of certificates are checked.
   */
  readonly ca?: string | Buffer | readonly (string | Buffer)[]

  /**
   * The certificates that make a peer, for a mesh of self-signed nodes: SHA-256 fingerprints of public
   * keys or of whole certificates (see `fingerprintsOf`), one list for all peers, or by IP. Without `ca`
   * the dates and the signer of a certificate mean nothing: the pin is the identity. With `ca` both must
   * hold.
   */
  readonly pins?: PinOption

  /**
   * Which name a peer's certificate must carry. Default with `ca`: `ip`, so that whoever was dialled is
   * who has that address; without: `any`.
   */
  readonly peerName?: PeerName

  /** How long a dial may take after TCP has connected. Default 8,000. */
  readonly handshakeTimeoutMs?: number
}

/**
 * TLS 1.3 over the TCP of `tcpTransport`, with its options. Both ends show certificates, and both verify;
 * a connection is handed over when each has accepted the other. `Connection.security` and
 * `Peer.security` say who is there.
 *
 * Throws TypeError when there is neither `ca` nor `pins`, or certificate and key do not make a pair.
 * `dial` rejects with HoldfastError TLS_FAILED: its `failure` says what is wrong, and which end found it.
 * What a listener refuses is reported through `ListenOptions.onRefused`.
 */
export function tlsTransport(options: TlsTransportOptions): Transport {
  const settings = checkTcpOptions(options)
  const trust = checkTrust(options)
  const credentials = credentialsOf(options)
  const secureContext = checkContext(credentials)
  const timeoutMs = options.handshakeTimeoutMs ?? 8_000
  if (!(timeoutMs > 0 && Number.isFinite(timeoutMs))) {
    throw new RangeError(`handshakeTimeoutMs must be finite and above 0, not ${timeoutMs}`)
  }
  const transport: Transport = {
    name: 'tls',
    defaultPort: settings.defaultPort,
    resolve: resolveHost,
    dial: async (address, { signal }) => {
      const socket = await dialSocket(address, settings, signal)
      return secure(socket, { secureContext, trust, timeoutMs, signal })
    },
  }
  if (settings.listen.length === 0) return transport
  const tls = {
    ...credentials,
    requestCert: true,
    // Who is wrong is told why, so that it is looked at afterwards.
    rejectUnauthorized: false,
    ALPNProtocols: [alpnProtocol],
  }
  return {
    ...transport,
    listen: (onConnection, listen = {}) =>
      new TlsListener({ tls, trust, listen, onConnection }).listen(settings.listen),
  }
}

/** Our end of a dial: TLS on a connected socket. */
async function secure(
  raw: Socket,
  options: {
    readonly secureContext: SecureContext
    readonly trust: TlsTrust
    readonly timeoutMs: number
    readonly signal: AbortSignal
  },
): Promise<Connection> {
  const { secureContext, trust, timeoutMs, signal } = options
  const ends = endpointsOf(raw)
  if (ends === undefined) throw new Error('the socket closed as soon as it was connected')
  raw.setNoDelay(true)
  const socket = connect({
    socket: raw,
    secureContext,
    ALPNProtocols: [alpnProtocol],
    rejectUnauthorized: false,
    // Names are looked at with the rest of the certificate.
    checkServerIdentity: () => undefined,
  })
  const { remote } = ends
  let timer: NodeJS.Timeout | undefined
  let abort: () => void = () => undefined
  const givenUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(tlsError(remote, { kind: 'timeout', by: 'us' }))
    }, timeoutMs)
    abort = () => {
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
  })
  const securing = handshake(socket, remote).then(() =>
    exchangeVerdicts(socket, { ...ends, isDialled: true }, trust),
  )
  try {
    return await Promise.race([securing, givenUp])
  } catch (error) {
    securing.catch(() => undefined)
    // A refusal still has its last word to say.
    if (!socket.writableEnded) socket.on('error', () => undefined).destroy()
    throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

function handshake(socket: TLSSocket, remote: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error?: unknown): void => {
      const cause = error instanceof Error ? error : undefined
      socket.on('error', () => undefined)
      reject(tlsError(remote, { kind: failureOf(cause), by: 'us' }, cause))
    }
    socket.once('error', fail).once('close', fail)
    socket.once('secureConnect', () => {
      socket.off('error', fail).off('close', fail)
      resolve()
    })
  })
}

function checkTrust({ ca, pins, peerName }: TlsTransportOptions): TlsTrust {
  if (ca === undefined && pins === undefined) {
    throw new TypeError('tlsTransport needs ca or pins: without them nobody could be verified')
  }
  return {
    hasCa: ca !== undefined,
    pins: pins === undefined ? undefined : readPins(pins),
    peerName: peerName ?? (ca === undefined ? 'any' : 'ip'),
  }
}

function credentialsOf({ cert, key, passphrase, ca }: TlsTransportOptions): SecureContextOptions {
  for (const [name, value] of Object.entries({ cert, key })) {
    if (typeof value !== 'string' && !((value as unknown) instanceof Uint8Array)) {
      throw new TypeError(`${name} must be PEM text or bytes, not ${typeof value}`)
    }
  }
  return {
    cert,
    key,
    ...(passphrase !== undefined && { passphrase }),
    // Without authorities of one's own, Node.js would trust those of the system.
    ca: ca === undefined ? [] : [ca].flat(),
    minVersion: 'TLSv1.3',
  }
}

function checkContext(credentials: SecureContextOptions): SecureContext {
  try {
    return createSecureContext(credentials)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new TypeError(`cert, key and ca must be PEM, and cert and key a pair: ${why}`, { cause })
  }
}
