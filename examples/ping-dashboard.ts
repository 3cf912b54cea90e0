/**
 * A dashboard of round trips in the terminal.
 *
 * One node watches five peers at different distances; one of them falls silent after a while, and comes
 * back before its third pong is missed. The table is what `node.pings` knows: `statsOf` for numbers, the
 * events `ponged`, `pongMissed` and `recovered` for what happens. On a terminal it redraws itself;
 * elsewhere it is printed once, at the end.
 *
 * Run it: npx tsx examples/ping-dashboard.ts
 * Or for a minute: npx tsx examples/ping-dashboard.ts 60
 */
import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { createNode, type Peer } from 'holdfast'
import { memoryNetwork } from 'holdfast/memory'

const seconds = Number(process.argv[2] ?? 4)
if (!(seconds >= 3)) throw new RangeError('the dashboard needs at least 3 seconds')

/** One way, in milliseconds, from our node. */
const distances: Record<string, readonly [number, number]> = {
  '10.0.0.2': [1, 2],
  '10.0.0.3': [5, 9],
  '10.0.0.4': [20, 22],
  '10.0.0.5': [15, 60],
  '10.0.0.6': [8, 10],
}
const silent = '10.0.0.6'
const silentFromMs = 1_000
const silenceMs = 900
const maxSamples = 32

const startedMs = performance.now()
const network = memoryNetwork({
  latencyMs: (from, to) => {
    const sinceMs = performance.now() - startedMs - silentFromMs
    // What is sent in the silence arrives when it is over.
    const heldMs = sinceMs >= 0 && sinceMs < silenceMs ? silenceMs - sinceMs : 0
    const [min, max] = distances[from] ?? distances[to] ?? [1, 1]
    const extra = from === silent || to === silent ? heldMs : 0
    return [min + extra, max + extra]
  },
})

const samples = new Map<Peer, number[]>()
const happened: string[] = []
const note = (text: string): void => {
  happened.push(`${((performance.now() - startedMs) / 1_000).toFixed(1)} s  ${text}`)
}

/** The last round trips of a peer, each as high as it is long. */
function sparkline(values: readonly number[]): string {
  const bars = '▁▂▃▄▅▆▇█'
  const most = Math.max(...values)
  return values.map((value) => bars[Math.floor((value / most) * (bars.length - 1))]).join('')
}

const milliseconds = (value: number | undefined): string =>
  value === undefined ? '-' : value.toFixed(1)

function table(peers: readonly Peer[]): string[] {
  const head = ['peer', 'last', 'smoothed', 'jitter', 'min', 'pongs', 'missed']
  const rows = peers.map((peer) => {
    const stats = node.pings.statsOf(peer)
    const times = [stats?.lastMs, stats?.smoothedMs, stats?.jitterMs, stats?.minMs]
    const counts = [`${stats?.pongsReceived}/${stats?.pingsSent}`, String(stats?.missedInAll)]
    return [peer.ip, ...times.map(milliseconds), ...counts]
  })
  const lines = [head, ...rows].map((cells) => cells.map((cell) => cell.padEnd(10)).join(''))
  return lines.map((line, index) => `${line}${sparkline(samples.get(peers[index - 1]!) ?? [])}`)
}

let drawnLines = 0
function draw(): void {
  const lines = [...table(node.peers()), ...happened.slice(-4)]
  // Up to where the table began, and clear to the end of the screen.
  const home = drawnLines === 0 ? '' : `\x1b[${drawnLines}A\x1b[J`
  process.stdout.write(`${home}${lines.join('\n')}\n`)
  drawnLines = lines.length
}

const node = createNode({
  network: 'dashboard',
  transport: network.transport({ host: '10.0.0.1' }),
  // A real node keeps to the defaults: 30 s, and 10 s for the pong.
  pingIntervalMs: 300,
  pongTimeoutMs: 500,
})
const others = Object.keys(distances).map((host) =>
  createNode({ network: 'dashboard', transport: network.transport({ host }) }),
)
node.pings.on('ponged', ({ peer, roundTripMs }) => {
  samples.set(peer, [...(samples.get(peer) ?? []), roundTripMs].slice(-maxSamples))
})
node.pings.on('pongMissed', ({ peer, missed }) => note(`${peer.ip} missed ${missed} in a row`))
node.pings.on('recovered', ({ peer, missed }) => note(`${peer.ip} is back after ${missed} missed`))
node.on('peerDisconnected', ({ peer, reason }) => note(`${peer.ip} is lost: ${reason.kind}`))

try {
  await Promise.all([node, ...others].map((each) => each.start()))
  await Promise.all(Object.keys(distances).map((host) => node.connections.connect(host)))
  while (performance.now() - startedMs < seconds * 1_000) {
    if (process.stdout.isTTY) draw()
    await setTimeout(100)
  }
  draw()

  for (const peer of node.peers()) {
    const { smoothedMs = 0, minMs = 0, pongsReceived = 0 } = node.pings.statsOf(peer) ?? {}
    assert(pongsReceived >= 5, `${peer.ip} answers its pings`)
    assert(minMs >= 2 * distances[peer.ip]![0], `nothing comes faster than its way takes`)
    assert(smoothedMs >= minMs)
  }
  assert.equal(node.peers().length, others.length, 'a peer that misses a pong or two is kept')
  assert(
    happened.some((line) => line.includes('missed')),
    'the silence was noticed',
  )
  assert(
    happened.some((line) => line.includes('is back')),
    'and its end',
  )
} finally {
  await Promise.all([node, ...others].map((each) => each.stop()))
}
