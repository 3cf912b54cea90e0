import { encodeMessage, type EncodedFrame } from '../wire/message-codec.js'
import type { WireMessage } from '../wire/messages.js'
import type { AppDelivery, AppResult } from './connection-owner.js'
import type { ReadBrake } from './read-brake.js'
import type { ReplyCount } from './reply-count.js'

/** What an inbox needs of its connection. */
export interface AppInboxHost {
  run(input: () => void): void
  isEstablished(): boolean
  /** The largest frame that the peer accepts. */
  peerMaxFrameBytes(): number
  /** Hands a message to the user's handler. */
  deliver(delivery: AppDelivery): void
  sendBulk(frame: EncodedFrame, onSent: () => void): void
}

/**
 * The application's messages and requests on their way to their handlers. Every request is answered
 * once; what handlers hold brakes the reading, and what they have not answered is counted.
 */
export class AppInbox {
  readonly #host: AppInboxHost
  readonly #brake: ReadBrake
  readonly #replies: ReplyCount

  constructor(options: {
    readonly host: AppInboxHost
    readonly brake: ReadBrake
    readonly replies: ReplyCount
  }) {
    this.#host = options.host
    this.#brake = options.brake
    this.#replies = options.replies
  }

  messageReceived(type: string, bytes: Uint8Array): void {
    this.#deliver(type, bytes, () => undefined)
  }

  requestReceived(type: string, bytes: Uint8Array, id: number): void {
    if (!this.#replies.add()) return
    this.#deliver(type, bytes, (result) => {
      this.#reply(id, result)
    })
  }

  #deliver(type: string, bytes: Uint8Array, settle: (result: AppResult) => void): void {
    // A message without content costs something too.
    const heldBytes = bytes.length + 64
    this.#brake.hold(heldBytes)
    const done = (result: AppResult): void => {
      this.#host.run(() => {
        settle(result)
        this.#brake.release(heldBytes)
      })
    }
    this.#host.deliver({ type, bytes, done })
  }

  #reply(id: number, result: AppResult): void {
    if (!this.#host.isEstablished()) return
    const message = replyTo(id, result, this.#host.peerMaxFrameBytes())
    this.#host.sendBulk(encodeMessage(message), this.#replies.sent)
  }
}

function replyTo(id: number, result: AppResult, maxFrameBytes: number): WireMessage {
  switch (result.kind) {
    case 'answer':
      return result.bytes.length + 4 <= maxFrameBytes
        ? { kind: 'answer', id, bytes: result.bytes }
        : { kind: 'refusal', id, code: 'too-large' }
    case 'refused':
      return { kind: 'refusal', id, code: result.code }
    case 'done':
      return { kind: 'refusal', id, code: 'handler-failed' }
  }
}
