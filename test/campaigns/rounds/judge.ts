import type { CloseReasonKind } from 'holdfast'
import type { MemberEvent, MemberReport, PeerRecord, SocketRecord } from './protocol.js'

/** What an end of a pair may have seen end. */
export interface AllowedCloses {
  readonly least: number
  readonly most: number
  /** For these reasons only. */
  readonly kinds: readonly CloseReasonKind[]
}

export type ClosesAt = (ip: string, peerIp: string) => AllowedCloses

/** An expectation that did not hold. */
export interface Finding {
  readonly text: string
  /** Whose events tell the story; empty: everybody's. */
  readonly ips: readonly string[]
}

export interface Verdict {
  readonly findings: readonly Finding[]
  /** Physical connections between pairs of which neither end was killed, and those too many. */
  readonly sockets: number
  readonly duplicates: number
  /** Ends of established connections, counted at each end. */
  readonly closes: number
  /** Pairs of which neither end was killed whose connection the lower IP dialled. */
  readonly dialledByLower: number
}

export const noCloses: AllowedCloses = { least: 0, most: 0, kinds: [] }

/** One end of a pair: all that a member has of one peer. */
interface End {
  readonly ip: string
  readonly peerIp: string
  readonly peers: readonly PeerRecord[]
  readonly open: readonly SocketRecord[]
  readonly accepted: number
  readonly connected: number
  readonly closes: readonly MemberEvent[]
}

/**
 * Compares what all members report when it is quiet with what the library promises: one established
 * connection per pair, the same at both ends, announced once, and ended only where `closesAt` allows it.
 * Members whose process was killed have forgotten what was before: pairs with one count no duplicates.
 */
export function judge(
  reports: readonly MemberReport[],
  closesAt: ClosesAt,
  killed: readonly string[],
): Verdict {
  const pairs = reports.flatMap((a, index) =>
    reports.slice(index + 1).map((b) => [endOf(a, b.ip), endOf(b, a.ip)] as const),
  )
  const whole = pairs.filter(
    ([{ ip, peerIp }]) => ![ip, peerIp].some((end) => killed.includes(end)),
  )
  const sockets = sum(whole, ([a, b]) => a.accepted + b.accepted)
  return {
    findings: [
      ...pairs.flatMap(([a, b]) => judgePair(a, b, closesAt)),
      ...reports.flatMap((report) => judgeMember(report, reports.length - 1)),
    ],
    sockets,
    duplicates: sum(whole, ([a, b]) => Math.max(0, a.accepted + b.accepted - 1)),
    closes: sum(pairs, ([a, b]) => a.closes.length + b.closes.length),
    // Members come in the order of their IPs.
    dialledByLower: sum(whole, ([lower]) => (lower.peers[0]?.isDialled === true ? 1 : 0)),
  }
}

function judgePair(a: End, b: End, closesAt: ClosesAt): Finding[] {
  const texts = [...judgeEnd(a, closesAt), ...judgeEnd(b, closesAt)]
  const [ofA, ofB] = [a.peers[0], b.peers[0]]
  if (ofA !== undefined && ofB !== undefined && !areOne(ofA, ofB)) {
    texts.push(
      `${a.ip} and ${b.ip} hold different connections: ${socketName(ofA)} and ${socketName(ofB)}`,
    )
  }
  return texts.map((text) => ({ text, ips: [a.ip, b.ip] }))
}

function judgeEnd(end: End, closesAt: ClosesAt): string[] {
  const { ip, peerIp, peers, open, connected, closes } = end
  const { least, most, kinds } = closesAt(ip, peerIp)
  const texts: string[] = []
  const expect = (holds: boolean, text: string): void => {
    if (!holds) texts.push(`${ip} and ${peerIp}: ${text}`)
  }
  expect(peers.length === 1, `${peers.length} established connections at ${ip} instead of one`)
  expect(open.length === 1, `${open.length} sockets open at ${ip} instead of one`)
  expect(
    open.some((socket) => peers.some((peer) => socketName(peer) === socketName(socket))),
    `the established connection at ${ip} is none of its open sockets`,
  )
  expect(
    closes.length >= least && closes.length <= most,
    `${closes.length} established connections closed at ${ip}, not ${least === most ? least : `${least} to ${most}`}`,
  )
  for (const { text } of closes) {
    const kind = text.slice(0, text.indexOf(':'))
    if (most > 0)
      expect(
        kinds.some((allowed) => allowed === kind),
        `${ip} closed for ${text}`,
      )
  }
  expect(
    connected === closes.length + 1,
    `peerConnected came ${connected} times at ${ip}, not ${closes.length + 1}`,
  )
  return texts
}

function judgeMember({ ip, peers, events }: MemberReport, expected: number): Finding[] {
  const texts = events.filter(({ kind }) => kind === 'bug').map(({ text }) => `${ip}: ${text}`)
  if (peers.length !== expected) texts.push(`${ip} has ${peers.length} peers, not ${expected}`)
  return texts.map((text) => ({ text, ips: [ip] }))
}

function endOf({ ip, peers, sockets, events }: MemberReport, peerIp: string): End {
  const ofPeer = events.filter((event) => event.peerIp === peerIp)
  const between = sockets.filter((socket) => socket.peerIp === peerIp)
  return {
    ip,
    peerIp,
    peers: peers.filter((peer) => peer.ip === peerIp),
    open: between.filter(({ isOpen }) => isOpen),
    accepted: between.filter(({ isDialled }) => !isDialled).length,
    connected: ofPeer.filter(({ kind }) => kind === 'connected').length,
    closes: ofPeer.filter(({ kind }) => kind === 'disconnected'),
  }
}

/** One dialled, the other accepted, and the socket has the same two ends. */
const areOne = (a: PeerRecord, b: PeerRecord): boolean =>
  a.isDialled !== b.isDialled && a.local === b.remote && a.remote === b.local

const socketName = ({ local, remote }: { local: string; remote: string }): string =>
  `${local}-${remote}`

const sum = <Item>(items: readonly Item[], of: (item: Item) => number): number =>
  items.reduce((total, item) => total + of(item), 0)
