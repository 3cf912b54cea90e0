/**
 * A budget as a token bucket: it fills at `perSecond` up to `burst`, and each thing takes its cost out.
 * Pure: times come in. See RFC 2697 for the idea; here a bucket may be overdrawn by the one thing that
 * was read already, and the debt is waited for.
 */
export interface BudgetLimits {
  readonly perSecond: number
  readonly burst: number
}

export interface Budget {
  /** What is left; below 0 it is a debt. */
  readonly level: number
  /** When it was last filled. */
  readonly atMs: number
}

/** A wait is at least so long, so that a pause is worth its price. */
export const minBudgetWaitMs = 50

export function fullBudget(limits: BudgetLimits, nowMs: number): Budget {
  return { level: limits.burst, atMs: nowMs }
}

/** The budget with what came in since it was last filled. A clock that went back brings nothing. */
export function refilled(budget: Budget, limits: BudgetLimits, nowMs: number): Budget {
  const elapsedMs = Math.max(0, nowMs - budget.atMs)
  const level = Math.min(limits.burst, budget.level + (elapsedMs * limits.perSecond) / 1_000)
  return { level, atMs: nowMs }
}

/** How long to wait until a budget that was just filled is no longer overdrawn; 0 when it is not. */
export function waitMs(budget: Budget, limits: BudgetLimits): number {
  if (budget.level >= 0) return 0
  return Math.max(minBudgetWaitMs, Math.ceil((-budget.level * 1_000) / limits.perSecond))
}
