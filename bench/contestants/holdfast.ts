import { ConnectionManager, createNode, PeerRegistry, PingMonitor, type Peer } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import type { Contestant, Link } from './contestant.js'
import { ignore } from './raw.js'

const network = 'bench'
const unlimited = 1_000_000_000

/** Limits that would be what is measured: of what one peer may send, and of who may come in at once. */
export const lifted = {
  maxInbound: 200_000,
  maxPendingHandshakes: 100_000,
  maxMessagesPerSecond: unlimited,
  maxBytesPerSecond: unlimited * 1_000,
  maxRequests: 100_000,
  maxReplies: 100_000,
} as const

export const holdfast: Contestant = {
  serve: async () => {
    const node = createNode({
      ...lifted,
      network,
      transport: tcpTransport({ host: '127.0.0.1', port: 0 }),
    })
    let messages = 0
    node.connections.handle('m', () => {
      messages += 1
    })
    node.connections.handle('q', (bytes) => bytes)
    await node.start()
    return {
      address: `127.0.0.1:${node.connections.endpoints[0]?.port ?? 0}`,
      received: () => messages,
      startPings: () => {
        node.connections.serve(new PingMonitor({ pingIntervalMs: 1_000 }))
      },
      close: () => node.stop(),
    }
  },
  client: async (from) => {
    const connections = new ConnectionManager({
      ...lifted,
      network,
      registry: new PeerRegistry(),
      transport: tcpTransport({ listen: false, localAddress: from }),
    })
    await connections.start()
    return {
      connect: async (address) => linkTo(await connections.connect(address)),
      close: () => connections.stop(),
    }
  },
}

function linkTo(peer: Peer): Link {
  return {
    send: (bytes) => peer.send('m', bytes),
    drained: () => peer.drained(),
    request: (bytes, answered) => {
      peer.request('q', bytes).then(answered, ignore)
    },
    close: () => {
      peer.close()
    },
  }
}
