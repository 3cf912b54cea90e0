import type { SyncState } from './state.js'

/** Of what comes, no more than this part may have come before. */
const twiceShare = 1 / 32

/** Older bytes than this many windows count half. */
const windowsRemembered = 8

/** So much payload came. */
export function noteCame(state: SyncState, bytes: number): void {
  state.cameBytes += bytes
  if (state.cameBytes <= windowsRemembered * state.config.limits.windowBytes) return
  state.cameBytes /= 2
  state.cameTwiceBytes /= 2
}

/** So much of it was here already. */
export function noteCameTwice(state: SyncState, bytes: number): void {
  state.cameTwiceBytes += bytes
}

/**
 * Whether enough came twice. Until then what is late by what a line of today takes is asked of somebody
 * else too; from then on a slow peer is given the time that it needs itself.
 */
export const isThrifty = (state: SyncState): boolean =>
  state.cameTwiceBytes > state.config.limits.spanMinBytes + twiceShare * state.cameBytes
