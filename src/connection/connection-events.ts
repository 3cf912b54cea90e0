import type { MisbehavedEvent } from './conduct.js'
import type { CloseReason } from '../contracts/close-reason.js'
import type { Direction, Peer } from '../contracts/peer-service.js'
import type { Endpoint } from '../contracts/transport.js'
import type { HoldfastError } from '../errors.js'
import type { Health } from '../rules/health.js'

/** What a ConnectionManager tells of its connections, dials and peers. */
export type ConnectionEvents = {
  /** A peer is connected: once per establishment, in strict alternation with `peerDisconnected`. */
  peerConnected: (event: { readonly peer: Peer; readonly direction: Direction }) => void
  /** The connection of a peer ended. `droppedBytes`: accepted for sending, and not sent. */
  peerDisconnected: (event: {
    readonly peer: Peer
    readonly reason: CloseReason
    readonly droppedBytes: number
  }) => void
  /** A dial failed, or its connection ended before it was established. The loser of an election is no failure. */
  dialFailed: (event: {
    readonly ip: string
    readonly address: string
    readonly error: HoldfastError
  }) => void
  /** What a kept host name stands for could not be found out (RESOLVE_FAILED); it is tried again. */
  resolveFailed: (event: { readonly name: string; readonly error: HoldfastError }) => void
  /**
   * An inbound connection ended before it was established, for another reason than being a duplicate.
   * The first for a reason is told at once; more for the same reason at most every 10 s, `count` of them
   * in one event, of which this is the last.
   */
  inboundRefused: (event: {
    readonly remote: Endpoint
    readonly reason: CloseReason
    readonly count: number
  }) => void
  /**
   * A peer was closed for a violation that it proved itself, or was reported; `isBanned` says that this
   * one brought a ban, which `PeerRegistry` lists and lifts.
   */
  misbehaved: (event: MisbehavedEvent) => void
  /**
   * This node's own network is down, as far as can be told, or is back. While it is down nobody is
   * charged with a failed dial, and one peer at a time is dialled to find out.
   */
  ownNetworkChanged: (event: { readonly isDown: boolean }) => void
  /**
   * Other nodes were refused because a living one has their place: with the default identity several
   * nodes are at one IP. At once for the first, then at most once a minute per peer, with the count since
   * the last time; `hint` says what to do.
   */
  sharedAddress: (event: {
    readonly key: string
    readonly refused: number
    /** How many different ones. */
    readonly nodes: number
    readonly hint: string
  }) => void
  /** Connections are accepted here. */
  listening: (event: { readonly endpoints: readonly Endpoint[] }) => void
  /** A service threw: a bug in it. What repeats is counted, as with `inboundRefused`. */
  internalError: (event: { readonly error: unknown; readonly count: number }) => void
}

/** Where a ConnectionManager stands, in numbers. */
export interface ConnectionStatus {
  readonly state: RunState
  readonly health: Health
  readonly instanceId: string
  /** Where it listens; empty for a node that only dials. */
  readonly endpoints: readonly Endpoint[]
  /** Its own IP: as configured, or as most peers see it; undefined while it is not known. */
  readonly ownIp: string | undefined
  /** Established connections, by direction. */
  readonly inbound: number
  readonly outbound: number
  /** Connections that are open and not established. */
  readonly handshaking: number
  /** Dials on their way, and those that wait for their turn. */
  readonly dialing: number
  readonly queuedDials: number
  /** This node's own network is down: see `ownNetworkChanged`. */
  readonly isNetworkDown: boolean
  readonly knownPeers: number
  /** Connections closed as the second one to a peer, by us. */
  readonly duplicatesRefused: number
}

/** Where a part is between its `start` and its `stop`. */
export type RunState = 'stopped' | 'starting' | 'running' | 'stopping'
