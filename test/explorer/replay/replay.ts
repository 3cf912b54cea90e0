import { Model } from '../model.js'
import { connectionOf, kindOf } from '../moves.js'
import { play } from '../play.js'
import { SlotTable } from '../slot-table.js'
import { tell } from '../story.js'
import type { World } from '../world.js'
import { Replayer, ReplayError } from './replayer.js'
import { differences, numberPings, viewOfModel, viewOfNodes } from './views.js'
import type { Wire } from './wire.js'

/** Where real nodes are not what the model says. */
export interface Mismatch {
  /** The moves up to there, in words. */
  readonly story: readonly string[]
  readonly what: readonly string[]
}

/**
 * Makes the moves of a path in the model and on real nodes side by side, and compares them after each:
 * every slot, every end with its timers, what is in flight, and what users and services were told. At
 * the end all nodes stop, and nothing may be left behind. Undefined when there is no difference.
 */
export async function replay(
  world: World,
  moves: readonly number[],
  seed: number,
): Promise<Mismatch | undefined> {
  const model = new Model(world, new SlotTable())
  const replayer = new Replayer(model, seed)
  await replayer.start()
  /** Numbers of the connections in the story, by their numbers in the model. */
  const names: number[] = []
  for (const [index, move] of moves.entries()) {
    const what = await step(model, replayer, names, move)
    if (what.length > 0) return { story: tell(world, moves.slice(0, index + 1)), what }
  }
  const left = await replayer.stop()
  return left.length === 0 ? undefined : { story: tell(world, moves), what: left }
}

async function step(
  model: Model,
  replayer: Replayer,
  names: number[],
  move: number,
): Promise<string[]> {
  const wire = wireOf(replayer, names, move)
  if (kindOf(move) === 'dial') {
    let connection = model.firstOfRoute[connectionOf(move)]!
    while (model.ends(connection) !== 0) connection++
    names[connection] = replayer.wires.length + 1
  }
  try {
    await replayer.make(move, wire)
  } catch (error) {
    if (!(error instanceof ReplayError)) throw error
    return [error.message]
  }
  play(model, move)
  for (const rename of model.renames) names[rename & 15] = names[rename >> 4]!
  numberPings(replayer)
  return differences(viewOfModel(model, names), viewOfNodes(replayer))
}

function wireOf(replayer: Replayer, names: readonly number[], move: number): Wire | undefined {
  const isOfConnection = !['dial', 'crash', 'vanish'].includes(kindOf(move))
  return isOfConnection ? replayer.wires[names[connectionOf(move)]! - 1] : undefined
}
