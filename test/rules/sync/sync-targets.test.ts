import { describe, expect, test } from 'vitest'
import type { BlockRef } from '../../../src/contracts/block-store.js'
import type { BusyMessage, NotFoundMessage } from '../../../src/contracts/sync-messages.js'
import { refOf, testChain, testChainRules } from '../../../src/testing/test-chain.js'
import { phaseOf } from '../../../src/rules/sync/phase.js'
import { progressOf } from '../../../src/rules/sync/view.js'
import {
  alwaysBusy,
  brokenPayload,
  claimOf,
  honest,
  isGetBlocks,
  lacking,
  silent,
  twisted,
} from './peers.js'
import { World, type Behaviour } from './world.js'

const chain = testChain({ length: 300, blockBytes: 2_000 })
const genesis = [chain.at(0)]

describe('what sync asks for', () => {
  const upper = testChain({ length: 100, from: refOf(chain.at(99)) })
  const { genesis: checkpoint } = testChainRules(upper)
  const byHash = { kind: 'hash', ref: refOf(chain.at(0)) } as const
  test.each([
    ['an empty store that knows the hash of genesis', [], { genesis: byHash }, 0, undefined],
    ['a store with genesis only', genesis, {}, 1, chain.at(0).hash],
    ['an empty store with a checkpoint', [], { genesis: checkpoint }, 100, chain.at(99).hash],
    ['a store at height 149', chain.blocks.slice(0, 150), {}, 150, chain.at(149).hash],
  ])('begins right above what %s holds (F62, F108)', (_, store, rules, from, afterHash) => {
    const world = new World({ chain, store, rules }).start()
    const peer = world.joinWith('a', chain.tip, honest(chain))
    const [first] = peer.asked.filter(isGetBlocks)
    expect(first).toMatchObject({ from, ...(afterHash === undefined ? {} : { afterHash }) })
    expect(world.run(30_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
    const asked = peer.asked.filter(isGetBlocks).map((request) => request.from)
    expect(Math.min(...asked)).toBe(from)
    expect(new Set(asked).size).toBe(asked.length)
  })

  test('an empty store refuses a genesis block that is not the one it knows', () => {
    const other = testChain({ length: 10, seed: 2 })
    const world = new World({
      chain,
      rules: { genesis: { kind: 'hash', ref: refOf(chain.at(0)) } },
    })
    world.start().joinWith('other', other.tip, honest(other))
    world.run(5_000)
    expect(world.blocks).toEqual([])
    expect(world.told('peerFaulted')).toEqual([])
    world.joinWith('right', chain.tip, honest(chain))
    expect(world.run(30_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
  })

  test.each([1_000, 3_600_000])(
    'leaves at once when the first peer comes after %d ms (F64)',
    (ms) => {
      const world = new World({ chain, store: genesis }).start()
      world.run(ms)
      expect(world.state.phase).toEqual({ kind: 'idle' })
      const peer = world.joinWith('first', chain.tip, honest(chain))
      expect(peer.asked.filter(isGetBlocks)).toHaveLength(1)
    },
  )

  test('goes to a peer that joins in mid-sync within one planning step (F65)', () => {
    const world = new World({ chain, store: genesis }).start()
    world.joinWith('slow', chain.tip, honest(chain, { rate: 5 }))
    world.run(1_500)
    const late = world.joinWith('late', chain.tip, honest(chain))
    expect(late.asked.filter(isGetBlocks).length).toBeGreaterThan(0)
  })

  test('goes to nobody of another chain, and to nobody who has not said what he has', () => {
    const world = new World({ chain, store: genesis }).start()
    const quiet = world.join('quiet', honest(chain))
    const other = world.join('other', honest(chain))
    world.say(other, { kind: 'status', chainId: 'another', base: 0, tip: chain.tip })
    world.run(60_000)
    for (const peer of [quiet, other]) expect(peer.asked.filter(isGetBlocks)).toEqual([])
  })
})

describe('a claim', () => {
  test('counts with what was said last, and not at all after the connection (F71)', () => {
    const world = new World({ chain, store: genesis }).start()
    const peer = world.joinWith('a', refOf(chain.at(100)), silent)
    const target = () => progressOf(world.state, world.now).target
    expect(target()).toBe(100)
    world.say(peer, { kind: 'status', chainId: 'test-chain', base: 0, tip: refOf(chain.at(90)) })
    expect(target()).toBe(90)
    world.leave(peer)
    expect(target()).toBe(0)
    expect(world.state.requests.size).toBe(0)
  })

  test.each([2 ** 53, Number.MAX_SAFE_INTEGER, NaN, -1, Infinity, 0.5])(
    'of %d costs only the liar (F74)',
    (height) => {
      const world = new World({ chain, store: genesis }).start()
      const liar = world.joinWith('liar', claimOf(height), silent)
      world.joinWith('honest', chain.tip, honest(chain))
      expect(world.run(30_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
      world.run(120_000)
      expect(world.state.phase).toEqual({ kind: 'synced' })
      expect(progressOf(world.state, world.now).target).toBe(299)
      expect(liar.asked.filter(isGetBlocks).length).toBeLessThan(20)
      expect(world.state.spans.every(({ held }) => held.length === 0)).toBe(true)
    },
  )

  test.each([NaN, -1, Infinity, 0.5, 2 ** 53])('of %d is none', (height) => {
    const world = new World({ chain, store: genesis, rules: { compare: () => 1 } }).start()
    const liar = world.joinWith('liar', claimOf(height), silent)
    expect(world.state.peers.get(liar.connection)?.claim).toBeUndefined()
    expect(world.state.phase).toEqual({ kind: 'probing' })
  })

  test('with a base above its height makes nobody usable (F74)', () => {
    const world = new World({ chain, store: genesis }).start()
    const peer = world.joinWith('a', refOf(chain.at(10)), honest(chain), 20)
    world.run(10_000)
    expect(peer.asked.filter(isGetBlocks)).toEqual([])
  })

  test('that is met by an empty reply is lowered: another peer is asked, and nobody blamed (F90)', () => {
    const world = new World({ chain, store: genesis }).start()
    const peer = world.joinWith('lacks', chain.tip, lacking)
    world.run(100)
    const second = world.joinWith('has', chain.tip, honest(chain))
    expect(world.run(5_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
    expect(peer.asked.filter(isGetBlocks)).toHaveLength(1)
    expect(second.asked.filter(isGetBlocks).length).toBeGreaterThan(0)
    expect(world.told('peerFaulted')).toEqual([])
    expect(world.state.standings.get('lacks')?.cooldownUntilMs ?? 0).toBeLessThanOrEqual(0)
  })

  test('above what a pruned peer still has makes it unusable, not guilty (F75)', () => {
    const world = new World({ chain, store: genesis }).start()
    const pruned = world.joinWith('pruned', chain.tip, honest(chain), 100)
    world.run(600_000)
    expect(world.state.phase).toEqual({ kind: 'stalled', reason: 'no-usable-peer' })
    expect(pruned.asked.filter(isGetBlocks)).toEqual([])
    expect(world.state.standings.get('pruned')).toBeUndefined()
    const archive = world.joinWith('archive', chain.tip, honest(chain))
    expect(archive.asked.filter(isGetBlocks)).toHaveLength(1)
  })
})

describe('the phase', () => {
  test('passes no decision on an empty set (F72)', () => {
    const world = new World({ chain, store: genesis })
    expect(phaseOf(world.state, 0)).toEqual({ kind: 'stopped' })
    world.start()
    expect(world.state.phase).toEqual({ kind: 'idle' })
    world.join('quiet', silent)
    world.run(600_000)
    expect(world.state.phase).toEqual({ kind: 'probing' })
  })

  test('is synced at once when all who answered are at our height (F61, F73)', () => {
    const world = new World({ chain, store: chain.blocks }).start()
    world.joinWith('a', chain.tip, silent)
    expect(world.state.phase).toEqual({ kind: 'synced' })
    world.join('quiet', silent)
    expect(world.state.phase).toEqual({ kind: 'synced' })
  })

  test('is what the state says, whatever happened before (F77)', () => {
    const world = new World({ chain, store: genesis }).start()
    const peer = world.joinWith('a', chain.tip, silent)
    expect(world.state.phase).toEqual({ kind: 'syncing' })
    world.leave(peer)
    expect(world.state.phase).toEqual({ kind: 'idle' })
    world.enter({ kind: 'stopped' })
    expect(world.state.phase).toEqual({ kind: 'stopped' })
    world.start()
    world.joinWith('a', chain.tip, honest(chain))
    world.run(10_000)
    expect(world.state.phase).toEqual({ kind: 'synced' })
  })
})

describe('peers that do not deliver', () => {
  test.each([0, 1, 8, 32])('%d silent ones cost bounded time (F66)', (k) => {
    const world = new World({ chain, store: genesis }).start()
    const bad = Array.from({ length: k }, (_, n) => world.joinWith(`s${n}`, claimOf(299), silent))
    world.joinWith('honest', chain.tip, honest(chain, { rate: 200 }))
    const transferMs = (299 * 2_000) / 200
    const limitMs = 2 * transferMs + (k + 3) * 2 * 1_000
    expect(world.run(limitMs, () => world.tip?.hash === chain.tip.hash)).toBe(true)
    for (const { asked } of bad) expect(asked.filter(isGetBlocks).length).toBeLessThan(12)
    expect(world.told('peerFaulted')).toEqual([])
  })

  test('are asked again and again when there is nobody else, and never in a spin (F69)', () => {
    let isWell = false
    const well = honest(chain)
    const moody: Behaviour = (message, self) => (isWell ? well(message, self) : undefined)
    const world = new World({ chain, store: genesis }).start()
    const peers = ['a', 'b', 'c'].map((key) => world.joinWith(key, chain.tip, moody))
    world.run(300_000)
    const asked = () => peers.flatMap((peer) => peer.asked.filter(isGetBlocks)).length
    expect(asked()).toBeGreaterThan(10)
    expect(asked()).toBeLessThan(300)
    isWell = true
    expect(world.run(60_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
  })

  test('are not left alone for their whole cooldown when there is nobody else (F69)', () => {
    const world = new World({ chain, store: genesis }).start()
    const only = world.joinWith('only', chain.tip, silent)
    world.run(300_000)
    expect(only.asked.filter(isGetBlocks).length).toBeGreaterThan(20)
  })

  test('but ask us to wait are waited for and not blamed (F84)', () => {
    const world = new World({ chain, store: genesis }).start()
    let isBusy = true
    const behaviour: Behaviour = (message, self) =>
      isBusy && isGetBlocks(message)
        ? self.reply(10, { kind: 'busy', id: message.id, retryAfterMs: 3_000 })
        : honest(chain)(message, self)
    const peer = world.joinWith('busy', chain.tip, behaviour)
    world.run(2_900)
    expect(peer.asked.filter(isGetBlocks)).toHaveLength(1)
    world.run(27_000)
    expect(peer.asked.filter(isGetBlocks).length).toBeLessThanOrEqual(10)
    expect(world.state.standings.get('busy')?.failures ?? 0).toBe(0)
    isBusy = false
    expect(world.run(5_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
  })

  test('but say busy for ever hold nobody back', () => {
    const world = new World({ chain, store: genesis }).start()
    world.joinWith('busy', claimOf(1e6), alwaysBusy)
    world.joinWith('honest', chain.tip, honest(chain))
    expect(world.run(10_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
    world.run(60_000)
    expect(world.state.phase).toEqual({ kind: 'synced' })
  })

  test('hold the front no longer than until a second one is asked (F67)', () => {
    const world = new World({ chain, store: genesis, limits: { windowBytes: 64 * 1024 } }).start()
    world.joinWith('favourite', chain.tip, silent)
    world.joinWith('honest', chain.tip, honest(chain))
    expect(world.run(2_000, () => (world.tip?.height ?? 0) > 20)).toBe(true)
  })

  test('hold the last span no longer either (F68)', () => {
    const world = new World({ chain, store: chain.blocks.slice(0, 280) }).start()
    const dies: Behaviour = silent
    world.joinWith('dies', chain.tip, dies)
    world.joinWith('honest', chain.tip, honest(chain))
    expect(world.run(2_500, () => world.tip?.hash === chain.tip.hash)).toBe(true)
  })
})

describe('blocks that nobody asked for', () => {
  test('are dropped before they cost anything, and the honest block is still taken (F91)', () => {
    const world = new World({ chain, store: genesis }).start()
    const other = testChain({ length: 300, seed: 5 })
    const junk = world.joinWith('junk', refOf(chain.at(0)), silent)
    world.joinWith('honest', chain.tip, honest(chain, { rate: 50 }))
    const use = () => progressOf(world.state, world.now).window.usedBytes
    const before = use()
    for (let id = 0; id < 50; id++) {
      world.say(junk, { kind: 'blocks', id, blocks: other.blocks.slice(1, 40), last: false })
    }
    expect(use()).toBe(before)
    expect(world.run(30_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
  })

  test('in a reply that brings more than was asked are cut off without blame (F87)', () => {
    const world = new World({ chain, store: genesis }).start()
    const generous = twisted(chain, (_, { from, count }) =>
      chain.blocks.slice(from, from + count + 1),
    )
    world.joinWith('generous', chain.tip, generous)
    expect(world.run(30_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
    expect(world.told('peerFaulted')).toEqual([])
  })

  test('are not even checked (F91)', () => {
    const world = new World({ chain, store: genesis }).start()
    const more = twisted(chain, (_, { from }) => chain.blocks.slice(from, from + 10))
    world.joinWith('more', refOf(chain.at(5)), more)
    world.run(1_000)
    expect(world.tip).toEqual(refOf(chain.at(5)))
    const checked = world.effects.flatMap((effect) =>
      effect.kind === 'check' ? effect.blocks.map(({ height }) => height) : [],
    )
    expect(checked).toEqual([1, 2, 3, 4, 5])
  })
})

describe('announcements', () => {
  test('move the claim and wake the plan; the rest is nothing new (F81)', () => {
    const world = new World({ chain, store: chain.blocks.slice(0, 100) }).start()
    const peer = world.joinWith('a', refOf(chain.at(99)), honest(chain))
    const asked = () => peer.asked.filter(isGetBlocks)
    world.say(peer, { kind: 'announce', tip: refOf(chain.at(50)) })
    world.say(peer, { kind: 'announce', tip: refOf(chain.at(99)) })
    expect(asked()).toEqual([])
    world.say(peer, { kind: 'announce', tip: refOf(chain.at(100)) })
    expect(asked()).toMatchObject([{ from: 100, count: 1 }])
    world.run(1_000)
    world.say(peer, { kind: 'announce', tip: refOf(chain.at(200)) })
    expect(world.run(5_000, () => world.tip?.height === 200)).toBe(true)
  })

  test('in a storm cost no memory and no sync (F82)', () => {
    const world = new World({ chain, store: genesis }).start()
    const peer = world.joinWith('a', chain.tip, honest(chain, { rate: 50 }))
    const size = () =>
      world.state.requests.size + world.state.spans.length + world.state.standings.size
    world.run(1_000)
    for (let n = 0; n < 20_000; n++) {
      world.say(peer, { kind: 'announce', tip: claimOf(300 + ((n * 7_919) % 1_000)) })
    }
    expect(size()).toBeLessThan(100)
    world.say(peer, { kind: 'announce', tip: chain.tip })
    expect(world.run(30_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
  })
})

describe('a throttle', () => {
  test.each<{
    why: string
    refusal: (id: number, tip: BlockRef) => BusyMessage | NotFoundMessage | undefined
  }>([
    { why: 'nothing', refusal: () => undefined },
    { why: 'busy', refusal: (id) => ({ kind: 'busy', id, retryAfterMs: 0 }) },
    {
      why: 'unavailable',
      refusal: (id, tip) => ({ kind: 'notFound', id, reason: 'unavailable', base: 0, tip }),
    },
  ])(
    'slows only rounds that bring nothing: one peer, far behind, that answers $why (F80)',
    ({ refusal }) => {
      const askedAtMs: number[] = []
      let isServing = true
      const world = new World({ chain, store: genesis }).start()
      const serve = honest(chain, { rate: 100 })
      world.joinWith('a', chain.tip, (message, self) => {
        if (isGetBlocks(message)) askedAtMs.push(world.now)
        if (isServing) serve(message, self)
        else if (isGetBlocks(message)) {
          const answer = refusal(message.id, refOf(chain.tip))
          if (answer !== undefined) self.reply(10, answer)
        }
      })
      expect(world.run(60_000, () => world.tip!.height > 150)).toBe(true)
      expect(askedAtMs.length).toBeGreaterThan(3)
      const transferMs = (world.tip!.height * 2_000) / 100
      expect(world.now).toBeLessThan(1.3 * transferMs + 500)
      isServing = false
      world.run(5_000)
      expect(world.tip!.height).toBeLessThan(chain.tip.height)
      askedAtMs.length = 0
      world.run(60_000)
      expect(askedAtMs.length).toBeGreaterThan(1)
      expect(askedAtMs.length).toBeLessThan(60)
      isServing = true
      expect(world.run(60_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
    },
  )
})

describe('a request that cannot leave now', () => {
  const wellAtMs = 20_000

  /** Nothing happens but what the rules set a timer for: no heartbeat, no status, no other peer. */
  const quiet = { heartbeatMs: 3_600_000, statusIntervalMs: 3_600_000 }

  test.each<{ why: string; refuse: Behaviour }>([
    {
      why: 'for want of capacity',
      refuse: (message, self) => {
        if (isGetBlocks(message)) {
          self.reply(10, { kind: 'busy', id: message.id, retryAfterMs: 5_000 })
        }
      },
    },
    { why: 'for a cooldown', refuse: silent },
  ])('$why leaves when the reason ends, with no other trigger (F78)', ({ refuse }) => {
    const world = new World({ chain, store: genesis, limits: quiet }).start()
    const serve = honest(chain)
    world.joinWith('a', chain.tip, (message, self) =>
      world.now < wellAtMs ? refuse(message, self) : serve(message, self),
    )
    world.run(wellAtMs)
    expect(world.tip).toEqual(refOf(chain.at(0)))
    // The longest wait that was begun before, and the sync itself.
    expect(world.run(30_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
  })

  test('for a paused store leaves when the store works again, with no other trigger (F78)', () => {
    const world = new World({
      chain,
      store: genesis,
      // So small that nothing can be asked while nothing is written.
      limits: { ...quiet, windowBytes: 64 * 1024 },
      append: ({ now }) => (now < wellAtMs ? 'throws' : 'works'),
    }).start()
    const peer = world.joinWith('a', chain.tip, honest(chain))
    world.run(wellAtMs - 1)
    const asked = (): number => peer.asked.filter(isGetBlocks).length
    const before = asked()
    expect(world.state.phase.kind).toBe('paused')
    expect(world.state.requests.size).toBe(0)
    expect(world.run(35_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
    expect(asked()).toBeGreaterThan(before)
  })
})

describe('many peers', () => {
  test('with a small piece each make a whole chain (F86)', () => {
    const long = testChain({ length: 1_600, blockBytes: 200 })
    const world = new World({ chain: long, store: [long.at(0)] }).start()
    const peers = Array.from({ length: 50 }, (_, n) => {
      const [base, last] = [n * 32, n * 32 + 31]
      return { base, last, peer: world.joinWith(`p${n}`, refOf(long.at(last)), honest(long), base) }
    })
    expect(world.run(60_000, () => world.tip?.hash === long.tip.hash)).toBe(true)
    for (const { base, last, peer } of peers) {
      for (const { from, count } of peer.asked.filter(isGetBlocks)) {
        expect(from).toBeGreaterThanOrEqual(base)
        expect(from + count - 1).toBeLessThanOrEqual(last)
      }
    }
  })
})

describe('a peer that takes its time before each answer, as from a slow disk,', () => {
  test.each([
    [128, 2],
    [400, 5],
  ])('%d ms though it is near, takes at most %d times as long for all', (latencyMs, factor) => {
    const long = testChain({ length: 650, blockBytes: 10_000 })
    const world = new World({ chain: long, store: [long.at(0)] }).start()
    const rate = 5_000
    world.joinWith('near', long.tip, honest(long, { latencyMs, rate }))
    expect(world.run(60_000, () => world.tip?.height === long.tip.height)).toBe(true)
    const idealMs = (long.blocks.length * 10_000) / rate
    expect(world.now).toBeLessThan(factor * idealMs)
  })
})

describe('a reply', () => {
  test('of a server that reorganises in the middle is taken as far as it links (F94)', () => {
    const branch = chain.fork(5, 294, 9)
    const world = new World({ chain, store: genesis, limits: { maxReorgDepth: 20 } }).start()
    const changes: Behaviour = (message, self) => {
      if (!isGetBlocks(message)) return
      const { id, from } = message
      const first = chain.blocks.slice(from, from + 8)
      const second = branch.blocks.slice(from + 8, from + 12)
      self.reply(10, { kind: 'blocks', id, blocks: first, last: false })
      self.reply(20, { kind: 'blocks', id, blocks: second, last: true })
    }
    const peer = world.joinWith('changes', chain.tip, changes)
    world.run(200, () => world.tip?.height === 8)
    world.leave(peer)
    expect(world.tip).toEqual(refOf(chain.at(8)))
    expect(world.told('peerFaulted')).toEqual([])
  })

  test.each([
    ['a block of another branch', testChain({ length: 300, blockBytes: 2_000, seed: 3 }).at(6)],
    ['a block that is too large', { ...chain.at(6), payload: new Uint8Array(5_000) }],
    ['a payload that was changed', brokenPayload(chain.at(6))],
  ])('with %s inside is good up to there, and its sender is at fault (F87, F93)', (_, bad) => {
    const world = new World({ chain, store: genesis }).start()
    world.joinWith(
      'bad',
      chain.tip,
      twisted(chain, (blocks) => blocks.map((block) => (block.height === 6 ? bad : block))),
    )
    world.run(100)
    expect(world.tip).toEqual(refOf(chain.at(5)))
    expect(world.told('peerFaulted')).toMatchObject([{ peer: 'bad' }])
    expect(world.told('forkFound')).toEqual([])
  })

  test('may end with an empty chunk, long after its blocks were checked', () => {
    const world = new World({ chain, store: genesis }).start()
    const slowEnd: Behaviour = (message, self) => {
      if (!isGetBlocks(message)) return
      const { id, from, count } = message
      const blocks = chain.blocks.slice(from, from + Math.max(1, count - 1))
      self.reply(10, { kind: 'blocks', id, blocks, last: false })
      self.reply(100, { kind: 'blocks', id, blocks: [], last: true })
    }
    world.joinWith('a', chain.tip, slowEnd)
    expect(world.run(60_000, () => world.tip?.hash === chain.tip.hash)).toBe(true)
    world.run(1_000)
    expect(world.state.requests.size).toBe(0)
  })

  test('that goes wrong is taken up to there, although its sender is at fault (F87)', () => {
    const world = new World({ chain, store: genesis }).start()
    world.joinWith(
      'gap',
      chain.tip,
      twisted(chain, (blocks) => blocks.filter((_, index) => index !== 5)),
    )
    world.run(100)
    expect(world.tip).toEqual(refOf(chain.at(5)))
    expect(world.told('peerFaulted')).toMatchObject([{ peer: 'gap' }])
  })

  test('that comes after its deadline is taken all the same', () => {
    const world = new World({ chain, store: genesis }).start()
    const late = honest(chain, { latencyMs: 1_500 })
    world.joinWith('late', chain.tip, late)
    expect(world.run(1_600, () => (world.tip?.height ?? 0) > 0)).toBe(true)
  })

  test('is waited for longer when the process was frozen meanwhile', () => {
    const world = new World({ chain, store: genesis }).start()
    const peer = world.joinWith('a', chain.tip, silent)
    world.now += 3_600_000
    world.say(peer, { kind: 'announce', tip: chain.tip })
    expect([...world.state.requests.values()].map(({ stage }) => stage)).toEqual(['awaiting'])
    expect(world.state.standings.size).toBe(0)
  })
})
