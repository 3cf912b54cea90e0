import type { SyncMessage } from '../../src/contracts/sync-messages.js'
import { Line, Pipe } from './pipe.js'
import type { Timeline } from './timeline.js'

/** What all connections of one machine share. Rates in bytes per millisecond. */
export interface Machine {
  readonly uplink: Line
  readonly downlink: Line
}

export const machine = (uploadRate = Infinity, downloadRate = Infinity): Machine => ({
  uplink: new Line(uploadRate),
  downlink: new Line(downloadRate),
})

/** One end of a connection. */
export class Port {
  onMessage: (message: SyncMessage) => void = () => {}
  readonly roundTripMs: number
  #out: Pipe | undefined
  #in: Pipe | undefined
  #isOpen = true

  constructor(roundTripMs: number) {
    this.roundTripMs = roundTripMs
  }

  join(outgoing: Pipe, incoming: Pipe): void {
    this.#out = outgoing
    this.#in = incoming
  }

  send(message: SyncMessage): void {
    if (this.#isOpen) this.#out?.send(message)
  }

  /** Bytes that wait on the uplink of this machine. */
  get queuedBytes(): number {
    return this.#out?.queuedBytes ?? 0
  }

  get sendRate(): number {
    return this.#out?.sendRate ?? Infinity
  }

  get lastReceivedAtMs(): number {
    return this.#in?.lastReceivedAtMs ?? 0
  }

  /** What is on its way in either direction is lost. */
  close(): void {
    this.#isOpen = false
    this.#out?.cut()
    this.#in?.cut()
  }
}

/** Connects two machines. */
export function connectPorts(
  timeline: Timeline,
  a: Machine,
  b: Machine,
  roundTripMs: number,
): readonly [Port, Port] {
  const atA = new Port(roundTripMs)
  const atB = new Port(roundTripMs)
  const latencyMs = roundTripMs / 2
  const toB = new Pipe(timeline, { uplink: a.uplink, downlink: b.downlink, latencyMs }, (message) =>
    atB.onMessage(message),
  )
  const toA = new Pipe(timeline, { uplink: b.uplink, downlink: a.downlink, latencyMs }, (message) =>
    atA.onMessage(message),
  )
  atA.join(toB, toA)
  atB.join(toA, toB)
  return [atA, atB]
}
