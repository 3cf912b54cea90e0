/**
 * Worlds of whole nodes that fail at random, from fresh seeds, for as long as you like.
 *
 *   npm run soak -- --minutes 30                  a seed from the clock, which is printed
 *   npm run soak -- --minutes 30 --seed 7
 *   npm run soak -- --worlds 2000 --seed 1        a fixed number: for CI
 *   npm run soak -- --seed 7 --path 12:0:3        one world again, as the failure said
 *   npm run soak -- --scheduled …                 only those whose dials and listeners settle late
 *
 * Says how many worlds met each fault and each row of the election. The exit code is 0 when all held and
 * nothing was met by fewer than 2 % of them.
 */
import { parseArgs } from 'node:util'
import fc, { type RunDetails } from 'fast-check'
import { Coverage } from './coverage.js'
import { scheduledWorldsHold, worldsHold } from './properties.js'

const batch = 50
/** Of each batch, so many again with edges that settle late. */
const scheduledBatch = 10
const leastShare = 0.02
/** Fewer worlds than these are too few to say what is rare. */
const enoughWorlds = 300

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      worlds: { type: 'string' },
      seed: { type: 'string' },
      path: { type: 'string' },
      scheduled: { type: 'boolean', default: false },
    },
  })
  const seed = wholeNumber('seed', values.seed ?? String(Date.now() % 1_000_000_000))
  if (values.path !== undefined) return replay(seed, values.path, values.scheduled)
  const worlds = values.worlds === undefined ? Infinity : wholeNumber('worlds', values.worlds)
  const minutes = Number(values.minutes ?? (worlds === Infinity ? '10' : 'Infinity'))
  if (!(minutes > 0)) throw new RangeError(`--minutes must be above 0, not ${values.minutes}`)
  console.log(`seed ${seed}`)
  return soak({ seed, worlds, minutes, isScheduledOnly: values.scheduled })
}

async function soak(options: {
  readonly seed: number
  readonly worlds: number
  readonly minutes: number
  readonly isScheduledOnly: boolean
}): Promise<boolean> {
  const { worlds, minutes, isScheduledOnly } = options
  const untilMs = performance.now() + minutes * 60_000
  const coverage = new Coverage()
  const scheduled = new Coverage()
  let seed = options.seed
  while (coverage.worlds + (isScheduledOnly ? scheduled.worlds : 0) < worlds) {
    if (performance.now() >= untilMs) break
    const numRuns = Math.min(batch, worlds - coverage.worlds)
    const isFine =
      (isScheduledOnly || holds(await fc.check(worldsHold(coverage), { seed, numRuns }), false)) &&
      holds(await fc.check(scheduledWorldsHold(scheduled), { seed, numRuns: scheduledBatch }), true)
    if (!isFine) return false
    seed += 1
    process.stderr.write(`${coverage.worlds} worlds, ${scheduled.worlds} with late edges\n`)
  }
  console.log(`${scheduled.worlds} worlds whose dials and listeners settle late: all hold`)
  if (isScheduledOnly) return true
  console.log(coverage.report())
  const rare = coverage.worlds < enoughWorlds ? [] : coverage.below(leastShare)
  for (const what of rare) console.log(`too rare to prove anything: ${what}`)
  return rare.length === 0
}

async function replay(seed: number, path: string, isScheduled: boolean): Promise<boolean> {
  const coverage = new Coverage()
  const options = { seed, path, endOnFailure: true }
  return isScheduled
    ? holds(await fc.check(scheduledWorldsHold(coverage), options), true)
    : holds(await fc.check(worldsHold(coverage), options), false)
}

function holds<Script>(details: RunDetails<Script>, isScheduled: boolean): boolean {
  if (!details.failed) return true
  const { seed, counterexamplePath, counterexample, errorInstance } = details
  console.log(errorInstance instanceof Error ? errorInstance.message : String(errorInstance))
  console.log(`\nthe world: ${fc.stringify(counterexample)}`)
  const options = `--seed ${seed} --path ${counterexamplePath}${isScheduled ? ' --scheduled' : ''}`
  console.log(`\nFAILED. Again: npm run soak -- ${options}`)
  return false
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new RangeError(`--${name} must be a whole number, not ${text}`)
}

process.exitCode = (await main()) ? 0 : 1
