import { appFrameBytes, maxCopiedBytes, writeAnswerFrame } from '../wire/app-frames.js'
import { encodeMessage } from '../wire/message-codec.js'
import type { RefusalCode } from '../wire/messages.js'
import type { AppDelivery, AppResult } from './connection-owner.js'
import type { ReadBrake } from './read-brake.js'
import type { ReplyCount } from './reply-count.js'
import type { SendQueue } from './send-queue.js'

/** What an inbox needs of its connection. */
export interface AppInboxHost {
  isEstablished(): boolean
  /** The largest frame that the peer accepts. */
  peerMaxFrameBytes(): number
  /** Hands a message to the user's handler. */
  deliver(delivery: AppDelivery): void
  /** A reply was added to the send queue. */
  replied(): void
}

/**
 * The application's messages and requests on their way to their handlers. Every request is answered
 * once; what handlers hold brakes the reading, and what they have not answered is counted.
 */
export class AppInbox {
  readonly #host: AppInboxHost
  readonly #queue: SendQueue
  readonly #brake: ReadBrake
  readonly #replies: ReplyCount

  constructor(options: {
    readonly host: AppInboxHost
    readonly queue: SendQueue
    readonly brake: ReadBrake
    readonly replies: ReplyCount
  }) {
    this.#host = options.host
    this.#queue = options.queue
    this.#brake = options.brake
    this.#replies = options.replies
  }

  messageReceived(type: string, bytes: Uint8Array): void {
    this.#deliver(type, bytes, undefined)
  }

  requestReceived(type: string, bytes: Uint8Array, id: number): void {
    if (this.#replies.add()) this.#deliver(type, bytes, id)
  }

  /** A handler is done with a message, or with the request of this id. */
  settle(bytes: Uint8Array, id: number | undefined, result: AppResult): void {
    if (id !== undefined) this.#reply(id, result)
    this.#brake.release(costOf(bytes))
  }

  #deliver(type: string, bytes: Uint8Array, id: number | undefined): void {
    this.#brake.hold(costOf(bytes))
    this.#host.deliver(new Delivery(this, type, bytes, id))
  }

  #reply(id: number, result: AppResult): void {
    if (!this.#host.isEstablished()) return
    if (result.kind !== 'answer') this.#refuse(id, refusalOf(result))
    else if (result.bytes.length + 4 > this.#host.peerMaxFrameBytes()) this.#refuse(id, 'too-large')
    else this.#answer(id, result.bytes)
    this.#host.replied()
  }

  #answer(id: number, bytes: Uint8Array): void {
    if (bytes.length > maxCopiedBytes) {
      this.#queue.addBulk(encodeMessage({ kind: 'answer', id, bytes }), this.#replies)
      return
    }
    const offset = this.#queue.reserve(appFrameBytes('answer', bytes), this.#replies)
    writeAnswerFrame(this.#queue.slab, offset, id, bytes)
  }

  #refuse(id: number, code: RefusalCode): void {
    this.#queue.addBulk(encodeMessage({ kind: 'refusal', id, code }), this.#replies)
  }
}

/** One message on its way: an object of few fields and no closures, because there are many. */
class Delivery implements AppDelivery {
  readonly type: string
  readonly bytes: Uint8Array
  readonly #inbox: AppInbox
  readonly #id: number | undefined

  constructor(inbox: AppInbox, type: string, bytes: Uint8Array, id: number | undefined) {
    this.#inbox = inbox
    this.type = type
    this.bytes = bytes
    this.#id = id
  }

  done(result: AppResult): void {
    this.#inbox.settle(this.bytes, this.#id, result)
  }
}

/** A message without content costs something too. */
function costOf(bytes: Uint8Array): number {
  return bytes.length + 64
}

function refusalOf(result: Exclude<AppResult, { readonly kind: 'answer' }>): RefusalCode {
  return result.kind === 'refused' ? result.code : 'handler-failed'
}
