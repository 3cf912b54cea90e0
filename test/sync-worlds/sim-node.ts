import type { Block, BlockRef } from '../../src/contracts/block-store.js'
import type { ChainTip } from '../../src/contracts/chain-rules.js'
import type { SyncMessage } from '../../src/contracts/sync-messages.js'
import type {
  CheckResult,
  Reading,
  SyncEffect,
  SyncInput,
  WriteResult,
} from '../../src/rules/sync/inputs.js'
import type { SyncNotice } from '../../src/rules/sync/notices.js'
import { machine, type Machine, type Port } from './port.js'
import { bytesOf, chainOf, isGenuine, refOf, type SimChain } from './sim-chain.js'
import { SimServer } from './sim-server.js'
import type { Timeline } from './timeline.js'

/** What decides for a simulated node: the rules of sync, or something to compare them with. */
export interface Engine {
  step(now: number, input: SyncInput): readonly SyncEffect[]
  readonly wakeAtMs: number
}

export interface StoreModel {
  /** What a write takes: so long, and so much for its bytes (per millisecond). */
  readonly writeMs: number
  readonly bytesPerMs: number
  /** Our own processor, checking the integrity of one block. */
  readonly checkMs: number
  /** How a call of the store or of validation ends at that time; `hangs` never ends. */
  readonly mood: (
    now: number,
    call: 'append' | 'replace' | 'readTip' | 'readHashes' | 'validate',
  ) => Mood
}

export type Mood = 'works' | 'throws' | 'throwsAfterwards' | 'hangs'

const defaultStore: StoreModel = {
  writeMs: 5,
  bytesPerMs: 200_000,
  checkMs: 0.003,
  mood: () => 'works',
}

export interface SimNodeOptions {
  readonly engine: Engine
  readonly blocks?: readonly Block[]
  readonly store?: Partial<StoreModel>
  readonly machine?: Machine
  /** When the first ping of a connection is answered; before it, its round trip is not known. */
  readonly firstPongMs?: () => number
}

interface Link {
  readonly port: Port
  readonly server: SimServer
  readonly pongAtMs: number
}

/** A node round an engine: its store, its processor, its connections. */
export class SimNode {
  readonly machine: Machine
  readonly engine: Engine
  readonly notices: (SyncNotice & { readonly atMs: number })[] = []
  readonly answers: Extract<SyncEffect, { kind: 'answer' }>[] = []
  readonly blocks: Block[]
  receivedBytes = 0
  steps = 0
  /** Called after every step with what went in and came out. */
  onStep: (input: SyncInput, effects: readonly SyncEffect[]) => void = () => {}
  readonly #timeline: Timeline
  readonly #store: StoreModel
  readonly #firstPongMs: () => number
  readonly #links = new Map<number, Link>()
  #nextConnection = 1
  #armedAtMs = Infinity
  #processorFreeAtMs = 0
  /** Calls of before a restart come to nothing. */
  #life = 0

  constructor(timeline: Timeline, options: SimNodeOptions) {
    this.#timeline = timeline
    this.engine = options.engine
    this.blocks = [...(options.blocks ?? [])]
    this.#store = { ...defaultStore, ...options.store }
    this.machine = options.machine ?? machine()
    this.#firstPongMs = options.firstPongMs ?? (() => Infinity)
  }

  get tip(): BlockRef | null {
    const last = this.blocks.at(-1)
    return last === undefined ? null : refOf(last)
  }

  get chain(): SimChain | undefined {
    return this.blocks.length === 0 ? undefined : chainOf(this.blocks)
  }

