import type { Socket } from 'node:net'
import { createServer, type TlsOptions, type TLSSocket } from 'node:tls'
import type { Connection, Endpoint, Listener, ListenOptions } from '../contracts/transport.js'
import { listenOnTcp } from './tcp-listener.js'
import { endpointsOf, socketBufferBytes } from './tcp-socket.js'
import { failureOf, tlsError } from './tls-failure.js'
import type { TlsTrust } from './tls-identity.js'
import { exchangeVerdicts } from './tls-verdicts.js'

/** What holds where `listen` is not told more. */
const defaults = {
  maxPendingHandshakes: 64,
  maxPendingHandshakesPerIp: 64,
  handshakeTimeoutMs: 25_000,
}

/** A socket whose handshake is under way. */
interface Pending {
  readonly socket: Socket
  readonly local: Endpoint | undefined
  readonly remote: Endpoint
  readonly deadline: NodeJS.Timeout
}

/** Accepts TLS connections: bounded in number and in time until both ends have accepted each other. */
export class TlsListener {
  readonly #tls: TlsOptions
  readonly #trust: TlsTrust
  readonly #limits: Required<Omit<ListenOptions, 'onRefused'>>
  readonly #onRefused: (remote: Endpoint, error: Error) => void
  readonly #onConnection: (connection: Connection) => void
  /** By both ends of the socket: what a TLS socket still knows of the one that it wraps. */
  readonly #pending = new Map<string, Pending>()

  constructor(options: {
    readonly tls: TlsOptions
    readonly trust: TlsTrust
    readonly listen: ListenOptions
    readonly onConnection: (connection: Connection) => void
  }) {
    const { listen } = options
    this.#tls = options.tls
    this.#trust = options.trust
    this.#limits = {
      maxPendingHandshakes: listen.maxPendingHandshakes ?? defaults.maxPendingHandshakes,
      maxPendingHandshakesPerIp:
        listen.maxPendingHandshakesPerIp ?? defaults.maxPendingHandshakesPerIp,
      handshakeTimeoutMs: listen.handshakeTimeoutMs ?? defaults.handshakeTimeoutMs,
    }
    this.#onRefused = listen.onRefused ?? (() => undefined)
    this.#onConnection = options.onConnection
  }

  async listen(endpoints: readonly Endpoint[]): Promise<Listener> {
    const listener = await listenOnTcp(endpoints, () => this.#createServer())
    return {
      endpoints: listener.endpoints,
      close: async () => {
        for (const { socket } of this.#pending.values()) socket.destroy()
        await listener.close()
      },
    }
  }

  #createServer(): ReturnType<typeof createServer> {
    const server = createServer({
      ...this.#tls,
      noDelay: true,
      keepAlive: false,
      highWaterMark: socketBufferBytes,
      // Ours comes first.
      handshakeTimeout: 2 * this.#limits.handshakeTimeoutMs,
    })
    server.on('connection', (socket: Socket) => {
      this.#begin(socket)
    })
    server.on('secureConnection', (socket) => {
      void this.#finish(socket)
    })
    server.on('tlsClientError', (error, socket) => {
      const pending = this.#pending.get(keyOf(socket))
      socket.destroy()
      if (pending !== undefined) this.#refuse(pending, error)
    })
    return server
  }

  #begin(socket: Socket): void {
    const ends = endpointsOf(socket)
    if (ends === undefined) {
      socket.destroy()
      return
    }
    this.#makeRoomFor(ends.remote.host)
    const key = keyOf(socket)
    const deadline = setTimeout(() => {
      pending.socket.destroy()
      this.#settle(pending)
      this.#onRefused(pending.remote, tlsError(pending.remote, { kind: 'timeout', by: 'us' }))
    }, this.#limits.handshakeTimeoutMs)
    const pending: Pending = {
      socket,
      ...ends,
      deadline,
    }
    this.#pending.set(key, pending)
    socket.once('close', () => {
      if (this.#pending.get(key) === pending) this.#refuse(pending, undefined)
    })
  }

  /** Nobody has said who he is yet, so that the oldest one makes room. */
  #makeRoomFor(ip: string): void {
    const all = [...this.#pending.values()]
    const sameIp = all.filter(({ remote }) => remote.host === ip)
    const { maxPendingHandshakes, maxPendingHandshakesPerIp } = this.#limits
    const isFullForIp = sameIp.length >= maxPendingHandshakesPerIp
    if (!isFullForIp && all.length < maxPendingHandshakes) return
    const [oldest] = isFullForIp ? sameIp : all
    if (oldest === undefined) return
    oldest.socket.destroy()
    this.#refuse(oldest, new Error('another one came, and there is no room for more'))
  }

  async #finish(socket: TLSSocket): Promise<void> {
    const pending = this.#pending.get(keyOf(socket))
    if (pending === undefined) {
      socket.destroy()
      return
    }
    try {
      const { local, remote } = pending
      const facts = { local, remote, isDialled: false }
      const connection = await exchangeVerdicts(socket, facts, this.#trust)
      if (this.#settle(pending)) this.#onConnection(connection)
      else connection.destroy()
    } catch (error) {
      if (this.#settle(pending)) this.#onRefused(pending.remote, error as Error)
    }
  }

  #refuse(pending: Pending, cause: Error | undefined): void {
    if (!this.#settle(pending)) return
    const failure = { kind: failureOf(cause), by: 'us' } as const
    this.#onRefused(pending.remote, tlsError(pending.remote, failure, cause))
  }

  /** Its handshake is over. False when it was already. */
  #settle(pending: Pending): boolean {
    clearTimeout(pending.deadline)
    for (const [key, other] of this.#pending) {
      if (other === pending) return this.#pending.delete(key)
    }
    return false
  }
}

function keyOf(socket: Socket): string {
  const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = socket
  return [remoteAddress, remotePort, localAddress, localPort].join(' ')
}
