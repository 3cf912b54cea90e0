import { expect } from 'vitest'
import type { Block, BlockRef } from '../../../src/contracts/block-store.js'
import type { ChainRules, ChainTip } from '../../../src/contracts/chain-rules.js'
import type { SyncMessage } from '../../../src/contracts/sync-messages.js'
import { progressCertificate } from '../../../src/rules/sync/certificate.js'
import type { ReplyMessage, SyncEffect, SyncInput } from '../../../src/rules/sync/inputs.js'
import { defaultSyncLimits, type SyncLimits } from '../../../src/rules/sync/limits.js'
import type { SyncNotice } from '../../../src/rules/sync/notices.js'
import { createSyncState, type SyncState } from '../../../src/rules/sync/state.js'
import { step } from '../../../src/rules/sync/step.js'
import { windowUse } from '../../../src/rules/sync/window.js'
import { SeededRandom } from '../../../src/testing/seeded-random.js'
import { refOf, testChainRules, type TestChain } from '../../../src/testing/test-chain.js'
import { planFlaw } from '../../sync-worlds/plan-flaw.js'

type Post = Extract<SyncEffect, { kind: 'post' }>

/** How a peer answers. `reply` sends something back after a delay. */
export type Behaviour = (message: SyncMessage, self: WorldPeer) => void

export interface WorldPeer {
  readonly key: string
  connection: number
  readonly behaviour: Behaviour
  /** Everything that it was asked. */
  readonly asked: SyncMessage[]
  readonly reply: (delayMs: number, message: ReplyMessage) => void
}

export interface WorldOptions {
  readonly chain: TestChain
  /** What the store holds at the start; nothing when it is undefined. */
  readonly store?: readonly Block[] | undefined
  readonly limits?: Partial<SyncLimits>
  readonly rules?: Partial<ChainRules>
  readonly seed?: number
  /** True for an input that is to be lost on its way to the rules. */
  readonly loses?: (input: SyncInput, index: number) => boolean
  readonly append?: (world: World) => 'works' | 'throws' | 'hangs' | 'mismatches'
  /** How long each call takes, in milliseconds; 1 when it is not said. */
  readonly takesMs?: {
    readonly check?: number
    readonly validate?: number
    readonly append?: number
  }
  readonly validate?: (block: Block, world: World) => 'works' | 'throws' | 'hangs' | 'refuses'
}

interface Planned {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** A node's rules with a store and peers round them, on virtual time, without promises. */
export class World {
  readonly state: SyncState
  readonly notices: SyncNotice[] = []
  readonly posts: Post[] = []
  readonly effects: SyncEffect[] = []
  readonly answers: Extract<SyncEffect, { kind: 'answer' }>[] = []
  readonly peers = new Map<number, WorldPeer>()
  readonly blocks: Block[]
  readonly rules: ChainRules
  readonly dice: SeededRandom
  now = 0
  maxWindowUse = 0
  /** The most payload that was in hand at once: being checked, held, and being stored. */
  maxHeldBytes = 0
  #planned: Planned[] = []
  #order = 0
  #inputs = 0
  #nextConnection = 1
  readonly #options: WorldOptions

  constructor(options: WorldOptions) {
    this.#options = options
    this.rules = testChainRules(options.chain, options.rules)
    this.dice = new SeededRandom(options.seed ?? 1)
    this.blocks = [...(options.store ?? [])]
    this.state = createSyncState({
      chainId: this.rules.chainId,
      genesis: this.rules.genesis,
      maxBlockBytes: this.rules.maxBlockBytes,
      compare: (a, b) => this.rules.compare?.(a, b) ?? a.height - b.height,
      dice: () => this.dice.next(),
      limits: { ...defaultSyncLimits, ...options.limits },
    })
  }

  get tip(): BlockRef | null {
    const last = this.blocks.at(-1)
    return last === undefined ? null : refOf(last)
  }

