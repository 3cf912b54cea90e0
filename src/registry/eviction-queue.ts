import { PriorityQueue } from '../priority-queue.js'
import { neverGoes } from '../rules/known-peers.js'

/** How many peers are ranked anew for each newcomer. */
const looksPerTurn = 32

/**
 * Who makes room next, at a cost that does not grow with the number of peers. A peer's rank changes
 * without a word: it is dialled in vain, connects, is banned. So each time the next few are ranked anew,
 * in turns. Among up to 32 peers the answer is exact. With more of them, one whose rank has risen is
 * still never taken for the old one, and one whose rank has fallen is seen at the latest when a
 * thirty-second of their number have gone.
 */
export class EvictionQueue<Peer> {
  readonly #peers: ReadonlyMap<string, Peer>
  readonly #rankOf: (peer: Peer) => number
  readonly #queue = new PriorityQueue<Peer>()
  #turn: Iterator<Peer> | undefined

  /** `peers` is looked at while it changes; each that is put in is to be added here, and taken out again. */
  constructor(peers: ReadonlyMap<string, Peer>, rankOf: (peer: Peer) => number) {
    this.#peers = peers
    this.#rankOf = rankOf
  }

  add(peer: Peer): void {
    this.#queue.set(peer, this.#rankOf(peer))
  }

  delete(peer: Peer): void {
    this.#queue.delete(peer)
  }

  /** The peer with the lowest rank, and its rank; undefined when nobody may go. */
  first(): { readonly peer: Peer; readonly rank: number } | undefined {
    for (let looks = Math.min(looksPerTurn, this.#peers.size); looks > 0; looks--) this.#look()
    for (let peer = this.#queue.first; peer !== undefined; peer = this.#queue.first) {
      const noted = this.#queue.priorityOf(peer) ?? neverGoes
      const rank = this.#rankOf(peer)
      if (rank === neverGoes && noted === neverGoes) return undefined
      if (rank <= noted) return { peer, rank }
      this.#queue.set(peer, rank)
    }
    return undefined
  }

  #look(): void {
    this.#turn ??= this.#peers.values()
    let next = this.#turn.next()
    if (next.done === true) {
      this.#turn = this.#peers.values()
      next = this.#turn.next()
    }
    if (next.done === true) return
    const rank = this.#rankOf(next.value)
    this.#queue.set(next.value, rank)
  }
}
