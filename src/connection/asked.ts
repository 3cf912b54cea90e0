import type { ExchangeMessage } from '../contracts/exchange-messages.js'
import type { SyncMessage } from '../contracts/sync-messages.js'
import { maxBodyBytes, kindNumbers, type WireMessage } from '../wire/messages.js'

/** What a frame is to the connection that reads it. */
export type Demand =
  /** This node asked for it, or the protocol needs it: it is outside every budget. */
  | 'asked'
  /** The peer's own idea, as every request and every message is. */
  | 'unasked'
  /** No peer that keeps to the protocol sends it: an answer to nothing. */
  | 'pointless'

const headersBytes = maxBodyBytes(kindNumbers.headers, {
  maxFrameBytes: Infinity,
  isEstablished: true,
})

/**
 * What this node asked for on one connection and what has come of it, in numbers. An honest peer sends
 * never more pongs than there were pings, never more answers than requests, and one terminal reply for
 * each request of sync, however late; so what comes beyond that is proof, whatever the network did.
 */
export class Asked {
  #pongs = 0
  #answers = 0
  #peers = 0
  #syncReplies = 0
  #syncBytes = 0

  pingSent(): void {
    this.#pongs += 1
  }

  requestSent(): void {
    this.#answers += 1
  }

  serviceSent(message: SyncMessage | ExchangeMessage): void {
    if (message.kind === 'getPeers') this.#peers += 1
    if (message.kind !== 'getBlocks' && message.kind !== 'getHeaders') return
    this.#syncReplies += 1
    this.#syncBytes += message.kind === 'getBlocks' ? message.maxBytes : headersBytes
  }

  /** Judges a message of `frameBytes` bytes, once. */
  judge(message: WireMessage, frameBytes: number): Demand {
    switch (message.kind) {
      case 'hello':
      case 'ready':
      case 'bye':
      case 'ping':
        return 'asked'
      case 'pong':
        if (this.#pongs === 0) return 'pointless'
        this.#pongs -= 1
        return 'asked'
      case 'answer':
      case 'refusal':
        if (this.#answers === 0) return 'pointless'
        this.#answers -= 1
        return 'asked'
      case 'peers':
        if (this.#peers === 0) return 'pointless'
        this.#peers -= 1
        return 'asked'
      case 'blocks':
        return this.#judgeReply(frameBytes, message.last)
      case 'headers':
      case 'notFound':
      case 'busy':
        return this.#judgeReply(frameBytes, true)
      case 'type':
      case 'message':
      case 'request':
      case 'status':
      case 'announce':
      case 'getHeaders':
      case 'getBlocks':
      case 'cancel':
      case 'getPeers':
        return 'unasked'
    }
  }

  /** A reply may be a little longer than what was asked for: the rest counts as unasked. */
  #judgeReply(frameBytes: number, isTerminal: boolean): Demand {
    if (this.#syncReplies === 0) return 'pointless'
    const isPaidFor = this.#syncBytes > 0
    this.#syncBytes = Math.max(0, this.#syncBytes - frameBytes)
    if (isTerminal) this.#syncReplies -= 1
    if (this.#syncReplies === 0) this.#syncBytes = 0
    return isPaidFor ? 'asked' : 'unasked'
  }
}
