import fc, { type IProperty, type Parameters } from 'fast-check'
import { hangingWords, judgeHanging } from './hanging.js'
import {
  judgeBytes,
  judgeHealing,
  judgeSame,
  judgeWorld,
  pokeAtRandom,
  reachTip,
  worldOf,
  type Margins,
} from './judge.js'
import { judgeNetwork, networkWords } from './network-words.js'
import { boundMs, withoutForks, worldWords } from './world-kinds.js'

const withoutRestarts = ['steady', 'pruned', 'late', 'behind'] as const

/** Where the random worlds begin, how many there are, and which of them, if only one. */
export type Draw = Pick<Parameters, 'seed' | 'path' | 'numRuns'>

export interface WorldProperty {
  readonly name: string
  /** The smallest world that was found in which it does not hold, or undefined. */
  readonly flaw: (draw: Draw) => WorldFlaw | undefined
}

export interface WorldFlaw {
  readonly error: unknown
  /** As JSON. */
  readonly world: string
  readonly seed: number
  readonly path: string
}

const named = <Words extends [unknown, ...unknown[]]>(
  name: string,
  property: IProperty<Words>,
): WorldProperty => ({
  name,
  flaw: (draw) => {
    const run = fc.check(property, draw)
    if (!run.failed) return undefined
    const world = JSON.stringify(run.counterexample)
    return { error: run.errorInstance, world, seed: run.seed, path: run.counterexamplePath ?? '' }
  },
})

/** What holds in every world. The campaign runs the same ones for as long as it is told. */
export const worldProperties = (margins: Margins): readonly WorldProperty[] => [
  named(
    'the tip is reached in time, whoever else is there, and nobody honest is blamed',
    fc.property(worldWords({ misdeeds: withoutForks }), (words) => void judgeWorld(words, margins)),
  ),
  named(
    'the tip is reached although somebody serves another fork',
    fc.property(worldWords(), (words) => void judgeWorld(words)),
  ),
  named(
    'hardly anything comes twice when all are honest, however slow',
    fc.property(worldWords({ kinds: withoutRestarts, maxBad: 0 }), (words) =>
      judgeBytes(judgeWorld(words, margins), words),
    ),
  ),
  named(
    'a world without the heartbeat does the same, effect by effect',
    fc.property(worldWords(), (words) => judgeSame(words, { limits: { heartbeatMs: Infinity } })),
  ),
  named(
    'a wake finds nothing to do unless a timer is due',
    fc.property(worldWords(), (words) => {
      const world = worldOf(words)
      pokeAtRandom(world)
      reachTip(world, boundMs(words, world.options.chain))
    }),
  ),
  named(
    'a store that fails for a while costs that while',
    fc.property(
      worldWords({ misdeeds: withoutForks, maxBad: 4 }),
      fc.nat({ max: 60_000 }),
      judgeHealing,
    ),
  ),
  named(
    'a peer that hung for a while is asked again within the longest cooldown',
    fc.property(hangingWords, (words) => judgeHanging(words, margins)),
  ),
  named(
    'nodes that sync from each other, make blocks, part and meet again end on one tip',
    fc.property(networkWords(), (words) => void judgeNetwork(words)),
  ),
]
