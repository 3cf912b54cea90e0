import type { RoundResult } from './round.js'

export interface Spread {
  readonly median: number
  readonly max: number
}

/** What a series of rounds came to, in numbers. */
export interface Figures {
  readonly rounds: number
  readonly failedRounds: number
  /** Pairs that raced, over all rounds; those with a killed end apart. */
  readonly pairs: number
  /** Physical connections between these pairs, and those of them that were one too many. */
  readonly sockets: number
  readonly duplicatesRefused: number
  /** What the library itself counts, at each end that refused: of one socket that may be both. */
  readonly duplicatesByLibrary: number
  readonly roundsWithoutDuplicates: number
  /** Pairs that kept the connection that the lower IP dialled. */
  readonly dialledByLower: number
  /** Established connections that ended in a race: must be 0. */
  readonly closesInRace: number
  readonly beginSpreadMs: Spread | null
  readonly quietMs: Spread | null
  readonly disturbances: {
    readonly rounds: number
    /** Ends of connections that were lost, counted at each end that lives. */
    readonly closes: number
    readonly healMs: Spread | null
  }
}

export function figuresOf(results: readonly RoundResult[]): Figures {
  const sum = (of: (result: RoundResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0)
  const disturbed = results.filter(({ disturbance }) => disturbance !== undefined)
  return {
    rounds: results.length,
    failedRounds: results.filter(({ findings }) => findings.length > 0).length,
    pairs: sum(({ racePairs }) => racePairs),
    sockets: sum(({ race }) => race.sockets),
    duplicatesRefused: sum(({ race }) => race.duplicates),
    duplicatesByLibrary: sum(({ duplicatesByLibrary }) => duplicatesByLibrary),
    roundsWithoutDuplicates: results.filter(({ race }) => race.duplicates === 0).length,
    dialledByLower: sum(({ race }) => race.dialledByLower),
    closesInRace: sum(({ closesInRace }) => closesInRace),
    beginSpreadMs: spreadOf(
      results.flatMap(({ disturbance, spreadMs }) => (disturbance === undefined ? [spreadMs] : [])),
    ),
    quietMs: spreadOf(results.flatMap(({ quietMs }) => quietMs ?? [])),
    disturbances: {
      rounds: disturbed.length,
      closes: sum(({ closesByDisturbance }) => closesByDisturbance),
      healMs: spreadOf(results.flatMap(({ healMs }) => healMs ?? [])),
    },
  }
}

/** Null of nothing; a median between two is the lower one. */
function spreadOf(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((a, b) => a - b)
  const [median, max] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted.at(-1)]
  return median === undefined || max === undefined
    ? null
    : { median: rounded(median), max: rounded(max) }
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10
