import type { ConnectionSecurity } from './security.js'

/**
 * Where something can be reached or is bound: an IP literal and a port.
 *
 * `host` is an IPv4 or IPv6 literal in any notation; an IPv6 zone (`fe80::1%eth0`) is allowed and kept
 * for dialling. A transport without IPs (Unix sockets, message ports) maps its endpoints to addresses
 * of fd00::/8 by a rule that it states in its documentation. `port` is 0 to 65,535.
 */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/**
 * What a connection tells its one reader. All are called from the event loop or a timer, never from
 * inside a method of the connection, and one at a time.
 */
export interface ConnectionHandlers {
  /**
   * The next bytes, in order. `chunk` is never empty, is never written to again by the transport, and
   * may be kept. Not called while paused.
   */
  data(chunk: Uint8Array): void

  /** After `write` returned false: the transport takes more again. Once per such phase. */
  drained(): void

  /**
   * The connection is over and its resources are released; nothing follows. Exactly once for each
   * opened connection, however it ended: `error` is undefined when either end closed it in order.
   */
  closed(error: Error | undefined): void
}

/**
 * An ordered, reliable pipe of bytes to one remote endpoint. Framing is the library's: chunks may be
 * cut anywhere.
 *
 * No method calls a handler before it returns. No method throws: after the end, `write` returns false
 * and the others do nothing.
 */
export interface Connection {
  /** Where it is bound here, as far as the transport knows. */
  readonly local: Endpoint | undefined

  /** The other end. The host is the peer's IP; for an inbound connection the port is ephemeral. */
  readonly remote: Endpoint

  /** How it is secured, and who is at its other end; absent where the transport secures nothing. */
  readonly security?: ConnectionSecurity | undefined

  /** Bytes taken by `write` that have not been handed to the operating system (or the remote) yet. */
  readonly bufferedBytes: number

  /**
   * Names the reader and starts reading. Called exactly once, in the tick in which the connection was
   * handed over. Nothing is delivered, and nothing is lost, before it.
   */
  open(handlers: ConnectionHandlers): void

  /**
   * Takes `chunks` for sending, in order and as a whole. The transport reads them later, so the caller
   * does not change them afterwards. Returns false when it has more buffered than it likes: the bytes
   * were taken all the same, and `drained` says when to go on.
   */
  write(chunks: readonly Uint8Array[]): boolean

  /** Stops delivery of data soon: at most the chunk that is being delivered still arrives. */
  pause(): void

  /** Undoes `pause`. */
  resume(): void

  /**
   * Ends in order: what was written is still sent, then the end. What still arrives is read and
   * dropped, so that the last bytes reach a remote that is in the middle of sending.
   */
  close(): void

  /** Ends at once; bytes not sent yet are dropped. */
  destroy(): void
}

/** What holds for the sockets of a listener that are not connections yet: TLS, an upgrade. */
export interface ListenOptions {
  /** How many of them may be at it, over all and per IP: one more takes the place of the oldest. */
  readonly maxPendingHandshakes?: number
  readonly maxPendingHandshakesPerIp?: number
  /** How long each may take. */
  readonly handshakeTimeoutMs?: number
  /** One of them came to nothing. For the record: the transport has closed it. */
  readonly onRefused?: (remote: Endpoint, error: Error) => void
}

/** Something that accepts connections. */
export interface Listener {
  /** Where it listens, with the ports that the system chose. */
  readonly endpoints: readonly Endpoint[]

  /** Accepts nothing more and releases the endpoints; accepted connections go on. Idempotent. */
  close(): Promise<void>
}

/**
 * The way in for sockets. Implement it, run `transportSuite` of `holdfast/testing` against it, and
 * everything else in the library works over it.
 */
export interface Transport {
  /** A short name for logs: `tcp`, `memory`. */
  readonly name: string

  /** The port that a dial uses for an address that names none. */
  readonly defaultPort: number

  /**
   * Connects to `address`. Rejects with the cause when it fails, and with `signal.reason` as soon as
   * `signal` aborts; in both cases no socket is left. Has no deadline of its own.
   */
  dial(address: Endpoint, options: { readonly signal: AbortSignal }): Promise<Connection>

  /**
   * Accepts connections until the listener is closed. Each is handed to `onConnection` once, which
   * calls `open` on it before it returns (or `destroy`). Absent on a transport that can only dial.
   * A transport that has something to do before that keeps to `options`. Rejects with HoldfastError
   * LISTEN_FAILED, its cause attached, when it cannot listen.
   */
  listen?(
    onConnection: (connection: Connection) => void,
    options?: ListenOptions,
  ): Promise<Listener>

  /**
   * The IP literals that a host name stands for, now. Rejects with the cause when there are none, and
   * with `signal.reason` as soon as `signal` aborts. Absent on a transport that knows no host names.
   */
  resolve?(host: string, options: { readonly signal: AbortSignal }): Promise<readonly string[]>
}
