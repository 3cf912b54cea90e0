import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { refOf, testChain, type TestChain } from '../../../src/testing/test-chain.js'
import {
  alwaysBusy,
  brokenPayload,
  claimOf,
  dripping,
  honest,
  isGetBlocks,
  lacking,
  silent,
  twisted,
  wrongIds,
} from './peers.js'
import { World, type Behaviour } from './world.js'

const chain = testChain({ length: 400, blockBytes: 2_000 })

/** Everything that a peer can do wrong. `n` chooses where. */
const misdeeds: Record<string, (of: TestChain, n: number) => Behaviour> = {
  silent: () => silent,
  dripping: (of, n) => dripping(of, 100 + n * 100),
  wrongIds: (of) => wrongIds(of),
  lacking: () => lacking,
  alwaysBusy: () => alwaysBusy,
  wrongPayload: (of, n) =>
    twisted(of, (blocks) => blocks.map((block, i) => (i === n % 7 ? brokenPayload(block) : block))),
  gaps: (of, n) => twisted(of, (blocks) => blocks.filter((_, i) => i !== n % 5)),
  reversed: (of) => twisted(of, (blocks) => [...blocks].reverse()),
  short: (of, n) => twisted(of, (blocks) => blocks.slice(0, n % 4)),
  tooMany: (of) => twisted(of, (_, { from, count }) => of.blocks.slice(from, from + count + 20)),
  duplicated: (of) => twisted(of, (blocks) => blocks.flatMap((block) => [block, block])),
  elsewhere: (of, n) => twisted(of, () => of.blocks.slice(n, n + 10)),
}

const misdeed = fc.record({
  kind: fc.constantFrom(...Object.keys(misdeeds)),
  n: fc.nat({ max: 20 }),
  claim: fc.constantFrom(10, 399, 400, 1e6, Number.MAX_SAFE_INTEGER, NaN, -1, Infinity),
  joinsAtMs: fc.nat({ max: 3_000 }),
})

