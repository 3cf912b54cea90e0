import type { World, WorldSlot } from './world.js'
import type { FaultKind } from './world.js'

const low = '10.0.0.9'
const high = '10.0.0.10'

/** Two hosts that dial each other. As texts, their addresses would be in the opposite order. */
export function pair(
  name: string,
  options: {
    readonly dials: readonly [number, number]
    readonly dialsAfterRestart?: number
    readonly width?: number
    readonly faults?: Partial<Record<FaultKind, number>>
    readonly maxFaults?: number
    readonly unreachable?: 'low' | 'high'
    readonly isDeep?: boolean
  },
): World {
  const { dials, faults = {}, dialsAfterRestart = 0, maxFaults, isDeep = false } = options
  const slot = (host: number, peerIp: string, count: number): WorldSlot => ({
    host,
    peerIp,
    dials: count,
    dialsAfterRestart,
  })
  const width = (count: number): number => options.width ?? count + dialsAfterRestart
  return {
    name,
    hosts: [{ name: low }, { name: high }],
    slots: [slot(0, high, dials[0]), slot(1, low, dials[1])],
    routes: [
      { from: 0, to: 1, isReachable: options.unreachable !== 'high', width: width(dials[0]) },
      { from: 1, to: 0, isReachable: options.unreachable !== 'low', width: width(dials[1]) },
    ],
    faults,
    ...(maxFaults === undefined ? {} : { maxFaults }),
    isDeep,
  }
}

export const worlds: readonly World[] = [
  pair('one dial per side', { dials: [1, 1] }),
  pair('one dial per side, higher cannot dial', { dials: [1, 1], unreachable: 'low' }),
  pair('one dial per side, lower cannot dial', { dials: [1, 1], unreachable: 'high' }),
  pair('one dial per side, early timer', { dials: [1, 1], faults: { early: 1 } }),
  pair('one dial per side, failing dial', { dials: [1, 1], faults: { dialFail: 1 } }),
  pair('one dial per side, reset', { dials: [1, 1], faults: { reset: 1 } }),
  pair('one dial per side, black hole', { dials: [1, 1], faults: { hole: 1 } }),
  pair('one dial per side, half hole', { dials: [1, 1], faults: { halfHole: 1 } }),
  pair('one dial per side, crash', { dials: [1, 1], dialsAfterRestart: 1, faults: { crash: 1 } }),
  pair('one dial per side, vanish', { dials: [1, 1], dialsAfterRestart: 1, faults: { vanish: 1 } }),
  pair('two dials per side, early timer', { dials: [2, 2], faults: { early: 1 } }),
  pair('two dials per side, failing dial', { dials: [2, 2], faults: { dialFail: 1 } }),
  pair('two dials per side, reset', { dials: [2, 2], faults: { reset: 1 } }),
  pair('two dials per side, black hole', { dials: [2, 2], faults: { hole: 1 } }),
  pair('two dials per side, half hole', { dials: [2, 2], faults: { halfHole: 1 } }),
  pair('two dials per side, crash', { dials: [2, 2], dialsAfterRestart: 1, faults: { crash: 1 } }),
  pair('two dials per side, vanish', {
    dials: [2, 2],
    dialsAfterRestart: 1,
    faults: { vanish: 1 },
  }),
  pair('one dial per side, crash and early', {
    dials: [1, 1],
    dialsAfterRestart: 1,
    faults: { crash: 1, early: 1 },
  }),
  pair('one dial per side, vanish and early', {
    dials: [1, 1],
    dialsAfterRestart: 1,
    faults: { vanish: 1, early: 1 },
  }),
]
