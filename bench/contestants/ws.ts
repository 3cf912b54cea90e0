import type { AddressInfo } from 'node:net'
import { requestMark, type Client, type Contestant, type Link } from './contestant.js'
import { peerPackage } from './peer-package.js'
import { ignore, spreadOverSecond } from './raw.js'

interface Socket {
  readonly bufferedAmount: number
  on(event: 'open', listener: () => void): void
  on(event: 'error', listener: (error: unknown) => void): void
  on(event: 'message', listener: (bytes: Buffer) => void): void
  send(bytes: Uint8Array, sent?: () => void): void
  ping(): void
  close(): void
  terminate(): void
}

interface Server {
  readonly clients: ReadonlySet<Socket>
  address(): AddressInfo
  on(event: 'listening', listener: () => void): void
  on(event: 'connection', listener: (socket: Socket) => void): void
  close(closed: () => void): void
}

interface Ws {
  readonly WebSocket: new (url: string, options: object) => Socket
  readonly WebSocketServer: new (options: object) => Server
}

const highWaterBytes = 1024 * 1024

const shared = { perMessageDeflate: false, maxPayload: 16 * 1024 * 1024, skipUTF8Validation: true }

export const ws: Contestant = {
  serve: async () => {
    const { WebSocketServer } = await peerPackage<Ws>('ws')
    const server = new WebSocketServer({
      ...shared,
      host: '127.0.0.1',
      port: 0,
      backlog: 2_048,
    })
    let messages = 0
    let pings: NodeJS.Timeout | undefined
    server.on('connection', (socket) => {
      socket.on('error', ignore)
      socket.on('message', (bytes) => {
        if (bytes[0] === requestMark) socket.send(bytes)
        else messages += 1
      })
    })
    await new Promise<void>((resolve) => {
      server.on('listening', resolve)
    })
    return {
      address: `ws://127.0.0.1:${server.address().port}`,
      received: () => messages,
      startPings: () => {
        const all = [...server.clients]
        pings = spreadOverSecond(all.length, (index) => all[index]?.ping())
      },
      close: () => {
        clearInterval(pings)
        for (const socket of server.clients) socket.terminate()
        return new Promise((resolve) => {
          server.close(resolve)
        })
      },
    }
  },
  client: async (from) => {
    const { WebSocket } = await peerPackage<Ws>('ws')
    const client: Client = {
      connect: (address) =>
        new Promise((resolve, reject) => {
          const socket = new WebSocket(address, { ...shared, localAddress: from })
          socket.on('error', reject)
          socket.on('open', () => {
            resolve(linkOver(socket))
          })
        }),
      close: () => Promise.resolve(),
    }
    return client
  },
}

function linkOver(socket: Socket): Link {
  const waiting: (() => void)[] = []
  let sending = 0
  let drained: (() => void) | undefined
  const sent = (): void => {
    sending -= 1
    if (drained === undefined || socket.bufferedAmount > highWaterBytes / 2) return
    drained()
    drained = undefined
  }
  socket.on('message', () => waiting.shift()?.())
  return {
    // It has no event for this: the callback of each message looks at the amount.
    send: (bytes) => {
      sending += 1
      socket.send(bytes, sent)
      return socket.bufferedAmount < highWaterBytes
    },
    drained: () => {
      if (sending === 0) return Promise.resolve()
      return new Promise((resolve) => (drained = resolve))
    },
    request: (bytes, answered) => {
      waiting.push(answered)
      socket.send(bytes)
    },
    close: () => {
      socket.close()
    },
  }
}
