import type { CloseReason } from '../contracts/close-reason.js'
import type { Clock, Timer } from '../contracts/clock.js'
import { HoldfastError } from '../errors.js'
import { describeReason } from '../rules/close-reasons.js'
import {
  appFrameBytes,
  maxCopiedBytes,
  writeMessageFrame,
  writeRequestFrame,
} from '../wire/app-frames.js'
import { utf8, WireError } from '../wire/binary.js'
import { encodeMessage } from '../wire/message-codec.js'
import {
  maxAppTypes,
  maxTypeNameBytes,
  type AnswerMessage,
  type RefusalMessage,
  type TypeMessage,
} from '../wire/messages.js'
import type { SendQueue } from './send-queue.js'

interface Waiter {
  readonly type: string
  readonly resolve: (bytes: Uint8Array) => void
  readonly reject: (error: unknown) => void
  readonly timeoutMs: number
  readonly dueMs: number
  /** Only of a request that has a signal. */
  readonly release: (() => void) | undefined
}

/**
 * The application's types and requests on one connection: which number stands for which type in each
 * direction, and who waits for which answer. A request settles by its own answer, its deadline, its
 * signal, or the end of the connection, and by nothing else.
 */
export class AppChannel {
  readonly #clock: Clock
  readonly #maxRequests: number
  readonly #queue: SendQueue
  // Made when they are first used: most connections are idle.
  #sentTypes: Map<string, number> | undefined
  #receivedTypes: Map<number, string> | undefined
  #waiters: Map<number, Waiter> | undefined
  #nextRequestId = 0
  /** One for all requests, set for the first that is due: most are answered long before. */
  #timer: Timer | undefined
  #timerDueMs = Infinity
  /** Answers that nobody waits for: late, or never asked. */
  unmatchedAnswers = 0

  constructor(options: {
    readonly clock: Clock
    readonly maxRequests: number
    readonly queue: SendQueue
  }) {
    this.#clock = options.clock
    this.#maxRequests = options.maxRequests
    this.#queue = options.queue
  }

