import { parseArgs } from 'node:util'
import { slotEffectKinds, slotEventKinds } from './events.js'
import { explore, type Exploration } from './explore.js'
import { moveKinds } from './moves.js'
import { replayWorld, sumOf, type ReplayReport } from './replay/replay-worlds.js'
import { tell } from './story.js'
import { worlds } from './worlds.js'
import type { World } from './world.js'

const usage = `npm run explore -- [options]

Visits every state of small worlds of hosts that run the real election, and checks each. Then replays
random paths through each world, move by move, on real nodes, and compares these with the model.

  --deep          the long worlds as well: minutes, and gigabytes of memory
  --replay N      replays N paths of each world (default 10; 0 for none)
  --seed S        which paths (default 1)
  --only-replay   explores nothing
  --world TEXT    only worlds with TEXT in their names
  --small         only worlds of one pair, and those that the mutants need
  --json          results as JSON on stdout
  --help          this text`

const { values } = parseArgs({
  options: {
    deep: { type: 'boolean', default: false },
    small: { type: 'boolean', default: false },
    world: { type: 'string', default: '' },
    replay: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    'only-replay': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** What is known of one world. */
interface Result {
  readonly world: World
  readonly exploration: Exploration | undefined
  readonly replays: ReplayReport
}

if (values.help) console.log(usage)
else process.exitCode = (await run()) ? 0 : 1

/** Explores and replays all worlds that were asked for; false when a rule is broken in one. */
async function run(): Promise<boolean> {
  const count = numberOf('replay')
  const seed = numberOf('seed')
  const results: Result[] = []
  for (const world of worlds) {
    if (world.isDeep === true && !values.deep) continue
    if (values.small && world.isLarge === true) continue
    if (!world.name.includes(values.world)) continue
    const exploration = values['only-replay'] ? undefined : explore(world)
    // The model of a world that breaks a rule is no measure for anything.
    const isBroken = exploration?.violation !== undefined
    const replays = await replayWorld(world, { count: isBroken ? 0 : count, seed })
    const result = { world, exploration, replays }
    results.push(result)
    if (!values.json) report(result)
  }
  if (values.json) console.log(JSON.stringify(asJson(results), undefined, 2))
  else summarize(results)
  return results.length > 0 && results.every((result) => violationsOf(result) === 0)
}

function numberOf(option: 'replay' | 'seed'): number {
  const value = Number(values[option])
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`--${option} must be a whole number from 0, not ${values[option]}`)
  return value
}

function violationsOf({ exploration, replays }: Result): number {
  return (exploration?.violation === undefined ? 0 : 1) + (replays.mismatch === undefined ? 0 : 1)
}

function shown(count: number): string {
  return count.toLocaleString('en')
}

function report(result: Result): void {
  const { world, exploration, replays } = result
  const columns = [world.name.padEnd(80)]
  if (exploration !== undefined) {
    const { states, transitions, depth, longestRun, ms } = exploration
    columns.push(
      `${shown(states)} states`.padStart(17),
      `${shown(transitions)} transitions`.padStart(22),
      `depth ${depth}`.padStart(8),
      `longest run ${longestRun}`.padStart(14),
      `${(ms / 1000).toFixed(1)} s`.padStart(7),
    )
  }
  columns.push(
    `${replays.paths} replayed`.padStart(13),
    violationsOf(result) === 0 ? '  holds' : '  VIOLATION',
  )
  console.log(columns.join(' '))
  if (exploration?.violation !== undefined) {
    const { what, moves } = exploration.violation
    tellStory(`${what}. The shortest way there:`, tell(world, moves))
  }
  if (replays.mismatch !== undefined) {
    const { path, what, story } = replays.mismatch
    const title = `Real nodes differ from the model on path ${path} (seed ${values.seed}):`
    tellStory(title, [...story, '', ...what])
  }
}

function tellStory(title: string, lines: readonly string[]): void {
  console.log(`\n  ${title}\n`)
  for (const line of lines) console.log(`    ${line}`)
  console.log()
}

function summarize(results: readonly Result[]): void {
  const sum = (of: (exploration: Exploration) => number): number =>
    results.reduce((total, { exploration }) => total + (exploration ? of(exploration) : 0), 0)
  const states = sum((exploration) => exploration.states)
  const ms = sum((exploration) => exploration.ms)
  const violations = results.reduce((total, result) => total + violationsOf(result), 0)
  if (!values['only-replay'])
    console.log(
      `\n${results.length} worlds, ${shown(states)} states, ` +
        `${shown(sum((exploration) => exploration.transitions))} transitions ` +
        `in ${(ms / 1000).toFixed(1)} s (${Math.round(states / Math.max(ms, 1))}k states/s)`,
    )
  const replays = sumOf(results.map((result) => result.replays))
  if (replays.paths > 0)
    console.log(
      `${shown(replays.paths)} paths with ${shown(replays.moves)} moves replayed on real nodes ` +
        `in ${(replays.ms / 1000).toFixed(1)} s: ${shown(replays.steps)} steps of the election, ` +
        counted(replays.kinds),
    )
  console.log(`${violations} violations`)
}

/** How many kinds of moves, events and effects were met, of how many. */
function counted(kinds: ReadonlySet<string>): string {
  const met = (prefix: string): Set<string> =>
    new Set([...kinds].filter((kind) => kind.startsWith(prefix)).map((kind) => kind.split(' ')[1]!))
  return (
    `${met('move ').size} of ${moveKinds.length} kinds of moves, ` +
    `${met('event ').size} of ${slotEventKinds.length} events, ` +
    `${met('effect ').size} of ${slotEffectKinds.length} effects`
  )
}

function asJson(results: readonly Result[]): object {
  const replays = sumOf(results.map((result) => result.replays))
  return {
    worlds: results.map(asJsonWorld),
    replays: { paths: replays.paths, moves: replays.moves, kinds: [...replays.kinds].sort() },
  }
}

function asJsonWorld(result: Result): object {
  const { world, exploration, replays } = result
  const { states, transitions, depth, longestRun, quietStates, violation, ms } = exploration ?? {}
  const { mismatch } = replays
  return {
    name: world.name,
    states: states ?? 0,
    transitions: transitions ?? 0,
    depth: depth ?? 0,
    longestRun,
    quietStates,
    ms: Math.round(ms ?? 0),
    replayed: replays.paths,
    violations: violationsOf(result),
    ...(violation === undefined
      ? {}
      : { violation: violation.what, story: tell(world, violation.moves) }),
    ...(mismatch === undefined ? {} : { mismatch }),
  }
}
