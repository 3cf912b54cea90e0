import { explore } from './explore.js'
import { tell } from './story.js'
import { worlds } from './worlds.js'

const pattern = process.argv[2] ?? ''
for (const world of worlds) {
  if (!world.name.includes(pattern) || (world.isDeep && !process.env.DEEP)) continue
  const r = explore(world, { maxStates: Number(process.env.MAX ?? 2e6) })
  console.log(
    `${world.name.padEnd(60)} ${String(r.states).padStart(9)} states ${String(r.transitions).padStart(10)} transitions depth ${r.depth} quiet ${r.quietStates} slots ${r.slotStates} ${(r.ms / 1000).toFixed(1)} s ${Math.round(r.states / r.ms)}k/s`,
  )
  if (r.violation) {
    console.log('VIOLATION: ' + r.violation.what)
    for (const l of tell(world, r.violation.moves)) console.log('   ' + l)
  }
}
