/**
 * Weeks in minutes: a full mesh of nodes whose network and processes fail at random for a day of virtual
 * time, and then no more. See quiet-weeks.ts for what must be true afterwards.
 *
 *   npm run weeks                                   50 nodes, 14 days
 *   npm run weeks -- --quick                        8 nodes, 14 days: for CI
 *   npm run weeks -- --nodes 8 --days 3 --seed 7
 *   npm run weeks -- --json
 *
 * The exit code is 0 when all held, 1 when something did not: then the timeline says what came before.
 */
import { parseArgs } from 'node:util'
import { quietWeeks, type WeeksReport } from './quiet-weeks.js'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string' },
      days: { type: 'string' },
      seed: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const { quick, json } = values
  const startedMs = performance.now()
  const report = await quietWeeks({
    nodes: wholeNumber('nodes', values.nodes ?? (quick ? '8' : '50'), 2, 200),
    days: wholeNumber('days', values.days ?? '14', 2, 365),
    seed: wholeNumber('seed', values.seed, 0, Number.MAX_SAFE_INTEGER),
    onDay: (day) => {
      const seconds = (performance.now() - startedMs) / 1_000
      process.stderr.write(`${seconds.toFixed(0).padStart(6)} s  day ${day}\n`)
    },
  })
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10
  if (json) process.stdout.write(`${JSON.stringify({ ...report, seconds })}\n`)
  else process.stdout.write(`${inWords(report)}\n${seconds} s\n`)
}

function inWords(report: WeeksReport): string {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')
  const mins = report.timers.map(({ min }) => min)
  return [
    `${report.nodes} nodes, ${report.days} days, seed ${report.seed}: ${report.connections} pairs`,
    `faults on the first day: ${list(report.faults)}`,
    `ends of established connections, counted at each end: ${list(report.closes)}`,
    `of them known only after the last fault: ${report.closesAfterLastFault}, the last one after ` +
      `${report.latestCloseAfterMs / 1_000} s (at most ${report.detectionMs / 1_000} s)`,
    `closed since: ${report.quietCloses}; dialled since: ${report.quietDials}`,
    `pings since: ${report.quietPings}, one for each interval, end and connection`,
    `timers at the quietest moment of each day: ${mins.join(' ')}`,
  ].join('\n')
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  throw new RangeError(`--${name} must be a whole number from ${min} to ${max}, not ${text}`)
}

await main()
