import { parseArgs } from 'node:util'
import { mutants, type Mutant } from './list.js'
import { Workshop } from './workshop.js'

const { values } = parseArgs({
  options: {
    /** Only the few mutants of every run. */
    quick: { type: 'boolean', default: false },
    /** Only mutants with this text in their names. */
    only: { type: 'string', default: '' },
  },
})
const chosen = mutants.filter(
  ({ name, isQuick }) => (!values.quick || isQuick === true) && name.includes(values.only),
)

const workshop = new Workshop()
try {
  process.exitCode = run() ? 0 : 1
} finally {
  workshop.remove()
}

/** Breaks one rule after the other; true when something caught each of them. */
function run(): boolean {
  const tests = new Set(chosen.flatMap(({ test }) => (test === undefined ? [] : [test])))
  const complaint =
    workshop.explore({ isSmall: true }) ?? workshop.replay() ?? firstComplaint(tests)
  if (complaint !== undefined) {
    console.log(`The unedited copy does not pass: ${complaint}`)
    return false
  }
  console.log(`The unedited copy passes. ${chosen.length} mutants:\n`)
  let survivors = 0
  for (const mutant of chosen) {
    const killer = killerOf(mutant)
    if (killer === undefined) survivors++
    console.log(`${mutant.name}\n    → ${killer ?? 'SURVIVES'}`)
  }
  console.log(`\n${chosen.length - survivors} caught, ${survivors} survived`)
  return survivors === 0
}

function firstComplaint(tests: Iterable<string>): string | undefined {
  for (const test of tests) {
    const complaint = workshop.test(test)
    if (complaint !== undefined) return complaint
  }
  return undefined
}

function killerOf(mutant: Mutant): string | undefined {
  workshop.edit(mutant.edits)
  try {
    if (mutant.isInShell === true) return workshop.replay()
    return (
      workshop.explore({ isSmall: true }) ??
      (mutant.test === undefined
        ? workshop.explore({ isSmall: false })
        : workshop.test(mutant.test))
    )
  } finally {
    workshop.restore()
  }
}
