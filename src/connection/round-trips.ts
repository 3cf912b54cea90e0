import type { RoundTrip } from '../contracts/peer-service.js'

/** Pings whose pongs may still come; with one more the oldest is forgotten. */
const maxPendingPings = 64

interface PendingPing {
  readonly nonce: bigint
  readonly sentMs: number
}

const none: readonly PendingPing[] = []

/** The weights of a new sample: alpha and beta of RFC 6298, section 2. */
const smoothingWeight = 1 / 8
const jitterWeight = 1 / 4

/** The pings of one connection that await their pongs, and what the pongs told: RFC 6298, section 2. */
export class RoundTrips implements RoundTrip {
  pingsSent = 0
  pongsReceived = 0
  lastMs: number | undefined
  smoothedMs: number | undefined
  jitterMs: number | undefined
  minMs: number | undefined
  /** Oldest first; few, so that they are looked through. */
  #pending = none

  pingSent(nonce: bigint, nowMs: number): void {
    const kept = this.#pending.slice(1 - maxPendingPings)
    this.#pending = [...kept, { nonce, sentMs: nowMs }]
    this.pingsSent += 1
  }

  /** The round trip that a pong completes, or undefined when it belongs to no ping of this connection. */
  pongReceived(
    nonce: bigint,
    nowMs: number,
  ): { readonly sentMs: number; readonly roundTripMs: number } | undefined {
    const ping = this.#pending.find((pending) => pending.nonce === nonce)
    if (ping === undefined) return undefined
    const { sentMs } = ping
    this.#pending =
      this.#pending.length === 1 ? none : this.#pending.filter((pending) => pending !== ping)
    this.pongsReceived += 1
    const roundTripMs = Math.max(0, nowMs - sentMs)
    this.lastMs = roundTripMs
    this.minMs = Math.min(this.minMs ?? roundTripMs, roundTripMs)
    if (this.smoothedMs === undefined || this.jitterMs === undefined) {
      this.smoothedMs = roundTripMs
      this.jitterMs = roundTripMs / 2
    } else {
      // The deviation is measured from the smoothed time before this sample: in this order.
      const deviationMs = Math.abs(this.smoothedMs - roundTripMs)
      this.jitterMs += jitterWeight * (deviationMs - this.jitterMs)
      this.smoothedMs += smoothingWeight * (roundTripMs - this.smoothedMs)
    }
    return { sentMs, roundTripMs }
  }
}
