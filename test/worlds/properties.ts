import fc from 'fast-check'
import type { Coverage } from './coverage.js'
import { scheduledEdges } from './scheduled-edges.js'
import { worldScripts } from './script.js'
import { World } from './world.js'

/** In every world G1 to G5 hold. */
export function worldsHold(coverage: Coverage) {
  return fc.asyncProperty(worldScripts(), async (script) => {
    coverage.add(await new World(script).run())
  })
}

/** The same, where dials and listeners settle late and in any order. */
export function scheduledWorldsHold(coverage: Coverage) {
  return fc.asyncProperty(fc.scheduler(), worldScripts(4), async (scheduler, script) => {
    coverage.add(await new World(script, scheduledEdges(scheduler, script.seed)).run())
  })
}
