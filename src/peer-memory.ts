import type { Clock, Timer } from './contracts/clock.js'
import type { PeerService } from './contracts/peer-service.js'
import type { LoadedPeers, PeerStore } from './contracts/peer-store.js'
import { systemClock } from './defaults.js'
import { HoldfastError } from './errors.js'
import { EventSource } from './events.js'
import { Lifecycle } from './lifecycle.js'
import { watchRegistry, type PeerRegistry, type RestoreResult } from './peer-registry.js'

/** Which registry is kept, and where. */
export interface PeerMemoryOptions {
  readonly registry: PeerRegistry
  readonly store: PeerStore
  readonly clock?: Clock
  /** What changed is saved after this time; bans and their ends at once. Default 10,000. */
  readonly saveIntervalMs?: number
  /** How long `start` and `stop` wait for the store, at most. Default 5,000. */
  readonly storeTimeoutMs?: number
}

/** What a PeerMemory tells of its loading and saving. */
export type PeerMemoryEvents = {
  /** What was stored is known now. */
  restored: (event: RestoreResult) => void
  /** What was stored could not be read, or not all of it: an error STORE_CORRUPT or SNAPSHOT_INVALID. */
  damaged: (event: { readonly error: HoldfastError }) => void
  /**
   * The store failed, `failures` times in a row. It is tried again after `saveIntervalMs`. Told at the
   * first failure, and then at most once a minute.
   */
  failed: (event: {
    readonly operation: 'load' | 'save'
    readonly error: unknown
    readonly failures: number
  }) => void
}

const reportIntervalMs = 60_000

/**
 * Keeps what a registry knows in a PeerStore, across restarts: loads it in `start`, saves it when
 * something changed, and in `stop`. The store never stands in the node's way: what fails there is an
 * event, and is tried again. Nothing is saved before what was stored has been read, so that a disk that
 * is away for a while costs nothing.
 *
 * Join it to a ConnectionManager with `connections.serve(memory)`, so that it hears of connections.
 */
export class PeerMemory
  extends EventSource<PeerMemoryEvents>
  implements PeerService, AsyncDisposable
{
  readonly #registry: PeerRegistry
  readonly #store: PeerStore
  readonly #clock: Clock
  readonly #saveIntervalMs: number
  readonly #storeTimeoutMs: number
  readonly #lifecycle = new Lifecycle()
  #isStarted = false
  #isLoaded = false
  #isDirty = false
  #isUrgent = false
  #failures = 0
  #reportedAtMs = 0
  /** The one call of the store that has not settled. */
  #running: Promise<void> | undefined
  #timer: Timer | undefined
  #unwatch: () => void = () => undefined

  /** Throws TypeError or RangeError that names the option when one is wrong. */
  constructor(options: PeerMemoryOptions) {
    super()
    const { registry, store, saveIntervalMs = 10_000, storeTimeoutMs = 5_000 } = options
    const { load, save } = store as Partial<PeerStore>
    if (typeof load !== 'function' || typeof save !== 'function') {
      throw new TypeError('store must be a PeerStore, for instance filePeerStore(path)')
    }
    for (const [name, value] of Object.entries({ saveIntervalMs, storeTimeoutMs })) {
      if (!(value > 0 && Number.isFinite(value))) {
        throw new RangeError(`${name} must be finite and above 0, not ${value}`)
      }
    }
    this.#registry = registry
    this.#store = store
    this.#clock = options.clock ?? systemClock
    this.#saveIntervalMs = saveIntervalMs
    this.#storeTimeoutMs = storeTimeoutMs
  }

  /** Loads what was stored, and waits for it at most `storeTimeoutMs`. Never rejects. Idempotent. */
  start(): Promise<void> {
    return this.#lifecycle.start(async () => {
      if (this.#isStarted) return
      this.#isStarted = true
      this.#unwatch = watchRegistry(this.#registry, ({ kind }) => {
        this.#changed(kind === 'bans')
      })
      this.#isLoaded = false
      this.#run()
      await this.#settled()
    })
  }

  /** As `stop`: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Saves a last time, and waits for it at most `storeTimeoutMs`. Never rejects. Idempotent. */
  stop(): Promise<void> {
    return this.#lifecycle.stop(async () => {
      if (!this.#isStarted) return
      this.#isStarted = false
      this.#unwatch()
      this.#timer?.cancel()
      this.#timer = undefined
      if (!(await this.#settled())) return
      // Only what was read may be written over.
      if (!this.#isLoaded) await this.#finish()
      if (this.#isLoaded) await this.#finish()
    })
  }

  peerConnected(): void {
    this.#changed(false)
  }

  peerDisconnected(): void {
    this.#changed(false)
  }

  #changed(isUrgent: boolean): void {
    if (!this.#isStarted) return
    this.#isDirty = true
    this.#isUrgent ||= isUrgent
    this.#arm()
  }

  #arm(): void {
    if (this.#running !== undefined) return
    if (this.#isUrgent) this.#timer?.cancel()
    else if (this.#timer !== undefined) return
    // Not from inside the change itself: several bans of one moment are one write.
    this.#timer = this.#clock.setTimer(this.#isUrgent ? 0 : this.#saveIntervalMs, () => {
      this.#timer = undefined
      this.#run()
    })
  }

  /** Does what is to be done, unless a call of the store is under way. */
  #run(): void {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined
      if (this.#isStarted && (this.#isDirty || !this.#isLoaded)) this.#arm()
    })
  }

  async #finish(): Promise<void> {
    this.#run()
    await this.#settled()
  }

  async #work(): Promise<void> {
    const isLoading = !this.#isLoaded
    this.#isUrgent = false
    try {
      if (isLoading) {
        this.#restore(await this.#store.load())
      } else {
        this.#isDirty = false
        await this.#store.save(this.#registry.snapshot())
      }
      this.#failures = 0
    } catch (error) {
      this.#isDirty = true
      this.#failed(isLoading ? 'load' : 'save', error)
    }
  }

  #restore({ snapshot, damage }: LoadedPeers): void {
    this.#isLoaded = true
    if (damage !== undefined) this.tell('damaged', { error: damage })
    if (snapshot === undefined) return
    try {
      this.tell('restored', this.#registry.restore(snapshot))
    } catch (error) {
      if (!HoldfastError.is(error)) throw error
      this.tell('damaged', { error })
    }
  }

  #failed(operation: 'load' | 'save', error: unknown): void {
    this.#failures += 1
    const nowMs = this.#clock.now()
    if (this.#failures > 1 && nowMs - this.#reportedAtMs < reportIntervalMs) return
    this.#reportedAtMs = nowMs
    this.tell('failed', { operation, error, failures: this.#failures })
  }

  /** Waits for the store, but not for ever: it goes on by itself. Returns whether it is done. */
  async #settled(): Promise<boolean> {
    const running = this.#running
    if (running === undefined) return true
    let timer: Timer | undefined
    const late = new Promise<false>((resolve) => {
      timer = this.#clock.setTimer(this.#storeTimeoutMs, () => {
        resolve(false)
      })
    })
    const isDone = await Promise.race([running.then(() => true), late])
    timer?.cancel()
    if (isDone) return true
    const text = `the peer store did not answer within ${this.#storeTimeoutMs} ms`
    this.#failed(this.#isLoaded ? 'save' : 'load', new HoldfastError('STORE_TIMEOUT', text))
    return false
  }
}
