import { runMutants } from '../explorer/mutants/run.js'
import { syncMutants } from './list.js'

runMutants({ mutants: syncMutants, killerOf: (workshop, { test }) => workshop.test(test) })
