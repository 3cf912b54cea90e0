import type { BlockRef } from './contracts/block-store.js'
import type { CloseReason } from './contracts/close-reason.js'
import type { SecurityFailure } from './contracts/security.js'

/** The stable names of what can fail; messages are free to change. See docs/CLOSE-REASONS.md. */
export type HoldfastErrorCode =
  | 'ABORTED'
  | 'INVALID_ADDRESS'
  | 'RESOLVE_FAILED'
  | 'DIAL_FAILED'
  | 'DIAL_TIMEOUT'
  | 'CONNECT_FAILED'
  | 'SELF'
  | 'BANNED'
  | 'AUTHORIZE_TIMEOUT'
  | 'LISTEN_FAILED'
  | 'TLS_FAILED'
  | 'CONNECTION_CLOSED'
  | 'NOT_CONNECTED'
  | 'NOT_RUNNING'
  | 'QUEUE_FULL'
  | 'PING_TIMEOUT'
  | 'REQUEST_TIMEOUT'
  | 'REQUEST_REFUSED'
  | 'TOO_MANY_REQUESTS'
  | 'TIP_MISMATCH'
  | 'NOT_CONTIGUOUS'
  | 'UNKNOWN_ANCESTOR'
  | 'STORE_CLOSED'
  | 'STORE_CORRUPT'
  | 'STORE_LOCKED'
  | 'STORE_TIMEOUT'
  | 'SNAPSHOT_INVALID'
  | 'BLOCK_REJECTED'
  | 'FILE_INVALID'

/** What an error carries besides its code and its text. */
export interface HoldfastErrorDetails {
  readonly cause?: unknown
  /** With TIP_MISMATCH: the tip that the store has. */
  readonly actualTip?: BlockRef | null
  /** With CONNECTION_CLOSED and CONNECT_FAILED: why the connection ended. */
  readonly reason?: CloseReason
  /** With TLS_FAILED: what exactly, and which end found it. */
  readonly failure?: SecurityFailure
}

const brand = Symbol.for('holdfast.HoldfastError')

/**
 * The world failed, not the caller: what the library's promises reject with. `code` is stable; test it
 * rather than the message. `HoldfastError.is` also recognises an error of another copy of the library.
 */
export class HoldfastError extends Error {
  override readonly name = 'HoldfastError'
  readonly code: HoldfastErrorCode
  readonly actualTip: BlockRef | null | undefined
  readonly reason: CloseReason | undefined
  readonly failure: SecurityFailure | undefined

  constructor(code: HoldfastErrorCode, message: string, details: HoldfastErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.actualTip = details.actualTip
    this.reason = details.reason
    this.failure = details.failure
    Object.defineProperty(this, brand, { value: true })
  }

  /** Whether a value is an error of this library, of any copy of it, and of this code if one is named. */
  static is(value: unknown, code?: HoldfastErrorCode): value is HoldfastError {
    if (typeof value !== 'object' || value === null || !(brand in value)) return false
    return code === undefined || (value as { code?: unknown }).code === code
  }
}
