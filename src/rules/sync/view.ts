import { bottleneckOf, waitsAt, type Bottleneck } from './bottleneck.js'
import { topOf } from './claims.js'
import { speedOf } from './meter.js'
import type { SyncPhase } from './notices.js'
import { countPeerStates, type SyncPeerState } from './peer-state.js'
import { peersAhead, phaseOf } from './phase.js'
import type { SyncState } from './state.js'
import { windowUse } from './window.js'

/** Where sync stands. For display: nothing is decided on it. */
export interface SyncProgress {
  readonly phase: SyncPhase
  /** Our height, or null while the store is empty or not read yet. */
  readonly height: number | null
  /** The highest height that a peer claims and is believed to have; our own when nobody is ahead. */
  readonly target: number | null
  readonly peers: {
    readonly connected: number
    /** Those that have said what they have of this chain. */
    readonly answered: number
    readonly ahead: number
    /** Each connected peer counts once. */
    readonly byState: Readonly<Record<SyncPeerState, number>>
  }
  readonly blocksPerSecond: number
  readonly bytesPerSecond: number
  /** Until the target at the present speed; undefined when that is not known. */
  readonly etaMs: number | undefined
  /** Blocks held and outstanding, in bytes, and how many there may be. */
  readonly window: { readonly usedBytes: number; readonly maxBytes: number }
  readonly requestsInFlight: number
  /** What it mostly waits for, over the last ten seconds or so; undefined while nobody is ahead. */
  readonly bottleneck: Bottleneck | undefined
}

export function progressOf(state: SyncState, now: number): SyncProgress {
  const height = state.tip?.height ?? null
  const ahead = peersAhead(state)
  const heights = ahead.map(topOf)
  const target = heights.length === 0 ? height : Math.max(...heights, height ?? 0)
  const speed = speedOf(state.meter, now)
  const left = target === null ? 0 : target - (height ?? -1)
  const peers = [...state.peers.values()]
  return {
    phase: phaseOf(state, now),
    height,
    target,
    peers: {
      connected: peers.length,
      answered: peers.filter(({ chain, claim }) => chain === 'ours' && claim !== undefined).length,
      ahead: ahead.length,
      byState: countPeerStates(state, now),
    },
    ...speed,
    etaMs: etaMs(left, speed.blocksPerSecond),
    window: { usedBytes: windowUse(state), maxBytes: state.config.limits.windowBytes },
    requestsInFlight: state.requests.size,
    bottleneck: bottleneckOf(waitsAt(state, now)),
  }
}

function etaMs(blocksLeft: number, blocksPerSecond: number): number | undefined {
  if (blocksLeft <= 0) return 0
  return blocksPerSecond < 0.001 ? undefined : (blocksLeft / blocksPerSecond) * 1_000
}
