/**
 * The moves that need no fault, as edges between numbered states. Two things show that there is no
 * livelock: from each state some way leads to a state without further moves; and there is no circle of
 * moves but through one that is paced, which is a dial that was told to come again later and waits for
 * its backoff. So whatever happens ends, fair or not, after so many moves between two of that kind.
 */
export class FreeGraph {
  #targets = new Int32Array(1 << 12)
  #size = 0
  /** Where the edges of each state begin. */
  #starts = new Int32Array(1 << 10)
  #states = 0

  /** States come in the order of their numbers; edges are those of the state that came last. */
  addState(): void {
    if (this.#states + 1 >= this.#starts.length) this.#starts = grown(this.#starts)
    this.#starts[this.#states] = this.#size
    this.#states += 1
    this.#starts[this.#states] = this.#size
  }

  addEdge(target: number, options: { readonly isPaced: boolean }): void {
    if (this.#size === this.#targets.length) this.#targets = grown(this.#targets)
    this.#targets[this.#size] = options.isPaced ? ~target : target
    this.#size += 1
    this.#starts[this.#states] = this.#size
  }

  /** The longest way between paced moves, in edges; or a circle, as the states on it; or a trap. */
  judge():
    | { readonly longest: number }
    | { readonly circle: readonly number[] }
    | { readonly trap: number } {
    const trap = this.#trap()
    if (trap >= 0) return { trap }
    const incoming = new Int32Array(this.#states)
    for (let edge = 0; edge < this.#size; edge++)
      if (this.#targets[edge]! >= 0) incoming[this.#targets[edge]!]! += 1
    const lengths = new Int32Array(this.#states)
    const ready: number[] = []
    for (let state = 0; state < this.#states; state++) if (incoming[state] === 0) ready.push(state)
    let done = 0
    let longest = 0
    for (let state = ready.pop(); state !== undefined; state = ready.pop()) {
      done += 1
      const length = lengths[state]! + 1
      for (let edge = this.#starts[state]!; edge < this.#starts[state + 1]!; edge++) {
        const target = this.#targets[edge]!
        if (target < 0) continue
        lengths[target] = Math.max(lengths[target]!, length)
        longest = Math.max(longest, length)
        incoming[target]! -= 1
        if (incoming[target] === 0) ready.push(target)
      }
    }
    return done === this.#states ? { longest } : { circle: this.#circle(incoming) }
  }

  /** A state from which no way leads to an end, or -1. */
  #trap(): number {
    const isEnding = new Uint8Array(this.#states)
    for (let isNew = true; isNew;) {
      isNew = false
      for (let state = this.#states - 1; state >= 0; state--) {
        if (isEnding[state] === 1 || !this.#leadsToEnd(state, isEnding)) continue
        isEnding[state] = 1
        isNew = true
      }
    }
    return isEnding.indexOf(0)
  }

  #leadsToEnd(state: number, isEnding: Uint8Array): boolean {
    const end = this.#starts[state + 1]!
    for (let edge = this.#starts[state]!; edge < end; edge++) {
      const target = this.#targets[edge]!
      if (isEnding[target < 0 ? ~target : target] === 1) return true
    }
    return this.#starts[state] === end
  }

  /** Each state that is left has another one that leads to it: going back must come round. */
  #circle(incoming: Int32Array): number[] {
    const before = new Int32Array(this.#states).fill(-1)
    for (let state = 0; state < this.#states; state++) {
      if (incoming[state] === 0) continue
      for (let edge = this.#starts[state]!; edge < this.#starts[state + 1]!; edge++)
        if ((incoming[this.#targets[edge]!] ?? 0) > 0) before[this.#targets[edge]!] = state
    }
    const way: number[] = []
    let state = incoming.findIndex((count) => count > 0)
    for (; !way.includes(state); state = before[state]!) way.unshift(state)
    return [...way.slice(0, way.indexOf(state) + 1)]
  }
}

function grown(words: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(words.length * 2)
  larger.set(words)
  return larger
}
