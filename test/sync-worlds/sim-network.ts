import { SeededRandom } from '../../src/testing/seeded-random.js'
import { connectPorts, machine } from './port.js'
import { RulesEngine } from './rules-engine.js'
import { makeBlock, type SimChain } from './sim-chain.js'
import { SimNode } from './sim-node.js'
import { Timeline } from './timeline.js'

export interface NetworkNode {
  /** Of its uplink. Bytes per millisecond. */
  readonly rate: number
  /** Blocks of the chain that it begins with, at least the genesis block. */
  readonly held: number
}

export interface SimNetworkOptions {
  readonly chain: SimChain
  readonly nodes: readonly NetworkNode[]
  readonly roundTripMs: number
  readonly seed: number
}

interface Wire {
  readonly a: number
  readonly b: number
  readonly cut: () => void
}

/** Nodes that sync from each other, all with the real rules; each pair is connected, unless it is cut. */
export class SimNetwork {
  readonly timeline = new Timeline()
  readonly nodes: readonly SimNode[]
  /** What keeps pairs apart: partitions, and processes that are down. */
  readonly #walls = new Set<(a: number, b: number) => boolean>()
  readonly #wires = new Map<string, Wire>()
  readonly #isDown = new Set<number>()
  readonly #roundTripMs: number
  #blocks = 0

  constructor({ chain, nodes, roundTripMs, seed }: SimNetworkOptions) {
    const random = new SeededRandom(seed)
    const [genesis] = chain.blocks
    if (genesis === undefined) throw new RangeError('a chain has a genesis block')
    this.#roundTripMs = roundTripMs
    this.nodes = nodes.map(({ rate, held }) => {
      const dice = random.fork()
      const engine = new RulesEngine({
        genesis,
        maxBlockBytes: 1024 * 1024,
        isWatched: true,
        dice: () => dice.next(),
      })
      const firstPongMs = (): number => dice.integer(0, 30_000)
      const blocks = chain.blocks.slice(0, held)
      return new SimNode(this.timeline, { engine, blocks, machine: machine(rate), firstPongMs })
    })
    for (const node of this.nodes) node.start()
    this.#connect()
  }

  /** Keeps pairs apart from now on. Returns what ends it. */
  separate(isApart: (a: number, b: number) => boolean): () => void {
    this.#walls.add(isApart)
    for (const wire of [...this.#wires.values()]) if (isApart(wire.a, wire.b)) wire.cut()
    return () => {
      this.#walls.delete(isApart)
      this.#connect()
    }
  }

  /** The process ends, and begins again on the same store. */
  restart(index: number, forMs: number): void {
    const node = this.nodes[index]
    if (node === undefined || this.#isDown.has(index)) return
    this.#isDown.add(index)
    const end = this.separate((a, b) => a === index || b === index)
    node.stop()
    this.timeline.after(forMs, () => {
      this.#isDown.delete(index)
      node.start()
      end()
    })
  }

  /** A node makes a block of its own on whatever it has. */
  produce(index: number, bytes: number): void {
    const node = this.nodes[index]
    if (node === undefined || this.#isDown.has(index)) return
    const below = node.blocks.at(-1)
    this.#blocks += 1
    const block = makeBlock(below, `n${index}-${this.#blocks}-`, bytes)
    node.enter({ kind: 'submitted', ticket: this.#blocks, block })
  }

  /** Whether all have the same tip. */
  get isAgreed(): boolean {
    const [first] = this.nodes
    return this.nodes.every(({ tip }) => tip?.hash === first?.tip?.hash)
  }

  get heights(): readonly number[] {
    return this.nodes.map(({ tip }) => tip?.height ?? -1)
  }

  run(maxMs: number, isDone: () => boolean = () => false): boolean {
    const untilMs = this.timeline.now + maxMs
    while (!isDone()) {
      if (this.timeline.nextAtMs > untilMs) {
        this.timeline.now = untilMs
        return false
      }
      this.timeline.runNext()
    }
    return true
  }

  #connect(): void {
    for (let a = 0; a < this.nodes.length; a++) {
      for (let b = a + 1; b < this.nodes.length; b++) {
        if ([...this.#walls].every((isApart) => !isApart(a, b))) this.#wire(a, b)
      }
    }
  }

  #wire(a: number, b: number): void {
    const name = `${a}-${b}`
    const [here, there] = [this.nodes[a], this.nodes[b]]
    if (here === undefined || there === undefined || this.#wires.has(name)) return
    const { timeline } = this
    const [atA, atB] = connectPorts(timeline, here.machine, there.machine, this.#roundTripMs)
    const ofA = here.attach(`n${b}`, atA)
    const ofB = there.attach(`n${a}`, atB)
    const cut = (): void => {
      this.#wires.delete(name)
      atA.close()
      atB.close()
      here.detach(ofA)
      there.detach(ofB)
    }
    this.#wires.set(name, { a, b, cut })
  }
}
