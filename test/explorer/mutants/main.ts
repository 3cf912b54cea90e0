import { mutants } from './list.js'
import { runMutants } from './run.js'

runMutants({
  mutants,
  complaintOf: (workshop) => workshop.explore({ isSmall: true }) ?? workshop.replay(),
  killerOf: (workshop, { isInShell, test }) => {
    if (isInShell === true) return workshop.replay()
    const found = workshop.explore({ isSmall: true })
    if (found !== undefined) return found
    return test === undefined ? workshop.explore({ isSmall: false }) : workshop.test(test)
  },
})
