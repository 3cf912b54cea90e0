import { parseArgs } from 'node:util'
import { Workshop } from '../explorer/mutants/workshop.js'
import { syncMutants } from './list.js'

const { values } = parseArgs({
  options: {
    /** Only the few mutants of every run. */
    quick: { type: 'boolean', default: false },
    /** Only mutants with this text in their names. */
    only: { type: 'string', default: '' },
  },
})
const chosen = syncMutants.filter(
  ({ name, isQuick }) => (!values.quick || isQuick === true) && name.includes(values.only),
)

const workshop = new Workshop()
try {
  process.exitCode = run() ? 0 : 1
} finally {
  workshop.remove()
}

/** Breaks one rule of sync after the other; true when a test caught each of them. */
function run(): boolean {
  for (const test of new Set(chosen.map((mutant) => mutant.test))) {
    const complaint = workshop.test(test)
    if (complaint === undefined) continue
    console.log(`The unedited copy does not pass: ${complaint}`)
    return false
  }
  console.log(`The unedited copy passes. ${chosen.length} mutants:\n`)
  let survivors = 0
  for (const { name, edit, test } of chosen) {
    workshop.edit([edit])
    const killer = workshop.test(test)
    workshop.restore()
    if (killer === undefined) survivors++
    console.log(`${name}\n    → ${killer ?? 'SURVIVES'}`)
  }
  console.log(`\n${chosen.length - survivors} caught, ${survivors} survived`)
  return survivors === 0
}
