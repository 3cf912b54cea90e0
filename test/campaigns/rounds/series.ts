import type { Crew } from './crew.js'
import { figuresOf, type Figures } from './figures.js'
import { runRound, type RoundPlan, type RoundResult } from './round.js'
import { timeline } from './timeline.js'

/** After so many failed rounds the rest of a series would tell nothing new. */
const maxFailedRounds = 3

/** Expectations of one round that are told with their timelines. */
const maxTold = 3

const progressEvery = 20

export interface SeriesResult extends Figures {
  readonly name: string
  /** Packets that were lost on purpose. */
  readonly packetsLost?: number
  /** One line for each expectation that did not hold. */
  readonly failures: readonly string[]
}

/**
 * Runs one round for each of `plans` with one crew, tells of each that fails with its timeline, and
 * stops after a few of them, or when a process is gone that nobody killed. A series in which no pair ever had two connections was no race, and fails.
 */
export async function runSeries(
  name: string,
  crew: Crew,
  plans: readonly RoundPlan[],
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<SeriesResult> {
  const results: RoundResult[] = []
  const failures: string[] = []
  say(`\n${name}: ${plans.length} rounds`)
  for (const plan of plans) {
    const result = await runRound(crew, plan).catch((error: unknown) => {
      signal.throwIfAborted()
      failures.push(`${plan.name}: ${error instanceof Error ? error.message : String(error)}`)
      say(`  NOT TRUE: ${failures.at(-1) ?? ''}`)
    })
    if (result === undefined) break
    results.push(result)
    tellFailures(result, failures, say)
    const failed = results.filter(({ findings }) => findings.length > 0).length
    if (failed >= maxFailedRounds && results.length < plans.length) {
      say(`  ${failed} rounds failed: the other ${plans.length - results.length} are left out`)
      break
    }
    if (results.length % progressEvery === 0) say(`  ${results.length} of ${plans.length}`)
  }
  const figures = figuresOf(results)
  if (figures.duplicatesRefused === 0) {
    failures.push(`${name}: no pair ever had two connections: these were no races`)
    say(`  NOT TRUE: ${failures.at(-1) ?? ''}`)
  }
  tellFigures(figures, say)
  return { name, ...figures, failures }
}

function tellFailures(
  { name, disturbance, findings, reports, raceAtMs }: RoundResult,
  failures: string[],
  say: (line: string) => void,
): void {
  const title = disturbance === undefined ? name : `${name} (${disturbance})`
  for (const [index, { text, ips }] of findings.entries()) {
    failures.push(`${title}: ${text}`)
    say(`  NOT TRUE: ${title}: ${text}`)
    if (index === maxTold) say('    (timelines of the first ones only)')
    if (index >= maxTold) continue
    for (const line of timeline(reports, raceAtMs, ips)) say(`    ${line}`)
  }
}

function tellFigures(figures: Figures, say: (line: string) => void): void {
  const { pairs, sockets, duplicatesRefused, closesInRace, quietMs, disturbances } = figures
  say(
    `  ${pairs} pairs raced with ${sockets} sockets; ${duplicatesRefused} duplicates were refused,` +
      ` ${closesInRace} established connections closed` +
      (quietMs === null ? '' : `; quiet after ${quietMs.median} ms, at most ${quietMs.max} ms`),
  )
  if (disturbances.healMs === null) return
  const { rounds, closes, healMs } = disturbances
  say(
    `  rounds with a disturbance: ${rounds}; they cost ${closes} ends of connections, and healed after` +
      ` ${healMs.median} ms, at most ${healMs.max} ms`,
  )
}
