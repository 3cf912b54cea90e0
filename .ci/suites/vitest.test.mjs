import { test } from 'vitest'
import { runSuites } from './subjects.cjs'

runSuites(test)
