import { SeededRandom } from '../../../src/testing/seeded-random.js'
import { faultMoves } from '../faults.js'
import { Model } from '../model.js'
import { freeMoves, kindOf, moveKinds } from '../moves.js'
import { play } from '../play.js'
import { SlotTable, type Step } from '../slot-table.js'
import type { SlotEvent } from '../../../src/rules/election.js'
import type { World } from '../world.js'

/** A way through a world from its first state to a quiet one. */
export interface SampledPath {
  readonly moves: readonly number[]
  /** What happens on it: kinds of moves, events and effects, and steps of the election. */
  readonly features: ReadonlySet<string>
}

/** Of so many random walks the one that shows most that is new becomes a path. */
const walksPerPath = 8

/**
 * Random paths through a world, the same for the same seed. Each of the kinds of moves that may come
 * next is as likely as the others; of several walks the one is taken that has most of what no path had.
 */
export function samplePaths(world: World, count: number, seed: number): SampledPath[] {
  const dice = new SeededRandom(seed)
  const table = new WatchedTable()
  const seen = new Set<string>()
  return Array.from({ length: count }, () => {
    let best: { readonly path: SampledPath; readonly fresh: number } | undefined
    for (let walks = 0; walks < walksPerPath; walks++) {
      const path = walk(world, table, dice)
      const fresh = [...path.features].filter((feature) => !seen.has(feature)).length
      if (best === undefined || fresh > best.fresh) best = { path, fresh }
    }
    for (const feature of best!.path.features) seen.add(feature)
    return best!.path
  })
}

function walk(world: World, table: WatchedTable, dice: SeededRandom): SampledPath {
  const model = new Model(world, table)
  const path: number[] = []
  const features = new Set<string>()
  table.features = features
  for (;;) {
    const free: number[] = []
    freeMoves(model, free)
    const faults: number[] = []
    faultMoves(model, faults)
    const isFault = faults.length > 0 && dice.next() < (free.length === 0 ? 0.7 : 0.1)
    const move = pick(isFault ? faults : free, dice)
    if (move === undefined) return { moves: path, features }
    features.add(`move ${kindOf(move)}`)
    path.push(move)
    play(model, move)
  }
}

/** First a kind, then one of that kind, so that rare kinds are met. */
function pick(moves: readonly number[], dice: SeededRandom): number | undefined {
  const kinds = moveKinds.filter((kind) => moves.some((move) => kindOf(move) === kind))
  if (kinds.length === 0) return undefined
  const kind = kinds[dice.integer(0, kinds.length - 1)]
  const ofKind = moves.filter((move) => kindOf(move) === kind)
  return ofKind[dice.integer(0, ofKind.length - 1)]
}

/** Remembers what the election does. */
class WatchedTable extends SlotTable {
  features = new Set<string>()

  override step(slot: number, code: number, event: () => SlotEvent): Step {
    const step = super.step(slot, code, event)
    this.features.add(`event ${event().kind}`)
    this.features.add(`step ${slot} ${code}`)
    for (const effect of step.effects) {
      const detail =
        'why' in effect ? ` ${effect.why}` : 'timer' in effect ? ` ${effect.timer}` : ''
      this.features.add(`effect ${effect.kind}${detail}`)
    }
    return step
  }
}
