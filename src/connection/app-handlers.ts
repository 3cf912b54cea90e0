import type { Peer } from '../contracts/peer-service.js'
import { checkTypeName } from './app-channel.js'
import type { AppDelivery, AppResult } from './connection-owner.js'
import type { PeerConnection } from './peer-connection.js'

/** What a handler may return; bytes, or a promise of bytes, answer a request. */
export type HandlerResult = Uint8Array | undefined | Promise<Uint8Array | undefined | void> | void

/** Handles the messages and requests of one type. */
export type MessageHandler = (bytes: Uint8Array, peer: Peer) => HandlerResult

/** The user's handlers by type. Every request is answered, whatever its handler does. */
export class AppHandlers {
  readonly #handlers = new Map<string, MessageHandler>()
  readonly #onError: (type: string, error: unknown) => void

  constructor(onError: (type: string, error: unknown) => void) {
    this.#onError = onError
  }

  set(type: string, handler: MessageHandler | undefined): void {
    checkTypeName(type)
    if (handler === undefined) {
      this.#handlers.delete(type)
    } else if (typeof handler === 'function') {
      this.#handlers.set(type, handler)
    } else {
      throw new TypeError(`the handler of '${type}' must be a function, not ${typeof handler}`)
    }
  }

  /** Calls the handler of a message and settles it, now or when the handler's promise does. */
  deliver(connection: PeerConnection, delivery: AppDelivery): void {
    const handler = this.#handlers.get(delivery.type)
    if (handler === undefined) {
      connection.unhandledMessages += 1
      delivery.done({ kind: 'refused', code: 'no-handler' })
      return
    }
    const fail = (error: unknown): void => {
      delivery.done({ kind: 'refused', code: 'handler-failed' })
      this.#onError(delivery.type, error)
    }
    try {
      const result = handler(delivery.bytes, connection)
      if (isThenable(result)) {
        Promise.resolve(result).then((answer) => {
          delivery.done(settled(answer))
        }, fail)
      } else {
        delivery.done(settled(result))
      }
    } catch (error) {
      fail(error)
    }
  }
}

function settled(answer: Uint8Array | undefined | void): AppResult {
  return answer instanceof Uint8Array ? { kind: 'answer', bytes: answer } : { kind: 'done' }
}

function isThenable(value: unknown): value is PromiseLike<Uint8Array | undefined | void> {
  return typeof value === 'object' && value !== null && 'then' in value
}
