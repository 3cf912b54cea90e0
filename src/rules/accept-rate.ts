/** How many connections an address has left, at the time at which that was counted. */
export interface AcceptBudget {
  readonly left: number
  readonly atMs: number
}

export interface AcceptRateLimits {
  /** Connections that an address may open at once. */
  readonly acceptBurst: number
  /** One more each time that this passes. */
  readonly acceptIntervalMs: number
}

export type AcceptVerdict =
  | { readonly kind: 'admit' }
  | { readonly kind: 'refuse'; readonly retryAfterMs: number }
  /** It was refused often enough: not even that is said any more. */
  | { readonly kind: 'drop' }

/**
 * A token bucket (RFC 2697) for the connections that one address opens. Over it a newcomer is told when
 * to come again, `acceptBurst` times at most; then it is dropped before it costs anything.
 */
export function takeAccept(
  budget: AcceptBudget | undefined,
  nowMs: number,
  limits: AcceptRateLimits,
): { readonly verdict: AcceptVerdict; readonly budget: AcceptBudget } {
  const { acceptBurst, acceptIntervalMs } = limits
  const earned = budget === undefined ? Infinity : (nowMs - budget.atMs) / acceptIntervalMs
  const left = Math.min(acceptBurst, (budget?.left ?? acceptBurst) + earned)
  if (left >= 1) return { verdict: { kind: 'admit' }, budget: { left: left - 1, atMs: nowMs } }
  if (left <= 1 - acceptBurst) return { verdict: { kind: 'drop' }, budget: { left, atMs: nowMs } }
  const retryAfterMs = Math.ceil((2 - left) * acceptIntervalMs)
  return { verdict: { kind: 'refuse', retryAfterMs }, budget: { left: left - 1, atMs: nowMs } }
}