  /** Throws as `checkTypeName` does; a name that was sent before was looked at then. */
  checkTypeName(type: string): void {
    if (!this.#sentTypes?.has(type)) checkTypeName(type)
  }

  /** Adds a message to the send queue. */
  message(type: string, bytes: Uint8Array): void {
    const number = this.numberOf(type)
    if (bytes.length > maxCopiedBytes) {
      this.#queue.addBulk(encodeMessage({ kind: 'message', type: number, bytes }))
      return
    }
    const offset = this.#queue.reserve(appFrameBytes('message', bytes))
    writeMessageFrame(this.#queue.slab, offset, number, bytes)
  }

  /** The number that stands for `type`; announces it to the peer at its first use. */
  numberOf(type: string): number {
    this.#sentTypes ??= new Map()
    const known = this.#sentTypes.get(type)
    if (known !== undefined) return known
    checkTypeName(type)
    const number = this.#sentTypes.size
    if (number >= maxAppTypes) {
      throw new RangeError(
        `a connection carries at most ${maxAppTypes} message types; ${type} is one too many`,
      )
    }
    this.#sentTypes.set(type, number)
    this.#queue.addBulk(encodeMessage({ kind: 'type', number, name: type }))
    return number
  }

  typeReceived(message: TypeMessage): void {
    this.#receivedTypes ??= new Map()
    if (this.#receivedTypes.has(message.number))
      throw new WireError(`type ${message.number} is named twice`)
    if (this.#receivedTypes.size >= maxAppTypes)
      throw new WireError(`more than ${maxAppTypes} types`)
    this.#receivedTypes.set(message.number, message.name)
  }

  nameOf(number: number): string {
    const name = this.#receivedTypes?.get(number)
    if (name === undefined) throw new WireError(`type ${number} has no name`)
    return name
  }

  request(
    type: string,
    bytes: Uint8Array,
    options: { readonly signal: AbortSignal | undefined; readonly timeoutMs: number },
  ): Promise<Uint8Array> {
    const { signal, timeoutMs } = options
    signal?.throwIfAborted()
    const waiters = (this.#waiters ??= new Map<number, Waiter>())
    if (waiters.size >= this.#maxRequests) {
      throw new HoldfastError('TOO_MANY_REQUESTS', `${waiters.size} requests await their answers`)
    }
    const number = this.numberOf(type)
    const id = this.#takeId()
    this.#sendRequest(id, number, bytes)
    const nowMs = this.#clock.now()
    const dueMs = nowMs + timeoutMs
    this.#arm(dueMs, nowMs)
    return new Promise((resolve, reject) => {
      const release = signal && this.#watch(signal, id)
      waiters.set(id, { type, resolve, reject, timeoutMs, dueMs, release })
    })
  }

  answerReceived(message: AnswerMessage): void {
    const waiter = this.#settle(message.id)
    if (waiter === undefined) this.unmatchedAnswers += 1
    else waiter.resolve(message.bytes)
  }

  refusalReceived(message: RefusalMessage): void {
    const waiter = this.#settle(message.id)
    if (waiter === undefined) {
      this.unmatchedAnswers += 1
      return
    }
    const text = `the peer refused '${waiter.type}': ${message.code}`
    waiter.reject(new HoldfastError('REQUEST_REFUSED', text))
  }

  /** Rejects all that wait: the connection is over. */
  end(reason: CloseReason): void {
    this.#timer?.cancel()
    for (const [id, waiter] of this.#waiters ?? []) {
      const text = `the connection ended before the answer to '${waiter.type}': ${describeReason(reason)}`
      this.#settle(id)?.reject(new HoldfastError('CONNECTION_CLOSED', text, { reason }))
    }
  }

  #settle(id: number): Waiter | undefined {
    const waiter = this.#waiters?.get(id)
    if (waiter === undefined) return undefined
    this.#waiters?.delete(id)
    waiter.release?.()
    return waiter
  }

  #sendRequest(id: number, type: number, bytes: Uint8Array): void {
    if (bytes.length > maxCopiedBytes) {
      this.#queue.addBulk(encodeMessage({ kind: 'request', id, type, bytes }))
      return
    }
    const offset = this.#queue.reserve(appFrameBytes('request', bytes))
    writeRequestFrame(this.#queue.slab, offset, id, type, bytes)
  }

  #watch(signal: AbortSignal, id: number): () => void {
    const onAbort = (): void => {
      this.#settle(id)?.reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    return () => {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #arm(dueMs: number, nowMs: number): void {
    if (dueMs >= this.#timerDueMs) return
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    this.#timer = this.#clock.setTimer(dueMs - nowMs, () => {
      this.#expire()
    })
  }

  #expire(): void {
    this.#timer = undefined
    this.#timerDueMs = Infinity
    const nowMs = this.#clock.now()
    let nextDueMs = Infinity
    for (const [id, { type, timeoutMs, dueMs }] of this.#waiters ?? []) {
      if (dueMs > nowMs) {
        nextDueMs = Math.min(nextDueMs, dueMs)
        continue
      }
      const text = `no answer to '${type}' within ${timeoutMs} ms`
      this.#settle(id)?.reject(new HoldfastError('REQUEST_TIMEOUT', text))
    }
    this.#arm(nextDueMs, nowMs)
  }

  /** Ids come round after 2^32 requests; one that still waits is passed over. */
  #takeId(): number {
    do {
      this.#nextRequestId = (this.#nextRequestId + 1) >>> 0
    } while (this.#waiters?.has(this.#nextRequestId))
    return this.#nextRequestId
  }
}

/** Throws TypeError or RangeError for what is no message at all, whoever it is for. */
export function checkMessage(type: string, bytes: Uint8Array): void {
  checkTypeName(type)
  checkBytes(bytes)
}

/** Throws TypeError for a payload that is not bytes. */
export function checkBytes(bytes: Uint8Array): void {
  if (!((bytes as unknown) instanceof Uint8Array)) {
    throw new TypeError('the bytes of a message are a Uint8Array')
  }
}

/** Throws RangeError unless `type` is 1 to 64 bytes of UTF-8. */
export function checkTypeName(type: string): void {
  if (typeof type !== 'string')
    throw new TypeError(`a message type is a string, not ${typeof type}`)
  const length = utf8(type).length
  if (length < 1 || length > maxTypeNameBytes) {
    throw new RangeError(
      `a message type has 1 to ${maxTypeNameBytes} bytes of UTF-8, not ${length}: '${type}'`,
    )
  }
}
