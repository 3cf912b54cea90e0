import { checkQuiet, checkState } from './checks.js'
import { Model } from './model.js'
import { faultMoves } from './faults.js'
import { FreeGraph } from './free-graph.js'
import { freeMoves } from './moves.js'
import { play } from './play.js'
import { SlotTable, type StepElection } from './slot-table.js'
import { StateStore } from './state-store.js'
import type { World } from './world.js'

/** The shortest way to something that must not be. */
export interface Violation {
  readonly what: string
  readonly moves: readonly number[]
}

export interface Exploration {
  readonly world: World
  readonly states: number
  readonly transitions: number
  readonly depth: number
  readonly quietStates: number
  /** The most moves without a fault that can follow each other: see FreeGraph. */
  readonly longestRun: number
  readonly slotStates: number
  readonly ms: number
  readonly violation: Violation | undefined
}

/**
 * Visits every state that a world can come to, breadth first, and stops at the first that breaks a rule:
 * no state with a shorter way does. `maxStates` is a stop for worlds that were meant to be smaller.
 */
export function explore(
  world: World,
  options: { readonly step?: StepElection; readonly maxStates?: number } = {},
): Exploration {
  const start = performance.now()
  const model = new Model(world, new SlotTable(options.step))
  const store = new StateStore(model.size)
  const graph = new FreeGraph()
  const base = new Int32Array(model.size)
  const moves: number[] = []
  let transitions = 0
  let depth = 0
  let quietStates = 0
  let longestRun = 0
  let violation: Violation | undefined
  store.add(model.w, -1)
  let endOfLevel = 1
  for (let state = 0; state < store.count && violation === undefined; state++) {
    if (state === endOfLevel) {
      depth++
      endOfLevel = store.count
      if (store.count > (options.maxStates ?? Infinity)) throw new Error('too many states')
    }
    store.load(state, base)
    model.w.set(base)
    moves.length = 0
    freeMoves(model, moves)
    const freeCount = moves.length
    graph.addState()
    if (moves.length === 0) {
      quietStates++
      const what = checkQuiet(model)
      if (what !== undefined) violation = { what, moves: wayTo(model, store, state) }
    }
    faultMoves(model, moves)
    for (const [index, move] of moves.entries()) {
      if (violation !== undefined) break
      model.w.set(base)
      play(model, move)
      transitions++
      const what = checkState(model)
      if (what !== undefined) violation = { what, moves: [...wayTo(model, store, state), move] }
      else {
        const next = store.add(model.w, state)
        if (index < freeCount) graph.addEdge(next, { isPaced: model.isComingAgain })
      }
    }
  }
  if (violation === undefined) {
    const judgement = graph.judge()
    if ('longest' in judgement) longestRun = judgement.longest
    else if ('circle' in judgement) violation = livelock(model, store, judgement.circle)
    else {
      const what = 'from here on something is always left to do, and no way leads to an end'
      violation = { what, moves: wayTo(model, store, judgement.trap) }
    }
  }
  return {
    world,
    states: store.count,
    transitions,
    depth,
    quietStates,
    longestRun,
    slotStates: model.table.size,
    ms: performance.now() - start,
    violation,
  }
}

/** The way to a circle, and once round it. */
function livelock(model: Model, store: StateStore, circle: readonly number[]): Violation {
  const [first] = circle
  const moves = wayTo(model, store, first!)
  const wanted = new Int32Array(model.size)
  for (const [index, state] of circle.entries()) {
    store.load(circle[(index + 1) % circle.length]!, wanted)
    moves.push(moveBetween(model, store, state, wanted))
  }
  const what = `the last ${circle.length} moves lead back to where they began, and need no fault`
  return { what, moves }
}

/** The moves that lead from the first state to this one. */
function wayTo(model: Model, store: StateStore, state: number): number[] {
  const states = [state]
  while (store.parentOf(states[0]!) >= 0) states.unshift(store.parentOf(states[0]!))
  const wanted = new Int32Array(model.size)
  const way: number[] = []
  for (const [index, next] of states.entries()) {
    if (index === 0) continue
    store.load(next, wanted)
    way.push(moveBetween(model, store, states[index - 1]!, wanted))
  }
  return way
}

function moveBetween(model: Model, store: StateStore, from: number, wanted: Int32Array): number {
  const moves: number[] = []
  store.load(from, model.w)
  freeMoves(model, moves)
  faultMoves(model, moves)
  for (const move of moves) {
    store.load(from, model.w)
    play(model, move)
    if (model.w.every((word, index) => word === wanted[index])) return move
  }
  throw new Error('no move leads from a state to its successor')
}
