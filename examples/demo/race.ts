import type { Endpoint, Peer } from 'holdfast'
import { duration, plural } from './report.js'
import type { Report } from './report.js'
import { addressOf } from './swarm.js'
import type { Swarm } from './swarm.js'
import { waitUntil } from './wait.js'

const settleTimeoutMs = 10_000

export interface RaceFacts {
  readonly pairs: number
  readonly dials: number
  readonly sockets: number
  readonly duplicatesRefused: number
  readonly settledAfterMs: number
}

/** Lets all nodes dial each other in one tick, and looks at what is left when it is quiet. */
export async function race(swarm: Swarm, report: Report, signal: AbortSignal): Promise<RaceFacts> {
  const startedMs = performance.now()
  for (const member of swarm.members) {
    for (const other of swarm.members) {
      if (other !== member) member.node.connections.keep(addressOf(other))
    }
  }
  const isSettled = await waitUntil(() => swarm.isSettled, { timeoutMs: settleTimeoutMs, signal })
  const settledAfterMs = performance.now() - startedMs

  const pairs = swarm.pairs()
  const sum = (of: (pair: (typeof pairs)[number]) => number): number =>
    pairs.reduce((total, pair) => total + of(pair), 0)
  const facts: RaceFacts = {
    pairs: pairs.length,
    dials: sum(({ sockets }) => sockets.dials),
    sockets: sum(({ sockets }) => sockets.sockets),
    duplicatesRefused: sum(({ sockets }) => sockets.sockets - sockets.open),
    settledAfterMs,
  }
  report.line(
    `  ${plural(facts.dials, 'dial')} made ${plural(facts.sockets, 'socket')} between ${plural(facts.pairs, 'pair')};` +
      ` ${plural(facts.duplicatesRefused, 'duplicate was', 'duplicates were')} refused, all quiet after ${duration(settledAfterMs)}.`,
  )

  report.expect(
    'each pair keeps exactly one connection',
    isSettled,
    `after ${duration(settledAfterMs)}: ${pairs.map(describe).join(', ')}`,
  )
  report.expect(
    'both ends of each pair hold the same physical connection',
    pairs.every(({ ends: [a, b] }) => a !== undefined && b !== undefined && areOneSocket(a, b)),
    pairs.map(({ ends }) => ends.map(socketName).join(' and ')).join(', '),
  )
  report.expect(
    'both ends of each pair dialled',
    pairs.every(({ sockets }) => sockets.dials >= 2),
    pairs.map(describe).join(', '),
  )
  report.expect(
    'at least one duplicate socket was refused',
    facts.duplicatesRefused > 0,
    `${plural(facts.sockets, 'socket')} between ${plural(facts.pairs, 'pair')}: the race was none`,
  )
  return facts
}

/** Waits until all round trips are known, and prints for each node whom it is connected to. */
export async function showPeers(swarm: Swarm, report: Report, signal: AbortSignal): Promise<void> {
  const allPeers = (): Peer[] => swarm.members.flatMap(({ node }) => node.connections.peers())
  const areMeasured = await waitUntil(
    () => allPeers().every(({ roundTrip }) => roundTrip.lastMs !== undefined),
    { timeoutMs: settleTimeoutMs, signal },
  )
  for (const member of swarm.members) {
    const peers = member.node.connections.peers()
    report.title(`  ${addressOf(member)} is connected to`)
    report.columns([
      ['peer', 'direction', 'listens on', 'round trip'],
      ...peers.map(({ ip, direction, listeningPort, roundTrip }) => [
        ip,
        direction,
        String(listeningPort ?? 'nothing'),
        roundTrip.smoothedMs === undefined ? 'unknown' : duration(roundTrip.smoothedMs),
      ]),
    ])
    const others = swarm.members.filter((other) => other !== member).map(({ ip }) => ip)
    const listed = peers.map(({ ip }) => ip)
    report.expect(
      `${member.ip} has each other node as a peer once`,
      [...listed].sort().join() === [...others].sort().join(),
      `it has ${listed.join(', ') || 'none'}`,
    )
  }
  report.expect(
    'pings are answered in both directions of every connection',
    areMeasured,
    `some had no answer within ${duration(settleTimeoutMs)}`,
  )
}

/** One dialled, the other accepted, and the socket has the same two endpoints at both ends. */
const areOneSocket = (a: Peer, b: Peer): boolean =>
  a.direction !== b.direction &&
  named(a.local) === named(b.remote) &&
  named(a.remote) === named(b.local)

const named = (endpoint: Endpoint | undefined): string =>
  endpoint === undefined ? 'unknown' : `${endpoint.host}:${endpoint.port}`

const socketName = (peer: Peer | undefined): string =>
  peer === undefined ? 'nothing' : `${named(peer.local)}-${named(peer.remote)}`

const describe = ({
  sockets: { ips, dials, sockets, open },
}: ReturnType<Swarm['pairs']>[number]): string =>
  `${ips.join(' and ')}: ${plural(dials, 'dial')}, ${plural(sockets, 'socket')}, ${open} open`
