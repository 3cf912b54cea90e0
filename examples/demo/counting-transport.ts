import type { Connection, ConnectionHandlers, Endpoint, Listener, Transport } from 'holdfast'

/** A physical connection, as the side that accepted it sees it. */
interface Socket {
  readonly dialler: string
  readonly acceptor: string
  readonly connection: Connection
  isOpen: boolean
}

export interface PairCount {
  readonly ips: readonly [string, string]
  /** Dials that either end began. */
  readonly dials: number
  /** Physical connections that came to be. */
  readonly sockets: number
  /** Those of them that are open now. */
  readonly open: number
}

/**
 * Counts physical connections where they arise, below the library, so that what it says of itself can
 * be compared with what happened. Each socket counts once, at the end that accepted it.
 */
export class SocketLedger {
  readonly #dials = new Map<string, number>()
  readonly #sockets: Socket[] = []

  /** The transport of the node at `host`, with what it opens entered here. */
  counting(transport: Transport, host: string): Transport {
    const listen = transport.listen?.bind(transport)
    return {
      name: transport.name,
      defaultPort: transport.defaultPort,
      dial: (address: Endpoint, options: { readonly signal: AbortSignal }) => {
        const key = pairKey(host, address.host)
        this.#dials.set(key, (this.#dials.get(key) ?? 0) + 1)
        return transport.dial(address, options)
      },
      ...(listen === undefined
        ? {}
        : {
            listen: (onConnection: (connection: Connection) => void): Promise<Listener> =>
              listen((connection) => onConnection(this.#enter(connection, host))),
          }),
    }
  }

  between(a: string, b: string): PairCount {
    const key = pairKey(a, b)
    const sockets = this.#sockets.filter((socket) => keyOf(socket) === key)
    return {
      ips: [a, b],
      dials: this.#dials.get(key) ?? 0,
      sockets: sockets.length,
      open: sockets.filter(({ isOpen }) => isOpen).length,
    }
  }

  /** One entry for each pair of `hosts`. */
  pairs(hosts: readonly string[]): PairCount[] {
    return hosts.flatMap((a, index) => hosts.slice(index + 1).map((b) => this.between(a, b)))
  }

  /** Destroys what is open between two hosts, under the one that accepted it. Returns how many. */
  destroyBetween(a: string, b: string): number {
    const key = pairKey(a, b)
    const open = this.#sockets.filter((socket) => socket.isOpen && keyOf(socket) === key)
    for (const { connection } of open) connection.destroy()
    return open.length
  }

  #enter(connection: Connection, acceptor: string): Connection {
    const socket: Socket = { dialler: connection.remote.host, acceptor, connection, isOpen: true }
    this.#sockets.push(socket)
    return new WatchedConnection(connection, () => {
      socket.isOpen = false
    })
  }
}

const pairKey = (a: string, b: string): string => [a, b].sort().join(' ')

const keyOf = ({ dialler, acceptor }: Socket): string => pairKey(dialler, acceptor)

/** A connection that says when it is over, and is otherwise the one it wraps. */
class WatchedConnection implements Connection {
  readonly #inner: Connection
  readonly #ended: () => void

  constructor(inner: Connection, ended: () => void) {
    this.#inner = inner
    this.#ended = ended
  }

  get local(): Endpoint | undefined {
    return this.#inner.local
  }

  get remote(): Endpoint {
    return this.#inner.remote
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes
  }

  open(handlers: ConnectionHandlers): void {
    this.#inner.open({
      data: (chunk) => handlers.data(chunk),
      drained: () => handlers.drained(),
      closed: (error) => {
        this.#ended()
        handlers.closed(error)
      },
    })
  }

  write(chunks: readonly Uint8Array[]): boolean {
    return this.#inner.write(chunks)
  }

  pause(): void {
    this.#inner.pause()
  }

  resume(): void {
    this.#inner.resume()
  }

  close(): void {
    this.#inner.close()
  }

  destroy(): void {
    this.#inner.destroy()
    // A connection that was never opened tells nobody of its end.
    this.#ended()
  }
}
