import { initialDialState, type DialState } from '../rules/dial-policy.js'
import type { PeerAddress, PeerIp } from '../rules/peer-ip.js'
import { Slot } from '../slot.js'

/** How a peer became known: by a user's `keep`, `add` or `connect`, or because it came by itself. */
export type PeerSource = 'kept' | 'added' | 'connect' | 'inbound'

/** A peer's entry, with what ConnectionManager keeps there. */
export class PeerEntry {
  readonly key: string
  readonly ip: PeerIp
  readonly slot: Slot
  readonly firstSeenUnixMs: number
  /** What a dial uses: the IP with its zone. */
  host: string
  /** A port that somebody wrote down, and the one that the peer told in its HELLO, which wins. */
  configuredPort: number | undefined
  toldPort: number | undefined
  source: PeerSource
  isKept = false
  /** The user sent it away or let it go: no automatic dial until he wants it again. */
  isDialPaused = false
  dial: DialState = initialDialState
  lastSeenUnixMs: number | undefined
  timesConnected = 0
  lastFailure: string | undefined

  constructor(address: PeerAddress, source: PeerSource, unixMs: number) {
    this.key = peerKey(address.ip)
    this.ip = address.ip
    this.host = address.host
    this.configuredPort = address.port
    this.source = source
    this.slot = new Slot(this.key)
    this.firstSeenUnixMs = unixMs
  }

  get isConnected(): boolean {
    return this.slot.state.incumbent !== null
  }

  /** Nothing of it is open, and nobody asked to keep it. */
  get isIdle(): boolean {
    return !this.isKept && !this.isConnected && this.slot.state.candidates.length === 0
  }
}

/** The one function that names a peer's slot. */
export function peerKey(ip: PeerIp): string {
  return ip
}
