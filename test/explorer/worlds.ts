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

const nat = '10.0.0.9'

/** Two hosts behind one address, and one that they dial and that dials one of them. */
export function shared(
  name: string,
  options: {
    readonly peer: string
    readonly dials: readonly [number, number, number]
    readonly dialsAfterRestart?: number
    readonly faults?: Partial<Record<FaultKind, number>>
    readonly maxFaults?: number
    readonly second?: 'liar'
    readonly isDeep?: boolean
  },
): World {
  const { peer, dials, dialsAfterRestart = 0, faults = {}, maxFaults, isDeep = false } = options
  const width = (count: number): number => count + dialsAfterRestart
  return {
    name,
    hosts: [
      { name: 'first behind ' + nat },
      { name: (options.second ?? 'second') + ' behind ' + nat, isLiar: options.second === 'liar' },
      { name: peer },
    ],
    slots: [
      { host: 0, peerIp: peer, dials: dials[0], dialsAfterRestart },
      { host: 1, peerIp: peer, dials: dials[1], dialsAfterRestart },
      { host: 2, peerIp: nat, dials: dials[2], dialsAfterRestart },
    ],
    routes: [
      { from: 0, to: 2, isReachable: true, width: width(dials[0]) },
      { from: 1, to: 2, isReachable: true, width: width(dials[1]) },
      ...(width(dials[2]) > 0
        ? [
            { from: 2, to: 0, isReachable: true, width: width(dials[2]) },
            { from: 2, to: 1, isReachable: true, width: width(dials[2]) },
          ]
        : []),
    ],
    faults,
    ...(maxFaults === undefined ? {} : { maxFaults }),
    isDeep,
  }
}

/** One host with an address below and one above that of the other: its slot has arbiters at both ends. */
export function multihomed(
  name: string,
  options: {
    readonly dials: readonly [number, number, number]
    readonly dialsAfterRestart?: number
    readonly faults?: Partial<Record<FaultKind, number>>
    readonly isDeep?: boolean
  },
): World {
  const { dials, dialsAfterRestart = 0, faults = {}, isDeep = false } = options
  const width = (count: number): number => count + dialsAfterRestart
  return {
    name,
    hosts: [{ name: '10.0.0.8 and 10.0.0.11' }, { name: '10.0.0.9' }],
    slots: [
      { host: 0, peerIp: '10.0.0.9', dials: dials[0], dialsAfterRestart },
      { host: 1, peerIp: '10.0.0.8', dials: dials[1], dialsAfterRestart },
      { host: 1, peerIp: '10.0.0.11', dials: dials[2], dialsAfterRestart },
    ],
    routes: [
      { from: 0, to: 1, isReachable: true, width: width(dials[0]) },
      { from: 0, to: 2, isReachable: true, width: width(dials[0]) },
      { from: 1, to: 0, isReachable: true, width: width(dials[1]) },
      { from: 2, to: 0, isReachable: true, width: width(dials[2]) },
    ],
    faults,
    isDeep,
  }
}

/** Each of two hosts is the arbiter of what it dials itself, or of what the other dials. */
export function mixed(
  name: string,
  options: { readonly arbiter: 'dialer' | 'acceptor' } & Parameters<typeof pair>[1],
): World {
  const world = pair(name, options)
  const seen =
    options.arbiter === 'dialer' ? { dialer: low, acceptor: high } : { dialer: high, acceptor: low }
  return { ...world, routes: world.routes.map((route) => ({ ...route, seen })) }
}

const single: readonly [string, Partial<Record<FaultKind, number>>, number][] = [
  ['an early timer', { early: 1 }, 0],
  ['a failing dial', { dialFail: 1 }, 0],
  ['a reset', { reset: 1 }, 0],
  ['a black hole', { hole: 1 }, 0],
  ['a black hole in one direction', { halfHole: 1 }, 0],
  ['a crash', { crash: 1 }, 1],
  ['a crash without a reset', { vanish: 1 }, 1],
]

export const worlds: readonly World[] = [
  pair('one dial per side', { dials: [1, 1] }),
  pair('one dial per side, higher cannot dial', { dials: [1, 1], unreachable: 'low' }),
  pair('one dial per side, lower cannot dial', { dials: [1, 1], unreachable: 'high' }),
  ...single.map(([name, faults, dialsAfterRestart]) =>
    pair('one dial per side, ' + name, { dials: [1, 1], faults, dialsAfterRestart }),
  ),
  ...single.map(([name, faults, dialsAfterRestart]) =>
    pair('two dials per side, ' + name, { dials: [2, 2], faults, dialsAfterRestart }),
  ),
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
  ...['10.0.0.10', '10.0.0.8'].flatMap((peer) => [
    shared('three hosts', { peer, dials: [1, 1, 1] }),
    ...single.map(([name, faults, dialsAfterRestart]) =>
      shared('three hosts, ' + name, {
        peer,
        dials: [1, 1, dialsAfterRestart ? 0 : 1],
        faults,
        dialsAfterRestart,
      }),
    ),
    shared('three hosts, liar', { peer, second: 'liar', dials: [1, 1, 1] }),
  ]),
  multihomed('two addresses', { dials: [1, 1, 1] }),
  ...single.map(([name, faults, dialsAfterRestart]) =>
    multihomed('two addresses, ' + name, { dials: [1, 1, 1], faults, dialsAfterRestart }),
  ),
  mixed('mixed, dialer', { arbiter: 'dialer', dials: [1, 1] }),
  mixed('mixed, acceptor', { arbiter: 'acceptor', dials: [1, 1] }),
  ...single.map(([name, faults, dialsAfterRestart]) =>
    mixed('mixed, dialer, ' + name, {
      arbiter: 'dialer',
      dials: [1, 1],
      faults,
      dialsAfterRestart,
    }),
  ),
  ...single.map(([name, faults, dialsAfterRestart]) =>
    mixed('mixed, acceptor, ' + name, {
      arbiter: 'acceptor',
      dials: [1, 1],
      faults,
      dialsAfterRestart,
    }),
  ),
]
