import type { CloseReason } from '../contracts/close-reason.js'
import type { Endpoint } from '../contracts/transport.js'
import { HoldfastError } from '../errors.js'
import type { PeerEntry } from '../peer-registry.js'
import { describeReason } from '../rules/close-reasons.js'
import { outcomeOf } from '../rules/dial-policy.js'
import type { DialAttempt, Dialer } from './dialer.js'
import type { Link, LinkTable } from './link-table.js'
import type { SharedAddresses } from './shared-addresses.js'

/** What the end of a handshake means: for the dial policy, and for the user. */
export class HandshakeEnds {
  duplicatesRefused = 0
  readonly #table: LinkTable
  readonly #dialer: Dialer
  readonly #sharedAddresses: SharedAddresses
  readonly #host: HandshakeEndsHost

  constructor(options: {
    readonly table: LinkTable
    readonly dialer: Dialer
    readonly sharedAddresses: SharedAddresses
    readonly host: HandshakeEndsHost
  }) {
    this.#table = options.table
    this.#dialer = options.dialer
    this.#sharedAddresses = options.sharedAddresses
    this.#host = options.host
  }

  /** What it costs is for the slot of the peer to say, not the text. */
  ended(link: Link, reason: CloseReason): void {
    const { attempt, connection } = link
    if (reason.kind === 'duplicate' && reason.by === 'us') this.#duplicateRefused(link)
    if (connection.wasEstablished) return
    if (attempt === undefined) {
      if (reason.kind !== 'duplicate') this.#host.inboundRefused(connection.remote, reason)
      return
    }
    if ((link.entry ?? attempt.entry).isConnected || isOurChoice(reason)) return
    const elsewhere = reason.kind === 'duplicate' ? this.#connectedElsewhere(link) : undefined
    if (elsewhere !== undefined) this.#dialer.connectedElsewhere(attempt, elsewhere)
    if (!attempt.isSelf && !isOurBan(reason)) {
      this.#dialer.ended(attempt.entry, outcomeOf(reason), describeReason(reason))
    }
    if (reason.kind !== 'duplicate') {
      this.#host.dialFailed(attempt, connectFailed(attempt.entry, reason))
    }
  }

  #duplicateRefused({ connection, entry, attempt }: Link): void {
    this.duplicatesRefused += 1
    const incumbent = entry?.slot.state.incumbent
    if (!incumbent || !connection.hasHello || attempt !== undefined) return
    const { instanceId } = connection.hello
    if (instanceId !== incumbent.instanceId) {
      this.#sharedAddresses.refused(connection.key, instanceId)
    }
  }

  /** The peer as which the process at the other end is connected already. */
  #connectedElsewhere({ connection }: Link): PeerEntry | undefined {
    return connection.hasHello
      ? this.#table.peerWithInstance(connection.hello.instanceId)
      : undefined
  }
}

export interface HandshakeEndsHost {
  inboundRefused(remote: Endpoint, reason: CloseReason): void
  dialFailed(attempt: DialAttempt, error: HoldfastError): void
}

/** The ban itself says how long there is no dial: nothing is left of it when it ends. */
export function isOurBan(reason: CloseReason): boolean {
  return reason.kind === 'banned' && reason.by === 'us'
}

/** Ends of a handshake that this node's user wanted: they say nothing about the peer. */
function isOurChoice(reason: CloseReason): boolean {
  return reason.by === 'us' && (reason.kind === 'shutdown' || reason.kind === 'disconnected')
}

export function connectFailed(entry: PeerEntry, reason: CloseReason): HoldfastError {
  if (reason.kind === 'self')
    return new HoldfastError('SELF', `${entry.key} is this node itself`, { reason })
  return new HoldfastError('CONNECT_FAILED', `${entry.key}: ${describeReason(reason)}`, { reason })
}
