import type { BlockRef } from '../../contracts/block-store.js'

/** Consecutive entries below the tip, before the steps begin to double. */
const denseEntries = 10

/**
 * The heights of a locator, highest first: dense below the tip, then in doubling steps, and always down
 * to the lowest height that a reorganisation may leave as ancestor. At most 10 + log2(depth) + 1.
 */
export function locatorHeights(tipHeight: number, baseHeight: number, maxDepth: number): number[] {
  const lowest = Math.max(baseHeight, tipHeight - maxDepth)
  const heights: number[] = []
  let step = 1
  for (let height = tipHeight; height > lowest; height -= step) {
    heights.push(height)
    if (heights.length > denseEntries) step *= 2
  }
  heights.push(lowest)
  return heights
}

/**
 * The highest of the peer's headers that is also ours, beginning from `below`, which both have. It is
 * proved by an equal hash there and an unequal one, or none of ours, above.
 */
export function lastCommon(
  below: BlockRef,
  headers: readonly BlockRef[],
  ours: ReadonlyMap<number, string>,
): BlockRef {
  let common = below
  for (const header of headers) {
    if (ours.get(header.height) !== header.hash) break
    common = header
  }
  return common
}

/** Whether the headers are a run upwards, one height at a time. */
export const isRun = (headers: readonly BlockRef[]): boolean =>
  headers.every(({ height }, index) => height === (headers[0]?.height ?? 0) + index)
