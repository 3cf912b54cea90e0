import { runMutants } from '../explorer/mutants/run.js'
import { storeMutants } from './list.js'

runMutants({ mutants: storeMutants, killerOf: (workshop, { test }) => workshop.test(test) })