describe('sync among peers of which one is honest', () => {
  test('reaches the honest tip, whatever the others do and claim (F66, F74, F79, F87, F91)', () => {
    fc.assert(
      fc.property(fc.array(misdeed, { maxLength: 8 }), fc.nat(), (bad, seed) => {
        const world = new World({ chain, store: [chain.at(0)], seed }).start()
        for (const [index, { kind, n, claim, joinsAtMs }] of bad.entries()) {
          const behaviour = misdeeds[kind]!(chain, n)
          world.after(joinsAtMs, () => world.joinWith(`bad-${index}`, claimOf(claim), behaviour))
        }
        world.after(500, () => world.joinWith('honest', chain.tip, honest(chain)))
        const isDone = world.run(300_000, () => world.tip?.hash === chain.tip.hash)
        expect(isDone).toBe(true)
        expect(world.blocks).toEqual(chain.blocks)
        expect(world.told('peerFaulted').map(({ peer }) => peer)).not.toContain('honest')
        world.run(240_000)
        expect(world.state.phase).toEqual({ kind: 'synced' })
        expect(world.state.spans.every(({ held }) => held.length === 0)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  test('reaches it also when any one input is lost (F79)', () => {
    fc.assert(
      fc.property(fc.nat({ max: 120 }), fc.boolean(), (lost, isTwo) => {
        let isLost = false
        const world = new World({
          chain,
          store: [chain.at(0)],
          // What a store or a check owes is never lost: it is a promise of this process.
          loses: (input, index) => {
            if (isLost || index < lost || index < 2) return false
            if (input.kind !== 'message' && input.kind !== 'wake') return false
            isLost = true
            return true
          },
        }).start()
        const peer = world.joinWith('one', chain.tip, honest(chain))
        if (isTwo) world.joinWith('two', chain.tip, honest(chain))
        const refresh = (): void => {
          const { chainId } = world.rules
          world.say(peer, { kind: 'status', chainId, base: 0, tip: chain.tip })
          world.after(30_000, refresh)
        }
        world.after(30_000, refresh)
        // A gap in a reply is taken for a fault, and the peer is set aside for a minute.
        const isDone = world.run(120_000, () => world.tip?.hash === chain.tip.hash)
        expect(isDone).toBe(true)
      }),
      { numRuns: 150 },
    )
  })

  test('asks nobody for what it does not claim, and holds no more than the window (F70, F92)', () => {
    const claims = fc.array(
      fc.record({ base: fc.nat({ max: 200 }), height: fc.nat({ max: 399 }) }),
      { minLength: 1, maxLength: 10 },
    )
    fc.assert(
      fc.property(claims, fc.nat(), (told, seed) => {
        const limits = { windowBytes: 64 * 1024 }
        const world = new World({ chain, store: [chain.at(0)], limits, seed }).start()
        const peers = told.map(({ base, height }, index) => ({
          height,
          base,
          peer: world.joinWith(`p${index}`, refOf(chain.at(height)), honest(chain), base),
        }))
        world.run(60_000)
        for (const { base, height, peer } of peers) {
          for (const { from, count } of peer.asked.filter(isGetBlocks)) {
            expect(from).toBeGreaterThanOrEqual(base)
            expect(from + count - 1).toBeLessThanOrEqual(height)
          }
        }
        const front = 32 * 1024 + 256 * 2_048
        expect(world.maxWindowUse).toBeLessThanOrEqual(limits.windowBytes + front)
        const served = told.filter(({ base }) => base <= 1).map(({ height }) => height)
        expect(world.tip!.height).toBeGreaterThanOrEqual(Math.max(0, ...served))
      }),
      { numRuns: 200 },
    )
  })

  test('holds no more bytes than its window and one span or block (F70, F92)', () => {
    const limits = { windowBytes: 128 * 1024, spanMaxBytes: 32 * 1024, commitMaxBytes: 96 * 1024 }
    const slowness = fc.constantFrom(1, 20, 500, 60_000)
    const kinds = fc.record({ check: slowness, validate: slowness, append: slowness })
    // What has been small so far may become large at once, also larger than a span.
    const growth = fc.record({
      at: fc.constantFrom(0, 50, 1_000),
      to: fc.constantFrom(4_000, 50_000),
    })
    const fullest = { 4_000: 0, 50_000: 0 }
    fc.assert(
      fc.property(
        kinds,
        growth,
        fc.integer({ min: 1, max: 6 }),
        fc.nat(),
        (takesMs, large, n, seed) => {
          const blockBytes = (height: number): number => (height < large.at ? 100 : large.to)
          const length = large.to > limits.spanMaxBytes ? 150 : 1_000
          const long = testChain({ length, blockBytes, seed: 1 + large.at })
          const world = new World({
            chain: long,
            store: [long.at(0)],
            limits,
            takesMs,
            seed,
          }).start()
          for (let peer = 0; peer < n; peer++) {
            const pace = { latencyMs: 5 + 20 * peer, rate: 2_000 }
            world.joinWith(`p${peer}`, long.tip, honest(long, pace))
          }
          world.run(3_000)
          const bound = limits.windowBytes + Math.max(limits.spanMaxBytes, large.to)
          expect(world.maxHeldBytes).toBeLessThanOrEqual(bound)
          const kind = large.to === 4_000 ? 4_000 : 50_000
          fullest[kind] = Math.max(fullest[kind], world.maxHeldBytes)
        },
      ),
      { numRuns: 100 },
    )
    // It was full.
    for (const bytes of Object.values(fullest))
      expect(bytes).toBeGreaterThan(0.9 * limits.windowBytes)
  })

  test('faults the sender of a bad block alone, wherever the block is (F93)', () => {
    for (let bad = 1; bad < 40; bad++) {
      const world = new World({ chain, store: [chain.at(0)] }).start()
      const liar = twisted(chain, (blocks) =>
        blocks.map((block) => (block.height === bad ? brokenPayload(block) : block)),
      )
      world.joinWith('liar', chain.tip, liar)
      for (const key of ['b', 'c', 'd']) world.joinWith(key, chain.tip, honest(chain))
      expect(world.run(60_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
      for (const { peer } of world.told('peerFaulted')) expect(peer).toBe('liar')
    }
  })

  test('works through any order of connections that come and go', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 2_000 }), { maxLength: 12 }), fc.nat(), (times, seed) => {
        const world = new World({ chain, store: [chain.at(0)], seed }).start()
        for (const [index, atMs] of times.entries()) {
          world.after(atMs, () => {
            const pace = { rate: 20 + index * 20, latencyMs: 5 + index * 10 }
            const peer = world.joinWith(`p${index % 3}`, chain.tip, honest(chain, pace))
            world.after(300 + index * 50, () => world.leave(peer))
          })
        }
        world.after(4_000, () => world.joinWith('stays', chain.tip, honest(chain)))
        expect(world.run(60_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
        expect(world.blocks).toEqual(chain.blocks)
      }),
      { numRuns: 100 },
    )
  })
})
