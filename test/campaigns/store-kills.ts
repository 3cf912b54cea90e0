/**
 * Kills a process that syncs into a block store on the disk, again and again.
 *
 *   npm run store-kills -- [--quick] [--kills 1000] [--seed 1] [--store flat|level]
 *
 * Ends with 1 at the first kill after which the store is not what it must be.
 */
import { parseArgs } from 'node:util'
import { killWhileSyncing } from '../support/kill-while-syncing.js'
import { diskStoreKinds } from '../support/kill-world.js'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    kills: { type: 'string' },
    seed: { type: 'string', default: '1' },
    store: { type: 'string' },
  },
})
const kills = Number(values.kills ?? (values.quick ? 20 : 1_000))
const seed = Number(values.seed)
const kinds = diskStoreKinds.filter((kind) => values.store === undefined || kind === values.store)
if (!(kills > 0) || !Number.isSafeInteger(seed) || kinds.length === 0) {
  throw new RangeError('kills and seed must be numbers, and store flat or level')
}
for (const kind of kinds) {
  const startMs = performance.now()
  const figures = await killWhileSyncing(kind, kills, seed)
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0)
  console.log(
    `${kind}: ${figures.kills} kills (seed ${seed}), of them ${figures.inOpenings} in openings and ` +
      `${figures.inWrites} in writes, ${figures.foundWritten} of which were there; ` +
      `${figures.repairs} torn ends cut off; ${figures.confirmedWrites} writes confirmed, none lost; ` +
      `${figures.stores} stores from nothing to the tip; ${seconds} s`,
  )
}
