import { EventEmitter } from 'events'
import type * as TE from 'typed-emitter'

/** The names and signatures of one object's events. */
export type EventMap = Record<string, (...parameters: never[]) => void>

/** What the untyped emitter underneath carries; the types above it are `EventSource`'s. */
type AnyListener = (...parameters: unknown[]) => void
type AnyEvents = Record<string, AnyListener>

/** Every event source has this event, besides its own. */
export interface ListenerErrorInfo {
  /** The event whose listener threw, the message type whose handler did, or `authorize`. */
  readonly event: string
  readonly error: unknown
  /** How many times, where a handler throws again and again: it is told at intervals then. */
  readonly count: number
}

/** The events that every event source has besides its own. */
export type CommonEvents = {
  /** A listener or handler of the user threw. Without a listener for this event it goes to console.error. */
  listenerError: (info: ListenerErrorInfo) => void
}

/**
 * The base of all that has events. Events only tell: nothing inside the library listens to them, a
 * listener that throws stops neither the library nor the other listeners, and no event is called
 * `error`, so a missing listener never ends the process.
 */
export abstract class EventSource<Events extends EventMap> {
  readonly #emitter = new EventEmitter({ captureRejections: false }).setMaxListeners(
    0,
  ) as unknown as TE.default<AnyEvents>

  /** Calls `listener` at each `event` from now on, after those that listen already. Returns this object. */
  on<Name extends keyof (Events & CommonEvents) & string>(
    event: Name,
    listener: (Events & CommonEvents)[Name],
  ): this {
    this.#emitter.on(event, listener as AnyListener)
    return this
  }

  /** Calls `listener` at the next `event`, and not again. Returns this object. */
  once<Name extends keyof (Events & CommonEvents) & string>(
    event: Name,
    listener: (Events & CommonEvents)[Name],
  ): this {
    this.#emitter.once(event, listener as AnyListener)
    return this
  }

  /** Ends what `on` or `once` began with the same `listener`. Returns this object. */
  off<Name extends keyof (Events & CommonEvents) & string>(
    event: Name,
    listener: (Events & CommonEvents)[Name],
  ): this {
    this.#emitter.off(event, listener as AnyListener)
    return this
  }

  /** How many listeners `event` has. */
  listenerCount(event: keyof (Events & CommonEvents) & string): number {
    return this.#emitter.listenerCount(event)
  }

  /** Calls the listeners of `event` in order. A promise that one returns is watched, not awaited. */
  protected tell<Name extends keyof Events & string>(
    event: Name,
    ...parameters: Parameters<Events[Name]>
  ): void {
    for (const listener of this.#emitter.rawListeners(event)) {
      this.guard(event, () => listener.apply(this, parameters))
    }
  }

  /** Runs a user's function; what it throws, now or in its promise, becomes `listenerError`. */
  protected guard(event: string, callback: () => unknown, count = 1): void {
    try {
      const result = callback()
      if (result instanceof Promise) {
        result.catch((error: unknown) => {
          this.#report({ event, error, count })
        })
      }
    } catch (error) {
      this.#report({ event, error, count })
    }
  }

  #report(info: ListenerErrorInfo): void {
    const listeners = this.#emitter.rawListeners('listenerError')
    if (listeners.length === 0) {
      const times = info.count === 1 ? '' : ` ${info.count} times`
      console.error(`holdfast: a listener of '${info.event}' threw${times}`, info.error)
      return
    }
    for (const listener of listeners) {
      try {
        ;(listener as (info: ListenerErrorInfo) => void)(info)
      } catch (error) {
        console.error(`holdfast: a listener of 'listenerError' threw`, error)
      }
    }
  }
}
