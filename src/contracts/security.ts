/** What a transport knows of a connection that it secured, and of who is at its other end. */
export interface ConnectionSecurity {
  /** For instance `TLSv1.3`. */
  readonly protocol: string
  readonly cipher: string
  /** SHA-256 of the peer's certificate, as 64 lower-case hexadecimal digits. */
  readonly certificateFingerprint: string
  /** SHA-256 of the peer's public key (SubjectPublicKeyInfo): stays the same when a certificate is renewed. */
  readonly publicKeyFingerprint: string
  readonly subject: string
  readonly issuer: string
  /** The names in the certificate, as OpenSSL writes them. */
  readonly subjectAltName: string | undefined
  readonly validToUnixMs: number
}

/** What went wrong while a connection was secured. */
export type SecurityFailureKind =
  /** No certificate was shown. */
  | 'no-certificate'
  | 'expired'
  | 'not-yet-valid'
  /** The certificate is self-signed, or signed by somebody who is not trusted. */
  | 'unknown-ca'
  | 'wrong-name'
  | 'pin-mismatch'
  /** Something else is wrong with the certificate. */
  | 'bad-certificate'
  /** What came was not TLS. */
  | 'not-tls'
  /** No common version of TLS. */
  | 'wrong-version'
  /** TLS, but not for this protocol. */
  | 'wrong-protocol'
  | 'timeout'
  /** The other end closed in the middle of it. */
  | 'interrupted'
  | 'failed'

/** Who found it: with `peer`, it is about this node's own certificate. */
export interface SecurityFailure {
  readonly kind: SecurityFailureKind
  readonly by: 'us' | 'peer'
}
