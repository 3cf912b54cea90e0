import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChainRules, ChainTip } from '../../../src/contracts/chain-rules.js'
import { locatorHeights, lastCommon } from '../../../src/rules/sync/locator.js'
import { refOf, testChain, type TestChain } from '../../../src/testing/test-chain.js'
import { honest, isGetBlocks, silent } from './peers.js'
import { World, type Behaviour } from './world.js'

const chain = testChain({ length: 200, blockBytes: 1_000 })
const reaches = (world: World, tip: { hash: string }) => () => world.tip?.hash === tip.hash

describe('a better branch', () => {
  test.each([0, 1, 57, 150, 198, 199])(
    'that leaves at height %d is adopted whole (F97, F102)',
    (at) => {
      const branch = chain.fork(at, 260 - at, 7)
      const world = new World({ chain, store: chain.blocks }).start()
      world.joinWith('other', branch.tip, honest(branch))
      expect(world.run(60_000, reaches(world, branch.tip))).toBe(true)
      expect(world.blocks).toEqual(branch.blocks)
      const replaced = world.told('chainReplaced')
      if (at < 199) expect(replaced).toMatchObject([{ ancestor: refOf(chain.at(at)) }])
      expect(world.told('peerFaulted')).toEqual([])
      const searches = world.posts.filter(({ message }) => message.kind === 'getHeaders').length
      expect(searches).toBeLessThanOrEqual(2)
      world.run(1_000)
      expect(world.state.phase).toEqual({ kind: 'synced' })
    },
  )

  test('is found by random prefixes, and adopted exactly when it is better', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 199 }),
        fc.integer({ min: 1, max: 120 }),
        (at, length) => {
          const branch = chain.fork(at, length, 3)
          const world = new World({ chain, store: chain.blocks }).start()
          world.joinWith('other', branch.tip, honest(branch))
          world.run(60_000)
          const isBetter = branch.tip.height > chain.tip.height
          expect(world.tip?.hash).toBe(isBetter ? branch.tip.hash : chain.tip.hash)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('is fetched at the pace of its peer, however long its round trip', () => {
    const held = testChain({ length: 600, blockBytes: 10_000 })
    const branch = held.fork(20, 650, 7)
    const world = new World({ chain: held, store: held.blocks }).start()
    const pace = { latencyMs: 128, rate: 5_000 }
    world.joinWith('far', branch.tip, honest(branch, pace))
    expect(world.run(60_000, reaches(world, branch.tip))).toBe(true)
    const idealMs = (650 * 10_000) / pace.rate
    expect(world.now).toBeLessThan(4 * idealMs)
  })

  test('is left to a peer that has it long before the one that was tried first', () => {
    const held = testChain({ length: 600, blockBytes: 10_000 })
    const branch = held.fork(20, 650, 7)
    const world = new World({ chain: held, store: held.blocks }).start()
    world.joinWith('slow', branch.tip, honest(branch, { rate: 200 }))
    world.after(3_000, () => world.joinWith('fast', branch.tip, honest(branch, { rate: 5_000 })))
    expect(world.run(300_000, reaches(world, branch.tip))).toBe(true)
    expect(world.now).toBeLessThan(20_000)
  })

  test('exactly as deep as allowed is adopted, and one block deeper is not (F101)', () => {
    const limits = { maxReorgDepth: 50 }
    for (const [depth, isAdopted] of [
      [50, true],
      [51, false],
    ] as const) {
      const branch = chain.fork(199 - depth, depth + 5, 7)
      const world = new World({ chain, store: chain.blocks, limits }).start()
      const peer = world.joinWith('other', branch.tip, honest(branch))
      world.run(60_000)
      expect(world.tip?.hash).toBe(isAdopted ? branch.tip.hash : chain.tip.hash)
      if (isAdopted) continue
      expect(world.state.phase).toEqual({ kind: 'stalled', reason: 'deep-fork' })
      expect(world.told('deepForkFound')).toMatchObject([{ peer: 'other' }])
      expect(peer.asked.filter(({ kind }) => kind === 'getHeaders')).toHaveLength(1)
    }
  })

  test('beyond maxReorgBytes is a deep fork too', () => {
    const branch = chain.fork(100, 150, 7)
    const limits = { maxReorgBytes: 40_000 }
    const world = new World({ chain, store: chain.blocks, limits }).start()
    world.joinWith('other', branch.tip, honest(branch))
    world.run(60_000)
    expect(world.tip?.hash).toBe(chain.tip.hash)
    expect(world.state.phase).toEqual({ kind: 'stalled', reason: 'deep-fork' })
    expect(world.state.fork).toBeUndefined()
  })

  test('by compare, though shorter, is adopted (F102)', () => {
    const branch = chain.fork(100, 20, 7)
    const weightOf = (tip: ChainTip) => tip.weight?.[0] ?? 0
    const compare = (a: ChainTip, b: ChainTip) => weightOf(a) - weightOf(b)
    const world = new World({ chain, store: chain.blocks, rules: { compare } }).start()
    const tip = { ...branch.tip, weight: Uint8Array.of(9) }
    world.joinWith('heavy', tip, honest(branch))
    expect(world.run(30_000, reaches(world, branch.tip))).toBe(true)
    expect(world.blocks).toEqual(branch.blocks)
  })

  test('that has less weight than its peer claimed never takes the place of ours, where our rules weigh it', () => {
    const branch = chain.fork(100, 20, 7)
    const workOf = (tip: ChainTip) => tip.weight?.[0] ?? 5
    const compare = (a: ChainTip, b: ChainTip) => workOf(a) - workOf(b)
    for (const weight of [4, 5, 6]) {
      const weighed: (readonly [number | undefined, number])[] = []
      const weightOfBranch: NonNullable<ChainRules['weightOfBranch']> = (ancestor, blocks) => {
        weighed.push([ancestor?.height, blocks.length])
        return Uint8Array.of(weight)
      }
      const rules = { compare, weightOfBranch }
      const world = new World({ chain, store: chain.blocks, rules }).start()
      world.joinWith('heavy', { ...branch.tip, weight: Uint8Array.of(9) }, honest(branch))
      world.run(30_000)
      const isBetter = weight > 5
      expect(world.tip?.hash).toBe(isBetter ? branch.tip.hash : chain.tip.hash)
      expect(world.told('peerFaulted')).toHaveLength(isBetter ? 0 : 1)
      expect(world.told('chainReplaced')).toHaveLength(isBetter ? 1 : 0)
      expect(weighed).toEqual([[100, 20]])
      expect(world.state.fork).toBeUndefined()
    }
  })

  test('of a checkpoint chain may leave at the checkpoint itself (F102)', () => {
    const checkpoint = refOf(chain.at(99))
    const ours = testChain({ length: 20, from: checkpoint })
    const theirs = testChain({ length: 30, from: checkpoint, seed: 4 })
    const world = new World({ chain: ours, store: ours.blocks }).start()
    const behaviour: Behaviour = (message, self) => {
      if (message.kind === 'getHeaders') {
        const { id } = message
        const headers = theirs.blocks.map(refOf)
        self.reply(10, { kind: 'headers', id, previousHash: checkpoint.hash, headers })
      } else honest(theirs)(message, self)
    }
    world.joinWith('other', theirs.tip, behaviour, 100)
    expect(world.run(30_000, reaches(world, theirs.tip))).toBe(true)
    world.run(100)
    expect(world.told('chainReplaced')).toMatchObject([{ ancestor: null }])
  })

  test('whose blocks are invalid is not adopted, and its sender is at fault', () => {
    const branch = chain.fork(150, 100, 7)
    const world = new World({
      chain,
      store: chain.blocks,
      validate: ({ hash }) => (hash === branch.at(170).hash ? 'refuses' : 'works'),
    }).start()
    world.joinWith('other', branch.tip, honest(branch))
    world.run(30_000)
    expect(world.tip?.hash).toBe(chain.tip.hash)
    expect(world.told('peerFaulted')).toMatchObject([{ peer: 'other' }])
  })
})

