/** The node under attack: a process of its own with a real node on real TCP, which says what it saw. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createNode, MemoryBlockStore } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import { testChain, testChainRules } from 'holdfast/testing'
import type { Connection, Transport } from 'holdfast'
import { FrameReader } from '../../../src/wire/frame-reader.js'
import { answerOrders, honestIps, network, victimIp, type SeenConnection } from './protocol.js'

const chain = testChain({ length: 400, blockBytes: 20_000 })
const seen = new Map<string, SeenConnection>()
let current: SeenConnection | undefined
let peakRss = 0
let closes: Record<string, number> = {}
const honestCloses: string[] = []
const bugs: string[] = []

/** Counts what really reaches a frame reader, by the connection whose chunk is being handled. */
const push = FrameReader.prototype.push
FrameReader.prototype.push = function (this: FrameReader, chunk: Uint8Array): void {
  if (current !== undefined) current.bytes += chunk.length
  push.call(this, chunk)
}

function watched(connection: Connection): Connection {
  const facts: SeenConnection = { bytes: 0, greetedAt: undefined, establishedAt: undefined }
  seen.set(`${connection.remote.host}:${connection.remote.port}`, facts)
  const open = connection.open.bind(connection)
  const write = connection.write.bind(connection)
  connection.write = (chunks) => {
    facts.greetedAt ??= facts.bytes
    return write(chunks)
  }
  connection.open = (handlers) => {
    open({
      ...handlers,
      data: (chunk) => {
        current = facts
        try {
          handlers.data(chunk)
        } finally {
          current = undefined
        }
      },
    })
  }
  return connection
}

const tcp = tcpTransport({ host: victimIp, port: 0 })
const transport: Transport = {
  ...tcp,
  listen: (onConnection) => tcp.listen!((connection) => onConnection(watched(connection))),
}

const bug = (error: unknown): void =>
  void bugs.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
process.on('uncaughtException', bug)
process.on('unhandledRejection', bug)

const store = new MemoryBlockStore()
const node = createNode({
  network,
  transport,
  pingIntervalMs: 1_000,
  pongTimeoutMs: 5_000,
  slowPeerMs: 2_000,
  chain: { rules: testChainRules(chain), store },
})
const { connections } = node
connections.handle('echo', (bytes) => bytes)
connections.handle('swallow', () => undefined)
connections.on('internalError', ({ error }) => bug(error))
connections.on('listenerError', ({ error }) => bug(error))
let misbehaved = 0
connections.on('misbehaved', () => void (misbehaved += 1))
connections.on('peerConnected', ({ peer }) => {
  const facts = seen.get(`${peer.remote.host}:${peer.remote.port}`)
  if (facts !== undefined) facts.establishedAt = facts.bytes
})
connections.on('peerDisconnected', ({ peer, reason }) => {
  closes[reason.kind] = (closes[reason.kind] ?? 0) + 1
  if (honestIps.includes(peer.ip)) honestCloses.push(`${peer.ip}: ${reason.kind}`)
})
const sampling = setInterval(() => {
  peakRss = Math.max(peakRss, process.memoryUsage.rss())
}, 50).unref()

const count = (kind: string): number =>
  process.getActiveResourcesInfo().filter((resource) => resource === kind).length
const mb = (bytes: number): number => Math.round(bytes / 1024 / 1024)

answerOrders({
  start: async () => {
    await store.open()
    await store.append(chain.blocks, { expectTip: null })
    await node.start()
    return connections.endpoints[0]?.port ?? 0
  },
  victim: async ({ isSettled }) => {
    if (isSettled) {
      for (let turn = 0; turn < 3; turn += 1) {
        globalThis.gc?.()
        await sleep(50)
      }
    }
    const { heapUsed, rss } = process.memoryUsage()
    const report = {
      rssMb: mb(rss),
      heapMb: mb(heapUsed),
      peakRssMb: mb(Math.max(peakRss, rss)),
      sockets: count('TCPSocketWrap'),
      timers: count('Timeout'),
      peers: node.peers().map(({ ip }) => ip),
      handshaking: node.status().handshaking,
      knownPeers: node.status().knownPeers,
      bans: node.registry.bans().map(({ ip }) => ip),
      misbehaved,
      closes,
      honestCloses,
      bugs,
      seen: [...seen],
    }
    seen.clear()
    closes = {}
    peakRss = 0
    return report
  },
  stop: async () => {
    await node.stop()
    clearInterval(sampling)
    await sleep(100)
    return process.getActiveResourcesInfo().filter((kind) => /TCP|Timeout/.test(kind))
  },
})
