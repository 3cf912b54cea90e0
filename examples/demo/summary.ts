import { describeReason } from 'holdfast'
import type { PairCount } from './counting-transport.js'
import type { CatchUpFacts } from './catch-up.js'
import type { RaceFacts } from './race.js'
import type { RedialFacts } from './redial.js'
import { count, duration, megabytes, plural } from './report.js'
import type { Report } from './report.js'
import type { ConnectionEvent, Swarm } from './swarm.js'

/** What the demo found, as `--json` prints it. */
export interface Facts {
  readonly ok: boolean
  readonly transport: 'tcp' | 'memory'
  readonly nodes: number
  readonly chainId: string
  /** How many open sockets each pair of nodes has in the end; null when they differ. */
  readonly connectionsPerPair: number | null
  readonly pairs: readonly PairCount[]
  readonly race: RaceFacts
  readonly duplicatesRefused: number
  readonly redialMs: number
  readonly closesWithoutFault: number
  readonly blocksSynced: number
  readonly bytesSynced: number
  readonly hashesEqual: number
  readonly syncMs: number
  readonly elapsedMs: number
  /** The expectations that did not hold. */
  readonly broken: readonly string[]
}

export interface Story {
  readonly transport: 'tcp' | 'memory'
  readonly nodes: number
  readonly chainId: string
  readonly swarm: Swarm
  readonly raced: RaceFacts
  readonly redialled: RedialFacts
  readonly synced: CatchUpFacts
  readonly startedMs: number
}

/** The last expectations, and a page of facts. */
export function summarize(story: Story, report: Report): Facts {
  const { swarm, raced, redialled, synced } = story
  const pairs = swarm.pairs().map(({ sockets }) => sockets)
  const open = new Set(pairs.map((pair) => pair.open))
  const connectionsPerPair = open.size === 1 ? (pairs[0]?.open ?? null) : null
  const closes = swarm.events.filter(
    (event) => event.kind === 'ended' && !redialled.ends.includes(event),
  )

  report.title('Summary')
  report.expect(
    'in the end each pair has exactly one connection',
    connectionsPerPair === 1,
    pairs.map(({ ips, open }) => `${ips.join(' and ')}: ${open}`).join(', '),
  )
  report.expect(
    'no connection was closed without a fault',
    closes.length === 0,
    closes.map(describeClose).join(', '),
  )
  report.expect('the library reported no bug', swarm.bugs.length === 0, swarm.bugs.join(', '))

  const facts: Facts = {
    ok: report.broken.length === 0,
    transport: story.transport,
    nodes: story.nodes,
    chainId: story.chainId,
    connectionsPerPair,
    pairs,
    race: { ...raced, settledAfterMs: Math.round(raced.settledAfterMs) },
    duplicatesRefused: raced.duplicatesRefused,
    redialMs: Math.round(redialled.connectedAgainAfterMs),
    closesWithoutFault: closes.length,
    blocksSynced: synced.blocksSynced,
    bytesSynced: synced.bytesSynced,
    hashesEqual: synced.hashesEqual,
    syncMs: Math.round(synced.syncMs),
    elapsedMs: Math.round(performance.now() - story.startedMs),
    broken: report.broken.map(({ what, found }) => `${what}; ${found}`),
  }
  report.columns([
    [
      'connections per pair',
      `${connectionsPerPair ?? 'not the same'} (${plural(pairs.length, 'pair')})`,
    ],
    ['duplicates refused', `${facts.duplicatesRefused} of ${plural(raced.sockets, 'socket')}`],
    ['closes without a fault', String(facts.closesWithoutFault)],
    ['redialled after', duration(facts.redialMs)],
    [
      'blocks synced',
      `${count(synced.blocksSynced)} (${megabytes(synced.bytesSynced)}) in ${duration(synced.syncMs)}`,
    ],
    ['hashes equal', `${count(synced.hashesEqual)} of ${count(synced.blocksSynced)}`],
    ['time', duration(facts.elapsedMs)],
  ])
  report.line()
  if (facts.ok) report.line('Everything held.')
  else report.line(`${plural(facts.broken.length, 'expectation')} did not hold:`)
  for (const broken of facts.broken) report.line(`  ${broken}`)
  return facts
}

const describeClose = ({ ip, peerIp, reason }: ConnectionEvent): string =>
  `${ip} lost ${peerIp} (${reason === undefined ? 'no reason' : describeReason(reason)})`
