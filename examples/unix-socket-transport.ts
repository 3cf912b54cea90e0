/**
 * A transport of one's own: nodes of one machine that meet over Unix domain sockets.
 *
 * Unix sockets have no IPs, so this transport maps its nodes to addresses by a rule of its own: the
 * node with number N listens on `N.sock` and goes by fd00::N. A dialler sends its number as the first
 * byte, because a Unix socket does not tell who is at its other end.
 *
 * Run it: npx tsx examples/unix-socket-transport.ts
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNode, HoldfastError, type Connection, type Endpoint, type Transport } from 'holdfast'
import { connectionFromDuplex } from 'holdfast/tcp'

const port = 1

/** How long a dialler may take to say who it is, and how many may be at it. */
const introductionMs = 2_000
const maxIntroductions = 64

const endpointOf = (number: number): Endpoint => ({ host: `fd00::${number.toString(16)}`, port })

function numberOf(address: Endpoint): number {
  const number = /^fd00::([0-9a-f]{1,2})$/.exec(address.host)?.[1]
  if (number === undefined) throw new RangeError(`${address.host} is no address of this transport`)
  return Number.parseInt(number, 16)
}

/** Nodes that meet in `directory`; this one has `number`, 1 to 255. */
function unixTransport({ directory, number }: { directory: string; number: number }): Transport {
  const pathOf = (of: number): string => join(directory, `${of}.sock`)
  const local = endpointOf(number)
  return {
    name: 'unix',
    defaultPort: port,

    async dial(address, { signal }): Promise<Connection> {
      signal.throwIfAborted()
      const socket = connect(pathOf(numberOf(address)))
      try {
        await once(socket, 'connect', { signal })
      } catch (error) {
        socket.destroy()
        throw signal.aborted ? signal.reason : error
      }
      socket.write(Uint8Array.of(number))
      return connectionFromDuplex(socket, { local, remote: address })
    },

    async listen(onConnection) {
      const introducing = new Set<Socket>()
      const server = createServer((socket) => {
        introducing.add(socket)
        if (introducing.size > maxIntroductions) socket.destroy()
        const deadline = setTimeout(() => socket.destroy(), introductionMs)
        socket.on('error', () => socket.destroy())
        socket.once('close', () => {
          clearTimeout(deadline)
          introducing.delete(socket)
        })
        socket.once('readable', () => {
          const first = socket.read(1) as Buffer | null
          if (first === null) return
          clearTimeout(deadline)
          introducing.delete(socket)
          onConnection(connectionFromDuplex(socket, { local, remote: endpointOf(first[0] ?? 0) }))
        })
      })
      server.listen(pathOf(number))
      try {
        await once(server, 'listening')
      } catch (cause) {
        throw new HoldfastError('LISTEN_FAILED', `cannot listen on ${pathOf(number)}`, { cause })
      }
      return {
        endpoints: [local],
        close: async () => {
          for (const socket of introducing) socket.destroy()
          if (server.listening) await new Promise((resolve) => server.close(resolve))
        },
      }
    },
  }
}

const directory = await mkdtemp(join(tmpdir(), 'holdfast-unix-'))
try {
  const nodes = [1, 2, 3].map((number) => {
    const transport = unixTransport({ directory, number })
    return createNode({ network: 'example', transport, patienceMs: 0 })
  })
  for (const node of nodes) await node.start()

  // Everybody dials everybody at the same moment.
  await Promise.all(
    nodes.flatMap((node, index) =>
      [1, 2, 3]
        .filter((number) => number !== index + 1)
        .map((number) => node.connections.connect(endpointOf(number).host)),
    ),
  )
  for (const [index, node] of nodes.entries()) {
    const peers = node.peers().map(({ ip, direction }) => `${ip} (${direction})`)
    console.log(`${endpointOf(index + 1).host} is connected to ${peers.sort().join(' and ')}`)
  }
  for (const node of nodes) await node.stop()
} finally {
  await rm(directory, { recursive: true })
}
