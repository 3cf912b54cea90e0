import type { Duplex } from 'node:stream'
import type { ConnectionSecurity } from '../contracts/security.js'
import type { Connection, ConnectionHandlers, Endpoint } from '../contracts/transport.js'

/** What a stream does not say of itself: its two ends, and how it is secured. */
export interface DuplexEndpoints {
  readonly local?: Endpoint | undefined
  /** Whose address the peer goes by. A stream without IPs maps its other end to fd00::/8. */
  readonly remote: Endpoint
  /** How the stream is secured, if it is. */
  readonly security?: ConnectionSecurity | undefined
}

/**
 * Any Node.js byte stream as a connection: a Unix socket, TLS, a pipe to a worker, a WebSocket stream.
 *
 * The stream belongs to the connection from now on: nobody else reads, writes, ends or destroys it.
 * Nothing is lost between here and `open`, as long as nobody made the stream flow before. The end of
 * the remote's bytes is the end of the connection, in both directions: what is still buffered for a
 * remote that has said its last word is dropped. Throws TypeError for a stream of strings or objects.
 */
export function connectionFromDuplex(duplex: Duplex, endpoints: DuplexEndpoints): Connection {
  if (duplex.readableObjectMode || duplex.writableObjectMode || duplex.readableEncoding !== null) {
    throw new TypeError('duplex must be a stream of bytes, not of objects or strings')
  }
  return new DuplexConnection(duplex, endpoints)
}

type Notice =
  | { readonly kind: 'data'; readonly chunk: Uint8Array }
  | { readonly kind: 'drained' }
  | { readonly kind: 'closed' }

class DuplexConnection implements Connection {
  readonly local: Endpoint | undefined
  readonly remote: Endpoint
  readonly security: ConnectionSecurity | undefined
  readonly #duplex: Duplex
  #handlers: ConnectionHandlers | undefined
  #state: 'open' | 'closing' | 'destroyed' = 'open'
  #error: Error | undefined
  #owesDrained = false
  #isPaused = false
  /** A handler or a method is running: what happens meanwhile waits for a turn of its own. */
  #isBusy = false
  readonly #notices: Notice[] = []

  constructor(duplex: Duplex, { local, remote, security }: DuplexEndpoints) {
    this.#duplex = duplex
    this.local = local
    this.remote = remote
    this.security = security
    if (duplex.closed) this.#notices.push({ kind: 'closed' })
    duplex.on('error', (error: Error) => (this.#error ??= error))
    duplex.on('close', () => {
      this.#tell({ kind: 'closed' })
    })
  }

  get bufferedBytes(): number {
    return this.#duplex.destroyed ? 0 : this.#duplex.writableLength
  }

  open(handlers: ConnectionHandlers): void {
    const duplex = this.#duplex
    this.#handlers = handlers
    this.#tellSoon()
    duplex.on('data', (chunk: Uint8Array) => {
      if (chunk.length > 0) this.#tell({ kind: 'data', chunk })
    })
    duplex.on('drain', () => {
      this.#tell({ kind: 'drained' })
    })
    for (const event of ['end', 'finish']) {
      duplex.on(event, () => {
        this.#endWhenOver()
      })
    }
    this.#endWhenOver()
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const duplex = this.#duplex
    if (this.#state !== 'open' || !duplex.writable) return false
    this.#guarded(() => {
      // Corked, so that all of them go out in one system call.
      if (chunks.length > 1) duplex.cork()
      for (const chunk of chunks) if (chunk.length > 0) duplex.write(chunk)
      if (chunks.length > 1) duplex.uncork()
    })
    // What the system took at once is not in the way, though the stream asks to wait for its event.
    if (!duplex.writableNeedDrain || duplex.writableLength === 0) return true
    this.#owesDrained = true
    return false
  }

  pause(): void {
    if (this.#state !== 'open') return
    this.#isPaused = true
    this.#duplex.pause()
  }

  resume(): void {
    if (this.#state !== 'open' || !this.#isPaused) return
    this.#isPaused = false
    this.#guarded(() => this.#duplex.resume())
    this.#tellSoon()
  }

  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#isPaused = false
    // Unread bytes would turn our end into a reset, and that would destroy our last bytes over there.
    this.#guarded(() => {
      this.#duplex.resume()
      this.#duplex.end()
    })
    this.#tellSoon()
  }

  destroy(): void {
    if (this.#state === 'destroyed') return
    this.#state = 'destroyed'
    this.#isPaused = false
    this.#guarded(() => this.#duplex.destroy())
    this.#tellSoon()
  }

  /** After the remote's end only our own close still waits to be sent; else there is nobody to wait for. */
  #endWhenOver(): void {
    const duplex = this.#duplex
    if (!duplex.readableEnded) return
    this.#guarded(() => {
      if (this.#state === 'open') duplex.end()
      const isWaiting = this.#state === 'closing' || duplex.writableLength === 0
      if (!isWaiting || duplex.writableFinished) duplex.destroy()
    })
  }

  #tell(notice: Notice): void {
    this.#notices.push(notice)
    if (this.#isBusy) this.#tellSoon()
    else this.#tellWaiting()
  }

  #tellSoon(): void {
    setImmediate(() => {
      this.#tellWaiting()
    })
  }

  #tellWaiting(): void {
    const handlers = this.#handlers
    while (handlers !== undefined && !this.#isBusy) {
      const [notice] = this.#notices
      if (notice === undefined || (notice.kind === 'data' && this.#isPaused)) return
      this.#notices.shift()
      // A handler that throws keeps nothing from those that follow.
      if (this.#notices.length > 0) this.#tellSoon()
      this.#guarded(() => {
        this.#hand(notice, handlers)
      })
    }
  }

  #hand(notice: Notice, handlers: ConnectionHandlers): void {
    switch (notice.kind) {
      case 'data':
        if (this.#state === 'open') handlers.data(notice.chunk)
        break
      case 'drained':
        if (this.#state === 'open' && this.#owesDrained) {
          this.#owesDrained = false
          handlers.drained()
        }
        break
      case 'closed':
        handlers.closed(this.#closeError())
        break
      default:
        notice satisfies never
    }
  }

  #closeError(): Error | undefined {
    if (this.#state !== 'open' || this.#duplex.readableEnded) return undefined
    return this.#error ?? new Error('the stream was destroyed')
  }

  #guarded(body: () => void): void {
    const wasBusy = this.#isBusy
    this.#isBusy = true
    try {
      body()
    } finally {
      this.#isBusy = wasBusy
    }
  }
}
