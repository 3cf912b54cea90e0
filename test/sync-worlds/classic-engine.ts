import type { Block, BlockRef } from '../../src/contracts/block-store.js'
import type { SyncEffect, SyncInput } from '../../src/rules/sync/inputs.js'
import type { Engine } from './sim-node.js'

export interface ClassicPolicy {
  readonly blocksPerRequest: number
  readonly timeoutMs: number
  /** How many peers are asked at a time; one means: the next one when this one has failed. */
  readonly peersAtOnce: number
  /** How far above the tip requests go, in blocks. */
  readonly windowBlocks: number
}

/** Requests of a fixed size to every peer, one each, asked again elsewhere after 30 seconds. */
export const fixedRequests: ClassicPolicy = {
  blocksPerRequest: 50,
  timeoutMs: 30_000,
  peersAtOnce: Infinity,
  windowBlocks: 10_000,
}

/** Everything from one peer, until it fails; then from the next one. */
export const onePeerAtATime: ClassicPolicy = {
  blocksPerRequest: 500,
  timeoutMs: 30_000,
  peersAtOnce: 1,
  windowBlocks: 10_000,
}

interface ClassicPeer {
  readonly connection: number
  claim: number
  requestId: number | undefined
}

interface Asked {
  readonly connection: number
  readonly from: number
  readonly count: number
  readonly deadlineMs: number
  readonly blocks: Block[]
}

/**
 * How nodes have synced for long, to compare with: no estimate of anything, a fixed timeout, blocks kept
 * by height. Who sends something wrong is not asked again; who is silent is, when its turn comes.
 */
export class ClassicEngine implements Engine {
  wakeAtMs = Infinity
  readonly #policy: ClassicPolicy
  readonly #peers = new Map<number, ClassicPeer>()
  readonly #asked = new Map<number, Asked>()
  readonly #checking = new Map<number, Asked>()
  readonly #banned = new Set<number>()
  readonly #held = new Map<number, Block>()
  #missing: { from: number; count: number }[] = []
  #tip: BlockRef | null = null
  #planned = 0
  #isWriting = false
  #nextId = 0
  #nextToken = 0
  #effects: SyncEffect[] = []

  constructor(policy: ClassicPolicy) {
    this.#policy = policy
  }

  step(now: number, input: SyncInput): readonly SyncEffect[] {
    this.#effects = []
    this.#take(input)
    this.#expire(now)
    this.#write()
    this.#ask(now)
    this.wakeAtMs = Math.min(...[...this.#asked.values()].map(({ deadlineMs }) => deadlineMs))
    return this.#effects
  }

  #take(input: SyncInput): void {
    switch (input.kind) {
      case 'started':
        this.#tip = input.tip
        this.#planned = (input.tip?.height ?? -1) + 1
        return
      case 'peerConnected': {
        const { connection } = input
        this.#peers.set(connection, { connection, claim: -1, requestId: undefined })
        return
      }
      case 'peerDisconnected': {
        const id = this.#peers.get(input.connection)?.requestId
        this.#peers.delete(input.connection)
        if (id !== undefined) this.#giveUp(id)
        return
      }
      case 'message':
        return this.#hear(input)
      case 'checked': {
        const asked = this.#checking.get(input.token)
        this.#checking.delete(input.token)
        if (asked === undefined) return
        const isWrong = input.result.kind !== 'passed'
        if (isWrong) this.#banned.add(asked.connection)
        this.#keep(asked, isWrong ? [] : asked.blocks)
        return
      }
      case 'written':
        this.#isWriting = false
        if (input.result.kind === 'written') this.#tip = input.result.tip
        return
      case 'stopped':
      case 'wake':
      case 'validated':
      case 'tipRead':
      case 'hashesRead':
      case 'submitted':
        return
      default:
        input satisfies never
    }
  }

  #hear({ connection, message }: Extract<SyncInput, { kind: 'message' }>): void {
    const peer = this.#peers.get(connection)
    if (peer === undefined) return
    if (message.kind === 'status' || message.kind === 'announce') {
      const height = message.tip?.height ?? -1
      peer.claim = Number.isSafeInteger(height) ? height : -1
      return
    }
    const asked = this.#asked.get(message.id)
    if (asked?.connection !== connection) return
    if (message.kind !== 'blocks') return this.#giveUp(message.id)
    for (const block of message.blocks) {
      if (block.height === asked.from + asked.blocks.length) asked.blocks.push(block)
      else this.#banned.add(connection)
    }
    if (!message.last) return
    this.#asked.delete(message.id)
    peer.requestId = undefined
    if (asked.blocks.length === 0) this.#banned.add(connection)
    this.#nextToken += 1
    this.#checking.set(this.#nextToken, asked)
    this.#effects.push({ kind: 'check', token: this.#nextToken, blocks: asked.blocks })
  }

