import { describe, expect, test } from 'vitest'
import { refOf, testChain } from '../../../src/testing/test-chain.js'
import { describeSync } from '../../../src/rules/sync/describe.js'
import { progressOf } from '../../../src/rules/sync/view.js'
import { alwaysBusy, brokenPayload, honest, isGetBlocks, silent, twisted } from './peers.js'
import { World, type WorldOptions } from './world.js'

const chain = testChain({ length: 600, blockBytes: 2_000 })
const genesis = [chain.at(0)]

const small = { commitMaxBlocks: 50 }

describe('the bottleneck in progress', () => {
  const halfway = (options: Partial<WorldOptions>, rate: number) => {
    const world = new World({ chain, store: genesis, limits: small, ...options }).start()
    world.joinWith('a', chain.tip, honest(chain, { rate }))
    expect(world.run(600_000, () => world.blocks.length > 300)).toBe(true)
    return { world, bottleneck: progressOf(world.state, world.now).bottleneck }
  }

  test('is the network when blocks come slower than they are stored', () => {
    expect(halfway({}, 20).bottleneck).toBe('network')
    // Each write takes long, and still waits for blocks most of the time.
    expect(halfway({ takesMs: { append: 300 } }, 20).bottleneck).toBe('network')
  })

  test('is the store when writes take longest', () => {
    const takesMs = { append: 2_000, validate: 500 }
    expect(halfway({ takesMs }, 5_000).bottleneck).toBe('store')
  })

  test('is validation when that takes longest', () => {
    const takesMs = { append: 500, validate: 2_000 }
    expect(halfway({ takesMs }, 5_000).bottleneck).toBe('validation')
  })

  test('is seen while a call lasts, and not only after it', () => {
    const world = new World({ chain, store: genesis, append: () => 'hangs' }).start()
    world.joinWith('a', chain.tip, honest(chain))
    world.run(9_000)
    expect(progressOf(world.state, world.now).bottleneck).toBe('store')
    expect(progressOf(world.state, world.now + 1).bottleneck).toBe('store')
    expect(describeSync(world.state, world.now)).toContain('waits mostly for the store')
  })

  test('is the store or validation while they fail', () => {
    const failing = (options: Partial<WorldOptions>) => {
      const world = new World({ chain, store: genesis, ...options }).start()
      world.joinWith('a', chain.tip, honest(chain))
      world.run(20_000)
      return progressOf(world.state, world.now).bottleneck
    }
    expect(failing({ append: () => 'throws' })).toBe('store')
    expect(failing({ validate: () => 'throws' })).toBe('validation')
  })

  test('is none while nobody is ahead, and forgotten then', () => {
    const { world } = halfway({ takesMs: { append: 2_000 } }, 5_000)
    expect(world.run(600_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
    world.run(5_000)
    expect(progressOf(world.state, world.now).bottleneck).toBeUndefined()
    expect(describeSync(world.state, world.now)).not.toContain('waits mostly')
  })
})

describe('the peers by state in progress', () => {
  const ours = (height: number) => ({
    kind: 'status' as const,
    chainId: 'test-chain',
    base: 0,
    tip: refOf(chain.at(height)),
  })

  test('count each connected peer once, as what it is to sync', () => {
    const world = new World({ chain, store: genesis, append: () => 'hangs' }).start()
    world.join('says nothing', silent)
    const other = world.join('other', silent)
    world.say(other, { kind: 'status', chainId: 'another', base: 0, tip: chain.tip })
    world.joinWith('level', refOf(chain.at(0)), silent)
    world.joinWith('busy', chain.tip, alwaysBusy)
    world.joinWith(
      'liar',
      chain.tip,
      twisted(chain, (blocks) => blocks.map(brokenPayload)),
    )
    const mute = world.joinWith('mute', chain.tip, silent)
    world.run(100)
    const { connected, byState } = progressOf(world.state, world.now).peers
    expect(byState).toMatchObject({
      unknown: 1,
      otherChain: 1,
      level: 1,
      busy: 1,
      setAside: 1,
      asked: 1,
    })
    expect(Object.values(byState).reduce((sum, count) => sum + count, 0)).toBe(connected)
    // What it does not answer in time cools it down.
    expect(mute.asked.some(isGetBlocks)).toBe(true)
    const cooled = () => progressOf(world.state, world.now).peers.byState.coolingDown === 1
    expect(world.run(20_000, cooled)).toBe(true)
    expect(describeSync(world.state, world.now)).toMatch(
      /^mute: .* cooling down, \d+ ms at least$/m,
    )
  })

  test('tell who is free and who is on another branch', () => {
    const fork = testChain({ length: 610, blockBytes: 2_000, from: refOf(chain.at(0)), seed: 9 })
    const world = new World({ chain, store: chain.blocks, limits: { maxReorgDepth: 10 } }).start()
    world.joinWith('fork', fork.tip, honest(fork))
    world.run(5_000)
    expect(progressOf(world.state, world.now).peers.byState).toMatchObject({ otherBranch: 1 })
    const behind = new World({ chain, store: genesis, append: () => 'hangs' }).start()
    const peer = behind.joinWith('a', refOf(chain.at(2)), honest(chain))
    behind.run(5_000)
    behind.say(peer, ours(2))
    expect(progressOf(behind.state, behind.now).peers.byState).toMatchObject({ free: 1 })
  })
})

describe('a peer of another chain', () => {
  test('is told once for a connection, is not asked, and stays', () => {
    const world = new World({ chain, store: genesis }).start()
    const other = world.join('other', honest(chain))
    const status = { kind: 'status' as const, chainId: 'another', base: 0, tip: chain.tip }
    world.say(other, status)
    world.say(other, { ...status, tip: refOf(chain.at(5)) })
    world.run(60_000)
    expect(world.told('otherChainFound')).toEqual([
      { kind: 'otherChainFound', peer: 'other', chainId: 'another' },
    ])
    expect(other.asked.filter(isGetBlocks)).toEqual([])
    expect(world.state.phase).toEqual({ kind: 'stalled', reason: 'no-usable-peer' })
  })
})
