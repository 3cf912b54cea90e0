import type { Connection, Transport } from '../../src/contracts/transport.js'

/** The sockets of a node that its transport has neither closed nor been told to destroy. */
export class LiveSockets {
  readonly #ends = new Set<Connection>()
  readonly #closing = new Set<Connection>()

  get ends(): readonly Connection[] {
    return [...this.#ends]
  }

  /** Those of them that the node has not begun to close. */
  get open(): readonly Connection[] {
    return this.ends.filter((end) => !this.#closing.has(end))
  }

  wrap(transport: Transport): Transport {
    const { listen } = transport
    return {
      name: transport.name,
      defaultPort: transport.defaultPort,
      dial: async (...parameters) => this.#watched(await transport.dial(...parameters)),
      ...(listen && {
        listen: (onConnection: (connection: Connection) => void) =>
          listen.call(transport, (connection) => {
            onConnection(this.#watched(connection))
          }),
      }),
    }
  }

  #watched(end: Connection): Connection {
    const watched: Connection = {
      local: end.local,
      remote: end.remote,
      get bufferedBytes() {
        return end.bufferedBytes
      },
      open: (handlers) => {
        end.open({
          ...handlers,
          closed: (error) => {
            this.#ends.delete(watched)
            handlers.closed(error)
          },
        })
      },
      write: (chunks) => end.write(chunks),
      pause: () => {
        end.pause()
      },
      resume: () => {
        end.resume()
      },
      close: () => {
        this.#closing.add(watched)
        end.close()
      },
      destroy: () => {
        this.#ends.delete(end)
        this.#ends.delete(watched)
        end.destroy()
      },
    }
    this.#ends.add(watched)
    return watched
  }
}
