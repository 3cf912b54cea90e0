import type { Clock } from '../contracts/clock.js'
import type { CloseReason } from '../contracts/close-reason.js'
import type { PeerEntry } from '../peer-registry.js'
import type { DialState } from '../rules/dial-policy.js'
import {
  afterConnected,
  afterFailedDial,
  afterHeard,
  afterSilentLoss,
  traceOf,
  unprovenNetwork,
  type DialTrace,
  type IpFamily,
  type OwnNetwork,
} from '../rules/own-network.js'
import type { PeerIp } from '../rules/peer-ip.js'

export interface OwnNetworkOwner {
  /** Established connections. */
  connectionCount(): number
  /** When anything was last read from an established connection. */
  lastReceivedAtMs(): number
  /** The network is down, or up again. Called after the peers have back what the outage cost them. */
  ownNetworkChanged(isDown: boolean): void
}

/** What is given back to a peer when its failure turns out to have been ours. */
interface Suspect {
  readonly atMs: number
  readonly dial: DialState
  readonly lastFailure: PeerEntry['lastFailure']
}

/**
 * Watches for signs that our own network is down: `rules/own-network.ts`. Remembers what peers were
 * charged with since anybody was last heard of, and takes it back when it was our own outage.
 */
export class OwnNetworkWatch {
  readonly #clock: Clock
  readonly #owner: OwnNetworkOwner
  readonly #suspects = new Map<PeerEntry, Suspect>()
  #network: OwnNetwork = unprovenNetwork

  constructor(clock: Clock, owner: OwnNetworkOwner) {
    this.#clock = clock
    this.#owner = owner
  }

  get isDown(): boolean {
    return this.#network.isDown
  }

  /** To be called before a peer is charged with a failure; `dial` is what it would get back. */
  suspect(entry: PeerEntry, dial: DialState): void {
    const known = this.#suspects.get(entry)
    const heardMs = Math.max(this.#network.heardMs, this.#owner.lastReceivedAtMs())
    if (known !== undefined && known.atMs > heardMs) return
    const { lastFailure } = entry
    this.#suspects.set(entry, { atMs: this.#clock.now(), dial, lastFailure })
  }

  /** Somebody is there: a dial got through, a HELLO came. */
  heard(ip: PeerIp): void {
    this.#suspects.clear()
    this.#set(afterConnected(this.#network, familyOf(ip), this.#clock.now()))
  }

  dialFailed(entry: PeerEntry, code: unknown): void {
    const trace = traceOf(code)
    if (trace === 'answered') this.#suspects.clear()
    const dial = { ip: entry.ip, family: familyOf(entry.ip), trace, atMs: this.#clock.now() }
    this.#set(afterFailedDial(this.#network, dial, this.#owner.connectionCount()))
  }

  /** An established connection ended; its peer was last heard of at `heardMs`. */
  lost(entry: PeerEntry, reason: CloseReason, heardMs: number): void {
    const atMs = this.#clock.now()
    switch (traceOfEnd(reason)) {
      case 'answered':
        this.#set(afterHeard(this.#network, atMs))
        return
      case 'local':
      case 'silent': {
        const loss = { ip: entry.ip, atMs, heardMs }
        this.#set(afterSilentLoss(this.#network, loss, this.#owner.connectionCount()))
        return
      }
      case 'unknown':
        this.#set(afterHeard(this.#network, heardMs))
        return
    }
  }

  /** Forgets everything: the node stops. */
  reset(): void {
    this.#network = unprovenNetwork
    this.#suspects.clear()
  }

  #set(network: OwnNetwork): void {
    const wasDown = this.#network.isDown
    this.#network = network
    if (network.isDown === wasDown) return
    if (network.isDown) this.#giveBack()
    this.#owner.ownNetworkChanged(network.isDown)
  }

  #giveBack(): void {
    for (const [entry, { atMs, dial, lastFailure }] of this.#suspects) {
      if (atMs <= this.#network.heardMs) continue
      const { wantedSinceMs, deferredSinceMs } = entry.dial
      entry.dial = { ...dial, wantedSinceMs, deferredSinceMs }
      entry.lastFailure = lastFailure
    }
    this.#suspects.clear()
  }
}

/** What the end of an established connection says of our own network. */
function traceOfEnd(reason: CloseReason): DialTrace {
  if (reason.kind === 'transport-error') return traceOf(errorCode(reason.error))
  if (reason.by !== 'us') return 'answered'
  return reason.kind === 'ping-timeout' || reason.kind === 'slow' ? 'silent' : 'unknown'
}

/** The system's code of an error, or of what it was caused by. */
export function errorCode(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown }
  return code === undefined || code === 'DIAL_FAILED' ? errorCode(cause) : code
}

function familyOf(ip: PeerIp): IpFamily {
  return ip.includes(':') ? 'IPv6' : 'IPv4'
}
