/**
 * Kills a process that syncs into a block store on the disk, again and again.
 *
 *   npm run store-kills -- [--quick] [--at moments|calls] [--kills 1000] [--seed 1] [--store flat|level]
 *
 * At random moments, or at each system call in turn that changes something on the disk (on Linux, with
 * a C compiler). Ends with 1 at the first kill after which the store is not what it must be.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { killWhileSyncing, type KillFigures } from '../support/kill-while-syncing.js'
import { diskStoreKinds, type DiskStoreKind } from '../support/kill-world.js'
import { atRandomMoments, AtEachCall } from '../support/process-killers.js'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    at: { type: 'string', default: 'moments' },
    kills: { type: 'string' },
    seed: { type: 'string', default: '1' },
    store: { type: 'string' },
  },
})
const kills = Number(values.kills ?? (values.quick ? 20 : 1_000))
const seed = Number(values.seed)
const kinds = diskStoreKinds.filter((kind) => values.store === undefined || kind === values.store)
const isKnown = values.at === 'moments' || values.at === 'calls'
if (!(kills > 0) || !Number.isSafeInteger(seed) || kinds.length === 0 || !isKnown) {
  throw new RangeError(
    'kills and seed must be numbers, store flat or level, and at moments or calls',
  )
}

for (const kind of kinds) {
  if (values.at === 'moments') await killAtMoments(kind)
  else await killAtCalls(kind)
}

async function killAtMoments(kind: DiskStoreKind): Promise<void> {
  const startMs = performance.now()
  const killer = atRandomMoments(new SeededRandom(seed))
  const figures = await killWhileSyncing(kind, killer, kills, seed)
  report(kind, figures, startMs)
}

async function killAtCalls(kind: DiskStoreKind): Promise<void> {
  const startMs = performance.now()
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-calls-'))
  try {
    const killer = await AtEachCall.make(folder)
    report(kind, await killWhileSyncing(kind, killer, kills, seed), startMs)
    for (const [point, died] of [...killer.points].sort()) {
      console.log(`  ${String(died).padStart(4)}  ${point}`)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

function report(kind: DiskStoreKind, figures: KillFigures, startMs: number): void {
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0)
  console.log(
    `${kind}: ${figures.kills} kills (seed ${seed}), of them ${figures.inOpenings} in openings and ` +
      `${figures.inWrites} in writes, ${figures.foundWritten} of which were there; ` +
      `${figures.repairs} torn ends cut off; ${figures.confirmedWrites} writes confirmed, none lost; ` +
      `${figures.stores} stores from nothing to the tip; ${seconds} s`,
  )
}
