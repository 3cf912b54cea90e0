import { mixed, multihomed, pair, shared, withLiar } from './shapes.js'
import type { FaultKind, World } from './world.js'

/** Each single fault, and the dials that it leaves to those who need one. */
const singleFaults: readonly {
  readonly text: string
  readonly faults: Partial<Record<FaultKind, number>>
  readonly dialsAfterRestart: number
}[] = [
  { text: 'an early timer', faults: { early: 1 }, dialsAfterRestart: 0 },
  { text: 'a failing dial', faults: { dialFail: 1 }, dialsAfterRestart: 0 },
  { text: 'a reset', faults: { reset: 1 }, dialsAfterRestart: 0 },
  { text: 'a black hole', faults: { hole: 1 }, dialsAfterRestart: 0 },
  { text: 'a black hole in one direction', faults: { halfHole: 1 }, dialsAfterRestart: 0 },
  { text: 'a crash with a reset', faults: { crash: 1 }, dialsAfterRestart: 1 },
  { text: 'a crash without a reset', faults: { vanish: 1 }, dialsAfterRestart: 1 },
]

function withEachFault(
  text: string,
  build: (name: string, fault: Omit<(typeof singleFaults)[number], 'text'>) => World,
): World[] {
  return singleFaults.map(({ text: fault, ...options }) => build(`${text}, ${fault}`, options))
}

/** Peers above and below the address that two hosts share. */
const peers = [
  { peer: '10.0.0.10', text: 'two behind the lower address' },
  { peer: '10.0.0.8', text: 'two behind the higher address' },
]

/** The worlds of the short run. */
const shortWorlds: readonly World[] = [
  pair('one dial per side', { dials: [1, 1] }),
  pair('one dial per side, the lower cannot be reached', { dials: [1, 1], unreachable: 'low' }),
  pair('one dial per side, the higher cannot be reached', { dials: [1, 1], unreachable: 'high' }),
  pair('one dial per side, a crash and an early timer', {
    dials: [1, 1],
    dialsAfterRestart: 1,
    faults: { crash: 1, vanish: 1, early: 1 },
    maxFaults: 2,
  }),
  pair('two dials per side', { dials: [2, 2] }),
  ...withEachFault('two dials per side', (name, fault) => pair(name, { dials: [2, 2], ...fault })),
  ...withEachFault('two dials per side, the lower cannot be reached', (name, fault) =>
    pair(name, { dials: [2, 2], unreachable: 'low', ...fault }),
  ),
  ...withEachFault('two dials per side, the higher cannot be reached', (name, fault) =>
    pair(name, { dials: [2, 2], unreachable: 'high', ...fault }),
  ),
  ...peers.flatMap(({ peer, text }) => [
    shared(text, { peer, dials: [1, 1, 1] }),
    ...withEachFault(text, (name, fault) =>
      shared(name, { peer, dials: [1, 1, fault.faults.vanish === 1 ? 0 : 1], ...fault }),
    ),
  ]),
  multihomed('one host with two addresses', { dials: [1, 1, 1] }),
  ...withEachFault('one host with two addresses', (name, fault) =>
    multihomed(name, { dials: [1, fault.dialsAfterRestart > 0 ? 0 : 1, 1], ...fault }),
  ),
  ...(['dialer', 'acceptor'] as const).flatMap((arbiter) => [
    mixed(`mixed roles, the ${arbiter} decides`, { arbiter, dials: [1, 1] }),
    ...withEachFault(`mixed roles, the ${arbiter} decides`, (name, fault) =>
      mixed(name, { arbiter, dials: [1, 1], ...fault }),
    ),
  ]),
  pair('the higher lies: both think that they decide', { dials: [2, 2], highTells: '10.0.0.7' }),
  pair('the lower lies: nobody thinks that it decides', { dials: [2, 2], lowTells: '10.0.0.7' }),
  withLiar('the lower is a liar', { liar: 0, dials: [1, 1] }),
  withLiar('the higher is a liar', { liar: 1, dials: [1, 1] }),
  ...peers.map(({ peer, text }) =>
    shared(`${text}, one of them a liar`, { peer, dials: [1, 1, 1], second: 'liar' }),
  ),
]

/** The worlds of the long run: minutes, and gigabytes. */
const deepWorlds: readonly World[] = [
  pair('two dials per side, two faults of any kind, both restart', {
    dials: [2, 2],
    dialsAfterRestart: 1,
    faults: { crash: 2, vanish: 2, reset: 2, hole: 2, halfHole: 2, early: 2, dialFail: 2 },
    maxFaults: 2,
  }),
  ...withEachFault('one host with two addresses, a dial from everywhere', (name, fault) =>
    multihomed(name, { dials: [1, 1, 1], ...fault }),
  ),
  ...peers.map(({ peer, text }) =>
    shared(`${text}, a dial from everywhere and a crash without a reset`, {
      peer,
      dials: [1, 1, 1],
      dialsAfterRestart: 1,
      faults: { vanish: 1 },
    }),
  ),
  ...peers.map(({ peer, text }) =>
    shared(`${text}, a crash and an early timer`, {
      peer,
      dials: [1, 1, 0],
      dialsAfterRestart: 1,
      faults: { crash: 1, early: 1 },
    }),
  ),
]

const largeWorlds = /two behind .* (crash|liar)|two addresses, a crash|a crash and an early timer/

export const worlds: readonly World[] = [
  ...shortWorlds.map((world) => ({ ...world, isLarge: largeWorlds.test(world.name) })),
  ...deepWorlds.map((world) => ({ ...world, isDeep: true })),
]
