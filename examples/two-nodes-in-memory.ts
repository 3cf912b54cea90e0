/**
 * Two nodes in one process exchange application messages over a network in memory.
 *
 * It shows the shortest way from nothing to a connection: `createNode`, `connect`, `handle`, `send`,
 * `request`. Both nodes dial each other at the same moment; one connection is left, the same at both.
 *
 * Run it: npx tsx examples/two-nodes-in-memory.ts
 */
import { createNode } from 'holdfast'
import { memoryNetwork } from 'holdfast/memory'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

const network = memoryNetwork({ latencyMs: [1, 5] })

await using alice = createNode({
  network: 'example',
  transport: network.transport({ host: '10.0.0.1' }),
})
await using bob = createNode({
  network: 'example',
  transport: network.transport({ host: '10.0.0.2' }),
})

alice.on('peerConnected', ({ peer, direction }) => {
  console.log(`alice: connected to ${peer.ip} (${direction})`)
})
bob.on('peerConnected', ({ peer, direction }) => {
  console.log(`bob:   connected to ${peer.ip} (${direction})`)
})

// A request is answered by what its handler returns; a message that asks nothing is just handled.
bob.connections.handle('time', () => encode(new Date().toISOString()))
const greeted = new Promise<string>((resolve) => {
  bob.connections.handle('greeting', (bytes) => {
    resolve(decode(bytes))
  })
})

await Promise.all([alice.start(), bob.start()])
const [peer] = await Promise.all([
  alice.connections.connect('10.0.0.2'),
  bob.connections.connect('10.0.0.1'),
])

peer.send('greeting', encode('hello, bob'))
console.log(`bob:   was told '${await greeted}'`)
console.log(
  `alice: asked for the time, and was told ${decode(await peer.request('time', encode('')))}`,
)
console.log(
  `connections: ${alice.peers().length} at alice, ${bob.peers().length} at bob; ` +
    `duplicates refused: ${alice.status().duplicatesRefused + bob.status().duplicatesRefused}`,
)
