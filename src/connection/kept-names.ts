import createDebug from 'debug'
import type { Clock } from '../contracts/clock.js'
import type { Random } from '../contracts/random.js'
import { HoldfastError } from '../errors.js'
import { ensureEntry, setKept, type PeerEntry, type PeerRegistry } from '../peer-registry.js'
import { backoffDelayMs, type DialPolicyLimits } from '../rules/dial-policy.js'
import type { HostName } from '../rules/host-name.js'
import type { PeerAddress } from '../rules/peer-ip.js'
import type { HostLookup } from './host-lookup.js'
import { TimerTable } from './timer-table.js'

/** What kept names bring about. */
export interface KeptNamesHost {
  run(input: () => void): void
  /** Whether this node itself is there. */
  isOurs(address: PeerAddress): boolean
  /** Something of this peer changed: whether it is dialled is judged anew. */
  consider(entry: PeerEntry): void
  resolveFailed(name: string, error: HoldfastError): void
}

interface KeptName {
  readonly name: HostName
  readonly entries: Set<PeerEntry>
  /** Ends the lookup that is under way. */
  lookup: AbortController | undefined
  /** When the last one ended, in whatever way. */
  lookedUpAtMs: number
  failures: number
}

/** So long an answer holds: several peers of one name are often dialled in the same moment. */
const freshMs = 5_000

const debug = createDebug('holdfast:connections')

/**
 * The host names that a user keeps. Each address that one stands for is a kept peer of its own. What it
 * stands for is looked up at the start, again before each automatic dial to one of them, and with backoff
 * while it cannot be found or is nobody but this node; a failed lookup takes nobody away.
 */
export class KeptNames {
  readonly #registry: PeerRegistry
  readonly #lookup: HostLookup
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: DialPolicyLimits
  readonly #host: KeptNamesHost
  readonly #timers: TimerTable
  readonly #names = new Map<string, KeptName>()
  #isRunning = false

  constructor(options: {
    readonly registry: PeerRegistry
    readonly lookup: HostLookup
    readonly clock: Clock
    readonly random: Random
    readonly limits: DialPolicyLimits
    readonly host: KeptNamesHost
  }) {
    this.#registry = options.registry
    this.#lookup = options.lookup
    this.#clock = options.clock
    this.#random = options.random
    this.#limits = options.limits
    this.#host = options.host
    this.#timers = new TimerTable(options.clock)
  }

  get size(): number {
    return this.#names.size
  }

  /** Keeps whoever is at `name`. Again: those that the user sent away are dialled again. */
  keep(name: HostName): void {
    const known = this.#names.get(name.text)
    if (known !== undefined) {
      for (const entry of known.entries) this.#wanted(entry)
      return
    }
    const kept: KeptName = {
      name,
      entries: new Set(),
      lookup: undefined,
      lookedUpAtMs: Number.NEGATIVE_INFINITY,
      failures: 0,
    }
    this.#names.set(name.text, kept)
    if (this.#isRunning) this.#find(kept)
  }

  /** Undoes `keep`: connections go on, and are not dialled again for this name's sake. */
  unkeep(name: HostName): void {
    const kept = this.#names.get(name.text)
    if (kept === undefined) return
    this.#names.delete(name.text)
    this.#timers.cancel(name.text)
    kept.lookup?.abort()
    for (const entry of kept.entries) this.#release(kept, entry)
  }

  start(): void {
    this.#isRunning = true
    for (const kept of this.#names.values()) this.#find(kept)
  }

  stop(): void {
    this.#isRunning = false
    this.#timers.cancelAll()
    for (const kept of this.#names.values()) {
      kept.lookup?.abort()
      kept.lookup = undefined
      kept.lookedUpAtMs = Number.NEGATIVE_INFINITY
    }
  }

  /**
   * `entry` is about to be dialled. Whether it has to wait, because what its names stand for is looked up
   * first: it is considered again then. One that is kept for its own sake waits for nobody.
   */
  holdsBack(entry: PeerEntry): boolean {
    let isLookedUp = false
    for (const text of entry.keptBy) {
      const kept = this.#names.get(text)
      if (kept === undefined) continue
      if (kept.lookup === undefined && kept.lookedUpAtMs + freshMs <= this.#clock.now()) {
        this.#find(kept)
      }
      isLookedUp ||= kept.lookup !== undefined
    }
    return isLookedUp && !entry.isKeptItself
  }

  #find(kept: KeptName): void {
    const { name } = kept
    this.#timers.cancel(name.text)
    const controller = new AbortController()
    kept.lookup = controller
    const settled = (settle: () => void): void => {
      this.#host.run(() => {
        if (kept.lookup !== controller) return
        kept.lookup = undefined
        if (controller.signal.aborted) return
        kept.lookedUpAtMs = this.#clock.now()
        settle()
        for (const entry of [...kept.entries]) this.#host.consider(entry)
      })
    }
    this.#lookup.lookup(name, controller.signal).then(
      (addresses) => {
        settled(() => {
          this.#found(kept, addresses)
        })
      },
      (error: unknown) => {
        settled(() => {
          this.#failed(kept, error)
        })
      },
    )
  }

  #found(kept: KeptName, addresses: readonly PeerAddress[]): void {
    debug(
      '%s stands for %o',
      kept.name.text,
      addresses.map(({ ip }) => ip),
    )
    const entries = new Set<PeerEntry>()
    for (const address of addresses) {
      if (this.#host.isOurs(address)) continue
      const entry = ensureEntry(this.#registry, address, 'kept')
      if (entry !== undefined) entries.add(entry)
    }
    for (const entry of [...kept.entries]) if (!entries.has(entry)) this.#release(kept, entry)
    for (const entry of entries) {
      if (kept.entries.has(entry)) continue
      kept.entries.add(entry)
      setKept(this.#registry, entry, true, kept.name.text)
      entry.isDialPaused = false
    }
    if (entries.size > 0) kept.failures = 0
    else this.#retry(kept)
  }

  #failed(kept: KeptName, error: unknown): void {
    if (HoldfastError.is(error, 'NOT_RUNNING')) return
    const { text } = kept.name
    const failure = HoldfastError.is(error, 'RESOLVE_FAILED')
      ? error
      : new HoldfastError('RESOLVE_FAILED', `${text}: ${String(error)}`, { cause: error })
    this.#host.resolveFailed(text, failure)
    this.#retry(kept)
  }

  #retry(kept: KeptName): void {
    const delayMs = backoffDelayMs(kept.failures, this.#random.next(), this.#limits)
    kept.failures += 1
    this.#timers.set(kept.name.text, delayMs, () => {
      this.#host.run(() => {
        if (kept.lookup === undefined) this.#find(kept)
      })
    })
  }

  #release(kept: KeptName, entry: PeerEntry): void {
    kept.entries.delete(entry)
    setKept(this.#registry, entry, false, kept.name.text)
    // Nobody else wanted it: whoever is at that address now is a stranger.
    if (!entry.isKept && entry.source === 'kept') entry.isDialPaused = true
    this.#host.consider(entry)
  }

  #wanted(entry: PeerEntry): void {
    entry.isDialPaused = false
    this.#host.consider(entry)
  }
}
