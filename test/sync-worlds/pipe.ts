import type { SyncMessage } from '../../src/contracts/sync-messages.js'
import { bytesOf } from './sim-chain.js'
import type { Timeline } from './timeline.js'

/** What a message takes on the wire besides the blocks. The size of a block is all that it takes. */
const messageBytes = 48

export const wireBytes = (message: SyncMessage): number =>
  messageBytes + (message.kind === 'blocks' ? bytesOf(message.blocks) : 0)

/** A line that many pipes go through, one message after the other: the uplink or downlink of a machine. */
export class Line {
  #freeAtMs = -Infinity

  /** `bytesPerMs` may be Infinity. */
  constructor(readonly bytesPerMs: number) {}

  /** When something that comes now is through. */
  pass(now: number, bytes: number): number {
    this.#freeAtMs = Math.max(now, this.#freeAtMs) + bytes / this.bytesPerMs
    return this.#freeAtMs
  }

  /** Bytes that wait to get through. */
  queuedBytes(now: number): number {
    const leftMs = this.#freeAtMs - now
    return leftMs <= 0 ? 0 : leftMs * this.bytesPerMs
  }
}

export interface PipeOptions {
  /** Shared by all that its machine sends. */
  readonly uplink: Line
  /** Shared by all that the other machine receives. */
  readonly downlink: Line
  /** One way. */
  readonly latencyMs: number
}

interface Flight {
  /** When its first byte is received, and its last. */
  readonly fromMs: number
  untilMs: number
  isReceived: boolean
}

/** One direction of a connection: ordered and reliable, until it is cut. */
export class Pipe {
  readonly #timeline: Timeline
  readonly #options: PipeOptions
  readonly #deliver: (message: SyncMessage) => void
  readonly #flights: Flight[] = []
  #lastReceivedAtMs: number
  #isCut = false

  constructor(timeline: Timeline, options: PipeOptions, deliver: (message: SyncMessage) => void) {
    this.#timeline = timeline
    this.#options = options
    this.#deliver = deliver
    this.#lastReceivedAtMs = timeline.now
  }

  get queuedBytes(): number {
    return this.#options.uplink.queuedBytes(this.#timeline.now)
  }

  get sendRate(): number {
    return this.#options.uplink.bytesPerMs
  }

  send(message: SyncMessage): void {
    if (this.#isCut) return
    const { uplink, downlink, latencyMs } = this.#options
    const bytes = wireBytes(message)
    const sentAtMs = uplink.pass(this.#timeline.now, bytes)
    const flight: Flight = {
      fromMs: sentAtMs - bytes / uplink.bytesPerMs + latencyMs,
      untilMs: sentAtMs + latencyMs,
      isReceived: false,
    }
    this.#flights.push(flight)
    this.#timeline.at(flight.untilMs, () => {
      flight.untilMs = downlink.pass(this.#timeline.now, bytes)
      this.#timeline.at(flight.untilMs, () => {
        flight.isReceived = true
        if (!this.#isCut) this.#deliver(message)
      })
    })
  }

  /** Bytes of a message that is still on its way count from the first one on. */
  get lastReceivedAtMs(): number {
    const { now } = this.#timeline
    for (let first = this.#flights[0]; first?.isReceived === true; first = this.#flights[0]) {
      this.#lastReceivedAtMs = first.untilMs
      this.#flights.shift()
    }
    const [flight] = this.#flights
    return flight !== undefined && flight.fromMs <= now ? now : this.#lastReceivedAtMs
  }

  cut(): void {
    this.#isCut = true
  }
}
