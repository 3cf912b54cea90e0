import type { CloseReason } from '../contracts/close-reason.js'
import type { ExchangeMessage } from '../contracts/exchange-messages.js'
import type { PeerHello, PongEvent } from '../contracts/peer-service.js'
import type { SyncMessage } from '../contracts/sync-messages.js'
import type { PeerConnection } from './peer-connection.js'

export interface ConnectionLimits {
  readonly maxFrameBytes: number
  readonly sendHighWaterBytes: number
  readonly sendMaxBytes: number
  readonly slowPeerMs: number
  readonly closeFlushMs: number
  readonly requestTimeoutMs: number
  readonly maxRequests: number
  /** Requests of the peer that are not answered yet, at most. */
  readonly maxReplies: number
  /** Bytes that handlers may hold before reading pauses. */
  readonly maxHandlerBytes: number
  /** What a peer may send unasked: see TrafficBudget. */
  readonly maxMessagesPerSecond: number
  readonly maxBytesPerSecond: number
  readonly maxPointlessPerSecond: number
}

/** An application message as it is handed to its handler. */
export interface AppDelivery {
  readonly type: string
  readonly bytes: Uint8Array
  /** Settles it: with the answer of a request, or nothing. To be called exactly once. */
  done(result: AppResult): void
}

export type AppResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'answer'; readonly bytes: Uint8Array }
  | { readonly kind: 'refused'; readonly code: 'no-handler' | 'handler-failed' }

/** Whom a connection tells what came. Every call is a part of one turn, in the order of the bytes. */
export interface ConnectionOwner {
  /** Runs one input to completion: see TurnQueue. */
  run(input: () => void): void
  helloReceived(connection: PeerConnection, hello: PeerHello, nonce: string): void
  readyReceived(connection: PeerConnection): void
  pongReceived(connection: PeerConnection, pong: PongEvent): void
  /** A message for the services. */
  serviceReceived(connection: PeerConnection, message: SyncMessage | ExchangeMessage): void
  appReceived(connection: PeerConnection, delivery: AppDelivery): void
  /** The send queue is at or below its high-water mark again. */
  drained(connection: PeerConnection): void
  /** The connection is over: exactly once. */
  ended(connection: PeerConnection, reason: CloseReason): void
  /** The transport has released it: exactly once, after `ended`. */
  released(connection: PeerConnection): void
}