  start(): void {
    this.enter({ kind: 'started', ...this.#readTip() })
  }

  stop(): void {
    this.#life += 1
    this.enter({ kind: 'stopped' })
  }

  attach(key: string, port: Port): number {
    const connection = this.#nextConnection++
    const server = new SimServer(this.#timeline, port, () => this.chain)
    const pongAtMs = this.#timeline.now + this.#firstPongMs()
    this.#links.set(connection, { port, server, pongAtMs })
    port.onMessage = (message) => this.#receive(connection, message)
    const reading = this.#readingOf(connection)
    this.enter({ kind: 'peerConnected', connection, key, reading })
    return connection
  }

  detach(connection: number): void {
    if (this.#links.delete(connection)) this.enter({ kind: 'peerDisconnected', connection })
  }

  enter(input: SyncInput): void {
    const effects = this.engine.step(this.#timeline.now, input)
    this.steps += 1
    this.onStep(input, effects)
    for (const effect of effects) this.#carryOut(effect)
    this.#arm()
  }

  /** An input at this moment that says nothing. */
  wake(): void {
    const readings = [...this.#links.keys()].map((connection) => ({
      connection,
      reading: this.#readingOf(connection),
    }))
    this.enter({ kind: 'wake', readings })
  }

  #receive(connection: number, message: SyncMessage): void {
    switch (message.kind) {
      case 'getBlocks':
      case 'getHeaders':
      case 'cancel':
        this.#links.get(connection)?.server.handle(message)
        return
      case 'blocks':
        this.receivedBytes += bytesOf(message.blocks)
        break
      case 'status':
      case 'announce':
      case 'headers':
      case 'notFound':
      case 'busy':
        break
      default:
        message satisfies never
        return
    }
    const reading = this.#readingOf(connection)
    this.enter({ kind: 'message', connection, message, reading })
  }

  #readingOf(connection: number): Reading {
    const link = this.#links.get(connection)
    const { now } = this.#timeline
    const isKnown = link !== undefined && link.pongAtMs <= now
    return {
      lastReceivedAtMs: link?.port.lastReceivedAtMs ?? now,
      readPausedMs: 0,
      roundTripMs: isKnown ? link.port.roundTripMs : undefined,
    }
  }

  /** One event at a time: it is planned anew when it comes too early. */
  #arm(): void {
    const { wakeAtMs } = this.engine
    if (wakeAtMs >= this.#armedAtMs || wakeAtMs === Infinity) return
    this.#armedAtMs = wakeAtMs
    this.#timeline.at(wakeAtMs, () => {
      if (this.#armedAtMs !== wakeAtMs) return
      this.#armedAtMs = Infinity
      if (this.engine.wakeAtMs <= this.#timeline.now) this.wake()
      else this.#arm()
    })
  }

  #carryOut(effect: SyncEffect): void {
    switch (effect.kind) {
      case 'post':
        this.#links.get(effect.connection)?.port.send(effect.message)
        return
      case 'check': {
        const { token, blocks } = effect
        return this.#compute(blocks.length, { kind: 'checked', token, result: check(blocks) })
      }
      case 'validate':
        return this.#validate(effect)
      case 'append':
      case 'replace':
        return this.#write(effect)
      case 'readTip':
        return this.#call('readTip', 1, (error) => ({
          kind: 'tipRead',
          token: effect.token,
          result: error ?? { kind: 'read', ...this.#readTip() },
        }))
      case 'readHashes':
        return this.#call('readHashes', 1, (error) => ({
          kind: 'hashesRead',
          token: effect.token,
          result: error ?? { kind: 'read', refs: this.#refsAt(effect.heights) },
        }))
      case 'answer':
        this.answers.push(effect)
        return
      case 'tell':
        this.notices.push({ ...effect.notice, atMs: this.#timeline.now })
        return
      case 'abandon':
        return
      default:
        effect satisfies never
    }
  }

  #compute(blocks: number, input: SyncInput): void {
    const start = Math.max(this.#timeline.now, this.#processorFreeAtMs)
    this.#processorFreeAtMs = start + blocks * this.#store.checkMs
    this.#later(this.#processorFreeAtMs, input)
  }

  #validate({ token, blocks }: Extract<SyncEffect, { kind: 'validate' }>): void {
    const mood = this.#store.mood(this.#timeline.now, 'validate')
    if (mood === 'hangs') return
    const result: CheckResult = mood === 'works' ? check(blocks) : failure('validation')
    this.#later(this.#timeline.now, { kind: 'validated', token, result })
  }

  /** Compare-and-swap, all or nothing, at the moment when it is done. */
  #write(effect: Extract<SyncEffect, { kind: 'append' | 'replace' }>): void {
    const { kind, token, blocks, expectTip } = effect
    const ms = this.#store.writeMs + bytesOf(blocks) / this.#store.bytesPerMs
    const ancestor = effect.kind === 'replace' ? effect.ancestor : expectTip
    this.#call(kind, ms, (error, mood) => {
      let result: WriteResult = error ?? { kind: 'written', tip: null }
      if (error === undefined || mood === 'throwsAfterwards') {
        const isExpected = this.tip?.hash === expectTip?.hash
        if (!isExpected) result = { kind: 'moved', tip: this.tip }
        else {
          const base = this.blocks[0]?.height ?? 0
          this.blocks.length = ancestor === null ? 0 : ancestor.height - base + 1
          this.blocks.push(...blocks)
          if (error === undefined) result = { kind: 'written', tip: this.tip }
        }
      }
      return { kind: 'written', token, result }
    })
  }

  #call(
    call: 'append' | 'replace' | 'readTip' | 'readHashes',
    ms: number,
    inputOf: (error: ReturnType<typeof failure> | undefined, mood: Mood) => SyncInput,
  ): void {
    const mood = this.#store.mood(this.#timeline.now, call)
    if (mood === 'hangs') return
    const life = this.#life
    this.#timeline.after(ms, () => {
      const input = inputOf(mood === 'works' ? undefined : failure(call), mood)
      if (life === this.#life) this.enter(input)
    })
  }

  #later(atMs: number, input: SyncInput): void {
    const life = this.#life
    this.#timeline.at(atMs, () => {
      if (life === this.#life) this.enter(input)
    })
  }

  #readTip(): { readonly tip: ChainTip | null; readonly base: number } {
    return { tip: this.tip, base: this.blocks[0]?.height ?? 0 }
  }

  #refsAt(heights: readonly number[]): BlockRef[] {
    const base = this.blocks[0]?.height ?? 0
    return heights.flatMap((height) => {
      const block = this.blocks[height - base]
      return block === undefined ? [] : [refOf(block)]
    })
  }
}

const failure = (what: string) => ({ kind: 'threw', error: new Error(`${what} fails`) }) as const

function check(blocks: readonly Block[]): CheckResult {
  const index = blocks.findIndex((block) => !isGenuine(block))
  return index < 0 ? { kind: 'passed' } : { kind: 'refused', index, reason: 'not genuine' }
}
