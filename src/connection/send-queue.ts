import type { Connection } from '../contracts/transport.js'
import type { EncodedFrame } from '../wire/message-codec.js'

/** Bytes handed to the transport in one write. */
const batchBytes = 256 * 1024

/** Pongs that wait at most; with one more the oldest is dropped. */
const maxWaitingPongs = 16

interface QueuedFrame {
  readonly frame: EncodedFrame
  /** Called when the last byte was handed to the transport. */
  readonly onSent?: (() => void) | undefined
}

/**
 * What waits to be sent on one connection. Frames of the same rank leave in the order in which they
 * came and never interleave; urgent ones (pings, pongs, control) go before bulk that waits.
 *
 * It has no limit of its own: the caller asks `queuedBytes` before it adds bulk.
 */
export class SendQueue {
  readonly #connection: Connection
  #urgent: EncodedFrame[] = []
  #pongs: EncodedFrame[] = []
  readonly #bulk: (QueuedFrame | undefined)[] = []
  #bulkHead = 0
  #waitingBytes = 0
  #acceptedBytes = 0
  #isWritable = true
  #isFlushScheduled = false
  #isEnded = false
  /** What is left of the frame that is being handed over: it is finished before anything else. */
  #current: Uint8Array[] = []
  #onCurrentSent: (() => void) | undefined

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Bytes that the operating system does not have yet: here and in the transport. */
  get queuedBytes(): number {
    return this.#waitingBytes + this.#connection.bufferedBytes
  }

  /** Bytes that left this process, as far as is known: it grows exactly while the peer reads. */
  get drainedBytes(): number {
    return this.#acceptedBytes - this.queuedBytes
  }

  /** Bytes added so far, sent or not. */
  get acceptedBytes(): number {
    return this.#acceptedBytes
  }

  addUrgent(frame: EncodedFrame): void {
    this.#urgent.push(frame)
    this.#accept(frame)
  }

  addPong(frame: EncodedFrame): void {
    const dropped = this.#pongs.length >= maxWaitingPongs ? this.#pongs.shift() : undefined
    if (dropped !== undefined) {
      this.#waitingBytes -= dropped.length
      this.#acceptedBytes -= dropped.length
    }
    this.#pongs.push(frame)
    this.#accept(frame)
  }

  addBulk(frame: EncodedFrame, onSent?: () => void): void {
    this.#bulk.push({ frame, onSent })
    this.#accept(frame)
  }

  /** The transport takes more again. */
  writable(): void {
    this.#isWritable = true
    this.flush()
  }

  /** Hands over as much as the transport likes to have. */
  flush(): void {
    while (this.#isWritable && !this.#isEnded && this.#waitingBytes > 0) {
      this.#isWritable = this.#connection.write(this.#nextBatch(batchBytes))
    }
  }

  /**
   * Ends the queue with `lastFrame`. What the transport still likes to have goes before it, and so does
   * the rest of a frame that was begun; the rest is dropped. Returns the number of bytes dropped.
   */
  end(lastFrame: EncodedFrame | undefined): number {
    this.flush()
    this.#isEnded = true
    const begunBytes = this.#current.reduce((sum, part) => sum + part.length, 0)
    const droppedBytes = this.#waitingBytes - begunBytes
    const lastParts = [...this.#current, ...(lastFrame?.parts ?? [])]
    if (lastParts.length > 0) this.#connection.write(lastParts)
    this.drop()
    return droppedBytes
  }

  /** Forgets everything: the connection is gone. Returns the number of bytes dropped. */
  drop(): number {
    const droppedBytes = this.#waitingBytes
    this.#isEnded = true
    this.#waitingBytes = 0
    this.#urgent = []
    this.#pongs = []
    this.#bulk.length = 0
    this.#bulkHead = 0
    this.#current = []
    this.#onCurrentSent = undefined
    return droppedBytes
  }

  #accept(frame: EncodedFrame): void {
    this.#waitingBytes += frame.length
    this.#acceptedBytes += frame.length
    if (this.#isFlushScheduled || !this.#isWritable) return
    // All that one turn of the event loop adds leaves in one write.
    this.#isFlushScheduled = true
    queueMicrotask(() => {
      this.#isFlushScheduled = false
      this.flush()
    })
  }

  #nextBatch(maxBytes: number): Uint8Array[] {
    const batch: Uint8Array[] = []
    let size = 0
    while (size < maxBytes && this.#begin()) {
      const part = this.#current[0]
      if (part === undefined) break
      const taken = part.length <= maxBytes - size ? part : part.subarray(0, maxBytes - size)
      batch.push(taken)
      size += taken.length
      if (taken.length < part.length) this.#current[0] = part.subarray(taken.length)
      else this.#current.shift()
      this.#waitingBytes -= taken.length
      if (this.#current.length === 0) this.#finishCurrent()
    }
    return batch
  }

  /** Makes sure that a frame is being handed over, if there is one. */
  #begin(): boolean {
    if (this.#current.length > 0) return true
    const urgent = this.#urgent.shift() ?? this.#pongs.shift()
    const next: QueuedFrame | undefined =
      urgent === undefined ? this.#shiftBulk() : { frame: urgent }
    if (next === undefined) return false
    this.#current = next.frame.parts.filter((part) => part.length > 0)
    this.#onCurrentSent = next.onSent
    return true
  }

  #finishCurrent(): void {
    const onSent = this.#onCurrentSent
    this.#onCurrentSent = undefined
    onSent?.()
  }

  #shiftBulk(): QueuedFrame | undefined {
    const next = this.#bulk[this.#bulkHead]
    if (next === undefined) return undefined
    this.#bulk[this.#bulkHead] = undefined
    this.#bulkHead += 1
    if (this.#bulkHead >= 1_024 && this.#bulkHead * 2 >= this.#bulk.length) {
      this.#bulk.splice(0, this.#bulkHead)
      this.#bulkHead = 0
    }
    return next
  }
}
