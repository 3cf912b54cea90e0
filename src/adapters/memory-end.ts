import type { Clock } from '../contracts/clock.js'
import type { Connection, ConnectionHandlers, Endpoint } from '../contracts/transport.js'
import { ChunkQueue } from './chunk-queue.js'
import type { Cutting } from './memory-cutting.js'

/** What one end tells the other. */
export type EndItem =
  | { readonly kind: 'data'; readonly chunks: readonly Uint8Array[]; readonly bytes: number }
  /** So many bytes were read there: as many more may be on their way. */
  | { readonly kind: 'read'; readonly bytes: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' }

export interface MemoryEndOptions {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly clock: Clock
  /** Bytes that may be on their way or unread at the other end: what the kernels' buffers are to TCP. */
  readonly maxInFlightBytes: number
  /** Above so many buffered bytes `write` returns false. */
  readonly highWaterBytes: number
  readonly cutting: Cutting
  readonly send: (item: EndItem, bytes: number) => void
  readonly ended: (error: Error | undefined) => void
}

/** One end of a connection of a memory network. */
export class MemoryEnd implements Connection {
  readonly #options: MemoryEndOptions
  readonly #waiting = new ChunkQueue()
  readonly #arrived = new ChunkQueue()
  #handlers: ConnectionHandlers | undefined
  #state: 'open' | 'closing' | 'ended' = 'open'
  #endedWith: Error | undefined
  #inFlightBytes = 0
  /** Read here and not told to the other end yet. */
  #unreportedBytes = 0
  #owesDrained = false
  #isPaused = false
  #isDelivering = false
  #hasSentEnd = false
  #hasReceivedEnd = false

  constructor(options: MemoryEndOptions) {
    this.#options = options
  }

  get local(): Endpoint {
    return this.#options.local
  }

  get remote(): Endpoint {
    return this.#options.remote
  }

  get bufferedBytes(): number {
    return this.#waiting.bytes
  }

  get isEnded(): boolean {
    return this.#state === 'ended'
  }

  open(handlers: ConnectionHandlers): void {
    if (this.#handlers !== undefined) throw new Error('open was called twice')
    this.#handlers = handlers
    if (this.#state === 'ended') this.#reportClosed()
    else this.#deliverSoon()
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.#state !== 'open') return false
    for (const chunk of chunks) this.#waiting.push(chunk)
    this.#transmit()
    if (this.#waiting.bytes <= this.#options.highWaterBytes) return true
    this.#owesDrained = true
    return false
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#deliverSoon()
  }

  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#drop(this.#arrived)
    this.#transmit()
    // The other end's end may have been waiting behind data that a paused reader did not take.
    this.#deliverSoon()
  }

  destroy(): void {
    if (this.#state === 'ended') return
    this.#options.send({ kind: 'reset' }, 0)
    this.finish(undefined)
  }

  /** Ends here, and says nothing to the other end. The user hears of it in a turn of its own. */
  finish(error: Error | undefined): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#endedWith = error
    this.#waiting.clear()
    this.#arrived.clear()
    this.#options.ended(error)
    if (this.#handlers !== undefined) this.#reportClosed()
  }

  receive(item: EndItem): void {
    if (this.#state === 'ended') {
      this.#answerForNobody(item)
      return
    }
    switch (item.kind) {
      case 'data':
        for (const chunk of item.chunks) this.#arrived.push(chunk)
        if (this.#state === 'closing') this.#drop(this.#arrived)
        break
      case 'read':
        this.#inFlightBytes -= item.bytes
        this.#transmit()
        this.#drained()
        break
      case 'end':
        this.#hasReceivedEnd = true
        break
      case 'reset':
        this.received()
        this.finish(this.#state === 'closing' ? undefined : resetError(this.remote))
        break
      default:
        item satisfies never
    }
  }

  /** Hands on what has arrived, and then the end, if that has. */
  received(): void {
    if (this.#isDelivering || this.#handlers === undefined) return
    this.#isDelivering = true
    try {
      while (this.#arrived.bytes > 0 && !this.#isPaused) {
        const chunk = this.#options.cutting.nextChunk(this.#arrived)
        this.#report(chunk.length)
        this.#handlers.data(chunk)
      }
    } finally {
      this.#isDelivering = false
    }
    if (!this.#hasReceivedEnd || this.#arrived.bytes > 0) return
    // Once the other end has closed, it drops what we send: only our own close still waits to be sent.
    if (this.#state === 'open') this.#options.send({ kind: 'end' }, 0)
    if (this.#state === 'open' || this.#hasSentEnd) this.finish(undefined)
  }

  #transmit(): void {
    const { maxInFlightBytes, cutting, send } = this.#options
    while (this.#waiting.bytes > 0 && this.#inFlightBytes < maxInFlightBytes) {
      const room = maxInFlightBytes - this.#inFlightBytes
      const bytes = Math.min(cutting.segmentBytes(), room, this.#waiting.bytes)
      const chunks = this.#waiting.take(bytes)
      this.#inFlightBytes += bytes
      send({ kind: 'data', chunks, bytes }, bytes)
    }
    if (this.#state !== 'closing' || this.#waiting.bytes > 0 || this.#hasSentEnd) return
    this.#hasSentEnd = true
    send({ kind: 'end' }, 0)
    if (this.#hasReceivedEnd) this.finish(undefined)
  }

  #drained(): void {
    if (!this.#owesDrained || this.#state !== 'open' || this.#handlers === undefined) return
    if (this.#waiting.bytes > this.#options.highWaterBytes / 2) return
    this.#owesDrained = false
    this.#handlers.drained()
  }

  #drop(queue: ChunkQueue): void {
    const { bytes } = queue
    queue.clear()
    this.#report(bytes)
  }

  /** Not for every byte: only so often that a sender with room for more never waits for it. */
  #report(bytes: number): void {
    this.#unreportedBytes += bytes
    if (this.#unreportedBytes < this.#options.maxInFlightBytes / 4) return
    this.#options.send({ kind: 'read', bytes: this.#unreportedBytes }, 0)
    this.#unreportedBytes = 0
  }

  /** Data for an end that is gone: as TCP does, tell the sender that nobody is here any more. */
  #answerForNobody(item: EndItem): void {
    if (item.kind === 'data' || item.kind === 'end') this.#options.send({ kind: 'reset' }, 0)
  }

  #deliverSoon(): void {
    this.#options.clock.setTimer(0, () => {
      this.received()
    })
  }

  #reportClosed(): void {
    this.#options.clock.setTimer(0, () => this.#handlers?.closed(this.#endedWith))
  }
}

function resetError(remote: Endpoint): Error {
  const text = `the connection was reset by ${remote.host} port ${remote.port}`
  return Object.assign(new Error(text), { code: 'ECONNRESET' })
}
