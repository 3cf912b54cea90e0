import type { Connection } from '../contracts/transport.js'
import type { EncodedFrame } from '../wire/message-codec.js'

/** Bytes handed to the transport in one write. */
const batchBytes = 256 * 1024

/** Memory for small frames is as large as what the last turn wrote, within these. */
const minSlabBytes = 256
const maxSlabBytes = 64 * 1024

const nothing = new Uint8Array(0)
const nobody: Sent[] = []

/** Pongs that wait at most; with one more the oldest is dropped. */
const maxWaitingPongs = 16

/** Who wants to know when the last byte of a frame was handed to the transport. */
export interface Sent {
  sent(): void
}

/** What a send queue needs of its connection. */
export interface SendQueueHost {
  /** The transport was given what waited, without being asked for more. */
  flushed(): void
}

/** A frame, or small ones one after another, which are handed over as one. */
interface Queued {
  readonly parts: readonly Uint8Array[]
  readonly awaitedBy?: readonly Sent[]
}

/**
 * What waits to be sent on one connection. Frames of the same rank leave in the order in which they
 * came and never interleave; urgent ones (pings, pongs, control) go before bulk that waits.
 * Small ones are written next to one another by whoever sends them, and leave together.
 *
 * It has no limit of its own: the caller asks `queuedBytes` before it adds bulk.
 */
export class SendQueue {
  /** Where `reserve` makes room. */
  slab = nothing
  readonly #connection: Connection
  readonly #host: SendQueueHost | undefined
  readonly #urgent: EncodedFrame[] = []
  readonly #pongs: EncodedFrame[] = []
  readonly #bulk: (Queued | undefined)[] = []
  #bulkHead = 0
  #waitingBytes = 0
  #acceptedBytes = 0
  #isWritable = true
  #isFlushScheduled = false
  #isEnded = false
  /** What is left of the frame that is being handed over: it is finished before anything else. */
  readonly #current: Uint8Array[] = []
  #currentAwaitedBy: readonly Sent[] = nobody
  /** The frames in the slab that are not in `#bulk` yet begin here, */
  #runStart = 0
  /** end here, */
  #slabEnd = 0
  /** and who wants to know when they were handed over. */
  #runAwaitedBy = nobody
  /** Bytes reserved in this turn of the event loop. */
  #turnBytes = 0
  #nextSlabBytes = minSlabBytes

  constructor(connection: Connection, host?: SendQueueHost) {
    this.#connection = connection
    this.#host = host
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
    this.#accept(frame.length)
  }

  addPong(frame: EncodedFrame): void {
    const dropped = this.#pongs.length >= maxWaitingPongs ? takeFirst(this.#pongs) : undefined
    if (dropped !== undefined) {
      this.#waitingBytes -= dropped.length
      this.#acceptedBytes -= dropped.length
    }
    this.#pongs.push(frame)
    this.#accept(frame.length)
  }

  addBulk(frame: EncodedFrame, awaitedBy?: Sent): void {
    this.#closeRun()
    this.#bulk.push(awaitedBy ? { parts: frame.parts, awaitedBy: [awaitedBy] } : frame)
    this.#accept(frame.length)
  }

  /**
   * Adds a small frame of `length` bytes, at most 64 KiB, to bulk: it is to be written into `slab` at the
   * offset that is returned, before anything else is called.
   */
  reserve(length: number, awaitedBy?: Sent): number {
    // Whoever sends much in one turn does not wait for its end, and does not heap it up either.
    if (this.#waitingBytes >= maxSlabBytes && this.#isWritable) this.flush()
    if (this.slab.length - this.#slabEnd < length) this.#newSlab(length)
    const offset = this.#slabEnd
    this.#slabEnd += length
    this.#turnBytes += length
    if (awaitedBy !== undefined) {
      if (this.#runAwaitedBy === nobody) this.#runAwaitedBy = [awaitedBy]
      else this.#runAwaitedBy.push(awaitedBy)
    }
    this.#accept(length)
    return offset
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
    if (this.#waitingBytes === 0) this.#dropSlab()
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
    this.#urgent.length = 0
    this.#pongs.length = 0
    this.#bulk.length = 0
    this.#bulkHead = 0
    this.#current.length = 0
    this.#currentAwaitedBy = nobody
    this.#dropSlab()
    this.#runAwaitedBy = nobody
    return droppedBytes
  }

  #accept(length: number): void {
    this.#waitingBytes += length
    this.#acceptedBytes += length
    if (this.#isFlushScheduled || !this.#isWritable) return
    // All that one turn of the event loop adds leaves in one write.
    this.#isFlushScheduled = true
    queueMicrotask(() => {
      this.#endTurn()
    })
  }

  #endTurn(): void {
    this.#isFlushScheduled = false
    this.flush()
    this.#nextSlabBytes = minSlabBytes
    while (this.#nextSlabBytes < Math.min(this.#turnBytes, maxSlabBytes)) this.#nextSlabBytes *= 2
    this.#turnBytes = 0
    if (!this.#isEnded) this.#host?.flushed()
  }

  #newSlab(length: number): void {
    this.#closeRun()
    while (this.#nextSlabBytes < length) this.#nextSlabBytes *= 2
    this.slab = new Uint8Array(this.#nextSlabBytes)
    this.#nextSlabBytes = Math.min(2 * this.#nextSlabBytes, maxSlabBytes)
    this.#runStart = 0
    this.#slabEnd = 0
  }

  /** An idle connection keeps none. */
  #dropSlab(): void {
    this.slab = nothing
    this.#runStart = 0
    this.#slabEnd = 0
  }

  /** What was written into the slab so far is to be handed over as one. */
  #closeRun(): void {
    if (this.#runStart === this.#slabEnd) return
    const parts = [this.slab.subarray(this.#runStart, this.#slabEnd)]
    this.#bulk.push({ parts, awaitedBy: this.#runAwaitedBy })
    this.#runStart = this.#slabEnd
    this.#runAwaitedBy = nobody
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
      else takeFirst(this.#current)
      this.#waitingBytes -= taken.length
      if (this.#current.length === 0) this.#finishCurrent()
    }
    return batch
  }

  /** Makes sure that a frame is being handed over, if there is one. */
  #begin(): boolean {
    if (this.#current.length > 0) return true
    const urgent = takeFirst(this.#urgent) ?? takeFirst(this.#pongs)
    if (urgent === undefined) this.#closeRun()
    const next: Queued | undefined = urgent ?? this.#takeBulk()
    if (next === undefined) return false
    for (const part of next.parts) if (part.length > 0) this.#current.push(part)
    this.#currentAwaitedBy = next.awaitedBy ?? nobody
    return true
  }

  #finishCurrent(): void {
    const awaitedBy = this.#currentAwaitedBy
    this.#currentAwaitedBy = nobody
    for (const one of awaitedBy) one.sent()
  }

  #takeBulk(): Queued | undefined {
    const next = this.#bulk[this.#bulkHead]
    if (next === undefined) return undefined
    this.#bulk[this.#bulkHead] = undefined
    this.#bulkHead += 1
    if (this.#bulkHead === this.#bulk.length) {
      this.#bulk.length = 0
      this.#bulkHead = 0
    } else if (this.#bulkHead >= 1_024 && this.#bulkHead * 2 >= this.#bulk.length) {
      this.#bulk.splice(0, this.#bulkHead)
      this.#bulkHead = 0
    }
    return next
  }
}

/** The first of a list, which keeps no memory when that was the last. */
function takeFirst<Item>(list: Item[]): Item | undefined {
  const first = list.shift()
  if (list.length === 0) list.length = 0
  return first
}
