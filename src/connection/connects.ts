import type { Peer } from '../contracts/peer-service.js'
import type { HoldfastError } from '../errors.js'
import type { PeerEntry } from '../peer-registry.js'
import { ConnectWaiters } from './connect-waiters.js'
import type { Dialer } from './dialer.js'

/** What a user's `connect` needs of those who carry it out. */
export interface ConnectsHost {
  readonly dialer: Dialer
  run(input: () => void): void
  /** Ends a dial of ours that has no connection yet; no failure is recorded. */
  abandonDial(entry: PeerEntry): void
}

/**
 * The users' calls of `connect`. Those for one peer share one attempt, which lasts as long as something
 * is on its way that may bring the connection, and until each port that they named was tried.
 */
export class Connects {
  readonly #host: ConnectsHost
  readonly #waiters = new ConnectWaiters()

  constructor(host: ConnectsHost) {
    this.#host = host
  }

  /** Resolves with the connection to `entry`; dials at once, at `port` if one is named. */
  connect(
    entry: PeerEntry,
    {
      port,
      signal,
    }: { readonly port?: number | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<Peer> {
    const isAwaited = this.#waiters.has(entry)
    const waiting = this.#waiters.wait(entry, signal, () => {
      this.#host.run(() => {
        entry.askedPorts = []
        this.#host.abandonDial(entry)
      })
    })
    this.#host.run(() => {
      if (!this.#waiters.has(entry)) return
      const { dialer } = this.#host
      const dialled = dialer.portOnItsWay(entry)
      if (port !== undefined && port !== dialled) {
        // Nobody waits for a dial to another port that left by itself: it would only be in the way.
        if (!isAwaited) this.#host.abandonDial(entry)
        entry.ask(port)
      }
      dialer.dialNow(entry)
    })
    return waiting
  }

  resolve(entry: PeerEntry, peer: Peer): void {
    entry.askedPorts = []
    this.#waiters.resolve(entry, peer)
  }

  reject(entry: PeerEntry, error: HoldfastError): void {
    entry.askedPorts = []
    this.#waiters.reject(entry, error)
  }

  rejectAll(error: HoldfastError): void {
    for (const entry of this.#waiters.entries) this.reject(entry, error)
  }

  /** A dial or a handshake ended without a connection. */
  failed(entry: PeerEntry, errorOf: () => HoldfastError): void {
    if (!this.#waiters.has(entry)) return
    if (entry.askedPorts.length > 0) this.#host.dialer.dialNow(entry)
    const { dialer } = this.#host
    const mayStillCome = entry.isOpen || entry.leadsTo?.isOpen === true || dialer.isQueued(entry)
    if (!mayStillCome) this.reject(entry, errorOf())
  }
}
