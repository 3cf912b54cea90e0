import type { Clock } from '../contracts/clock.js'
import { afterRefusal, noRefusals, type Refusals } from '../rules/shared-address.js'
import { TimerTable } from './timer-table.js'

/** How often users are told at most, per peer. */
const intervalMs = 60_000

/** Peers for which that is remembered. */
const maxKeys = 1_000

/**
 * Nodes that were refused because another node has their place: the first refusal is told at once, what
 * follows at most once a minute, with its count.
 */
export class SharedAddresses {
  readonly #timers: TimerTable
  readonly #tell: (key: string, refusals: Refusals) => void
  readonly #untold = new Map<string, Refusals>()

  constructor(options: {
    readonly clock: Clock
    readonly tell: (key: string, refusals: Refusals) => void
  }) {
    this.#timers = new TimerTable(options.clock)
    this.#tell = options.tell
  }

  refused(key: string, instanceId: string): void {
    const untold = this.#untold.get(key)
    if (untold !== undefined) {
      this.#untold.set(key, afterRefusal(untold, instanceId))
    } else if (this.#untold.size < maxKeys) {
      this.#tell(key, afterRefusal(noRefusals, instanceId))
      this.#wait(key)
    }
  }

  stop(): void {
    this.#timers.cancelAll()
    this.#untold.clear()
  }

  #wait(key: string): void {
    this.#untold.set(key, noRefusals)
    this.#timers.set(key, intervalMs, () => {
      const refusals = this.#untold.get(key) ?? noRefusals
      this.#untold.delete(key)
      if (refusals.count === 0) return
      this.#tell(key, refusals)
      this.#wait(key)
    })
  }
}
