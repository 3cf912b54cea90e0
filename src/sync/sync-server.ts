import type { BlockRef, BlockStore } from '../contracts/block-store.js'
import type { ChainTip } from '../contracts/chain-rules.js'
import type { Clock } from '../contracts/clock.js'
import type { ServicePeer } from '../contracts/peer-service.js'
import type {
  CancelMessage,
  GetBlocksMessage,
  GetHeadersMessage,
  NotFoundMessage,
  NotFoundReason,
  SyncMessage,
} from '../contracts/sync-messages.js'
import {
  beginReply,
  chunkLimits,
  isOverloaded,
  judgeChunk,
  whyMissing,
  type ServingLimits,
} from '../rules/sync/serving.js'
import { hashesAt } from './sync-work.js'

/** How often headers are read anew because the chain changed meanwhile. */
const maxHeaderReads = 3

interface Serving {
  readonly peer: ServicePeer
  readonly id: number
  isCancelled: boolean
  /** Ends a wait for the peer's send queue at once. */
  wake: () => void
}

export interface SyncServerOptions {
  readonly store: BlockStore
  readonly clock: Clock
  readonly limits: ServingLimits
  /** Our tip with its weight, as last known. */
  readonly weigh: (tip: BlockRef | null) => ChainTip | null
}

/**
 * Answers the requests of peers from the store. Exactly one terminal reply for each, whatever happens:
 * a request that is cancelled, or whose store fails, ends as `notFound` with the reason `unavailable`.
 * It never puts more into a peer's send queue than `maxQueuedBytes` and one chunk.
 */
export class SyncServer {
  readonly #store: BlockStore
  readonly #clock: Clock
  readonly #limits: ServingLimits
  readonly #weigh: SyncServerOptions['weigh']
  readonly #servings = new Map<ServicePeer, Map<number, Serving>>()
  #count = 0
  #isRunning = false

  constructor({ store, clock, limits, weigh }: SyncServerOptions) {
    this.#store = store
    this.#clock = clock
    this.#limits = limits
    this.#weigh = weigh
  }

  start(): void {
    this.#isRunning = true
  }

  /** Ends every reply under way; requests that come later are told that nothing is available. */
  stop(): void {
    this.#isRunning = false
    for (const servings of this.#servings.values()) {
      for (const serving of servings.values()) end(serving)
    }
  }

