import { it } from 'mocha'
import { runSuites } from './subjects.cjs'

runSuites(it)