  #keep({ from, count }: Asked, blocks: readonly Block[]): void {
    for (const block of blocks) this.#held.set(block.height, block)
    const left = count - blocks.length
    if (left > 0) this.#missing.push({ from: from + blocks.length, count: left })
  }

  #giveUp(id: number): void {
    const asked = this.#asked.get(id)
    if (asked === undefined) return
    this.#asked.delete(id)
    const peer = this.#peers.get(asked.connection)
    if (peer !== undefined) {
      peer.requestId = undefined
      // The next one's turn.
      this.#peers.delete(asked.connection)
      this.#peers.set(asked.connection, peer)
    }
    this.#missing.push({ from: asked.from, count: asked.count })
  }

  #expire(now: number): void {
    for (const [id, { deadlineMs }] of [...this.#asked]) if (deadlineMs <= now) this.#giveUp(id)
  }

  #write(): void {
    if (this.#isWriting) return
    const blocks: Block[] = []
    let tip = this.#tip
    for (;;) {
      const height: number = (tip?.height ?? -1) + 1
      const block = this.#held.get(height)
      if (block === undefined || blocks.length >= 4_000) break
      this.#held.delete(height)
      if (tip !== null && block.previousHash !== tip.hash) {
        this.#missing.push({ from: height, count: 1 })
        break
      }
      blocks.push(block)
      tip = block
    }
    if (blocks.length === 0) return
    this.#isWriting = true
    this.#nextToken += 1
    const token = this.#nextToken
    this.#effects.push({ kind: 'append', token, blocks, expectTip: this.#tip })
  }

  #ask(now: number): void {
    this.#missing.sort((a, b) => a.from - b.from)
    for (const peer of [...this.#peers.values()]) {
      if (this.#asked.size >= this.#policy.peersAtOnce) return
      if (peer.requestId !== undefined || this.#banned.has(peer.connection)) continue
      const run = this.#nextRun(peer.claim)
      if (run !== undefined) this.#askPeer(now, peer, run)
    }
  }

  #nextRun(claim: number): { from: number; count: number } | undefined {
    const index = this.#missing.findIndex(({ from }) => from <= claim)
    const [hole] = index < 0 ? [] : this.#missing.splice(index, 1)
    if (hole !== undefined) return hole
    const { blocksPerRequest, windowBlocks } = this.#policy
    const top = Math.min(claim, (this.#tip?.height ?? -1) + windowBlocks)
    const count = Math.min(blocksPerRequest, top - this.#planned + 1)
    if (count <= 0) return undefined
    const from = this.#planned
    this.#planned += count
    return { from, count }
  }

  #askPeer(now: number, peer: ClassicPeer, { from, count }: { from: number; count: number }): void {
    const id = this.#nextId++
    const { connection } = peer
    peer.requestId = id
    const deadlineMs = now + this.#policy.timeoutMs
    this.#asked.set(id, { connection, from, count, deadlineMs, blocks: [] })
    const message = { kind: 'getBlocks', id, from, count, maxBytes: 2 ** 31 } as const
    this.#effects.push({ kind: 'post', connection, message })
  }
}
