import { parseArgs } from 'node:util'
import { explore, type Exploration } from './explore.js'
import { tell } from './story.js'
import { worlds } from './worlds.js'

const usage = `npm run explore -- [options]

Visits every state of small worlds of hosts that run the real election, and checks each.

  --deep          the long worlds as well: minutes, and gigabytes of memory
  --world TEXT    only worlds with TEXT in their names
  --small         only worlds of one pair, and those that the mutants need
  --json          results as JSON on stdout
  --help          this text`

const { values } = parseArgs({
  options: {
    deep: { type: 'boolean', default: false },
    small: { type: 'boolean', default: false },
    world: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(usage)
else process.exitCode = run() ? 0 : 1

/** Explores all worlds that were asked for; false when a rule is broken in one. */
function run(): boolean {
  const results: Exploration[] = []
  for (const world of worlds) {
    if (world.isDeep === true && !values.deep) continue
    if (values.small && world.isLarge === true) continue
    if (!world.name.includes(values.world)) continue
    const result = explore(world)
    results.push(result)
    if (!values.json) report(result)
  }
  const broken = results.filter(({ violation }) => violation !== undefined)
  if (values.json) console.log(JSON.stringify({ worlds: results.map(asJson) }, undefined, 2))
  else summarize(results, broken.length)
  return results.length > 0 && broken.length === 0
}

function report({ world, states, transitions, depth, ms, violation }: Exploration): void {
  const columns = [
    world.name.padEnd(72),
    `${states.toLocaleString('en')} states`.padStart(18),
    `${transitions.toLocaleString('en')} transitions`.padStart(24),
    `depth ${depth}`.padStart(9),
    `${(ms / 1000).toFixed(1)} s`.padStart(8),
    violation === undefined ? '  holds' : '  VIOLATION',
  ]
  console.log(columns.join(' '))
  if (violation === undefined) return
  console.log(`\n  ${violation.what}. The shortest way there:\n`)
  for (const line of tell(world, violation.moves)) console.log(`    ${line}`)
  console.log()
}

function summarize(results: readonly Exploration[], violations: number): void {
  const sum = (of: (result: Exploration) => number): number =>
    results.reduce((total, result) => total + of(result), 0)
  const states = sum((result) => result.states)
  const ms = sum((result) => result.ms)
  console.log(
    `\n${results.length} worlds, ${states.toLocaleString('en')} states, ` +
      `${sum((result) => result.transitions).toLocaleString('en')} transitions ` +
      `in ${(ms / 1000).toFixed(1)} s (${Math.round(states / Math.max(ms, 1))}k states/s), ` +
      `${violations} violations`,
  )
}

function asJson(result: Exploration): object {
  const { world, states, transitions, depth, quietStates, violation, ms } = result
  return {
    name: world.name,
    states,
    transitions,
    depth,
    quietStates,
    ms: Math.round(ms),
    violations: violation === undefined ? 0 : 1,
    ...(violation === undefined
      ? {}
      : { violation: violation.what, story: tell(world, violation.moves) }),
  }
}
