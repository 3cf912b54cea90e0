/**
 * Pings during a sync whose source is as fast as loopback TCP and whose store takes two seconds for each
 * append: two real processes, one connection. The same connection is pinged before, as a measure.
 *
 *   npm run slow-store                    200 MB, about two minutes
 *   npm run slow-store -- --quick         20 MB: for CI
 *
 * The exit code is 0 when no ping was missed, the connection stayed, and the sync came to the tip.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createNode, MemoryBlockStore, type BlockRef, type Node, type Peer } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import { testChain, testChainRules } from 'holdfast/testing'
import { blockBytes, chainOptions, network } from './slow-store/chain.js'

const appendMs = 2_000
const pingEveryMs = 20
const beforeMs = 2_000
const monitorIntervalMs = 500
const monitorTimeoutMs = 2_000

/** Takes its time for each append, like a disk that is busy with something else. */
class SlowStore extends MemoryBlockStore {
  appends = 0

  override async append(...args: Parameters<MemoryBlockStore['append']>): Promise<BlockRef | null> {
    if (args[0].length > 1) {
      this.appends += 1
      await sleep(appendMs)
    }
    return super.append(...args)
  }
}

interface Figures {
  readonly seconds: number
  readonly appends: number
  readonly before: readonly number[]
  readonly during: readonly number[]
  readonly monitorPings: number
  readonly missed: number
  readonly closeReason: string | undefined
  readonly bottlenecks: Readonly<Record<string, number>>
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
  const blocks = (values.quick ? 20e6 : 200e6) / blockBytes
  const source = fork(fileURLToPath(new URL('./slow-store/source.ts', import.meta.url)), [
    String(blocks),
  ])
  try {
    const [told] = (await once(source, 'message')) as [{ port: number; tip: BlockRef }]
    const figures = await syncFrom(told.port, told.tip)
    process.stdout.write(inWords(figures, blocks))
    const wrong = [
      ...(figures.missed > 0 ? [`${figures.missed} pings were missed`] : []),
      ...(figures.closeReason === undefined
        ? []
        : [`the connection ended: ${figures.closeReason}`]),
      ...(figures.monitorPings < 5 ? ['the monitor hardly pinged'] : []),
    ]
    for (const text of wrong) process.stdout.write(`NOT TRUE: ${text}\n`)
    return wrong.length === 0 ? 0 : 1
  } finally {
    source.kill('SIGKILL')
  }
}

async function syncFrom(port: number, tip: BlockRef): Promise<Figures> {
  const store = new SlowStore()
  const node = createNode({
    network,
    transport: tcpTransport({ listen: false, localAddress: '127.0.4.2' }),
    pingIntervalMs: monitorIntervalMs,
    pongTimeoutMs: monitorTimeoutMs,
    chain: { rules: testChainRules(testChain(chainOptions(1))), store },
  })
  await using _stopped = node
  await node.connections.start()
  const peer = await node.connections.connect(`127.0.4.1:${port}`)
  const closed = new Promise<string>((resolve) => {
    node.once('peerDisconnected', ({ reason }) => {
      resolve(reason.kind)
    })
  })
  const before = await pingUntil(node, peer, sleep(beforeMs))
  const bottlenecks: Record<string, number> = {}
  const looks = setInterval(() => {
    const { bottleneck = 'none' } = node.sync.progress
    bottlenecks[bottleneck] = (bottlenecks[bottleneck] ?? 0) + 1
  }, 250)
  const startedMs = performance.now()
  try {
    await node.start()
    const isOver = Promise.race([node.sync.waitForHeight(tip.height), closed])
    const during = await pingUntil(node, peer, isOver)
    const closeReason = node.peers().length === 0 ? await closed : undefined
    const { pingsSent = 0, missedInAll = 0 } = node.pings.statsOf(peer) ?? {}
    return {
      seconds: (performance.now() - startedMs) / 1_000,
      appends: store.appends,
      before,
      during,
      monitorPings: pingsSent - before.length - during.length,
      missed: missedInAll,
      closeReason,
      bottlenecks,
    }
  } finally {
    clearInterval(looks)
  }
}

/** Round trips of pings by hand, one after another, until `end` settles. */
async function pingUntil(node: Node, peer: Peer, end: Promise<unknown>): Promise<number[]> {
  const roundTripsMs: number[] = []
  const state = { isOver: false }
  const over = end.finally(() => {
    state.isOver = true
  })
  while (!state.isOver) {
    const ms = await node.pings.ping(peer, { timeoutMs: 60_000 }).catch(() => undefined)
    if (ms === undefined) break
    roundTripsMs.push(ms)
    await sleep(pingEveryMs)
  }
  await over
  return roundTripsMs
}

function inWords(figures: Figures, blocks: number): string {
  const { appends, seconds, before, during, monitorPings, missed, bottlenecks } = figures
  const megabytes = (blocks * blockBytes) / 1e6
  const waited = Object.entries(bottlenecks)
    .map(([name, looks]) => `${name} ${looks}`)
    .join(', ')
  return [
    `${megabytes} MB in ${appends} appends of ${appendMs} ms, ${seconds.toFixed(0)} s`,
    `round trips before the sync: ${quantiles(before)}`,
    `round trips during the sync: ${quantiles(during)}`,
    `pings of the monitor, each ${monitorIntervalMs} ms, due in ${monitorTimeoutMs} ms: ${monitorPings}, ${missed} missed`,
    `what the sync waited for, a look each 250 ms: ${waited}`,
    '',
  ].join('\n')
}

function quantiles(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN).toFixed(1)
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms (${sorted.length} pings)`
}

process.exitCode = await main()
