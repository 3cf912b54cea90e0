/** Honest peers: real nodes on IPs of their own, which ping each second and exchange requests. */
import { createNode, HoldfastError, MemoryBlockStore } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import { testChain, testChainRules } from 'holdfast/testing'
import { answerOrders, honestIps, network, victimIp } from './protocol.js'

const chain = testChain({ length: 400, blockBytes: 20_000 })
const closes: string[] = []
const failures: string[] = []
let roundTripsMs: number[] = []
let missed = 0
let answers = 0

const nodes = honestIps.map((host) => {
  const node = createNode({
    network,
    transport: tcpTransport({ host, port: 0 }),
    pingIntervalMs: 1_000,
    pongTimeoutMs: 5_000,
    chain: { rules: testChainRules(chain), store: new MemoryBlockStore() },
  })
  node.connections.on('peerDisconnected', ({ peer, reason }) => {
    if (peer.ip === victimIp) closes.push(`${host}: ${reason.kind} by ${reason.by}`)
  })
  node.pings.on('ponged', ({ roundTripMs }) => void roundTripsMs.push(roundTripMs))
  node.pings.on('pongMissed', () => void (missed += 1))
  return node
})

function exchange(): void {
  for (const node of nodes) {
    for (const peer of node.peers()) {
      peer.request('echo', Uint8Array.of(1, 2, 3), { timeoutMs: 20_000 }).then(
        () => void (answers += 1),
        (error: unknown) => failures.push(HoldfastError.is(error) ? error.code : String(error)),
      )
    }
  }
}

let timer: NodeJS.Timeout | undefined
answerOrders({
  start: async (port) => {
    for (const node of nodes) {
      await node.start()
      node.connections.keep(`${victimIp}:${port}`)
      await node.connections.connect(`${victimIp}:${port}`)
      await node.sync.waitForSynced()
    }
    timer = setInterval(exchange, 250)
    return nodes.filter((node) => node.sync.tip?.hash === chain.tip.hash).length
  },
  honest: async () => {
    const report = {
      connected: nodes.filter((node) => node.connections.peer(victimIp) !== undefined).length,
      closes: [...closes],
      roundTripsMs,
      missed,
      answers,
      failures: [...failures],
    }
    roundTripsMs = []
    answers = 0
    return report
  },
  stop: async () => {
    clearInterval(timer)
    await Promise.all(nodes.map((node) => node.stop()))
    return []
  },
})
