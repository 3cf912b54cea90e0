/**
 * Three nodes on real sockets, and their single connections.
 *
 * Each of the three dials both others in the same moment, so that up to six sockets come about for three
 * pairs. When it is quiet there is one connection per pair, and both ends hold the same one: what one end
 * calls local the other calls remote. On a system that has no 127.0.0.2 (macOS) the sockets are pipes in
 * memory.
 *
 * Run it: npx tsx examples/three-nodes.ts
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createNode, type Endpoint, type Node, type Transport } from 'holdfast'
import { memoryNetwork } from 'holdfast/memory'
import { tcpTransport } from 'holdfast/tcp'

const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3']

async function canListen(host: string): Promise<boolean> {
  const server = createServer().listen(0, host)
  try {
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

async function chooseTransport(): Promise<(host: string) => Transport> {
  const answers = await Promise.all(hosts.map(canListen))
  if (!answers.includes(false)) return (host) => tcpTransport({ host, port: 0 })
  console.log('This system has one loopback address only: the nodes are joined in memory.')
  const network = memoryNetwork({ latencyMs: [0.2, 1] })
  return (host) => network.transport({ host, port: 0 })
}

const named = ({ host, port }: Endpoint): string => `${host}:${port}`

const addressOf = (node: Node): string => named(node.connections.endpoints[0]!)

const transportFor = await chooseTransport()
const nodes = hosts.map((host) =>
  // Without patience nobody waits for the other end to dial first: that makes the race.
  createNode({ network: 'three-nodes', transport: transportFor(host), patienceMs: 0 }),
)
try {
  await Promise.all(nodes.map((node) => node.start()))
  const dials = nodes.flatMap((node) =>
    nodes
      .filter((other) => other !== node)
      .map((other) => node.connections.connect(addressOf(other))),
  )
  await Promise.all(dials)

  const ends = nodes.flatMap((node) =>
    node.peers().map(({ direction, local, remote }) => {
      assert(local)
      const [dialler, acceptor] = direction === 'outbound' ? [local, remote] : [remote, local]
      console.log(
        `${named(local).padEnd(15)}  ${direction === 'outbound' ? '──>' : '<──'}  ${named(remote)}`,
      )
      return `${named(dialler)} dialled ${named(acceptor)}`
    }),
  )
  const connections = new Set(ends)
  const refused = nodes.reduce((sum, node) => sum + node.status().duplicatesRefused, 0)
  console.log(
    `${dials.length} calls of connect, ${connections.size} connections, ` +
      `${refused} duplicates refused on the way.`,
  )
  assert.equal(ends.length, 6, 'each node has two peers')
  assert.equal(connections.size, 3, 'both ends of each pair hold the same physical connection')
} finally {
  await Promise.all(nodes.map((node) => node.stop()))
}
