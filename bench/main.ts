/** `npm run bench`: see `--help`. */
import { writeFileSync } from 'node:fs'
import { crowdFigures, largeCrowdFigure, measureCrowd, measureLargeCrowd } from './crowd.js'
import { entrantsAmong } from './entrants.js'
import { machineFacts } from './machine.js'
import { benchOptions, help, type BenchOptions } from './options.js'
import { measureRaces } from './race.js'
import { drawReport } from './report.js'
import { compareResults, formatRow, readResults, type Results } from './results.js'
import { Samples, type Figure, type Row } from './samples.js'
import { measureScale } from './scale.js'
import { measureSync } from './sync.js'
import { measureSyncMemory } from './sync-memory.js'
import { measureStreams, smallMessages } from './streams.js'

/** A limit that is slow flatters everybody. */
const leastRawToWs = 15

type RunOptions = Extract<BenchOptions, { readonly kind: 'run' }>

async function measure(options: RunOptions): Promise<Results> {
  const { effort, only, figures } = options
  const machine = machineFacts()
  const { entrants, missing } = entrantsAmong(only)
  console.log(
    `${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node}; ${effort.rounds} rounds`,
  )
  for (const line of missing) console.log(`left out: ${line}`)
  const samples = new Samples()
  const isWanted = ({ name }: Figure): boolean => name.includes(figures)
  const print = (figure: Figure): void => {
    console.log(`\n${figure.name}`)
    for (const row of samples.rowsOf(figure)) console.log(formatRow(row))
  }
  await measureStreams(entrants, effort, samples, isWanted, print)
  if (crowdFigures.some(isWanted)) {
    const quickOnes = entrants.filter(
      ({ contestant }) => effort.crowdOfSlow || ['raw', 'holdfast', 'ws'].includes(contestant),
    )
    await measureCrowd(quickOnes, effort, samples)
    for (const figure of crowdFigures) print(figure)
  }
  if (isWanted(largeCrowdFigure)) {
    await measureLargeCrowd(entrants, effort, samples)
    print(largeCrowdFigure)
  }
  await measureSync(entrants, effort, samples, isWanted, print)
  if (only.includes('holdfast')) {
    await measureSyncMemory(effort, samples, isWanted, print)
    await measureRaces(effort, samples, isWanted, print)
    await measureScale(effort, samples, isWanted, print)
  }
  return { machine, rows: samples.rows() }
}

/** Why a run counts for nothing, or undefined. */
function flaw(rows: readonly Row[]): string | undefined {
  const of = (contestant: string): number | undefined =>
    rows.find((row) => row.name === smallMessages.name && row.contestant === contestant)?.median
  const [raw, ws] = [of('raw'), of('ws')]
  if (raw === undefined || ws === undefined || raw >= leastRawToWs * ws) return undefined
  const times = (raw / ws).toFixed(1)
  return `void: raw is only ${times} × ws at 64 B, and a slow limit flatters (${leastRawToWs} × is the least)`
}

async function main(): Promise<void> {
  const options = benchOptions(process.argv.slice(2))
  if (options.kind === 'help') {
    console.log(help)
    return
  }
  if (options.kind === 'compare') {
    const [before, after] = [readResults(options.before), readResults(options.after)]
    for (const line of compareResults(before, after)) console.log(line)
    return
  }
  const results = options.from === undefined ? await measure(options) : readResults(options.from)
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`)
  }
  if (options.report !== undefined) writeFileSync(options.report, drawReport(results))
  const why = flaw(results.rows)
  if (why !== undefined) throw new Error(why)
  const missing = results.rows.filter(({ median }) => !Number.isFinite(median))
  if (missing.length > 0)
    throw new Error(`no figure: ${missing.map(({ name }) => name).join(', ')}`)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
