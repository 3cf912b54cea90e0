import type { Connection, ConnectionHandlers, Endpoint, Listener, Transport } from 'holdfast'
import { named } from './protocol.js'
import type { EventKind, SocketRecord } from './protocol.js'

export type Note = (kind: EventKind, peerIp: string, text: string) => void

/**
 * Counts physical connections below the library, at the end where it runs, so that what the library
 * says of itself can be compared with what happened.
 */
export class SocketLog {
  readonly #sockets: { readonly record: SocketRecord; isOpen: boolean }[] = []
  readonly #note: Note

  constructor(note: Note) {
    this.#note = note
  }

  get records(): SocketRecord[] {
    return this.#sockets.map(({ record, isOpen }) => ({ ...record, isOpen }))
  }

  get openCount(): number {
    return this.#sockets.filter(({ isOpen }) => isOpen).length
  }

  /** `transport`, with what it opens entered here. */
  watching(transport: Transport): Transport {
    const listen = transport.listen?.bind(transport)
    return {
      name: transport.name,
      defaultPort: transport.defaultPort,
      dial: async (address: Endpoint, options: { readonly signal: AbortSignal }) => {
        this.#note('dial', address.host, `to ${named(address)}`)
        return this.#enter(await transport.dial(address, options), true)
      },
      ...(listen && {
        listen: (onConnection: (connection: Connection) => void): Promise<Listener> =>
          listen((connection) => onConnection(this.#enter(connection, false))),
      }),
    }
  }

  #enter(connection: Connection, isDialled: boolean): Connection {
    const peerIp = connection.remote.host
    const [local, remote] = [named(connection.local), named(connection.remote)]
    const socket = { record: { peerIp, isDialled, local, remote, isOpen: true }, isOpen: true }
    this.#sockets.push(socket)
    this.#note('socket', peerIp, `${isDialled ? 'dialled' : 'accepted'}, ${local} to ${remote}`)
    return tellingItsEnd(connection, () => {
      if (!socket.isOpen) return
      socket.isOpen = false
      this.#note('released', peerIp, `${local} to ${remote}`)
    })
  }
}

/** The same connection, which also tells `ended` when it is released. */
function tellingItsEnd(connection: Connection, ended: () => void): Connection {
  const open = connection.open.bind(connection)
  const destroy = connection.destroy.bind(connection)
  let isOpened = false
  return Object.assign(connection, {
    open: (handlers: ConnectionHandlers) => {
      isOpened = true
      open({
        data: (chunk) => handlers.data(chunk),
        drained: () => handlers.drained(),
        closed: (error) => {
          ended()
          handlers.closed(error)
        },
      })
    },
    destroy: () => {
      destroy()
      // One that was never opened tells nobody of its end.
      if (!isOpened) ended()
    },
  })
}
