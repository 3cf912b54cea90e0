/**
 * How much a peer misbehaved lately, as one number that halves with time. Pure: times come in.
 *
 * Only what proves a violation has points: what no network, no load and no older version of an honest
 * peer brings about, and what was said after a valid HELLO, for before it anybody may have dialled the
 * wrong port. Slowness, silence, timeouts, duplicates, forks and everything that sync finds have none.
 */
export type Offence =
  /** A frame that is malformed, too long, or out of its place. */
  | 'violation'
  /** Answers to nothing, or unknown frames, by the thousand. */
  | 'flood'
  /** The user of this node said so. */
  | 'reported'

/** One violation ends a connection; a handful within a while is no accident. */
export const offencePoints: Readonly<Record<Offence, number>> = {
  violation: 20,
  flood: 20,
  reported: 20,
}

export interface MisbehaviourScore {
  readonly points: number
  readonly atUnixMs: number
}

export interface MisbehaviourLimits {
  /** The score at which a peer is banned. */
  readonly maxMisbehaviour: number
  readonly misbehaviourHalfLifeMs: number
}

export const cleanScore: MisbehaviourScore = { points: 0, atUnixMs: 0 }

/** What is left of a score. A clock that went back forgives nothing and adds nothing. */
export function decayedPoints(
  score: MisbehaviourScore,
  nowUnixMs: number,
  limits: MisbehaviourLimits,
): number {
  const elapsedMs = Math.max(0, nowUnixMs - score.atUnixMs)
  return score.points * 2 ** (-elapsedMs / limits.misbehaviourHalfLifeMs)
}

/** The score after an offence of `points`, and whether it is one too many. */
export function afterOffence(
  score: MisbehaviourScore,
  points: number,
  nowUnixMs: number,
  limits: MisbehaviourLimits,
): { readonly score: MisbehaviourScore; readonly isTooMuch: boolean } {
  const total = decayedPoints(score, nowUnixMs, limits) + points
  return {
    score: { points: total, atUnixMs: nowUnixMs },
    isTooMuch: total >= limits.maxMisbehaviour,
  }
}
