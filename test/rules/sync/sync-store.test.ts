import { describe, expect, test } from 'vitest'
import { testChain } from '../../../src/testing/test-chain.js'
import { honest, isGetBlocks } from './peers.js'
import { describeSync } from '../../../src/rules/sync/describe.js'
import { World } from './world.js'

const chain = testChain({ length: 300, blockBytes: 2_000 })
const genesis = [chain.at(0)]
const isDone = (world: World) => () => world.tip?.hash === chain.tip.hash

describe('a store that fails', () => {
  test('pauses sync with a retry armed, and sync goes on when it works again (F104)', () => {
    const world = new World({
      chain,
      store: genesis,
      append: ({ now }) => (now > 200 && now < 60_200 ? 'throws' : 'works'),
    }).start()
    world.joinWith('a', chain.tip, honest(chain, { rate: 200 }))
    world.run(30_000)
    expect(world.state.phase.kind).toBe('paused')
    expect(world.run(120_000, isDone(world))).toBe(true)
    expect(world.told('peerFaulted')).toEqual([])
    expect(world.state.standings.get('a')?.failures ?? 0).toBe(0)
    world.run(100)
    expect(world.state.phase).toEqual({ kind: 'synced' })
  })

  test('stops download at the window (F104)', () => {
    const windowBytes = 256 * 1024
    const long = testChain({ length: 2_000, blockBytes: 2_000 })
    const options = { chain: long, store: [long.at(0)], limits: { windowBytes } }
    const world = new World({ ...options, append: () => 'throws' }).start()
    world.joinWith('a', long.tip, honest(long))
    world.run(600_000)
    expect(world.maxWindowUse).toBeLessThanOrEqual(windowBytes + 32 * 1024 + 2_048 * 256)
    const tries = world.effects.filter(({ kind }) => kind === 'append').length
    expect(tries).toBeGreaterThan(10)
    expect(tries).toBeLessThan(40)
  })

  test('by never answering is reported, and the write is not repeated (F105)', () => {
    const world = new World({ chain, store: genesis, append: () => 'hangs' }).start()
    world.joinWith('a', chain.tip, honest(chain))
    world.run(30_000)
    expect(world.state.phase).toEqual({ kind: 'stalled', reason: 'store-slow' })
    world.run(600_000)
    expect(world.effects.filter(({ kind }) => kind === 'append')).toHaveLength(1)
  })

  test('by refusing its own tip again and again is tried with backoff', () => {
    const world = new World({ chain, store: genesis, append: () => 'mismatches' }).start()
    world.joinWith('a', chain.tip, honest(chain))
    world.run(120_000)
    expect(world.state.phase.kind).toBe('paused')
    expect(world.effects.filter(({ kind }) => kind === 'append').length).toBeLessThan(30)
  })
})

describe('another writer', () => {
  test('moves the tip without an error, and blames nobody (F106)', () => {
    let isFirst = true
    const world: World = new World({
      chain,
      store: genesis,
      append: (self) => {
        if (isFirst) self.blocks.push(...chain.blocks.slice(1, 4))
        isFirst = false
        return 'works'
      },
    }).start()
    const peer = world.joinWith('a', chain.tip, honest(chain))
    expect(world.run(30_000, isDone(world))).toBe(true)
    expect(world.blocks).toEqual(chain.blocks)
    expect(world.told('peerFaulted')).toEqual([])
    expect(world.effects.filter(({ kind }) => kind === 'readTip').length).toBe(1)
    // What was fetched above the new tip is not fetched again.
    const asked = peer.asked.filter(isGetBlocks).map(({ from }) => from)
    expect(new Set(asked).size).toBe(asked.length)
  })

  test('that had stored the very blocks we hold leaves the store ahead, and us with it (F110)', () => {
    let isFirst = true
    const world: World = new World({
      chain,
      store: genesis,
      append: (self) => {
        if (isFirst) self.blocks.push(...chain.blocks.slice(1))
        isFirst = false
        return 'works'
      },
    }).start()
    world.joinWith('a', chain.tip, honest(chain))
    expect(world.run(30_000, () => world.state.tip?.hash === chain.tip.hash)).toBe(true)
    expect(world.state.phase).toEqual({ kind: 'synced' })
  })

  test('and a block of our own in mid-sync go through one lane (F106)', () => {
    const world = new World({ chain, store: genesis }).start()
    world.joinWith('a', chain.tip, honest(chain, { rate: 100 }))
    world.run(1_000)
    world.enter({ kind: 'submitted', ticket: 1, block: chain.at(1) })
    const next = chain.at((world.state.tip?.height ?? 0) + 1)
    world.run(2_000, () => world.answers.length > 0)
    expect(world.answers[0]).toMatchObject({ ticket: 1, result: { kind: 'tipMismatch' } })
    expect(next.height).toBeGreaterThan(1)
    expect(world.run(30_000, isDone(world))).toBe(true)
    expect(world.blocks).toEqual(chain.blocks)
  })
})

