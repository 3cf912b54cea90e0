import type { World } from '../world.js'
import { replay, type Mismatch } from './replay.js'
import { samplePaths } from './sample.js'

/** What replaying sampled paths through worlds has shown. */
export interface ReplayReport {
  readonly paths: number
  readonly moves: number
  /** Steps of the election that differ in state, event or connection, in all worlds. */
  readonly steps: number
  /** Kinds of moves, events of slots and effects that were met, by their names. */
  readonly kinds: ReadonlySet<string>
  readonly ms: number
  readonly mismatch: (Mismatch & { readonly path: number }) | undefined
}

/** Replays `count` paths of a world, the same ones for the same seed; stops at the first mismatch. */
export async function replayWorld(
  world: World,
  options: { readonly count: number; readonly seed: number },
): Promise<ReplayReport> {
  const start = performance.now()
  const kinds = new Set<string>()
  const steps = new Set<string>()
  let paths = 0
  let moves = 0
  let mismatch: ReplayReport['mismatch']
  for (const path of samplePaths(world, options.count, options.seed)) {
    paths += 1
    moves += path.moves.length
    for (const feature of path.features) (feature.startsWith('step') ? steps : kinds).add(feature)
    const found = await replay(world, path.moves, options.seed * 1_000 + paths)
    if (found === undefined) continue
    mismatch = { ...found, path: paths }
    break
  }
  return { paths, moves, steps: steps.size, kinds, ms: performance.now() - start, mismatch }
}

/** What replays of several worlds have shown together. */
export function sumOf(reports: readonly ReplayReport[]): Omit<ReplayReport, 'mismatch'> {
  const sum = (of: (report: ReplayReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0)
  return {
    paths: sum(({ paths }) => paths),
    moves: sum(({ moves }) => moves),
    steps: sum(({ steps }) => steps),
    kinds: new Set(reports.flatMap(({ kinds }) => [...kinds])),
    ms: sum(({ ms }) => ms),
  }
}
