import { createHash, X509Certificate } from 'node:crypto'
import type { ConnectionSecurity, SecurityFailureKind } from '../contracts/security.js'
import { tryParsePeerIp } from '../rules/peer-ip.js'

/** Whom a node takes for a peer, from the certificate that it shows. */
export interface TlsTrust {
  /** Whether the chain must lead to a trusted authority, and the dates hold. */
  readonly hasCa: boolean
  readonly pins: Pins | undefined
  readonly peerName: PeerName
}

/**
 * `ip`: the certificate of a dialled peer names the IP that was dialled. `any`: no name is looked at.
 * `dns`: the certificates of both ends carry this name.
 */
export type PeerName = 'ip' | 'any' | { readonly dns: string }

/** Fingerprints that are trusted at every IP, or by IP. */
export interface Pins {
  readonly everywhere: ReadonlySet<string>
  readonly byIp: ReadonlyMap<string, ReadonlySet<string>>
}

/** Fingerprints of the keys that are trusted: of any peer, or for each IP its own. */
export type PinOption = readonly string[] | Readonly<Record<string, string | readonly string[]>>

/**
 * Reads pins: SHA-256 of a certificate or, better, of its public key (see `fingerprintsOf`), as
 * hexadecimal digits with or without colons, or as `sha256/` and base64. Throws TypeError for another.
 */
export function readPins(pins: PinOption): Pins {
  const byIp = new Map<string, ReadonlySet<string>>()
  if (isList(pins)) return { everywhere: new Set(pins.map(readPin)), byIp }
  for (const [text, value] of Object.entries(pins)) {
    const ip = tryParsePeerIp(text)
    if (ip === undefined) throw new TypeError(`pins: ${JSON.stringify(text)} is not an IP`)
    byIp.set(ip, new Set(isList(value) ? value.map(readPin) : [readPin(value)]))
  }
  return { everywhere: new Set(), byIp }
}

/** The two fingerprints of a certificate (PEM or DER) that can be pinned. */
export function fingerprintsOf(certificate: string | Uint8Array): {
  readonly certificate: string
  readonly publicKey: string
} {
  const x509 = new X509Certificate(certificate)
  return { certificate: sha256(x509.raw), publicKey: publicKeyFingerprint(x509) }
}

/** What is to be known of a secured connection. */
export function securityOf(
  x509: X509Certificate,
  session: { readonly protocol: string; readonly cipher: string },
): ConnectionSecurity {
  return {
    ...session,
    certificateFingerprint: sha256(x509.raw),
    publicKeyFingerprint: publicKeyFingerprint(x509),
    subject: x509.subject,
    issuer: x509.issuer,
    subjectAltName: x509.subjectAltName,
    validToUnixMs: Date.parse(x509.validTo),
  }
}

/** Why the other end is not who it must be; undefined when it is. */
export function judgePeer(
  x509: X509Certificate | undefined,
  facts: {
    readonly ip: string
    readonly isDialled: boolean
    /** What OpenSSL says of the chain; undefined when it is good. */
    readonly chainError: string | undefined
  },
  trust: TlsTrust,
): SecurityFailureKind | undefined {
  if (x509 === undefined) return 'no-certificate'
  if (trust.hasCa && facts.chainError !== undefined) {
    return chainFailures[facts.chainError] ?? 'bad-certificate'
  }
  if (trust.pins !== undefined && !isPinned(x509, facts.ip, trust.pins)) return 'pin-mismatch'
  const { peerName } = trust
  if (peerName === 'any') return undefined
  if (peerName === 'ip') {
    return facts.isDialled && x509.checkIP(facts.ip) === undefined ? 'wrong-name' : undefined
  }
  return x509.checkHost(peerName.dns) === undefined ? 'wrong-name' : undefined
}

const chainFailures: Readonly<Record<string, SecurityFailureKind>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown-ca',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown-ca',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown-ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown-ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown-ca',
}

function isPinned(x509: X509Certificate, ip: string, { everywhere, byIp }: Pins): boolean {
  const here = byIp.get(ip)
  return [publicKeyFingerprint(x509), sha256(x509.raw)].some(
    (fingerprint) => everywhere.has(fingerprint) || here?.has(fingerprint) === true,
  )
}

function readPin(pin: string): string {
  const base64 = /^sha256\/([A-Za-z0-9+/]{43}=)$/.exec(pin)?.[1]
  if (base64 !== undefined) return Buffer.from(base64, 'base64').toString('hex')
  const hex = pin.replaceAll(':', '').toLowerCase()
  if (/^[0-9a-f]{64}$/.test(hex)) return hex
  throw new TypeError(`pins: ${JSON.stringify(pin)} is not a SHA-256 fingerprint`)
}

function publicKeyFingerprint({ publicKey }: X509Certificate): string {
  return sha256(publicKey.export({ type: 'spki', format: 'der' }))
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function isList(value: PinOption | string | readonly string[]): value is readonly string[] {
  return Array.isArray(value)
}