describe('peers of two branches', () => {
  test('whose spans meet are joined nowhere, and the better branch wins without blame', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 150 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 200 }),
        fc.boolean(),
        (at, more, rate, isFirst) => {
          const branch = chain.fork(at, 199 - at + more, 7)
          const world = new World({ chain, store: [chain.at(0)] }).start()
          const join = [
            () => world.joinWith('a', chain.tip, honest(chain, { rate })),
            () => world.joinWith('b', branch.tip, honest(branch, { rate: 40, chunkBlocks: 3 })),
          ]
          for (const each of isFirst ? join : join.reverse()) each()
          expect(world.run(120_000, reaches(world, branch.tip))).toBe(true)
          expect(world.blocks).toEqual(branch.blocks)
          expect(world.told('peerFaulted')).toEqual([])
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('a chunk that we dropped ourselves', () => {
  test('is no gap of the peer, even if what follows it is wanted again', () => {
    const branch = chain.fork(0, 200, 7)
    const world = new World({ chain, store: [chain.at(0)] }).start()
    world.joinWith('a', chain.tip, honest(chain, { rate: 30 }))
    world.joinWith('b', branch.tip, honest(branch, { rate: 40, chunkBlocks: 3 }))
    expect(world.run(120_000, reaches(world, branch.tip))).toBe(true)
    expect(world.told('peerFaulted')).toEqual([])
  })
})

describe('a branch that is no better', () => {
  test('of equal height makes no noise: synced, a fork event, no requests (F100)', () => {
    const branch = chain.fork(150, 49, 7)
    const world = new World({ chain, store: chain.blocks }).start()
    const peer = world.joinWith('other', branch.tip, honest(branch))
    world.run(600_000)
    expect(world.state.phase).toEqual({ kind: 'synced' })
    expect(world.told('forkFound')).toHaveLength(1)
    expect(peer.asked.filter(({ kind }) => kind.startsWith('get'))).toEqual([])
  })
})

describe('a fork attempt', () => {
  const branch = chain.fork(150, 100, 7)

  test('keeps its peer out of ordinary sync, which goes on with the others (F96, F99)', () => {
    const longer = testChain({ length: 400, blockBytes: 1_000 })
    const fork = longer.fork(150, 400, 7)
    const limits = { maxReorgDepth: 20 }
    const store = longer.blocks.slice(0, 200)
    const world = new World({ chain: longer, store, limits }).start()
    const other = world.joinWith('other', fork.tip, honest(fork))
    world.joinWith('honest', longer.tip, honest(longer, { rate: 100 }))
    expect(world.run(60_000, reaches(world, longer.tip))).toBe(true)
    const asked = other.asked.filter(isGetBlocks)
    expect(asked.length).toBeLessThanOrEqual(1)
  })

  test('that is promised and not delivered holds nobody back, and is freed (F103)', () => {
    const longer = testChain({ length: 1_000, blockBytes: 1_000 })
    const fork = longer.fork(150, 900, 7)
    let served = 0
    const stops: Behaviour = (message, self) => {
      if (message.kind === 'getBlocks' && message.from > 150 && ++served > 3) return
      honest(fork)(message, self)
    }
    const store = longer.blocks.slice(0, 200)
    const world = new World({ chain: longer, store }).start()
    const tip = { ...fork.tip, height: 2_000 }
    world.joinWith('promises', tip, stops)
    world.joinWith('honest', longer.tip, honest(longer, { rate: 20 }))
    const heights: number[] = []
    for (let second = 0; second < 40; second++) {
      world.run(1_000)
      heights.push(world.tip!.height)
    }
    expect(world.run(60_000, reaches(world, longer.tip))).toBe(true)
    expect(new Set(heights).size).toBeGreaterThan(5)
    world.run(120_000)
    expect(world.state.fork?.held ?? []).toEqual([])
  })

  test('ends with its connection, and another one may start at once (F99)', () => {
    const world = new World({ chain, store: chain.blocks }).start()
    const dies = world.joinWith('dies', branch.tip, (message, self) => {
      if (message.kind === 'getHeaders') honest(branch)(message, self)
    })
    world.joinWith('lives', branch.tip, honest(branch))
    world.run(300)
    world.leave(dies)
    expect(world.run(20_000, reaches(world, branch.tip))).toBe(true)
  })

  test('is not made for a silent peer over and over (F66)', () => {
    const world = new World({ chain, store: chain.blocks }).start()
    const peer = world.joinWith('silent', branch.tip, (message, self) => {
      if (message.kind === 'getBlocks' && message.from === 200) honest(branch)(message, self)
    })
    world.run(600_000)
    expect(peer.asked.filter(({ kind }) => kind === 'getHeaders').length).toBeLessThan(40)
    expect(world.tip?.hash).toBe(chain.tip.hash)
  })

  test('invents no ancestor from headers that follow nothing we named (F98)', () => {
    const world = new World({ chain, store: chain.blocks }).start()
    world.joinWith('odd', branch.tip, (message, self) => {
      if (message.kind !== 'getHeaders') return honest(branch)(message, self)
      const headers = branch.blocks.slice(160).map(refOf)
      self.reply(10, { kind: 'headers', id: message.id, previousHash: 'nonsense', headers })
    })
    world.run(60_000)
    expect(world.tip?.hash).toBe(chain.tip.hash)
    expect(world.effects.filter(({ kind }) => kind === 'replace')).toEqual([])
  })
})

describe('a weight that is not true', () => {
  test('is found out when its branch was adopted, and its peer set aside', () => {
    const branch = chain.fork(150, 10, 7)
    const real = (tip: ChainTip) => tip.weight?.[0] ?? (tip.height === 199 ? 5 : 1)
    const compare = (a: ChainTip, b: ChainTip) => real(a) - real(b)
    const world = new World({ chain, store: chain.blocks, rules: { compare } }).start()
    world.joinWith('liar', { ...branch.tip, weight: Uint8Array.of(9) }, honest(branch))
    world.run(30_000)
    expect(world.told('peerFaulted')).toMatchObject([{ peer: 'liar' }])
    world.joinWith('honest', { ...chain.tip, weight: Uint8Array.of(5) }, honest(chain))
    expect(world.run(30_000, reaches(world, chain.tip))).toBe(true)
  })
})

describe('a locator', () => {
  test('reaches from the tip to the lowest allowed ancestor in few entries', () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.nat(1e6), fc.integer({ min: 1, max: 1e5 }), (up, base, depth) => {
        const heights = locatorHeights(base + up, base, depth)
        expect(heights[0]).toBe(base + up)
        expect(heights.at(-1)).toBe(Math.max(base, base + up - depth))
        expect(heights.length).toBeLessThanOrEqual(64)
        expect([...heights].sort((a, b) => b - a)).toEqual(heights)
        expect(new Set(heights).size).toBe(heights.length)
      }),
    )
  })

  test('and headers give the exact common height (F97)', () => {
    const common = (other: TestChain, from: number) => {
      const ours = new Map(chain.blocks.map(({ height, hash }) => [height, hash]))
      return lastCommon(refOf(chain.at(from)), other.blocks.slice(from + 1).map(refOf), ours).height
    }
    for (let at = 10; at < 199; at += 7) expect(common(chain.fork(at, 5, 2), 10)).toBe(at)
  })
})

describe('a silent fork candidate', () => {
  test('leaves the phase honest', () => {
    const world = new World({ chain, store: chain.blocks }).start()
    world.joinWith('ahead', { height: 500, hash: 'x' }, silent)
    world.joinWith('level', chain.tip, honest(chain))
    world.run(240_000)
    expect(world.state.phase).toEqual({ kind: 'synced' })
  })
})
