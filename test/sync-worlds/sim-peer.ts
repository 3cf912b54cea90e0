import type { ChainTip } from '../../src/contracts/chain-rules.js'
import type { SyncMessage } from '../../src/contracts/sync-messages.js'
import type { SeededRandom } from '../../src/testing/seeded-random.js'
import type { Port } from './port.js'
import { simChainId } from './rules-engine.js'
import { tipOf, type SimChain } from './sim-chain.js'
import { SimServer } from './sim-server.js'
import type { Timeline } from './timeline.js'

/** One connection of a peer that is no node, only what it says. */
export interface PeerSelf {
  readonly timeline: Timeline
  readonly port: Port
  readonly dice: SeededRandom
  readonly isOpen: () => boolean
  /** Ends the connection; `againMs` later it connects anew. */
  readonly reconnect: (againMs: number) => void
}

/** How a peer behaves: called for each of its connections, returns what it does with a message. */
export type Behaviour = (self: PeerSelf) => (message: SyncMessage) => void

export const statusOf = (tip: ChainTip | null, base = 0): SyncMessage => ({
  kind: 'status',
  chainId: simChainId,
  base,
  tip,
})

/** A node of ours tells what it has when it is connected, and every so often after that. */
const statusEveryMs = 30_000

export function tellStatus(self: PeerSelf, statusNow: () => SyncMessage): void {
  if (!self.isOpen()) return
  self.port.send(statusNow())
  self.timeline.after(statusEveryMs, () => tellStatus(self, statusNow))
}

/** Serves a chain and tells its tip; `chainNow` may change what it has over time. */
export function serving(
  chain: SimChain | (() => SimChain),
  claim: (chain: SimChain) => SyncMessage = (now) => statusOf(tipOf(now), now.base),
): Behaviour {
  const chainNow = typeof chain === 'function' ? chain : () => chain
  return (self) => {
    const server = new SimServer(self.timeline, self.port, chainNow)
    tellStatus(self, () => claim(chainNow()))
    return (message) => server.handle(message)
  }
}
