import type { Block, BlockRef, BlockStore } from '../contracts/block-store.js'
import type { ChainRules, ChainTip, Verdict } from '../contracts/chain-rules.js'
import type { Clock, Timer } from '../contracts/clock.js'
import { HoldfastError } from '../errors.js'
import type {
  CheckResult,
  SyncEffect,
  SyncInput,
  WorkKind,
  WriteResult,
} from '../rules/sync/inputs.js'

/** The event loop is not held longer than about this by checks. */
const sliceMs = 15

export type WorkEffect = Extract<
  SyncEffect,
  { kind: 'check' | 'validate' | 'append' | 'replace' | 'abandon' | 'readTip' | 'readHashes' }
>

/**
 * Does what sync wants of the store and of the chain's rules, and hands each result in once. Decides
 * nothing. Long checks are cut into slices, so that pings are answered in between.
 */
export class SyncWork {
  readonly #rules: ChainRules
  readonly #store: BlockStore
  readonly #clock: Clock
  readonly #deliver: (input: SyncInput) => void
  readonly #validations = new Map<number, AbortController>()
  #checks: Extract<SyncEffect, { kind: 'check' }>[] = []
  /** Blocks of the first check that passed already. */
  #checked = 0
  #checkTimer: Timer | undefined

  constructor(
    rules: ChainRules,
    store: BlockStore,
    clock: Clock,
    deliver: (input: SyncInput) => void,
  ) {
    this.#rules = rules
    this.#store = store
    this.#clock = clock
    this.#deliver = deliver
  }

