import type { SyncLimits } from '../../src/rules/sync/limits.js'
import { isCoolingDown } from '../../src/rules/sync/standing.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { connectPorts, machine, type Machine } from './port.js'
import { RulesEngine } from './rules-engine.js'
import type { SimChain } from './sim-chain.js'
import { SimNode, type Engine, type StoreModel } from './sim-node.js'
import type { Behaviour } from './sim-peer.js'
import { Timeline } from './timeline.js'

export interface PeerSpec {
  readonly key: string
  readonly behaviour: Behaviour
  /** Of its uplink, shared by all that it sends. Bytes per millisecond. Default 5,000 (5 MB/s). */
  readonly rate?: number
  /** Default 100. */
  readonly roundTripMs?: number
  readonly joinsAtMs?: number
  readonly leavesAtMs?: number
  readonly isHonest?: boolean
  /** Away for so long, every so often. */
  readonly restarts?: { readonly everyMs: number; readonly forMs: number }
}

export interface SimWorldOptions {
  readonly chain: SimChain
  readonly seed?: number
  readonly peers: readonly PeerSpec[]
  /** Blocks that the node begins with. Default 1, the genesis block. */
  readonly held?: number
  readonly limits?: Partial<SyncLimits>
  readonly store?: Partial<StoreModel>
  readonly downloadRate?: number
  /** Default: the largest block of the chain. */
  readonly maxBlockBytes?: number
  /** Whether the plan is looked over after every step. Default true. */
  readonly isWatched?: boolean
  readonly engine?: (world: SimWorld) => Engine
}

/** One node and its peers, in virtual time. The same options give the same run. */
export class SimWorld {
  readonly timeline = new Timeline()
  readonly dice: SeededRandom
  readonly node: SimNode
  readonly engine: Engine
  readonly options: SimWorldOptions
  /** The longest time for which each honest peer was cooling down at a stretch. */
  readonly longestCooldownMs = new Map<string, number>()
  readonly #coolingSince = new Map<string, number>()

  constructor(options: SimWorldOptions) {
    this.options = options
    this.dice = new SeededRandom(options.seed ?? 1)
    this.engine = options.engine?.(this) ?? this.rulesEngine()
    const pingDice = this.dice.fork()
    this.node = new SimNode(this.timeline, {
      engine: this.engine,
      blocks: options.chain.blocks.slice(0, options.held ?? 1),
      machine: machine(Infinity, options.downloadRate ?? Infinity),
      firstPongMs: () => pingDice.integer(0, 30_000),
      ...(options.store === undefined ? {} : { store: options.store }),
    })
    this.node.onStep = () => this.#watch()
    this.node.start()
    for (const spec of options.peers) this.#join(spec)
  }

  rulesEngine(): RulesEngine {
    const [genesis] = this.options.chain.blocks
    if (genesis === undefined) throw new RangeError('a chain has a genesis block')
    const dice = this.dice.fork()
    return new RulesEngine({
      genesis,
      maxBlockBytes: this.options.maxBlockBytes ?? Math.max(...sizes(this.options.chain)),
      isWatched: this.options.isWatched ?? true,
      dice: () => dice.next(),
      ...(this.options.limits === undefined ? {} : { limits: this.options.limits }),
    })
  }

  get isDone(): boolean {
    return this.node.tip?.hash === this.options.chain.tip.hash
  }

  /** Runs until the tip is the honest one, at most `maxMs`. When that was, or undefined. */
  runToTip(maxMs: number): number | undefined {
    return this.run(maxMs, () => this.isDone) ? this.timeline.now : undefined
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

  #join(spec: PeerSpec): void {
    const { rate = 5_000, joinsAtMs = 0, leavesAtMs = Infinity, restarts } = spec
    const own = machine(rate)
    const dice = this.dice.fork()
    this.timeline.at(joinsAtMs, () => {
      const connection = this.#connect(spec, own, dice)
      if (leavesAtMs < Infinity) this.timeline.at(leavesAtMs, connection.end)
      if (restarts !== undefined) this.#restart(spec, own, dice, restarts, connection.end)
    })
  }

  #restart(
    spec: PeerSpec,
    own: Machine,
    dice: SeededRandom,
    restarts: { readonly everyMs: number; readonly forMs: number },
    end: () => void,
  ): void {
    this.timeline.after(restarts.everyMs * (0.5 + dice.next()), () => {
      end()
      this.timeline.after(restarts.forMs, () => {
        this.#restart(spec, own, dice, restarts, this.#connect(spec, own, dice).end)
      })
    })
  }

  #connect(spec: PeerSpec, own: Machine, dice: SeededRandom): { readonly end: () => void } {
    const { roundTripMs = 100 } = spec
    const [here, there] = connectPorts(this.timeline, this.node.machine, own, roundTripMs)
    let isOpen = true
    const end = (): void => {
      if (!isOpen) return
      isOpen = false
      here.close()
      there.close()
      this.node.detach(connection)
    }
    const receive = spec.behaviour({
      timeline: this.timeline,
      port: there,
      dice,
      isOpen: () => isOpen,
      reconnect: (againMs) => {
        if (!isOpen) return
        end()
        this.timeline.after(againMs, () => this.#connect(spec, own, dice))
      },
    })
    there.onMessage = receive
    const connection = this.node.attach(spec.key, here)
    return { end }
  }

  #watch(): void {
    const { engine } = this
    if (!(engine instanceof RulesEngine)) return
    const { now } = this.timeline
    for (const { key, isHonest } of this.options.peers) {
      if (isHonest !== true) continue
      const since = this.#coolingSince.get(key)
      if (isCoolingDown(engine.state, key, now)) {
        if (since === undefined) this.#coolingSince.set(key, now)
        else {
          const longest = Math.max(this.longestCooldownMs.get(key) ?? 0, now - since)
          this.longestCooldownMs.set(key, longest)
        }
      } else if (since !== undefined) this.#coolingSince.delete(key)
    }
  }
}

function* sizes({ blocks }: SimChain): Generator<number> {
  const seen = new Set<number>()
  for (const { payload } of blocks) {
    if (seen.has(payload.length)) continue
    seen.add(payload.length)
    yield payload.length
  }
}