  start(): this {
    this.enter({ kind: 'started', ...this.#tipRead() })
    return this
  }

  /** Connects a peer; it says nothing by itself. */
  join(key: string, behaviour: Behaviour): WorldPeer {
    const connection = this.#nextConnection++
    const peer: WorldPeer = {
      key,
      connection,
      behaviour,
      asked: [],
      reply: (delayMs, message) => {
        this.after(delayMs, () => this.say(peer, message))
      },
    }
    this.peers.set(connection, peer)
    const reading = { lastReceivedAtMs: this.now, readPausedMs: 0, roundTripMs: 10 }
    this.enter({ kind: 'peerConnected', connection, key, reading })
    return peer
  }

  /** Connects a peer that has `chain` and says so. */
  joinWith(key: string, tip: ChainTip | null, behaviour: Behaviour, base = 0): WorldPeer {
    const peer = this.join(key, behaviour)
    this.say(peer, { kind: 'status', chainId: this.rules.chainId, base, tip })
    return peer
  }

  say(peer: WorldPeer, message: ReplyMessage): void {
    if (this.peers.get(peer.connection) !== peer) return
    const reading = { lastReceivedAtMs: this.now, readPausedMs: 0, roundTripMs: 10 }
    this.enter({ kind: 'message', connection: peer.connection, message, reading })
  }

  leave(peer: WorldPeer): void {
    if (!this.peers.delete(peer.connection)) return
    this.enter({ kind: 'peerDisconnected', connection: peer.connection })
  }

  after(delayMs: number, run: () => void): void {
    this.#planned.push({ atMs: this.now + delayMs, order: this.#order++, run })
  }

  enter(input: SyncInput): void {
    if (this.#options.loses?.(input, this.#inputs++) === true) return
    const effects = step(this.state, this.now, input)
    expect(progressCertificate(this.state)).toMatchObject({ holds: true })
    expect(planFlaw(this.state)).toBeUndefined()
    this.maxWindowUse = Math.max(this.maxWindowUse, windowUse(this.state))
    this.maxHeldBytes = Math.max(this.maxHeldBytes, this.#heldBytes())
    for (const effect of effects) this.#carryOut(effect)
  }

  /** Runs until the condition holds; says whether it did within `maxMs`. */
  run(maxMs: number, isDone: () => boolean = () => false): boolean {
    const untilMs = this.now + maxMs
    for (let steps = 0; !isDone(); steps++) {
      if (steps > 200_000) throw new Error(`no end in sight at ${this.now} ms`)
      this.#planned.sort((a, b) => a.atMs - b.atMs || a.order - b.order)
      const next = this.#planned[0]
      const wakeAtMs = this.state.wakeAtMs
      const atMs = Math.min(next?.atMs ?? Infinity, wakeAtMs)
      if (atMs > untilMs) {
        this.now = untilMs
        return isDone()
      }
      this.now = Math.max(this.now, atMs)
      if (next !== undefined && next.atMs <= wakeAtMs) {
        this.#planned.shift()
        next.run()
      } else {
        // A wake that is lost is followed by the next heartbeat at the latest.
        const before = this.state.wakeAtMs
        this.enter({ kind: 'wake', readings: [] })
        if (this.state.wakeAtMs === before) this.state.wakeAtMs = this.now + 10_000
      }
    }
    return true
  }

  told<Kind extends SyncNotice['kind']>(kind: Kind): Extract<SyncNotice, { kind: Kind }>[] {
    return this.notices.filter(
      (notice): notice is Extract<SyncNotice, { kind: Kind }> => notice.kind === kind,
    )
  }

  /** Counted block by block, not by the sums that the rules keep. */
  #heldBytes(): number {
    const { spans, requests, job, postponed } = this.state
    const work = job !== undefined && 'work' in job ? job.work : postponed
    const held = spans.flatMap((span) => span.held.map(({ block }) => block))
    const checked = [...requests.values()].flatMap(({ purpose, checks }) =>
      purpose.kind === 'span' ? [...checks.values()].flatMap(({ blocks }) => blocks) : [],
    )
    const stored = work?.kind === 'extend' ? work.held.map(({ block }) => block) : []
    return [...held, ...checked, ...stored].reduce((sum, { payload }) => sum + payload.length, 0)
  }

  #tipRead(): { tip: ChainTip | null; base: number } {
    return { tip: this.tip, base: this.blocks[0]?.height ?? 0 }
  }

  #carryOut(effect: SyncEffect): void {
    this.effects.push(effect)
    const { check: checkMs, validate: validateMs, append: appendMs } = this.#options.takesMs ?? {}
    const inTime =
      (ms = 1) =>
      (input: SyncInput): void =>
        this.after(ms, () => this.enter(input))
    const soon = inTime()
    switch (effect.kind) {
      case 'post': {
        this.posts.push(effect)
        const peer = this.peers.get(effect.connection)
        if (peer === undefined) return
        peer.asked.push(effect.message)
        peer.behaviour(effect.message, peer)
        return
      }
      case 'check':
        return inTime(checkMs)({
          kind: 'checked',
          token: effect.token,
          result: this.#check(effect.blocks),
        })
      case 'validate':
        return this.#validate(effect, inTime(validateMs))
      case 'append':
        return this.#write(
          effect.token,
          effect.expectTip,
          effect.expectTip,
          effect.blocks,
          inTime(appendMs),
        )
      case 'replace':
        return this.#write(
          effect.token,
          effect.ancestor,
          effect.expectTip,
          effect.blocks,
          inTime(appendMs),
        )
      case 'abandon':
        return
      case 'readTip':
        return soon({
          kind: 'tipRead',
          token: effect.token,
          result: { kind: 'read', ...this.#tipRead() },
        })
      case 'readHashes': {
        const refs = effect.heights.flatMap((height) => {
          const block = this.blocks[height - (this.blocks[0]?.height ?? 0)]
          return block === undefined ? [] : [refOf(block)]
        })
        return soon({ kind: 'hashesRead', token: effect.token, result: { kind: 'read', refs } })
      }
      case 'answer':
        this.answers.push(effect)
        return
      case 'tell':
        this.notices.push(effect.notice)
        return
      default:
        effect satisfies never
    }
  }

