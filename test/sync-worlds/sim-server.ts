import type { Block } from '../../src/contracts/block-store.js'
import type {
  GetBlocksMessage,
  GetHeadersMessage,
  NotFoundReason,
  SyncMessage,
} from '../../src/contracts/sync-messages.js'
import type { Port } from './port.js'
import { blockAt, refOf, tipOf, type SimChain } from './sim-chain.js'
import type { Timeline } from './timeline.js'

/** As a node of ours serves: chunks, a bounded send queue, few requests of one peer at once. */
const chunkBytes = 256 * 1024
const chunkBlocks = 512
const maxQueuedBytes = 1024 * 1024
const maxReplyBytes = 8 * 1024 * 1024
const requestsAtOnce = 4
const retryAfterMs = 500
/** What reading a chunk from the store takes. */
const readMs = 1

interface Reply {
  readonly id: number
  from: number
  after: string | undefined
  countLeft: number
  bytesLeft: number
  hasBegun: boolean
  isCancelled: boolean
}

/** Serves requests that come in through a port out of whatever chain there is at the time. */
export class SimServer {
  readonly #timeline: Timeline
  readonly #port: Port
  readonly #chainNow: () => SimChain | undefined
  readonly #replies = new Map<number, Reply>()

  constructor(timeline: Timeline, port: Port, chainNow: () => SimChain | undefined) {
    this.#timeline = timeline
    this.#port = port
    this.#chainNow = chainNow
  }

  handle(message: SyncMessage): void {
    switch (message.kind) {
      case 'getBlocks':
        return this.#begin(message)
      case 'getHeaders':
        return this.#timeline.after(readMs, () => this.#port.send(this.#headersFor(message)))
      case 'cancel': {
        const reply = this.#replies.get(message.id)
        if (reply !== undefined) reply.isCancelled = true
        return
      }
      case 'status':
      case 'announce':
      case 'headers':
      case 'blocks':
      case 'notFound':
      case 'busy':
        return
      default:
        message satisfies never
    }
  }

  #begin({ id, from, count, maxBytes, afterHash }: GetBlocksMessage): void {
    if (this.#replies.size >= requestsAtOnce) {
      return this.#port.send({ kind: 'busy', id, retryAfterMs })
    }
    const reply: Reply = {
      id,
      from,
      after: afterHash,
      countLeft: count,
      bytesLeft: Math.min(maxBytes, maxReplyBytes),
      hasBegun: false,
      isCancelled: false,
    }
    this.#replies.set(id, reply)
    this.#continue(reply)
  }

  #continue(reply: Reply): void {
    const waitMs = this.#port.queuedBytes > maxQueuedBytes ? this.#drainMs() : readMs
    this.#timeline.after(waitMs, () => {
      if (reply.isCancelled) return this.#end(reply, this.#notFound(reply, 'unavailable'))
      if (this.#port.queuedBytes > maxQueuedBytes) return this.#continue(reply)
      this.#sendChunk(reply)
    })
  }

  #drainMs(): number {
    return Math.max(1, (this.#port.queuedBytes - maxQueuedBytes) / this.#port.sendRate)
  }

  #sendChunk(reply: Reply): void {
    const chain = this.#chainNow()
    const missing = whyMissing(chain, reply)
    if (missing !== undefined || chain === undefined) {
      const { id } = reply
      if (reply.hasBegun) return this.#end(reply, { kind: 'blocks', id, blocks: [], last: true })
      return this.#end(reply, this.#notFound(reply, missing ?? 'above-tip'))
    }
    const blocks = nextChunk(chain, reply)
    const last = blocks.at(-1)
    if (last === undefined) {
      return this.#end(reply, { kind: 'blocks', id: reply.id, blocks: [], last: true })
    }
    reply.hasBegun = true
    reply.from = last.height + 1
    reply.after = last.hash
    reply.countLeft -= blocks.length
    for (const { payload } of blocks) reply.bytesLeft -= payload.length
    const next = blockAt(chain, reply.from)
    const isLast =
      reply.countLeft <= 0 || next === undefined || next.payload.length > reply.bytesLeft
    const chunk = { kind: 'blocks', id: reply.id, blocks, last: isLast } as const
    if (isLast) return this.#end(reply, chunk)
    this.#port.send(chunk)
    this.#continue(reply)
  }

  #notFound({ id }: Reply, reason: NotFoundReason): SyncMessage {
    const chain = this.#chainNow()
    const tip = chain === undefined ? null : tipOf(chain)
    return { kind: 'notFound', id, reason, base: chain?.base ?? 0, tip }
  }

  #end(reply: Reply, message: SyncMessage): void {
    this.#replies.delete(reply.id)
    this.#port.send(message)
  }

  #headersFor({ id, locator, count }: GetHeadersMessage): SyncMessage {
    const chain = this.#chainNow()
    const known = locator.find(
      ({ height, hash }) => chain !== undefined && blockAt(chain, height)?.hash === hash,
    )
    if (chain === undefined || known === undefined) {
      return { kind: 'headers', id, previousHash: '', headers: [] }
    }
    const from = known.height + 1 - chain.base
    const headers = chain.blocks.slice(from, from + count).map(refOf)
    return { kind: 'headers', id, previousHash: known.hash, headers }
  }
}

function whyMissing(
  chain: SimChain | undefined,
  { from, after }: { readonly from: number; readonly after: string | undefined },
): NotFoundReason | undefined {
  if (chain === undefined) return 'above-tip'
  if (from < chain.base) return 'below-base'
  const below = blockAt(chain, from - 1)
  if (after !== undefined && below !== undefined && below.hash !== after) return 'other-branch'
  return from > chain.tip.height ? 'above-tip' : undefined
}

/** The first block comes even when it is larger than what is left. */
export function nextChunk(
  chain: SimChain,
  {
    from,
    countLeft,
    bytesLeft,
  }: { readonly from: number; readonly countLeft: number; readonly bytesLeft: number },
): readonly Block[] {
  const blocks: Block[] = []
  const most = Math.min(chunkBytes, bytesLeft)
  let bytes = 0
  for (let n = 0; n < Math.min(countLeft, chunkBlocks); n++) {
    const block = blockAt(chain, from + n)
    if (block === undefined) break
    bytes += block.payload.length
    if (n > 0 && bytes > most) break
    blocks.push(block)
  }
  return blocks
}
