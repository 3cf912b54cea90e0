import type { SecurityFailure, SecurityFailureKind } from '../contracts/security.js'
import type { Endpoint } from '../contracts/transport.js'
import { HoldfastError } from '../errors.js'
import { formatEndpoint } from '../rules/peer-ip.js'

/** A verdict on the wire: what one end says of the other's certificate. A number is never given anew. */
const verdicts: Readonly<Partial<Record<SecurityFailureKind, number>>> = {
  'no-certificate': 1,
  expired: 2,
  'not-yet-valid': 3,
  'unknown-ca': 4,
  'wrong-name': 5,
  'pin-mismatch': 6,
  'bad-certificate': 7,
}

export const accepted = 0

export function verdictByte(kind: SecurityFailureKind | undefined): number {
  return kind === undefined ? accepted : (verdicts[kind] ?? 255)
}

export function verdictKind(byte: number): SecurityFailureKind {
  const entries = Object.entries(verdicts) as [SecurityFailureKind, number][]
  return entries.find(([, code]) => code === byte)?.[0] ?? 'failed'
}

const texts: Readonly<Record<SecurityFailureKind, string>> = {
  'no-certificate': 'no certificate was shown',
  expired: 'the certificate has expired',
  'not-yet-valid': 'the certificate is not valid yet',
  'unknown-ca': 'the certificate is not signed by a trusted authority',
  'wrong-name': 'the certificate is for another name',
  'pin-mismatch': 'the certificate is not one of those that are pinned',
  'bad-certificate': 'the certificate cannot be used',
  'not-tls': 'the other end does not speak TLS',
  'wrong-version': 'the other end does not speak TLS 1.3',
  'wrong-protocol': 'the other end speaks TLS, but not this protocol',
  timeout: 'the TLS handshake did not end in time',
  interrupted: 'the other end closed during the TLS handshake',
  failed: 'the TLS handshake failed',
}

export function tlsError(
  remote: Endpoint,
  failure: SecurityFailure,
  cause?: unknown,
): HoldfastError {
  const who = failure.by === 'peer' ? ' (so says the peer of this node)' : ''
  const why = failure.kind === 'failed' && cause instanceof Error ? `: ${cause.message}` : ''
  const text = `${formatEndpoint(remote)}: ${texts[failure.kind]}${who}${why}`
  return new HoldfastError('TLS_FAILED', text, { failure, cause })
}

/** What an error of Node.js or OpenSSL during the handshake means. */
export function failureOf(error: Error | undefined): SecurityFailureKind {
  const code = error !== undefined && 'code' in error ? String(error.code) : ''
  if (error === undefined || code === 'ECONNRESET' || code === 'EPIPE') return 'interrupted'
  if (code.includes('PROTOCOL_VERSION') || code.includes('UNSUPPORTED_PROTOCOL')) {
    return 'wrong-version'
  }
  if (code.includes('APPLICATION_PROTOCOL')) return 'wrong-protocol'
  return notTls.some((part) => code.includes(part)) ? 'not-tls' : 'failed'
}

const notTls = [
  'WRONG_VERSION_NUMBER',
  'HTTP_REQUEST',
  'HTTPS_PROXY_REQUEST',
  'PACKET_LENGTH_TOO_LONG',
  'RECORD_LAYER_FAILURE',
  'UNEXPECTED_MESSAGE',
  'BAD_RECORD_TYPE',
  'UNKNOWN_PROTOCOL',
]
