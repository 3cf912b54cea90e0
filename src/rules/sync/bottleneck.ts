import type { Job, SyncState } from './state.js'

/** What the sync waits for. */
export type Bottleneck = 'network' | 'validation' | 'store'

/** How long each of them was waited for lately, in milliseconds that fade. For display only. */
export interface Waits {
  readonly networkMs: number
  readonly validationMs: number
  readonly storeMs: number
}

const fadeMs = 10_000

/** Of the time, so much without work on blocks says that blocks do not come fast enough. */
const starvedShare = 0.25

export const noWaits: Waits = { networkMs: 0, validationMs: 0, storeMs: 0 }

/** The waits at `now`: what was under way since the last step counts for whom it waited for. */
export function waitsAt(state: SyncState, now: number): Waits {
  if (!state.isRunning || state.behindSinceMs === undefined) return noWaits
  const passedMs = Math.max(0, now - state.nowMs)
  const { waits } = state
  if (passedMs === 0) return waits
  const faded = Math.exp(-passedMs / fadeMs)
  const addedMs = fadeMs * (1 - faded)
  const waited = waitedFor(state)
  return {
    networkMs: waits.networkMs * faded + (waited === 'network' ? addedMs : 0),
    validationMs: waits.validationMs * faded + (waited === 'validation' ? addedMs : 0),
    storeMs: waits.storeMs * faded + (waited === 'store' ? addedMs : 0),
  }
}

/**
 * What would make the sync faster if it were faster: the network when the work on blocks often has nothing
 * to do, otherwise the slower of validation and store. Undefined while nobody is ahead of us.
 */
export function bottleneckOf({ networkMs, validationMs, storeMs }: Waits): Bottleneck | undefined {
  const sumMs = networkMs + validationMs + storeMs
  if (sumMs === 0) return undefined
  if (networkMs >= starvedShare * sumMs) return 'network'
  return validationMs > storeMs ? 'validation' : 'store'
}

function waitedFor(state: SyncState): Bottleneck {
  if (state.job !== undefined) return partOf(state.job)
  if (state.trouble !== undefined) return state.trouble.where === 'store' ? 'store' : 'validation'
  for (const { checks } of state.requests.values()) if (checks.size > 0) return 'validation'
  return 'network'
}

const partOf = ({ kind }: Job): Bottleneck => (kind === 'validate' ? 'validation' : 'store')