describe('our own validation', () => {
  test.each(['throws', 'hangs'] as const)(
    'that %s for a while blames nobody, and sync goes on with the same peers (F95)',
    (how) => {
      const world = new World({
        chain,
        store: genesis,
        validate: (block, { now }) => (block.height > 50 && now < 90_000 ? how : 'works'),
      }).start()
      world.joinWith('a', chain.tip, honest(chain))
      expect(world.run(400_000, isDone(world))).toBe(true)
      expect(world.told('peerFaulted')).toEqual([])
      expect(world.told('blockRejected')).toEqual([])
      expect(world.state.standings.get('a')?.failures ?? 0).toBe(0)
    },
  )

  test('that refuses a block of everybody is told, and isolates nobody (F111)', () => {
    const better = chain.fork(99, 250, 9)
    const world = new World({
      chain,
      store: genesis,
      validate: ({ hash }) => (hash === chain.at(100).hash ? 'refuses' : 'works'),
    }).start()
    for (const key of ['a', 'b', 'c']) world.joinWith(key, chain.tip, honest(chain))
    world.run(600_000)
    expect(world.tip?.height).toBe(99)
    expect(world.state.phase).toEqual({ kind: 'stalled', reason: 'rejected' })
    const told = world.told('blockRejected')
    expect(told.map(({ block }) => block.height)).toEqual([100, 100, 100])
    expect(new Set(told.map(({ peer }) => peer)).size).toBe(3)
    const { height, hash } = chain.at(100)
    expect(world.told('disagreementFound')).toMatchObject([
      { block: { height, hash }, peers: ['a', 'b', 'c'] },
    ])
    world.joinWith('d', better.tip, honest(better))
    expect(world.run(10_000, () => world.tip?.hash === better.tip.hash)).toBe(true)
  })
})

describe('peers that serve a block which our rules refuse', () => {
  test('are no disagreement with the network while they are two', () => {
    const world = new World({
      chain,
      store: genesis,
      validate: ({ height }) => (height === 100 ? 'refuses' : 'works'),
    }).start()
    for (const key of ['a', 'b']) world.joinWith(key, chain.tip, honest(chain))
    world.run(600_000)
    expect(world.told('blockRejected')).toHaveLength(2)
    expect(world.told('disagreementFound')).toEqual([])
  })
})

describe('the description for a person', () => {
  const describeWorld = (world: World) => describeSync(world.state, world.now)

  test('names a write that hangs, and since when', () => {
    const world = new World({ chain, store: genesis, append: () => 'hangs' }).start()
    expect(describeWorld(world)).toContain('idle at 0, target 0')
    world.joinWith('a', chain.tip, honest(chain))
    world.run(30_000)
    const text = describeWorld(world)
    expect(text).toContain('stalled (store-slow) at 0, target 299')
    expect(text).toMatch(/^write for (29|30)\d\d\d ms$/m)
    expect(text).toMatch(/^a: has 0 to 299, branch ours, \d+ requests, free$/m)
  })

  test('names the trouble, and the block that our rules refuse and who is set aside for it', () => {
    const failing = new World({ chain, store: genesis, append: () => 'throws' }).start()
    failing.joinWith('a', chain.tip, honest(chain))
    failing.run(30_000)
    expect(describeWorld(failing)).toMatch(/^store failed \d+ times in a row, again in \d+ ms: /m)
    const refusing = new World({
      chain,
      store: genesis,
      validate: ({ height }) => (height === 100 ? 'refuses' : 'works'),
    }).start()
    refusing.joinWith('a', chain.tip, honest(chain))
    refusing.run(2_000)
    const text = describeWorld(refusing)
    expect(text).toContain(`refused block 100 (${chain.at(100).hash})`)
    expect(text).toMatch(/^a: has 0 to 299, .* set aside for \d+ ms$/m)
  })
})

describe('a restart', () => {
  test('goes on right above the stored tip, whenever it comes (F108)', () => {
    for (let stopAtMs = 5; stopAtMs < 400; stopAtMs += 13) {
      const world = new World({ chain, store: genesis }).start()
      world.joinWith('a', chain.tip, honest(chain, { rate: 2_000 }))
      world.run(stopAtMs)
      world.enter({ kind: 'stopped' })
      world.run(2_000)
      const height = world.tip!.height
      const again = new World({ chain, store: world.blocks }).start()
      const peer = again.joinWith('a', chain.tip, honest(chain))
      const asked = peer.asked.filter(isGetBlocks)
      if (height < 299) expect(asked[0]?.from).toBe(height + 1)
      expect(again.run(30_000, isDone(again))).toBe(true)
    }
  })

  test('of the same rules after a stop finds nothing left of before (F76, F77)', () => {
    const world = new World({ chain, store: genesis }).start()
    world.joinWith('a', chain.tip, honest(chain, { rate: 100 }))
    world.run(500)
    world.enter({ kind: 'stopped' })
    expect(world.state.spans).toEqual([])
    expect(world.state.job).toBeUndefined()
    world.run(5_000)
    world.start()
    expect(world.run(30_000, isDone(world))).toBe(true)
  })
})
