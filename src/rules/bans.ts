/** A ban of one IP. Times are those of the wall clock, so that they outlive the process. */
export interface Ban {
  readonly reason: string
  readonly sinceUnixMs: number
  readonly untilUnixMs: number
}

/** The longest ban. For ever is what a deny list is for. */
export const maxBanMs = 365 * 24 * 3_600_000

/**
 * A ban as it stands now, or undefined when it is over. A clock that went back does not make it longer:
 * one that has not begun yet begins now.
 */
export function banAt(ban: Ban, nowUnixMs: number): Ban | undefined {
  if (nowUnixMs >= ban.untilUnixMs) return undefined
  if (nowUnixMs >= ban.sinceUnixMs) return ban
  const durationMs = ban.untilUnixMs - ban.sinceUnixMs
  return { ...ban, sinceUnixMs: nowUnixMs, untilUnixMs: nowUnixMs + durationMs }
}
