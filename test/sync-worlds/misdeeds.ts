import type { Block } from '../../src/contracts/block-store.js'
import type { ChainTip } from '../../src/contracts/chain-rules.js'
import type { GetBlocksMessage } from '../../src/contracts/sync-messages.js'
import { branchOff, payloadOf, tipOf, type SimChain } from './sim-chain.js'
import { serving, statusOf, tellStatus, type Behaviour, type PeerSelf } from './sim-peer.js'
import { nextChunk } from './sim-server.js'

/** Everything that a bad peer does, by name. `n` is a number that makes one different from another. */
export const misdeeds = {
  silent: (chain) => answering(chain, () => {}),

  /** One block now and then: never silent, never of use. */
  dripping: (chain, n) =>
    answering(chain, (self, request) => {
      const blocks = honestRun(chain, request)
      const everyMs = 500 + (n % 10) * 100
      for (const [index, block] of blocks.entries()) {
        self.timeline.after(everyMs * (index + 1), () =>
          say(self, request.id, [block], index === blocks.length - 1),
        )
      }
    }),

  wrongIds: (chain, n) =>
    answering(chain, (self, request) =>
      say(self, (request.id + 1 + n) % 2 ** 32, honestRun(chain, request)),
    ),

  wrongPayload: (chain, n) => twisted(chain, (blocks) => swapped(blocks, n % 64, spoiled)),

  wrongOrder: (chain) => twisted(chain, (blocks) => [...blocks].reverse()),

  gaps: (chain, n) =>
    twisted(chain, (blocks) => blocks.filter((_, index) => index !== 1 + (n % 8))),

  duplicates: (chain, n) =>
    twisted(chain, (blocks) =>
      blocks.flatMap((block, i) => (i === n % 8 ? [block, block] : [block])),
    ),

  empty: (chain) => answering(chain, (self, { id }) => say(self, id, [])),

  oversized: (chain) =>
    twisted(chain, (blocks) =>
      swapped(blocks, 0, (block) => ({ ...block, payload: payloadOf(4 * 1024 * 1024) })),
    ),

  /** A genuine chain that leaves the honest one near its end, is shorter, and claims to be longer. */
  otherFork: (chain, n) => {
    const { height, payload } = chain.tip
    // There is no shorter branch of a chain of two.
    if (height < 2) return serving(chain)
    const at = Math.max(chain.base, height - 2 - ((n * 37) % 500))
    const fork = branchOff(chain, at, height - at - 1, payload.length, `fork${n}-`)
    return serving(fork, () => statusOf(lie(height + 5), chain.base))
  },

  claimsTooHigh: (chain, n) => lying(chain, n, lie(chain.tip.height + 1 + n * 1_000)),
  claimsMaxInt: (chain, n) => lying(chain, n, lie(Number.MAX_SAFE_INTEGER)),
  claimsNaN: (chain, n) => lying(chain, n, lie(NaN)),
  claimsTooLow: (chain, n) => lying(chain, n, lie(chain.base)),

  oscillating: (chain, n) => (self) => {
    let isHigh = false
    const swing = (): void => {
      if (!self.isOpen()) return
      isHigh = !isHigh
      self.port.send(statusOf(isHigh ? lie(chain.tip.height + 50) : tipOf(chain)))
      self.timeline.after(200 + (n % 10) * 100, swing)
    }
    swing()
    return () => {}
  },

  alwaysBusy: (chain) =>
    answering(chain, (self, { id }) => self.port.send({ kind: 'busy', id, retryAfterMs: 0 })),

  /** Announces new tips all the time and answers nothing. */
  flooding: (chain) => (self) => {
    let height = chain.tip.height
    const flood = (): void => {
      if (!self.isOpen()) return
      height += 1
      self.port.send({ kind: 'announce', tip: lie(height) })
      self.timeline.after(50, flood)
    }
    tellStatus(self, () => statusOf(tipOf(chain)))
    flood()
    return () => {}
  },

  /** Is asked, leaves, and comes back. */
  reconnecting: (chain, n) =>
    answering(chain, (self) => {
      self.timeline.after(100 + (n % 5) * 100, () => self.reconnect(100))
    }),

  /** Sends most of every reply, and never the end. */
  stopsAtNine: (chain) =>
    answering(chain, (self, request) => {
      const blocks = honestRun(chain, request)
      say(self, request.id, blocks.slice(0, Math.ceil(blocks.length * 0.9)), false)
    }),

  /** Serves nine tenths of the chain as well as anybody, and then nothing. */
  stopsAtNinetyPercent: (chain) => (self) => {
    const serve = serving(chain)(self)
    return (message) => {
      if (message.kind === 'getBlocks' && message.from > chain.tip.height * 0.9) return
      serve(message)
    }
  },
} satisfies Record<string, (chain: SimChain, n: number) => Behaviour>

export type Misdeed = keyof typeof misdeeds

export const allMisdeeds = Object.keys(misdeeds) as readonly Misdeed[]

const lie = (height: number) => ({ height, hash: `lie${height}` })

/** Every other one serves what it has of the chain; the rest have nothing. */
const lying = (chain: SimChain, n: number, tip: ChainTip): Behaviour =>
  n % 2 === 1
    ? serving(chain, () => statusOf(tip))
    : (self) => {
        tellStatus(self, () => statusOf(tip))
        return () => {}
      }

function answering(
  chain: SimChain,
  answer: (self: PeerSelf, request: GetBlocksMessage) => void,
): Behaviour {
  return (self) => {
    tellStatus(self, () => statusOf(tipOf(chain), chain.base))
    return (message) => {
      if (message.kind === 'getBlocks') answer(self, message)
    }
  }
}

const twisted = (
  chain: SimChain,
  twist: (blocks: readonly Block[], request: GetBlocksMessage) => readonly Block[],
): Behaviour =>
  answering(chain, (self, request) =>
    say(self, request.id, twist(honestRun(chain, request), request)),
  )

function honestRun(chain: SimChain, { from, count, maxBytes }: GetBlocksMessage): readonly Block[] {
  return nextChunk(chain, { from, countLeft: count, bytesLeft: maxBytes })
}

function say(self: PeerSelf, id: number, blocks: readonly Block[], last = true): void {
  if (self.isOpen()) self.port.send({ kind: 'blocks', id, blocks, last })
}

const swapped = (
  blocks: readonly Block[],
  at: number,
  change: (block: Block) => Block,
): readonly Block[] =>
  blocks.map((block, index) => (index === Math.min(at, blocks.length - 1) ? change(block) : block))

/** The right name and another content: not the genuine one. */
const spoiled = (block: Block): Block => ({ ...block })
