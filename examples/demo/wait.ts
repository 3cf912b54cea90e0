import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Looks again every few milliseconds until `condition` holds. Resolves with whether it did within
 * `timeoutMs`; rejects when `signal` aborts.
 */
export async function waitUntil(
  condition: () => boolean,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<boolean> {
  const deadlineMs = performance.now() + options.timeoutMs
  while (!condition()) {
    if (performance.now() >= deadlineMs) return false
    await sleep(5, undefined, { signal: options.signal })
  }
  return true
}
