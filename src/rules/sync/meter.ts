/** Speeds over the last seconds, for display only. */
export interface Meter {
  blocks: number
  bytes: number
  /** When `blocks` and `bytes` were last reduced to the present. */
  atMs: number
  /** Since when it has been counting: until `spanMs` have passed, the mean is over that time. */
  sinceMs: number | undefined
}

const spanMs = 10_000

export const createMeter = (): Meter => ({ blocks: 0, bytes: 0, atMs: 0, sinceMs: undefined })

export function count(meter: Meter, now: number, blocks: number, bytes: number): void {
  decay(meter, now)
  meter.sinceMs ??= now
  meter.blocks += blocks
  meter.bytes += bytes
}

/** Sums that decay with a time constant of `spanMs`, divided by the time they stand for. */
export function speedOf(
  meter: Meter,
  now: number,
): { readonly blocksPerSecond: number; readonly bytesPerSecond: number } {
  if (meter.sinceMs === undefined) return { blocksPerSecond: 0, bytesPerSecond: 0 }
  const faded = Math.exp(-Math.max(0, now - meter.atMs) / spanMs)
  const age = Math.max(1_000, now - meter.sinceMs)
  const seconds = (spanMs / 1_000) * (1 - Math.exp(-age / spanMs))
  return {
    blocksPerSecond: (meter.blocks * faded) / seconds,
    bytesPerSecond: (meter.bytes * faded) / seconds,
  }
}

function decay(meter: Meter, now: number): void {
  const factor = Math.exp(-Math.max(0, now - meter.atMs) / spanMs)
  meter.blocks *= factor
  meter.bytes *= factor
  meter.atMs = now
}
