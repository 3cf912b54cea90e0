import PQueue from 'p-queue'
import type { PeerEntry } from '../peer-registry.js'
import { dialPriority, type DialWish } from '../rules/dial-priority.js'

/** A place in the queue. */
export interface DialTurn {
  readonly entry: PeerEntry
  readonly wish: DialWish
}

interface Waiting extends DialTurn {
  readonly priority: number
  readonly controller: AbortController
}

/**
 * Dials that wait for their turn: the more important ones leave first, and at most `maxConcurrentDials`
 * are on their way. A peer waits at most once. While it is paused only the user's dials leave, at once.
 */
export class DialQueue {
  readonly #queue: PQueue
  readonly #waiting = new Map<PeerEntry, Waiting>()
  readonly #leave: (turn: DialTurn) => Promise<void>

  /**
   * `leave` is called when a turn has come, and resolves when its dial is over. It claims the turn before
   * it dials: until then the peer still waits, and may be removed.
   */
  constructor(maxConcurrentDials: number, leave: (turn: DialTurn) => Promise<void>) {
    this.#queue = new PQueue({ concurrency: maxConcurrentDials })
    this.#leave = leave
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Those that wait, the most important ones first. */
  get inOrder(): DialTurn[] {
    return [...this.#waiting.values()].sort((a, b) => b.priority - a.priority)
  }

  wishOf(entry: PeerEntry): DialWish | undefined {
    return this.#waiting.get(entry)?.wish
  }

  has(entry: PeerEntry): boolean {
    return this.#waiting.has(entry)
  }

  /** Lines up; one that waits already moves forward, if at all. */
  add(entry: PeerEntry, wish: DialWish): void {
    const { isHurried, lastSeenUnixMs } = entry
    const priority = dialPriority({ wish, isHurried, lastSeenUnixMs })
    const before = this.#waiting.get(entry)
    if (before !== undefined && before.priority >= priority) return
    this.remove(entry)
    const turn: Waiting = { entry, wish, priority, controller: new AbortController() }
    this.#waiting.set(entry, turn)
    if (this.#queue.isPaused && wish === 'user') {
      void this.#leave(turn)
      return
    }
    const { signal } = turn.controller
    this.#queue.add(() => this.#leave(turn), { priority, signal }).catch(ignore)
  }

  /** Whether this turn still counts; the peer waits no longer then. */
  claim(turn: DialTurn): boolean {
    return this.#waiting.get(turn.entry) === turn && this.#waiting.delete(turn.entry)
  }

  /** It is not to be dialled any more. */
  remove(entry: PeerEntry): void {
    const turn = this.#waiting.get(entry)
    this.#waiting.delete(entry)
    turn?.controller.abort()
  }

  clear(): void {
    for (const entry of [...this.#waiting.keys()]) this.remove(entry)
  }

  pause(): void {
    this.#queue.pause()
    for (const { entry, wish } of [...this.#waiting.values()]) {
      if (wish !== 'user') continue
      this.remove(entry)
      this.add(entry, wish)
    }
  }

  resume(): void {
    this.#queue.start()
  }
}

/** A turn that was removed: who did it knows. */
function ignore(): void {
  return
}
