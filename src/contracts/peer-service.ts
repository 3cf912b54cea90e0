import type { CloseReason } from './close-reason.js'
import type { ExchangeMessage } from './exchange-messages.js'
import type { ConnectionSecurity } from './security.js'
import type { SyncMessage } from './sync-messages.js'
import type { Endpoint } from './transport.js'

/** The side that dialled, as seen from here: `outbound` when we did. */
export type Direction = 'inbound' | 'outbound'

/** What a peer said of itself in its HELLO. */
export interface PeerHello {
  readonly version: number
  readonly network: string
  /** 16 random bytes per process, as 32 hexadecimal digits. */
  readonly instanceId: string
  /** The IP at which the peer sees us, in canonical form; undefined when it said something else. */
  readonly yourIp: string | undefined
  /** The port it listens on; undefined for a node that only dials. */
  readonly listeningPort: number | undefined
  readonly agent: string
  readonly maxFrameBytes: number
  /** At most 4 KiB that the application put in. */
  readonly appData: Uint8Array
}

/** Round-trip times of one connection, in milliseconds; undefined before the first pong. */
export interface RoundTrip {
  readonly lastMs: number | undefined
  /** Exponentially smoothed, and its mean deviation: SRTT and RTTVAR of RFC 6298, section 2. */
  readonly smoothedMs: number | undefined
  readonly jitterMs: number | undefined
  readonly minMs: number | undefined
  /** Pings of this connection, whoever asked for them, and the pongs that matched one, late ones too. */
  readonly pingsSent: number
  readonly pongsReceived: number
}

/**
 * An established connection to one peer: the same object from `peerConnected` to `peerDisconnected`.
 * After that it is dead: sends return false and requests reject, for good.
 */
export interface Peer {
  /** The peer's identity: what its one slot is called. By default the IP in canonical form. */
  readonly key: string
  /** The peer's IP in canonical form. */
  readonly ip: string
  readonly direction: Direction
  /** Unique in this process; names the physical connection in logs. */
  readonly connectionId: number
  /** The other end of the physical connection; of an inbound one the port is ephemeral. */
  readonly remote: Endpoint
  readonly local: Endpoint | undefined
  /** Who is there by certificate, where the transport secures connections. */
  readonly security: ConnectionSecurity | undefined
  /** Where the peer can be dialled, when it is known to listen. */
  readonly listeningPort: number | undefined
  readonly hello: PeerHello
  /** Since when it is established, on the node's clock. */
  readonly establishedAtMs: number
  readonly isConnected: boolean
  readonly roundTrip: RoundTrip
  /** Frame bytes read from and handed to the transport since the connection began. */
  readonly bytesReceived: number
  readonly bytesSent: number
  /** Bytes waiting to be sent, here and in the transport. */
  readonly queuedBytes: number

  /**
   * Sends one application message. False when the send queue is above its high-water mark: the message
   * was taken, and `drained()` says when to go on. Throws HoldfastError QUEUE_FULL at the hard limit
   * and NOT_CONNECTED after the end: then it was not taken. `type` is 1 to 64 bytes of UTF-8. The bytes
   * are read when they are sent: do not change them afterwards.
   */
  send(type: string, bytes: Uint8Array): boolean

  /** Resolves when the send queue is at or below its high-water mark; rejects when the connection ends. */
  drained(options?: { readonly signal?: AbortSignal }): Promise<void>

  /**
   * Sends one application request and resolves with its answer. Rejects with HoldfastError
   * REQUEST_TIMEOUT, REQUEST_REFUSED (no handler there, or it threw), CONNECTION_CLOSED with the close
   * reason, NOT_CONNECTED, QUEUE_FULL, TOO_MANY_REQUESTS; with `signal.reason` when the signal aborts.
   */
  request(
    type: string,
    bytes: Uint8Array,
    options?: { readonly signal?: AbortSignal; readonly timeoutMs?: number },
  ): Promise<Uint8Array>

  /**
   * Says that this peer was of use just now. Where inbound connections may be evicted, those that were
   * last of use are protected.
   */
  useful(): void

  /** Closes the connection for the user's own reason; the peer is told `text`. */
  close(text?: string): void
}

/**
 * What a service may do with a connection beyond what users may. A service is part of the node: it
 * speaks the library's own messages and may end a connection for cause.
 */
export interface ServicePeer extends Peer {
  /** When bytes were last read from the connection. */
  readonly lastReceivedAtMs: number

  /** How long reading was paused by us, in all, up to now: deadlines on the peer stand still then. */
  readonly readPausedMs: number

  /**
   * Sends one of the library's own messages; as `send`, but false when it was not taken because the
   * connection is over.
   */
  post(message: SyncMessage | ExchangeMessage): boolean

  /**
   * Sends a ping with a fresh nonce, ahead of queued bulk, and returns the nonce. Its pong arrives as a
   * message `pong`.
   */
  ping(): bigint

  /** Ends the connection for cause. */
  closeFor(reason: CloseReason): void
}

/** A pong that matched a ping of this connection. */
export interface PongEvent {
  readonly kind: 'pong'
  readonly nonce: bigint
  /** When its ping was sent, on the node's clock. */
  readonly sentMs: number
  readonly roundTripMs: number
}

/** What the one loop of a connection hands to the services. */
export type ServiceMessage = PongEvent | SyncMessage | ExchangeMessage

/**
 * A part that works on established connections: PingMonitor and SyncCoordinator are two, and a user's
 * own can be another.
 *
 * Called synchronously and in order by the one loop of each connection: for each establishment once
 * `peerConnected`, then any number of `peerMessage`, then once `peerDisconnected`, all with the same
 * `peer`. A service that throws has a bug: it is reported as an `internalError` event, and the
 * connection goes on. Calls of the peer's methods from inside take effect at once; what they cause is
 * reported afterwards.
 */
export interface PeerService {
  /** A connection was established. */
  peerConnected?(peer: ServicePeer): void
  /** A message of the library's own came over it, or the pong of a ping. */
  peerMessage?(peer: ServicePeer, message: ServiceMessage): void
  /** The send queue of `peer` is at or below its high-water mark again. */
  peerDrained?(peer: ServicePeer): void
  /** It ended, for `reason`. Nothing more comes of it. */
  peerDisconnected?(peer: ServicePeer, reason: CloseReason): void
}
