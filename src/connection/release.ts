import type { CloseReason } from '../contracts/close-reason.js'
import type { Clock, Timer } from '../contracts/clock.js'
import type { Connection } from '../contracts/transport.js'
import { byeCodes } from '../rules/close-reasons.js'
import { encodeMessage, type EncodedFrame } from '../wire/message-codec.js'

/** What a release needs of its connection. */
export interface ReleaseHost {
  /** Called exactly once. */
  released(): void
}

/**
 * The way of a connection that is over out of its transport: closed, with the last bytes flushed, or
 * destroyed after `closeFlushMs`. A transport that never says that it closed holds nobody up.
 */
export class Release {
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #closeFlushMs: number
  readonly #host: ReleaseHost
  #timer: Timer | undefined
  #isReleased = false

  constructor(options: {
    readonly connection: Connection
    readonly clock: Clock
    readonly closeFlushMs: number
    readonly host: ReleaseHost
  }) {
    this.#connection = options.connection
    this.#clock = options.clock
    this.#closeFlushMs = options.closeFlushMs
    this.#host = options.host
  }

  /** Nothing more will be written. */
  begin(): void {
    this.#connection.close()
    this.#timer = this.#clock.setTimer(this.#closeFlushMs, () => {
      this.#connection.destroy()
      this.#release()
    })
  }

  /** The transport says that it closed. */
  transportClosed(): void {
    this.#timer?.cancel()
    this.#release()
  }

  #release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#host.released()
  }
}

/** What the peer is told at the end; undefined for an end of which there is nothing to tell. */
export function byeFrame(reason: CloseReason): EncodedFrame | undefined {
  const code = byeCodes[reason.kind]
  if (code === undefined) return undefined
  const text = reason.kind === 'misbehaved' ? reason.what : (reason.text ?? '')
  const retryAfterMs = reason.kind === 'busy' ? reason.retryAfterMs : undefined
  return encodeMessage({ kind: 'bye', code, text, retryAfterMs })
}
