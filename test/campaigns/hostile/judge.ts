import type { State } from './attacker.js'
import { honestIps, type HonestReport, type VictimReport } from './protocol.js'

/** One attack, and how the node and its honest peers came through it. */
export interface Phase {
  readonly name: string
  readonly what: string
  readonly seconds: number
  readonly pingMedianMs: number | undefined
  readonly pingMaxMs: number | undefined
  readonly answers: number
  readonly peakRssMb: number
  readonly closes: Readonly<Record<string, number>>
}

export interface Facts {
  readonly seed: number
  readonly phases: readonly Phase[]
  readonly sentCases: number
  readonly reachedByState: Readonly<Record<string, number>>
  readonly reachedByOrigin: Readonly<Record<string, number>>
  readonly pingMedianMs: number
  readonly before: VictimReport
  readonly after: VictimReport
  readonly honest: HonestReport
  readonly peakRssMb: number
  readonly offenders: readonly string[]
  readonly banned: readonly string[]
  readonly leftAfterStop: readonly string[]
}

/** What the memory of the node may grow by, at the peak of any attack and when it is over. */
export const maxPeakGrowthMb = 300
export const maxHeapGrowthMb = 30

const maxPingMedianMs = 50

/**
 * The end of each ban is waited for. Besides, repetitions of one condition are reported once a minute, and
 * each condition that was seen lately has its timer: the kinds of close reason, the kinds of message.
 */
const maxReportTimers = 20

export function median(numbers: readonly number[]): number | undefined {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}

/** What did not hold, in sentences; empty when everything did. */
export function judge(facts: Facts, wantedCases: number): string[] {
  const { before, after, honest, phases } = facts
  const reached = Object.values(facts.reachedByState).reduce((sum, count) => sum + count, 0)
  const expectations: readonly (readonly [boolean, string])[] = [
    [honest.closes.length === 0, `honest peers lost connections: ${honest.closes.join(', ')}`],
    [
      after.honestCloses.length === 0,
      `the node lost honest peers: ${after.honestCloses.join(', ')}`,
    ],
    [honest.connected === honestIps.length, `only ${honest.connected} honest peers are connected`],
    [
      honest.failures.length === 0,
      `${honest.failures.length} honest requests failed: ${honest.failures[0] ?? ''}`,
    ],
    [phases.every(({ answers }) => answers > 0), 'in one attack no honest request was answered'],
    [
      facts.pingMedianMs < maxPingMedianMs,
      `the median ping of honest peers was ${facts.pingMedianMs} ms`,
    ],
    [after.bugs.length === 0, `${after.bugs.length} errors inside: ${after.bugs[0] ?? ''}`],
    [
      facts.peakRssMb - before.rssMb <= maxPeakGrowthMb,
      `memory grew by ${facts.peakRssMb - before.rssMb} MiB at its peak, more than ${maxPeakGrowthMb}`,
    ],
    [
      after.heapMb - before.heapMb <= maxHeapGrowthMb,
      `the heap grew by ${after.heapMb - before.heapMb} MiB for good, more than ${maxHeapGrowthMb}`,
    ],
    [after.sockets <= before.sockets, `${after.sockets - before.sockets} sockets are left over`],
    [
      after.timers <= before.timers + after.bans.length + maxReportTimers,
      `${after.timers - before.timers} timers are left over, and ${after.bans.length} bans`,
    ],
    [after.handshaking === 0, `${after.handshaking} handshakes are left over`],
    [
      after.peers.length === honestIps.length,
      `${after.peers.length} peers are connected at the end`,
    ],
    [facts.leftAfterStop.length === 0, `after stop are left: ${facts.leftAfterStop.join(', ')}`],
    [
      !after.bans.some((ip) => honestIps.includes(ip)),
      `an honest peer is banned: ${after.bans.join(', ')}`,
    ],
    [
      facts.offenders.every((ip) => facts.banned.includes(ip)),
      `of the offenders ${facts.offenders.join(', ')} only ${facts.banned.join(', ')} are banned`,
    ],
    [
      reached >= wantedCases * 0.9,
      `only ${reached} of ${wantedCases} cases reached the frame reader`,
    ],
    ...(['before HELLO', 'in handshake', 'established'] satisfies State[]).map(
      (state) =>
        [
          (facts.reachedByState[state] ?? 0) >= wantedCases * 0.04,
          `only ${facts.reachedByState[state] ?? 0} cases met a connection ${state}`,
        ] as const,
    ),
  ]
  return expectations.filter(([holds]) => !holds).map(([, text]) => text)
}

export function table(facts: Facts): string {
  const row = (cells: readonly (string | number | undefined)[]): string =>
    `| ${cells.map((cell) => cell ?? '-').join(' | ')} |`
  const rounded = (ms: number | undefined): string => (ms === undefined ? '-' : ms.toFixed(1))
  return [
    row([
      'attack',
      's',
      'honest ping, median and most, ms',
      'honest answers',
      'peak MiB',
      'what happened',
      'established connections closed',
    ]),
    row(['---', '---', '---', '---', '---', '---', '---']),
    ...facts.phases.map((phase) =>
      row([
        phase.name,
        phase.seconds.toFixed(1),
        `${rounded(phase.pingMedianMs)}, ${rounded(phase.pingMaxMs)}`,
        phase.answers,
        phase.peakRssMb,
        phase.what,
        Object.entries(phase.closes)
          .map(([kind, count]) => `${kind} ${count}`)
          .join(', ') || 'none',
      ]),
    ),
    '',
    `cases that reached the frame reader, of ${facts.sentCases} sent: ${listed(facts.reachedByState)}`,
    `by origin: ${listed(facts.reachedByOrigin)}`,
    `honest pings: median ${facts.pingMedianMs.toFixed(1)} ms, ${facts.honest.missed} missed; closes ${facts.honest.closes.length}`,
    `memory of the node, MiB: rss ${facts.before.rssMb} before, ${facts.peakRssMb} at the peak, ${facts.after.rssMb} after; heap ${facts.before.heapMb} before, ${facts.after.heapMb} after`,
    `left over: ${facts.after.sockets - facts.before.sockets} sockets, ${Math.max(0, facts.after.timers - facts.before.timers)} timers; after stop: ${facts.leftAfterStop.length}`,
    `violations scored: ${facts.after.misbehaved}; banned: ${facts.banned.length} (offenders ${facts.offenders.length})`,
  ].join('\n')
}

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
