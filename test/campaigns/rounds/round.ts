import type { SeededRandom } from 'holdfast/testing'
import type { Crew } from './crew.js'
import { judge, noCloses, type ClosesAt, type Finding, type Verdict } from './judge.js'
import { sharedNowMs, type MemberReport, type NodeSettings } from './protocol.js'

export interface RoundPlan {
  readonly name: string
  readonly node: NodeSettings
  readonly dice: SeededRandom
  readonly settleTimeoutMs: number
  /** How long it must stay quiet. */
  readonly watchMs: number
  /** Whether the network may fail: then a dial may, too. */
  readonly mayDialsFail: boolean
  readonly disturbance?: Disturbance
}

/** Something that is done to the mesh, and what it may cost. */
export interface Disturbance {
  readonly name: string
  /** In the middle of the race, or when it is over and was judged. */
  readonly isInRace: boolean
  run(scene: { readonly crew: Crew; readonly raceAtMs: number }): Promise<Aftermath>
}

export interface Aftermath {
  /** From when on nothing stands in the way of healing. */
  readonly healFromMs: number
  readonly closesAt: ClosesAt
  readonly killed: readonly string[]
  readonly findings?: readonly Finding[]
}

export interface RoundResult {
  readonly name: string
  readonly disturbance: string | undefined
  readonly findings: readonly Finding[]
  /** From the instant of the race to the last thing that happened in it. */
  readonly quietMs: number | undefined
  /** From the end of the disturbance to the last thing that happened. */
  readonly healMs: number | undefined
  /** Between the first and the last member that began. */
  readonly spreadMs: number
  readonly race: Omit<Verdict, 'findings' | 'closes'>
  readonly racePairs: number
  readonly duplicatesByLibrary: number
  readonly closesInRace: number
  readonly closesByDisturbance: number
  readonly raceAtMs: number
  /** For the timeline: what each member knew at the end. */
  readonly reports: readonly MemberReport[]
}

/**
 * One round: new nodes, all dial all at one instant, what is left when it is quiet, perhaps a
 * disturbance and what is left after it. The nodes are stopped in the end, so that each round is a race
 * between strangers.
 */
export async function runRound(crew: Crew, plan: RoundPlan): Promise<RoundResult> {
  const { disturbance, dice } = plan
  await crew.startNodes({ node: plan.node, word: plan.name })
  const { atMs: raceAtMs, begun } = crew.race(dice)
  const scene = { crew, raceAtMs }
  const findings: Finding[] = []
  let aftermath = disturbance?.isInRace === true ? await disturbance.run(scene) : undefined
  let state = await untilQuiet(crew, plan)
  const race = judge(
    state.reports,
    aftermath?.closesAt ?? (() => noCloses),
    aftermath?.killed ?? [],
  )
  findings.push(...state.findings, ...race.findings)
  if (disturbance === undefined && !plan.mayDialsFail) findings.push(...failedDials(state.reports))
  const duplicatesByLibrary = sum(state.reports, (report) => report.duplicatesRefused)
  let closesByDisturbance = aftermath === undefined ? 0 : race.closes
  const quietMs = aftermath === undefined ? lastEventMs(state.reports) - raceAtMs : undefined
  if (disturbance?.isInRace === false) {
    aftermath = await disturbance.run(scene)
    state = await untilQuiet(crew, plan)
    const healed = judge(state.reports, aftermath.closesAt, aftermath.killed)
    findings.push(...state.findings, ...healed.findings)
    closesByDisturbance = healed.closes
  }
  findings.push(...(aftermath?.findings ?? []))
  const left = await crew.stopNodes()
  if (left > 0) findings.push({ text: `${left} sockets are open after all nodes stopped`, ips: [] })
  const begunAtMs = aftermath === undefined ? await begun : [raceAtMs]
  return {
    name: plan.name,
    disturbance: disturbance?.name,
    findings,
    quietMs,
    healMs: aftermath && Math.max(0, lastEventMs(state.reports) - aftermath.healFromMs),
    spreadMs: Math.max(...begunAtMs) - Math.min(...begunAtMs),
    race,
    racePairs: pairsAmong(crew.place.ips.length - (disturbance?.isInRace === true ? 1 : 0)),
    duplicatesByLibrary,
    closesInRace: disturbance?.isInRace === true ? 0 : race.closes,
    closesByDisturbance,
    raceAtMs,
    reports: state.reports,
  }
}

/** Waits until all are settled, and then whether they stay so. */
async function untilQuiet(
  crew: Crew,
  { settleTimeoutMs, watchMs }: RoundPlan,
): Promise<{ readonly reports: readonly MemberReport[]; readonly findings: readonly Finding[] }> {
  const startedMs = sharedNowMs()
  const isSettled = await crew.untilSettled(settleTimeoutMs)
  await crew.sleep(watchMs)
  const reports = await crew.reports()
  if (isSettled && (await crew.untilSettled(0))) return { reports, findings: [] }
  const waitedMs = Math.round(sharedNowMs() - startedMs)
  const text = isSettled
    ? `it did not stay quiet for ${watchMs} ms`
    : `it is not quiet after ${waitedMs} ms`
  return { reports, findings: [{ text, ips: [] }] }
}

/** The loser of a race is no failure, and nothing else is in the way of a dial. */
function failedDials(reports: readonly MemberReport[]): Finding[] {
  return reports
    .flatMap(({ events }) => events)
    .filter(({ kind }) => kind === 'dial failed' || kind === 'refused')
    .map(({ ip, peerIp, kind, text }) => ({
      text: `${ip} and ${peerIp}: ${kind}: ${text}`,
      ips: [ip, peerIp],
    }))
}

const lastEventMs = (reports: readonly MemberReport[]): number =>
  Math.max(...reports.flatMap(({ events }) => events.map(({ atMs }) => atMs)))

const pairsAmong = (count: number): number => (count * (count - 1)) / 2

const sum = <Item>(items: readonly Item[], of: (item: Item) => number): number =>
  items.reduce((total, item) => total + of(item), 0)
