import type { Clock, Timer } from './contracts/clock.js'
import { HoldfastError } from './errors.js'

/** How a start may end early. */
export interface StartOptions {
  /** Ends the start: it rejects with the signal's reason, and what it had opened is closed. */
  readonly signal?: AbortSignal
}

/**
 * Starts and stops of one object, one after the other in the order of the calls: the last call decides
 * what it ends as, at whatever moment the others were made. A stop ends a start that is under way,
 * which rejects with ABORTED then, so that a start that hangs holds up nobody.
 */
export class Lifecycle {
  #last: Promise<unknown> = Promise.resolve()
  #underWay: AbortController | undefined
  /** The stop that is the last of all calls, while it is not over: others join it. */
  #stopping: Promise<void> | undefined

  /** `action` ends soon after its signal aborts, and leaves nothing open then. */
  start(
    action: (signal: AbortSignal) => Promise<void>,
    { signal }: StartOptions = {},
  ): Promise<void> {
    this.#stopping = undefined
    return this.#run(async () => {
      signal?.throwIfAborted()
      const controller = new AbortController()
      const onAbort = (): void => {
        controller.abort(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#underWay = controller
      try {
        await action(controller.signal)
      } finally {
        this.#underWay = undefined
        signal?.removeEventListener('abort', onAbort)
      }
    })
  }

  stop(action: () => Promise<void>): Promise<void> {
    this.#underWay?.abort(new HoldfastError('ABORTED', 'it was stopped while it started'))
    if (this.#stopping !== undefined) return this.#stopping
    const stopping = this.#run(action).finally(() => {
      if (this.#stopping === stopping) this.#stopping = undefined
    })
    this.#stopping = stopping
    return stopping
  }

  #run(action: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(action)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}

/** What `work` brings, or the signal's reason as soon as it aborts. */
export async function orAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(signal.reason as Error)
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort)
  }
}

/** Waits for `work`, but no longer than `ms`. Rejects with what the work rejects with until then. */
export async function atMost(clock: Clock, ms: number, work: Promise<void>): Promise<void> {
  let timer: Timer | undefined
  const timeout = new Promise<void>((resolve) => {
    timer = clock.setTimer(ms, resolve)
  })
  try {
    await Promise.race([work, timeout])
  } finally {
    timer?.cancel()
  }
}
