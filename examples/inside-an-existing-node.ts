/**
 * `PeerRegistry` and `ConnectionManager` alone, inside a node that already has everything else: its own
 * TCP server, its own handling of peers, no sync and no pings from this library.
 *
 * The server accepts the sockets and hands them over with `accept`; the transport only dials. Whatever
 * dials whom, and however often, the node holds one connection per peer.
 *
 * Run it: npx tsx examples/inside-an-existing-node.ts
 */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { ConnectionManager, PeerRegistry } from 'holdfast'
import { connectionFromSocket, tcpTransport } from 'holdfast/tcp'

/** Stands for the node that was there before. */
class ExistingNode {
  readonly registry = new PeerRegistry()
  readonly connections: ConnectionManager
  readonly #server: Server

  constructor(readonly name: string) {
    this.connections = new ConnectionManager({
      registry: this.registry,
      transport: tcpTransport({ listen: false }),
      network: 'existing-network',
      listen: false,
    })
    this.connections.on('peerConnected', ({ peer, direction }) => {
      console.log(`${this.name}: one connection to ${peer.ip}, ${direction}`)
    })
    this.#server = createServer((socket) => {
      // This is where a server of one's own looks at a socket first, and may well keep it.
      this.connections.accept(connectionFromSocket(socket))
    })
  }

  async start(): Promise<number> {
    await this.connections.start()
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.#server.close()
    await this.connections.stop()
  }
}

const server = new ExistingNode('server')
const client = new ExistingNode('client')
const port = await server.start()
await client.start()

server.connections.handle('height', () => new TextEncoder().encode('812345'))

// Ten parts of the client want the server at once: they share one dial and get the same connection.
const wanted = Array.from({ length: 10 }, () => client.connections.connect(`127.0.0.1:${port}`))
const peers = new Set(await Promise.all(wanted))
const [peer] = peers
if (peer === undefined || peers.size !== 1) throw new Error('more than one connection')

const answer = await peer.request('height', new Uint8Array(0))
console.log(`client: the server is at height ${new TextDecoder().decode(answer)}`)
console.log(
  'client: knows',
  client.registry.list().map(({ ip, timesConnected }) => ({ ip, timesConnected })),
)

await client.stop()
await server.stop()