  start(effect: WorkEffect): void {
    const { token } = effect
    switch (effect.kind) {
      case 'check':
        this.#checks.push(effect)
        this.#checkTimer ??= this.#clock.setTimer(0, () => this.#runChecks())
        return
      case 'validate':
        void this.#validate(effect).then((result) => {
          this.#deliver({ kind: 'validated', token, result })
        })
        return
      case 'append': {
        const { blocks, expectTip } = effect
        void this.#write(token, () => this.#store.append(blocks, { expectTip }))
        return
      }
      case 'replace': {
        const { ancestor, blocks, expectTip } = effect
        void this.#write(token, () => this.#store.replace(ancestor, blocks, { expectTip }))
        return
      }
      case 'abandon':
        this.#validations.get(token)?.abort()
        return
      case 'readTip':
        void this.#readTip(token)
        return
      case 'readHashes':
        void this.#readHashes(token, effect.heights)
        return
      default:
        effect satisfies never
    }
  }

  /** Drops the checks that wait and tells validations to end. A write that runs is left alone. */
  stop(): void {
    this.#checkTimer?.cancel()
    this.#checkTimer = undefined
    this.#checks = []
    this.#checked = 0
    for (const controller of this.#validations.values()) controller.abort()
  }

  /** A tip with its weight. */
  readonly weigh = (ref: BlockRef | null): ChainTip | null => {
    if (ref === null) return null
    const { height, hash } = ref
    const weight = this.#rules.weightOf?.({ height, hash })
    return weight === undefined ? { height, hash } : { height, hash, weight }
  }

  async readTip(): Promise<{ readonly tip: ChainTip | null; readonly base: number }> {
    const tip = await this.#store.tip()
    const base = await this.#store.base()
    return { tip: this.weigh(tip), base: base?.height ?? 0 }
  }

  #runChecks(): void {
    this.#checkTimer = undefined
    const untilMs = this.#clock.now() + sliceMs
    for (let check = this.#checks[0]; check !== undefined; check = this.#checks[0]) {
      const result = this.#continueCheck(check.blocks, untilMs)
      if (result === undefined) break
      this.#checks.shift()
      this.#checked = 0
      this.#deliver({ kind: 'checked', token: check.token, result })
      if (this.#clock.now() >= untilMs) break
    }
    if (this.#checks.length === 0) return
    this.#checkTimer ??= this.#clock.setTimer(0, () => this.#runChecks())
  }

  /** Undefined when the time is up before the end. */
  #continueCheck(blocks: readonly Block[], untilMs: number): CheckResult | undefined {
    for (let block = blocks[this.#checked]; block !== undefined; block = blocks[this.#checked]) {
      let verdict: Verdict
      try {
        verdict = this.#rules.checkIntegrity(block)
      } catch (error) {
        return { kind: 'threw', error }
      }
      if (!verdict.ok) return { kind: 'refused', index: this.#checked, reason: verdict.reason }
      this.#checked += 1
      if (this.#clock.now() >= untilMs && this.#checked < blocks.length) return undefined
    }
    return { kind: 'passed' }
  }

  async #validate(effect: Extract<SyncEffect, { kind: 'validate' }>): Promise<CheckResult> {
    const controller = new AbortController()
    this.#validations.set(effect.token, controller)
    try {
      return await this.#validateAll(effect, controller.signal)
    } catch (error) {
      return { kind: 'threw', error }
    } finally {
      this.#validations.delete(effect.token)
    }
  }

  async #validateAll(
    { blocks, previous, work }: Extract<SyncEffect, { kind: 'validate' }>,
    signal: AbortSignal,
  ): Promise<CheckResult> {
    const isUnchecked = work === 'submit'
    if (this.#rules.validate === undefined && !isUnchecked) {
      return this.#passed(work, previous, blocks)
    }
    let below = previous
    let untilMs = this.#clock.now() + sliceMs
    for (const [index, block] of blocks.entries()) {
      const integrity = isUnchecked ? this.#rules.checkIntegrity(block) : { ok: true as const }
      const verdict = integrity.ok
        ? await this.#rules.validate?.(block, { previous: below, signal })
        : integrity
      signal.throwIfAborted()
      if (verdict?.ok === false) return { kind: 'refused', index, reason: verdict.reason }
      below = { height: block.height, hash: block.hash }
      if (this.#clock.now() < untilMs) continue
      await this.#nextTurn()
      untilMs = this.#clock.now() + sliceMs
    }
    return this.#passed(work, previous, blocks)
  }

  #passed(work: WorkKind, ancestor: BlockRef | null, blocks: readonly Block[]): CheckResult {
    const weight =
      work === 'reorganise' ? this.#rules.weightOfBranch?.(ancestor, blocks) : undefined
    return weight === undefined ? { kind: 'passed' } : { kind: 'passed', weight }
  }

  /** What follows a store that kept the processor waits for the next turn of the event loop. */
  async #write(token: number, write: () => Promise<BlockRef | null>): Promise<void> {
    const untilMs = this.#clock.now() + sliceMs
    const writing = this.#resultOf(write)
    const wasLong = this.#clock.now() >= untilMs
    const result = await writing
    if (wasLong) await this.#nextTurn()
    this.#deliver({ kind: 'written', token, result })
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(0, resolve))
  }

  async #resultOf(write: () => Promise<BlockRef | null>): Promise<WriteResult> {
    try {
      return { kind: 'written', tip: this.weigh(await write()) }
    } catch (error) {
      if (HoldfastError.is(error, 'TIP_MISMATCH')) {
        return { kind: 'moved', tip: this.weigh(error.actualTip ?? null) }
      }
      if (HoldfastError.is(error, 'UNKNOWN_ANCESTOR')) return { kind: 'unknownAncestor' }
      return { kind: 'threw', error }
    }
  }

  async #readTip(token: number): Promise<void> {
    let result: Extract<SyncInput, { kind: 'tipRead' }>['result']
    try {
      result = { kind: 'read', ...(await this.readTip()) }
    } catch (error) {
      result = { kind: 'threw', error }
    }
    this.#deliver({ kind: 'tipRead', token, result })
  }

  async #readHashes(token: number, heights: readonly number[]): Promise<void> {
    let result: Extract<SyncInput, { kind: 'hashesRead' }>['result']
    try {
      result = { kind: 'read', refs: await hashesAt(this.#store, heights) }
    } catch (error) {
      result = { kind: 'threw', error }
    }
    this.#deliver({ kind: 'hashesRead', token, result })
  }
}

/** Reads of a store that wait for each other at a time. */
const readsAtOnce = 64

/** The names of the blocks at those heights that the store holds, in the order of the heights. */
export async function hashesAt(store: BlockStore, heights: readonly number[]): Promise<BlockRef[]> {
  const refs: BlockRef[] = []
  for (let start = 0; start < heights.length; start += readsAtOnce) {
    const part = heights.slice(start, start + readsAtOnce)
    const hashes = await Promise.all(part.map((height) => store.hashAt(height)))
    for (const [index, height] of part.entries()) {
      const hash = hashes[index]
      if (hash !== undefined) refs.push({ height, hash })
    }
  }
  return refs
}
