import fc from 'fast-check'

/** A machine by its place in the list of machines. */
export type MachineIndex = number

/** What a node was told of its own address. */
export type LocalIp = 'right' | 'unknown' | 'wrong' | 'unspecified' | 'loopback' | 'private'

export interface MachineScript {
  readonly localIp: LocalIp
  /** It has an address of the other family as well, or a second one of the same. */
  readonly second: 'none' | 'other-family' | 'same-family'
}

/** Who shares one public address: nobody, the first machine with nobody, or the first two. */
export interface NatScript {
  readonly size: 0 | 1 | 2
  /** Whose port leads in from outside. */
  readonly forwarded: 'all' | 'first' | 'none'
  /** Two behind one address reach each other through it, so that each sees its own IP at the other. */
  readonly isHairpin: boolean
}

export interface Pair {
  readonly from: MachineIndex
  readonly to: MachineIndex
}

export const flowFaults = [
  'holdDials',
  'refuseDials',
  'delayDials',
  'blackHole',
  'partition',
  'blackHoleConnection',
] as const
export type FlowFault = (typeof flowFaults)[number]

export type Action =
  | ({ readonly kind: 'connect'; readonly isAborted: boolean } & Pair)
  | ({ readonly kind: 'disconnect' } & Pair)
  | ({ readonly kind: 'send'; readonly count: number } & Pair)
  /** A request; the other end answers it after a while. */
  | ({ readonly kind: 'ask' } & Pair)
  /** All connections of a pair break; each end sees it after its own time. */
  | ({
      readonly kind: 'reset'
      readonly diallerAfterMs: number
      readonly acceptorAfterMs: number
    } & Pair)
  | {
      readonly kind: 'crash'
      readonly machine: MachineIndex
      readonly isSilent: boolean
      readonly downMs: number
    }
  | { readonly kind: 'freeze'; readonly machine: MachineIndex; readonly forMs: number }
  /** All connections of a pair break, and both ends dial at once; the dial of `from` may get no answer. */
  | ({ readonly kind: 'race'; readonly isHeld: boolean } & Pair)
  | ({ readonly kind: 'fault'; readonly what: FlowFault; readonly forMs: number } & Pair)
  /** Everybody is cut off from everybody whose bit is not the same. */
  | { readonly kind: 'split'; readonly groups: number; readonly forMs: number }

export interface WorldScript {
  readonly seed: number
  readonly machines: readonly MachineScript[]
  readonly nat: NatScript
  /** One way, in milliseconds, from its least to its most, by sender and receiver. */
  readonly latencies: readonly (readonly [minMs: number, maxMs: number])[]
  readonly patienceMs: number
  /** Whether the nodes meet in peace before anything happens. */
  readonly isCalmAtFirst: boolean
  /** Dials from one to the other never get through. */
  readonly oneWay: readonly Pair[]
  readonly actions: readonly (Action & { readonly afterMs: number })[]
  /**
   * At last a connection of this pair breaks; `from` sees it at once, and `to` for long not at all. A
   * busy end has so much on its way that its silence under a challenge proves nothing.
   */
  readonly halfOpen: Pair & { readonly isBusy: boolean }
}

/** Random scripts for two to `maxMachines` machines. */
export function worldScripts(maxMachines = 8): fc.Arbitrary<WorldScript> {
  const counts = [2, 2, 3, 3, 4, 5, 6, 7, 8].filter((count) => count <= maxMachines)
  return fc.constantFrom(...counts).chain((count) => {
    const machine = fc.nat(count - 1)
    const pair = pairOf(count)
    return fc.record({
      seed: fc.nat(),
      machines: fc.array(machineScripts, { minLength: count, maxLength: count }),
      nat: natScripts(count),
      latencies: fc.array(latencies, { minLength: count * count, maxLength: count * count }),
      patienceMs: fc.constantFrom(0, 0, 2_000, 5_000),
      isCalmAtFirst: fc.boolean(),
      oneWay: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 2, arbitrary: fc.array(pair, { minLength: 1, maxLength: 3 }) },
      ),
      actions: fc.array(
        fc
          .tuple(gapMs, actions(machine, pair))
          .map(([afterMs, action]) => ({ ...action, afterMs })),
        { maxLength: 6 + 3 * count },
      ),
      halfOpen: fc.tuple(pair, fc.constantFrom(true, false, false)).map(([between, isBusy]) => ({
        ...between,
        isBusy,
      })),
    })
  })
}

