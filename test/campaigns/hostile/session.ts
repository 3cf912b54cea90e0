import { setTimeout as sleep } from 'node:timers/promises'
import { createNode, MemoryBlockStore } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import { testChain, testChainRules } from 'holdfast/testing'
import type { Connection, Transport } from 'holdfast'
import { frameHeaderBytes, FrameReader } from '../../../src/wire/frame-reader.js'
import { network } from './protocol.js'

/** Passes everything on, and hands what is written to `record`. */
function recording(transport: Transport, record: (chunk: Uint8Array) => void): Transport {
  const watched = (connection: Connection): Connection => {
    const write = connection.write.bind(connection)
    connection.write = (chunks) => {
      for (const chunk of chunks) record(chunk)
      return write(chunks)
    }
    return connection
  }
  return {
    ...transport,
    dial: async (address, options) => watched(await transport.dial(address, options)),
    listen: (onConnection) => transport.listen!((connection) => onConnection(watched(connection))),
  }
}

/** The frames, whole, that two real nodes write to each other in a session of everything. */
export async function recordSession(): Promise<Buffer[]> {
  const ours = testChain({ length: 60, seed: 1 })
  const streams: Uint8Array[][] = [[], []]
  const nodes = ['127.0.0.51', '127.0.0.52'].map((host, index) =>
    createNode({
      network,
      transport: recording(tcpTransport({ host, port: 0 }), (chunk) => {
        streams[index]!.push(Uint8Array.from(chunk))
      }),
      pingIntervalMs: 50,
      pongTimeoutMs: 1_000,
      chain: { rules: testChainRules(ours), store: new MemoryBlockStore() },
    }),
  )
  const [a, b] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
  try {
    await Promise.all([a.start(), b.start()])
    for (const node of nodes) node.connections.handle('echo', (bytes) => bytes)
    const port = b.connections.endpoints[0]?.port ?? 0
    const peer = await a.connections.connect(`127.0.0.52:${port}`)
    for (const block of ours.blocks.slice(0, 30)) await b.sync.submit(block).catch(() => undefined)
    for (let n = 0; n < 5; n += 1) {
      await peer.request('echo', new Uint8Array(n * 40))
      await peer.request('nobody', Uint8Array.of(n)).catch(() => undefined)
      peer.send('note', Uint8Array.of(n, n))
    }
    await sleep(500)
  } finally {
    await Promise.all(nodes.map((node) => node.stop()))
  }
  return streams.flatMap(framesOf)
}

function framesOf(stream: readonly Uint8Array[]): Buffer[] {
  const reader = new FrameReader(() => 2 ** 31)
  for (const chunk of stream) reader.push(chunk)
  const frames: Buffer[] = []
  for (;;) {
    const result = reader.next()
    if (result.kind !== 'frame') return frames
    const { kindNumber, body } = result
    const bytes = Buffer.alloc(frameHeaderBytes + body.length)
    bytes.writeUInt32BE(body.length)
    bytes[4] = kindNumber
    bytes.set(body, frameHeaderBytes)
    frames.push(bytes)
  }
}
