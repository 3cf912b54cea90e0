import { parseArgs } from 'node:util'
import type { Edit } from './list.js'
import { Workshop } from './workshop.js'

interface Breakage {
  readonly name: string
  readonly edits: readonly Edit[]
  /** The test file that should notice; undefined when something else should. */
  readonly test?: string
  /** Among the few that a quick run breaks. */
  readonly isQuick?: boolean
}

/**
 * Breaks one rule after the other in a copy of the sources, says what caught each, and sets the exit code:
 * 1 when the unedited copy does not pass, or a mutant survives. Reads `--quick` and `--only TEXT`.
 */
export function runMutants<Mutant extends Breakage>(options: {
  readonly mutants: readonly Mutant[]
  /** What complains in the copy with the mutant's edits; undefined when nothing does. */
  readonly killerOf: (workshop: Workshop, mutant: Mutant) => string | undefined
  /** What complains in the unedited copy, besides the tests of the mutants. */
  readonly complaintOf?: (workshop: Workshop) => string | undefined
}): void {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
    },
  })
  const chosen = options.mutants.filter(
    ({ name, isQuick }) => (!values.quick || isQuick === true) && name.includes(values.only),
  )
  const workshop = new Workshop()
  try {
    const complaint = options.complaintOf?.(workshop) ?? complaintOfTests(workshop, chosen)
    if (complaint !== undefined) {
      console.log(`The unedited copy does not pass: ${complaint}`)
      process.exitCode = 1
      return
    }
    // Also those that are not chosen: a mutant that code moved away from would wait for the long run.
    for (const { edits } of options.mutants) {
      workshop.edit(edits)
      workshop.restore()
    }
    console.log(`The unedited copy passes. ${chosen.length} mutants:\n`)
    let survivors = 0
    for (const mutant of chosen) {
      workshop.edit(mutant.edits)
      const killer = options.killerOf(workshop, mutant)
      workshop.restore()
      if (killer === undefined) survivors++
      console.log(`${mutant.name}\n    → ${killer ?? 'SURVIVES'}`)
    }
    console.log(`\n${chosen.length - survivors} caught, ${survivors} survived`)
    process.exitCode = survivors === 0 ? 0 : 1
  } finally {
    workshop.remove()
  }
}

function complaintOfTests(workshop: Workshop, mutants: readonly Breakage[]): string | undefined {
  for (const test of new Set(mutants.map((mutant) => mutant.test))) {
    const complaint = test === undefined ? undefined : workshop.test(test)
    if (complaint !== undefined) return complaint
  }
  return undefined
}