function pairOf(count: number): fc.Arbitrary<Pair> {
  return fc
    .tuple(fc.nat(count - 1), fc.integer({ min: 1, max: count - 1 }))
    .map(([from, step]) => ({ from, to: (from + step) % count }))
}

const machineScripts: fc.Arbitrary<MachineScript> = fc.record({
  localIp: fc.oneof(
    { weight: 4, arbitrary: fc.constant<LocalIp>('right') },
    { weight: 3, arbitrary: fc.constant<LocalIp>('unknown') },
    {
      weight: 2,
      arbitrary: fc.constantFrom<LocalIp>('wrong', 'unspecified', 'loopback', 'private'),
    },
  ),
  second: fc.oneof(
    { weight: 8, arbitrary: fc.constant('none' as const) },
    { weight: 1, arbitrary: fc.constant('other-family' as const) },
    { weight: 1, arbitrary: fc.constant('same-family' as const) },
  ),
})

function natScripts(count: number): fc.Arbitrary<NatScript> {
  const size = count === 2 ? fc.constantFrom<0 | 1 | 2>(0, 0, 1, 2) : fc.constantFrom(0, 0, 1, 2)
  return fc.record({
    size: size,
    forwarded: fc.constantFrom('all' as const, 'all' as const, 'first' as const, 'none' as const),
    isHairpin: fc.boolean(),
  })
}

const latencies = fc
  .tuple(fc.integer({ min: 1, max: 300 }), fc.constantFrom(0, 20, 200))
  .map(([minMs, spreadMs]) => [minMs, minMs + spreadMs] as const)

const gapMs = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 100 }),
  fc.integer({ min: 100, max: 1_500 }),
  fc.integer({ min: 1_500, max: 12_000 }),
)

const abortion = fc.record({ isAborted: fc.boolean() })
const amount = fc.record({ count: fc.integer({ min: 1, max: 20 }) })
const lateMs = fc.constantFrom(0, 0, 5, 300, 2_500, 8_000)
const shortMs = fc.constantFrom(100, 1_500, 5_000, 15_000)
const holding = fc.record({ isHeld: fc.boolean() })
const lateness = fc.record({ diallerAfterMs: lateMs, acceptorAfterMs: lateMs })
const flowFaultFor = fc.record({ what: fc.constantFrom(...flowFaults), forMs: shortMs })

function actions(
  machine: fc.Arbitrary<MachineIndex>,
  pair: fc.Arbitrary<Pair>,
): fc.Arbitrary<Action> {
  const ofPair = <const Kind extends Action['kind'], More extends object>(
    kind: Kind,
    more: fc.Arbitrary<More>,
  ) => fc.tuple(pair, more).map(([between, rest]) => ({ kind, ...between, ...rest }))
  return fc.oneof(
    { weight: 3, arbitrary: ofPair('connect', abortion) },
    { weight: 1, arbitrary: ofPair('disconnect', fc.constant({})) },
    { weight: 2, arbitrary: ofPair('send', amount) },
    { weight: 1, arbitrary: ofPair('ask', fc.constant({})) },
    { weight: 4, arbitrary: ofPair('reset', lateness) },
    { weight: 2, arbitrary: ofPair('race', holding) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('crash' as const),
        machine,
        isSilent: fc.boolean(),
        downMs: fc.constantFrom(0, 50, 1_000, 6_000),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('freeze' as const),
        machine,
        forMs: fc.constantFrom(200, 2_000, 8_000, 60_000),
      }),
    },
    { weight: 5, arbitrary: ofPair('fault', flowFaultFor) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('split' as const),
        groups: fc.integer({ min: 1, max: 254 }),
        forMs: shortMs,
      }),
    },
  )
}
