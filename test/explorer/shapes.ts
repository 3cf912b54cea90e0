import type { FaultKind, World, WorldHost, WorldSlot } from './world.js'

const low = '10.0.0.9'
const high = '10.0.0.10'

/** Two hosts that dial each other. As texts, their addresses would be in the opposite order. */
export function pair(
  name: string,
  options: {
    readonly dials: readonly [number, number]
    readonly dialsAfterRestart?: number
    readonly faults?: Partial<Record<FaultKind, number>>
    readonly maxFaults?: number
    readonly unreachable?: 'low' | 'high'
    readonly lowTells?: string
    readonly highTells?: string
  },
): World {
  const { dials, faults = {}, dialsAfterRestart = 0, maxFaults } = options
  const slot = (host: number, peerIp: string, count: number): WorldSlot => ({
    host,
    peerIp,
    dials: count,
    dialsAfterRestart,
  })
  const host = (name: string, tellsIp: string | undefined): WorldHost =>
    tellsIp === undefined ? { name } : { name, tellsIp }
  const width = (count: number): number => count + dialsAfterRestart * restarts(faults, maxFaults)
  return {
    name,
    hosts: [host(low, options.lowTells), host(high, options.highTells)],
    slots: [slot(0, high, dials[0]), slot(1, low, dials[1])],
    routes: [
      { from: 0, to: 1, isReachable: options.unreachable !== 'high', width: width(dials[0]) },
      { from: 1, to: 0, isReachable: options.unreachable !== 'low', width: width(dials[1]) },
    ],
    faults,
    ...(maxFaults === undefined ? {} : { maxFaults }),
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
  },
): World {
  const { peer, dials, dialsAfterRestart = 0, faults = {}, maxFaults } = options
  const width = (count: number): number => count + dialsAfterRestart * restarts(faults, maxFaults)
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
  }
}

/** One host with an address below and one above that of the other: its slot has arbiters at both ends. */
export function multihomed(
  name: string,
  options: {
    readonly dials: readonly [number, number, number]
    readonly dialsAfterRestart?: number
    readonly faults?: Partial<Record<FaultKind, number>>
    readonly maxFaults?: number
  },
): World {
  const { dials, dialsAfterRestart = 0, faults = {}, maxFaults } = options
  const width = (count: number): number => count + dialsAfterRestart * restarts(faults, maxFaults)
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
    ...(maxFaults === undefined ? {} : { maxFaults }),
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

/** An honest host, and one that says what it likes. */
export function withLiar(
  name: string,
  options: { readonly liar: 0 | 1 } & Parameters<typeof pair>[1],
): World {
  const world = pair(name, options)
  const hosts = world.hosts.map((host, index) =>
    index === options.liar ? { name: `the liar ${host.name}`, isLiar: true } : host,
  )
  return { ...world, hosts }
}

/** How often hosts may start again in all. */
function restarts({ crash = 0, vanish = 0 }: World['faults'], maxFaults = Infinity): number {
  return Math.min(crash + vanish, maxFaults)
}