  handle(peer: ServicePeer, message: GetBlocksMessage | GetHeadersMessage | CancelMessage): void {
    const ofPeer = this.#servings.get(peer)
    if (message.kind === 'cancel') {
      const serving = ofPeer?.get(message.id)
      if (serving !== undefined) end(serving)
      return
    }
    const { id } = message
    if (ofPeer?.has(id) === true) {
      peer.closeFor({ kind: 'misbehaved', by: 'us', what: 'a request id that is still in use' })
      return
    }
    if (!this.#isRunning) {
      peer.post(unavailable(id))
      return
    }
    if (isOverloaded(this.#limits, ofPeer?.size ?? 0, this.#count)) {
      peer.post({ kind: 'busy', id, retryAfterMs: this.#limits.retryAfterMs })
      return
    }
    void this.#serve(this.#begin(peer, id), message)
  }

  drained(peer: ServicePeer): void {
    for (const serving of this.#servings.get(peer)?.values() ?? []) serving.wake()
  }

  disconnected(peer: ServicePeer): void {
    for (const serving of this.#servings.get(peer)?.values() ?? []) end(serving)
  }

  #begin(peer: ServicePeer, id: number): Serving {
    const serving: Serving = { peer, id, isCancelled: false, wake: () => {} }
    const ofPeer = this.#servings.get(peer) ?? new Map<number, Serving>()
    ofPeer.set(id, serving)
    this.#servings.set(peer, ofPeer)
    this.#count += 1
    return serving
  }

  #end({ peer, id }: Serving): void {
    const ofPeer = this.#servings.get(peer)
    ofPeer?.delete(id)
    if (ofPeer?.size === 0) this.#servings.delete(peer)
    this.#count -= 1
  }

  /** The id is free again before its terminal reply is posted: the peer may use it at once. */
  async #serve(serving: Serving, message: GetBlocksMessage | GetHeadersMessage): Promise<void> {
    const { peer, id } = serving
    let reply: SyncMessage | undefined
    try {
      reply =
        message.kind === 'getBlocks'
          ? await this.#sendBlocks(serving, message)
          : await this.#readHeaders(serving, message)
    } catch {
      reply = undefined
    }
    this.#end(serving)
    peer.post(reply ?? unavailable(id))
  }

  /** Sends all chunks but the last, and returns that, or what to say instead. */
  async #sendBlocks(serving: Serving, request: GetBlocksMessage): Promise<SyncMessage | undefined> {
    const { peer, id } = serving
    let reply = beginReply(this.#limits, request)
    for (;;) {
      await this.#queueHasRoom(serving)
      if (isOver(serving)) return undefined
      const blocks = await this.#store.range(
        reply.from,
        chunkLimits(this.#limits, reply, peer.hello.maxFrameBytes),
      )
      if (isOver(serving)) return undefined
      const decision = judgeChunk(reply, blocks, peer.hello.maxFrameBytes)
      switch (decision.kind) {
        case 'send': {
          const { next } = decision
          const chunk = {
            kind: 'blocks',
            id,
            blocks: decision.blocks,
            last: next === undefined,
          } as const
          if (next === undefined) return chunk
          peer.post(chunk)
          reply = next
          break
        }
        case 'end':
          return { kind: 'blocks', id, blocks: [], last: true }
        case 'missing':
          return this.#whyMissing(request)
        case 'tooLarge':
          return undefined
        case 'otherBranch':
          return this.#notFound(id, 'other-branch')
        default:
          return decision satisfies never
      }
    }
  }

  async #whyMissing(request: GetBlocksMessage): Promise<SyncMessage> {
    const base = await this.#store.base()
    const below = request.from > 0 ? await this.#store.hashAt(request.from - 1) : undefined
    return this.#notFound(request.id, whyMissing(request, base, below))
  }

  async #notFound(id: number, reason: NotFoundReason): Promise<SyncMessage> {
    const base = await this.#store.base()
    const tip = await this.#store.tip()
    return { kind: 'notFound', id, reason, base: base?.height ?? 0, tip: this.#weigh(tip) }
  }

  /** The names above the highest entry that is ours, out of one unchanged chain. */
  async #readHeaders(
    serving: Serving,
    { id, locator, count }: GetHeadersMessage,
  ): Promise<SyncMessage | undefined> {
    for (let read = 0; read < maxHeaderReads && !isOver(serving); read++) {
      const tip = await this.#store.tip()
      if (tip === null) break
      const common = await this.#highestKnown(locator)
      if (common === undefined) break
      const last = Math.min(tip.height, common.height + count)
      const heights = Array.from({ length: last - common.height }, (_, n) => common.height + 1 + n)
      const headers = await hashesAt(this.#store, heights)
      // A chain that still has this tip has had the same blocks below it all the while.
      if ((await this.#store.hashAt(tip.height)) !== tip.hash) continue
      return { kind: 'headers', id, previousHash: common.hash, headers }
    }
    return isOver(serving) ? undefined : { kind: 'headers', id, previousHash: '', headers: [] }
  }

  async #highestKnown(locator: readonly BlockRef[]): Promise<BlockRef | undefined> {
    const sorted = [...locator].sort((a, b) => b.height - a.height)
    const ours = await hashesAt(
      this.#store,
      sorted.map(({ height }) => height),
    )
    const hashes = new Map(ours.map(({ height, hash }) => [height, hash]))
    const known = sorted.find(({ height, hash }) => hashes.get(height) === hash)
    if (known !== undefined) return known
    // A checkpoint below our first block is known by that block's link to it.
    const base = await this.#store.base()
    const first = base === null ? undefined : await this.#store.get(base.height)
    return sorted.find(
      ({ height, hash }) => height + 1 === first?.height && hash === first.previousHash,
    )
  }

  async #queueHasRoom(serving: Serving): Promise<void> {
    const { peer } = serving
    while (!isOver(serving) && peer.queuedBytes > this.#limits.maxQueuedBytes) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.setTimer(this.#limits.queueCheckMs, resolve)
        serving.wake = () => {
          timer.cancel()
          resolve()
        }
      })
    }
  }
}

const unavailable = (id: number): NotFoundMessage => ({
  kind: 'notFound',
  id,
  reason: 'unavailable',
  base: 0,
  tip: null,
})

const isOver = (serving: Serving): boolean => serving.isCancelled

/** Idempotent; the reply itself ends at its next step. */
function end(serving: Serving): void {
  serving.isCancelled = true
  serving.wake()
}
