import {
  type Clock,
  createNode,
  HoldfastError,
  MemoryBlockStore,
  PeerRegistry,
  type Transport,
} from 'holdfast'
import { filePeerStore } from 'holdfast/files'
import { LevelBlockStore } from 'holdfast/level'
import { memoryNetwork } from 'holdfast/memory'
import { tcpTransport } from 'holdfast/tcp'
import { tlsTransport } from 'holdfast/tls'
import { blockStoreSuite, transportSuite } from 'holdfast/testing'

const transport: Transport = tcpTransport({ host: '127.0.0.1', port: 0 })
const node = createNode({ network: 'types', transport })

// Were `on` untyped, the parameters below would be implicit `any`, which strict refuses.
node.connections.on('peerConnected', ({ peer, direction }) => {
  const ip: string = peer.ip
  const side: 'inbound' | 'outbound' = direction
  console.log(ip, side)
})
node.connections.handle('note', (bytes, peer) => {
  const length: number = bytes.length
  peer.send('note', new Uint8Array(length))
})

// @ts-expect-error there is no such event
node.connections.on('noSuchEvent', () => undefined)

export async function use(): Promise<void> {
  try {
    await node.start()
  } catch (error) {
    if (HoldfastError.is(error, 'LISTEN_FAILED')) console.log(error.code)
  } finally {
    await node.stop()
  }
}

export type Handed = Clock
export const all = [
  MemoryBlockStore,
  filePeerStore,
  LevelBlockStore,
  PeerRegistry,
  memoryNetwork,
  tlsTransport,
  blockStoreSuite,
  transportSuite,
]
