import type { Direction, PeerHello } from './peer-service.js'
import type { ConnectionSecurity } from './security.js'
import type { Endpoint } from './transport.js'

/** A connection whose HELLO is valid and that is not established: the application has not decided yet. */
export interface PendingConnection {
  /** What the peer will be called: its IP, or with `identity: 'endpoint'` its IP and listening port. */
  readonly key: string
  /** The peer's IP in canonical form. */
  readonly ip: string
  readonly direction: Direction
  /** The other end of the physical connection; of an inbound one the port is ephemeral. */
  readonly remote: Endpoint
  readonly local: Endpoint | undefined
  /** Who is there by certificate, where the transport secures connections. Nothing else here is proven. */
  readonly security: ConnectionSecurity | undefined
  /** Aborts when the connection ends before the answer, also because the answer came too late. */
  readonly signal: AbortSignal
}

/** `true` or nothing lets the peer in; `false` or `refuse` turns it away, and the peer is told the text. */
export type AuthorizeAnswer = boolean | undefined | void | { readonly refuse: string }

/**
 * The application's word on a peer, after its HELLO and before anything else: until the answer is there
 * the connection takes part in nothing, so that a peer that is turned away displaces nobody. Asked at both
 * ends, once per physical connection, after all events of that moment.
 *
 * Who is turned away sees a close reason `refused` with the text, of which 512 bytes are sent. A function
 * that throws, rejects, answers something else or takes longer than `authorizeTimeoutMs` closes the
 * connection as `busy` (the peer comes again) and is told in `listenerError`, as `authorize`.
 */
export type Authorize = (
  hello: PeerHello,
  connection: PendingConnection,
) => AuthorizeAnswer | PromiseLike<AuthorizeAnswer>