  #check(blocks: readonly Block[]): Extract<SyncInput, { kind: 'checked' }>['result'] {
    for (const [index, block] of blocks.entries()) {
      const verdict = this.rules.checkIntegrity(block)
      if (!verdict.ok) return { kind: 'refused', index, reason: verdict.reason }
    }
    return { kind: 'passed' }
  }

  #validate(
    { token, blocks, previous, work }: Extract<SyncEffect, { kind: 'validate' }>,
    soon: (input: SyncInput) => void,
  ): void {
    for (const [index, block] of blocks.entries()) {
      const outcome = this.#options.validate?.(block, this) ?? 'works'
      if (outcome === 'hangs') return
      if (outcome === 'throws') {
        const error = new Error('the backend is offline')
        return soon({ kind: 'validated', token, result: { kind: 'threw', error } })
      }
      if (outcome === 'refuses') {
        return soon({
          kind: 'validated',
          token,
          result: { kind: 'refused', index, reason: 'not allowed' },
        })
      }
    }
    const weight = work === 'reorganise' ? this.rules.weightOfBranch?.(previous, blocks) : undefined
    const passed = weight === undefined ? {} : { weight }
    soon({ kind: 'validated', token, result: { kind: 'passed', ...passed } })
  }

  #write(
    token: number,
    ancestor: BlockRef | null,
    expectTip: BlockRef | null,
    blocks: readonly Block[],
    soon: (input: SyncInput) => void,
  ): void {
    const outcome = this.#options.append?.(this) ?? 'works'
    if (outcome === 'hangs') return
    if (outcome === 'throws') {
      return soon({ kind: 'written', token, result: { kind: 'threw', error: new Error('ENOSPC') } })
    }
    const isExpected = this.tip?.hash === expectTip?.hash && this.tip?.height === expectTip?.height
    if (outcome === 'mismatches' || !isExpected) {
      return soon({ kind: 'written', token, result: { kind: 'moved', tip: this.tip } })
    }
    const base = this.blocks[0]?.height ?? 0
    this.blocks.length = ancestor === null ? 0 : ancestor.height - base + 1
    for (const block of blocks) {
      const last = this.blocks.at(-1)
      if (last !== undefined) {
        // A store would refuse it, and the rules must not even try.
        expect(block.height).toBe(last.height + 1)
        expect(block.previousHash).toBe(last.hash)
      }
      this.blocks.push(block)
    }
    soon({ kind: 'written', token, result: { kind: 'written', tip: this.tip } })
  }
}
