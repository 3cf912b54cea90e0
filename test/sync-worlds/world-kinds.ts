import fc, { type Arbitrary } from 'fast-check'
import { defaultSyncLimits } from '../../src/rules/sync/limits.js'
import { allMisdeeds, misdeeds, type Misdeed } from './misdeeds.js'
import { bytesOf, cutAt, prunedBelow, simChain, type SimChain } from './sim-chain.js'
import { serving } from './sim-peer.js'
import type { PeerSpec } from './sim-world.js'

/** How a peer is connected. */
export interface Line {
  /** Bytes per millisecond. */
  readonly rate: number
  readonly roundTripMs: number
}

export type HonestKind = 'steady' | 'pruned' | 'late' | 'restarting' | 'behind'

/** All but those who make us follow another chain. */
export const withoutForks = allMisdeeds.filter((kind) => kind !== 'otherFork')

/** A world in words: what fast-check draws, shrinks and prints. */
export interface WorldWords {
  readonly seed: number
  readonly blocks: number
  readonly blockBytes: readonly number[]
  /** The one who is always there, has everything, and is honest. */
  readonly anchor: Line
  readonly honest: readonly (Line & { readonly kind: HonestKind; readonly n: number })[]
  readonly bad: readonly (Line & {
    readonly kind: Misdeed
    readonly n: number
    readonly joinsAtMs: number
  })[]
}

const line = (minRate: number) => ({
  rate: fc.integer({ min: minRate, max: 5_000 }),
  roundTripMs: fc.integer({ min: 1, max: 250 }),
})

const honestKinds: readonly HonestKind[] = ['steady', 'pruned', 'late', 'restarting', 'behind']

/** At most 16 peers. */
export const worldWords = (
  options: {
    readonly kinds?: readonly HonestKind[]
    readonly misdeeds?: readonly Misdeed[]
    readonly maxBad?: number
    readonly maxBlocks?: number
  } = {},
): Arbitrary<WorldWords> => {
  const {
    kinds = honestKinds,
    misdeeds: bad = allMisdeeds,
    maxBad = 12,
    maxBlocks = 2_000,
  } = options
  return fc.record({
    seed: fc.nat(),
    blocks: fc.integer({ min: 1, max: maxBlocks }),
    // In turn, so that a chain may have empty blocks, equal ones, or now and then a large one.
    blockBytes: fc.array(fc.oneof(fc.integer({ min: 0, max: 4_000 }), fc.constant(40_000)), {
      minLength: 1,
      maxLength: 6,
    }),
    anchor: fc.record(line(100)),
    honest: fc.array(
      fc.record({ ...line(20), kind: fc.constantFrom(...kinds), n: fc.nat({ max: 99 }) }),
      { maxLength: 3 },
    ),
    bad: fc.array(
      fc.record({
        ...line(20),
        kind: fc.constantFrom(...bad),
        n: fc.nat({ max: 99 }),
        joinsAtMs: fc.oneof(fc.constant(0), fc.nat({ max: 3_000 })),
      }),
      { maxLength: maxBad },
    ),
  })
}

export function chainFor({ blocks, blockBytes }: WorldWords): SimChain {
  return simChain(blocks + 1, (height) => blockBytes[height % blockBytes.length] ?? 0)
}

export function peersFor(words: WorldWords, chain: SimChain): PeerSpec[] {
  const bad = words.bad.map(({ kind, n, rate, roundTripMs, joinsAtMs }, index) => ({
    key: `${kind}-${index}`,
    behaviour: misdeeds[kind](chain, n),
    rate,
    roundTripMs,
    joinsAtMs,
  }))
  const anchor = { ...words.anchor, key: 'anchor', behaviour: serving(chain), isHonest: true }
  return [...bad, anchor, ...words.honest.map((honest, index) => honestPeer(honest, index, chain))]
}

function honestPeer(
  { kind, n, rate, roundTripMs }: WorldWords['honest'][number],
  index: number,
  chain: SimChain,
): PeerSpec {
  const share = Math.floor((chain.tip.height * n) / 100)
  const peer = { key: `honest-${index}`, rate, roundTripMs, isHonest: true }
  switch (kind) {
    case 'steady':
      return { ...peer, behaviour: serving(chain) }
    case 'pruned':
      return { ...peer, behaviour: serving(prunedBelow(chain, share)) }
    case 'behind':
      return { ...peer, behaviour: serving(cutAt(chain, share)) }
    case 'late':
      return { ...peer, behaviour: serving(chain), joinsAtMs: n * 50 }
    case 'restarting':
      return {
        ...peer,
        behaviour: serving(chain),
        restarts: { everyMs: 500 + n * 50, forMs: 100 + n * 20 },
      }
    default:
      return kind satisfies never
  }
}

/** The longest first-byte deadline of a peer in such a world, while deadlines are what they are. */
export const longestFirstByteMs = (words: WorldWords): number =>
  Math.max(
    defaultSyncLimits.firstByteMs,
    ...[words.anchor, ...words.honest, ...words.bad].map(({ roundTripMs }) => 4 * roundTripMs),
  )

/**
 * With an honest peer of rate r, a chain of B bytes and k bad peers, Δ the longest first-byte deadline:
 * the tip is reached within 2·B/r + (k+3)·2Δ.
 *
 * Where somebody serves another fork, we may follow it first, at his pace. The way back is fetched from
 * one peer at a time, which may not have all of it: for each of those forks one attempt in vain more, of
 * `forkProgressMs`.
 */
export function boundMs(words: WorldWords, chain: SimChain): number {
  const bytes = bytesOf(chain.blocks)
  const lostMs = (words.bad.length + 3) * 2 * longestFirstByteMs(words)
  const forks = words.bad.filter(({ kind }) => kind === 'otherFork')
  const forksMs = forks.map(({ rate }) => bytes / rate + defaultSyncLimits.forkProgressMs)
  return (2 * bytes) / words.anchor.rate + lostMs + forksMs.reduce((sum, ms) => sum + ms, 0)
}
