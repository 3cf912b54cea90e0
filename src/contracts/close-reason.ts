/** Who ended a connection: this node, the peer (by a BYE or its own close), or the network between. */
export type ClosedBy = 'us' | 'peer' | 'network'

/**
 * Why a connection ended. `docs/CLOSE-REASONS.md` is the table of kinds, BYE codes and what each costs.
 *
 * `by` says who decided; with `peer`, the kind is what the peer told in its BYE. `text` is for people.
 */
export type CloseReason = { readonly by: ClosedBy; readonly text?: string } & (
  | { readonly kind: 'ended' }
  | { readonly kind: 'transport-error'; readonly error?: Error }
  | { readonly kind: 'ping-timeout'; readonly missed?: number }
  | { readonly kind: 'slow' }
  | { readonly kind: 'flood' }
  | { readonly kind: 'misbehaved'; readonly what: string }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'self' }
  | { readonly kind: 'wrong-network' }
  | { readonly kind: 'wrong-version' }
  | { readonly kind: 'banned' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'busy'; readonly retryAfterMs?: number }
  | { readonly kind: 'handshake-timeout' }
  | { readonly kind: 'confirm-timeout' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'shutdown' }
  | { readonly kind: 'evicted' }
)

/** The word that says why a connection ended: see docs/CLOSE-REASONS.md. */
export type CloseReasonKind = CloseReason['kind']
