import { test } from 'node:test'
import { runSuites } from './subjects.cjs'

runSuites(test)
