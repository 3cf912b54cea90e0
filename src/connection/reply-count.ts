import type { ExchangeMessage } from '../contracts/exchange-messages.js'
import type { SyncMessage } from '../contracts/sync-messages.js'

/**
 * Replies that the peer asked for and that have not left yet. A peer that asks for more and more and
 * reads none of it is found out by this number, whatever the replies weigh.
 */
export class ReplyCount {
  readonly #max: number
  readonly #onTooMany: () => void
  #count = 0

  constructor(max: number, onTooMany: () => void) {
    this.#max = max
    this.#onTooMany = onTooMany
  }

  /** The peer asked for something. False when that was one too many. */
  add(): boolean {
    this.#count += 1
    if (this.#count <= this.#max) return true
    this.#onTooMany()
    return false
  }

  /** A reply was handed to the transport, or will never be. */
  readonly sent = (): void => {
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
