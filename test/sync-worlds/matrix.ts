import {
  ClassicEngine,
  fixedRequests,
  onePeerAtATime,
  type ClassicPolicy,
} from './classic-engine.js'
import { allMisdeeds, misdeeds, type Misdeed } from './misdeeds.js'
import { bytesOf, simChain, type SimChain } from './sim-chain.js'
import { serving } from './sim-peer.js'
import { SimWorld, type PeerSpec } from './sim-world.js'

/** One world of the matrix: who is there, and how much longer than ideal a sync may take. */
export interface MatrixRow {
  readonly name: string
  /** The rate of each honest peer in MB/s. */
  readonly honest: readonly number[]
  readonly bad: readonly Misdeed[]
  readonly roundTripMs: number
  readonly maxRatio: number
  /** What the rules of the chain allow for a block, when it is more than what its blocks have. */
  readonly maxBlockBytes?: number
  /** Of ours, in MB/s. */
  readonly download?: number
}

export interface MatrixResult {
  readonly name: string
  readonly idealMs: number
  readonly tookMs: number
  readonly ratio: number
}

/** Bad in eight ways, none of which brings a block: the honest one has to do it alone. */
const uselessBad: readonly Misdeed[] = [
  'silent',
  'dripping',
  'wrongIds',
  'empty',
  'alwaysBusy',
  'claimsMaxInt',
  'oscillating',
  'flooding',
]

/** Bad in every way that there is. */
const everyBad = (count: number): Misdeed[] =>
  Array.from({ length: count }, (_, n) => allMisdeeds[n % allMisdeeds.length] ?? 'silent')

const silent = (count: number): Misdeed[] => Array.from({ length: count }, () => 'silent')

const usual = { bad: [], roundTripMs: 100 } as const

export const matrixRows: readonly MatrixRow[] = [
  { ...usual, name: '4 honest', honest: [5, 5, 5, 5], maxRatio: 1.15 },
  { ...usual, name: '2 honest, 4 silent', honest: [5, 5], bad: silent(4), maxRatio: 1.2 },
  { ...usual, name: '1 honest, 8 mixed bad', honest: [5], bad: uselessBad, maxRatio: 1.2 },
  { ...usual, name: '1 honest, 32 bad', honest: [5], bad: everyBad(32), maxRatio: 1.3 },
  { ...usual, name: 'honest rates 20/5/1/0.2', honest: [20, 5, 1, 0.2], maxRatio: 1.4 },
  { ...usual, name: '4 honest, 300 ms', honest: [5, 5, 5, 5], roundTripMs: 300, maxRatio: 1.5 },
  {
    ...usual,
    name: '4 honest, blocks up to 4 MiB',
    honest: [5, 5, 5, 5],
    maxBlockBytes: 4 * 1024 * 1024,
    maxRatio: 1.15,
  },
  {
    ...usual,
    name: '8 honest, our own line 5 MB/s',
    honest: [5, 5, 5, 5, 5, 5, 5, 5],
    download: 5,
    maxRatio: 1.15,
  },
  { ...usual, name: '16 honest of 0.3', honest: Array<number>(16).fill(0.3), maxRatio: 1.15 },
]

/** 100 MB in blocks of 1 kB, and the genesis block that everybody has. */
export const matrixChain = (): SimChain => simChain(100_001, 1_000)

export type MatrixPolicy = 'ours' | 'fixed' | 'one'

const classic: Record<Exclude<MatrixPolicy, 'ours'>, ClassicPolicy> = {
  fixed: fixedRequests,
  one: onePeerAtATime,
}

export function matrixWorld(
  row: MatrixRow,
  chain: SimChain,
  policy: MatrixPolicy = 'ours',
  seed = 1,
): SimWorld {
  const { honest, bad, roundTripMs, maxBlockBytes, download } = row
  const serve = serving(chain)
  // The bad ones come first: whoever asks in order asks them first.
  const peers: PeerSpec[] = bad.map((kind, n) => ({
    key: `${kind}-${n}`,
    // Even, so that those who lie of their height have nothing to give.
    behaviour: misdeeds[kind](chain, 2 * n),
    // What a bad peer does send is of little use.
    rate: 200,
    roundTripMs,
  }))
  for (const [n, rate] of honest.entries()) {
    const key = `honest-${n}`
    peers.push({ key, behaviour: serve, rate: rate * 1_000, roundTripMs, isHonest: true })
  }
  return new SimWorld({
    chain,
    peers,
    seed,
    isWatched: false,
    ...(maxBlockBytes === undefined ? {} : { maxBlockBytes }),
    ...(download === undefined ? {} : { downloadRate: download * 1_000 }),
    ...(policy === 'ours' ? {} : { engine: () => new ClassicEngine(classic[policy]) }),
  })
}

/** All bytes at the sum of the honest rates, and one round trip. */
export function idealMsOf({ honest, roundTripMs, download }: MatrixRow, chain: SimChain): number {
  const sum = honest.reduce((total, rate) => total + rate, 0)
  const rate = Math.min(sum, download ?? Infinity) * 1_000
  return bytesOf(chain.blocks.slice(1)) / rate + roundTripMs
}

/** After so much time a sync is said to have no end. */
const maxMs = 3_600_000

export function runRow(
  row: MatrixRow,
  chain: SimChain,
  policy: MatrixPolicy = 'ours',
  seed = 1,
): MatrixResult {
  const idealMs = idealMsOf(row, chain)
  const tookMs = matrixWorld(row, chain, policy, seed).runToTip(maxMs) ?? Infinity
  return { name: row.name, idealMs, tookMs, ratio: tookMs / idealMs }
}
