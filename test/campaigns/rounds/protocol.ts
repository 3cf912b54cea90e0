import type { ConnectionManagerLimits, Endpoint, PingLimits } from 'holdfast'

/** What a campaign asks of a member's process, and what it gets back. */
export interface Orders {
  /** A new node, listening on `port`; 0 is any free one. */
  readonly start: { readonly order: StartOrder; readonly answer: { readonly port: number } }
  /** At `atMs` of the shared clock, keep all of `peers` connected, in this order. */
  readonly race: { readonly order: RaceOrder; readonly answer: { readonly begunAtMs: number } }
  /** Tell `word` to all peers: the member is settled when it heard the same from each. */
  readonly say: { readonly order: { readonly word: string }; readonly answer: null }
  readonly report: { readonly order: null; readonly answer: MemberReport }
  /** Stop the node. */
  readonly stop: { readonly order: null; readonly answer: { readonly openSockets: number } }
}

export type NodeSettings = { readonly network: string } & Partial<
  ConnectionManagerLimits & PingLimits
>

export interface StartOrder {
  readonly port: number
  readonly word: string
  readonly node: NodeSettings
  /** How many peers it will have when all is settled. */
  readonly peers: number
}

export interface RaceOrder {
  readonly peers: readonly string[]
  readonly atMs: number
}

/** From the campaign to a member. */
export interface Request {
  readonly id: number
  readonly kind: keyof Orders
  readonly order: unknown
}

/** From a member to the campaign. */
export type Told =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly text: string }
  | { readonly kind: 'settled'; readonly isSettled: boolean }

export type EventKind =
  | 'dial'
  | 'socket'
  | 'released'
  | 'connected'
  | 'disconnected'
  | 'heard'
  | 'dial failed'
  | 'refused'
  | 'bug'

/** Something that happened in a member, on the shared clock. */
export interface MemberEvent {
  readonly atMs: number
  readonly ip: string
  readonly kind: EventKind
  readonly peerIp: string
  readonly text: string
}

/** A physical connection at one of its ends, as the transport had it. */
export interface SocketRecord {
  readonly peerIp: string
  readonly isDialled: boolean
  readonly local: string
  readonly remote: string
  readonly isOpen: boolean
}

/** An established connection at one of its ends, as the library tells it. */
export interface PeerRecord {
  readonly ip: string
  readonly isDialled: boolean
  readonly local: string
  readonly remote: string
}

/** All that a member knows of its node's life. */
export interface MemberReport {
  readonly ip: string
  readonly peers: readonly PeerRecord[]
  readonly sockets: readonly SocketRecord[]
  readonly events: readonly MemberEvent[]
  /** The library's own count. */
  readonly duplicatesRefused: number
}

/** Milliseconds of the machine's monotonic clock, which is one for all of its processes. */
export const sharedNowMs = (): number => Number(process.hrtime.bigint()) / 1e6

export const named = (endpoint: Endpoint | undefined): string =>
  endpoint === undefined ? 'unknown' : `${endpoint.host}:${endpoint.port}`
