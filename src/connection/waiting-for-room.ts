import type { PeerEntry } from '../peer-registry.js'
import { PriorityQueue } from '../priority-queue.js'
import { dialPriority } from '../rules/dial-priority.js'

/** Peers that are looked at besides those that there is room for. */
const extraLooks = 16

/**
 * Known peers that would be dialled if there were room, the most important ones first. When room comes, no
 * more of them are looked at than there is room for, and a few: one whose subnet is full goes to the back.
 */
export class WaitingForRoom {
  readonly #queue = new PriorityQueue<PeerEntry>()
  #passedOver = 0

  add(entry: PeerEntry): void {
    const { isHurried, lastSeenUnixMs } = entry
    this.#queue.set(entry, -dialPriority({ wish: 'known', isHurried, lastSeenUnixMs }))
  }

  delete(entry: PeerEntry): void {
    this.#queue.delete(entry)
  }

  clear(): void {
    this.#queue.clear()
  }

  /** Takes at most `count` of them, for whom there is room. */
  take(count: number, hasRoom: (entry: PeerEntry) => boolean): PeerEntry[] {
    const taken: PeerEntry[] = []
    const passedOver: PeerEntry[] = []
    while (taken.length < count && passedOver.length < extraLooks) {
      const entry = this.#queue.takeUpTo(Infinity)
      if (entry === undefined) break
      if (hasRoom(entry)) taken.push(entry)
      else passedOver.push(entry)
    }
    for (const entry of passedOver) this.#queue.set(entry, ++this.#passedOver)
    return taken
  }
}
