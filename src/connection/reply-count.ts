import type { ExchangeMessage } from '../contracts/exchange-messages.js'
import type { SyncMessage } from '../contracts/sync-messages.js'
import type { Sent } from './send-queue.js'

/** What a reply count needs of its connection. */
export interface ReplyCountHost {
  tooManyReplies(): void
}

/**
 * Replies that the peer asked for and that have not left yet. A peer that asks for more and more and
 * reads none of it is found out by this number, whatever the replies weigh.
 */
export class ReplyCount implements Sent {
  readonly #max: number
  readonly #host: ReplyCountHost
  #count = 0

  constructor(max: number, host: ReplyCountHost) {
    this.#max = max
    this.#host = host
  }

  /** The peer asked for something. False when that was one too many. */
  add(): boolean {
    this.#count += 1
    if (this.#count <= this.#max) return true
    this.#host.tooManyReplies()
    return false
  }

  /** A reply was handed to the transport, or will never be. */
  sent(): void {
    this.#count -= 1
  }
}

/** Replies of which each ends a request of the peer, or is a part of one. */
export function isServiceReply(message: SyncMessage | ExchangeMessage): boolean {
  switch (message.kind) {
    case 'headers':
    case 'blocks':
    case 'notFound':
    case 'busy':
    case 'peers':
      return true
    case 'status':
    case 'announce':
    case 'getHeaders':
    case 'getBlocks':
    case 'cancel':
    case 'getPeers':
      return false
  }
}
