import { describe, expect, test } from 'vitest'
import { RulesEngine } from './rules-engine.js'
import { bytesOf, chainOf, cutAt, makeBlock, prunedBelow, refOf, simChain } from './sim-chain.js'
import { serving, statusOf, type Behaviour } from './sim-peer.js'
import { SimWorld, type PeerSpec } from './sim-world.js'

const stateOf = ({ engine }: SimWorld) => {
  if (!(engine instanceof RulesEngine)) throw new Error('other rules')
  return engine.state
}

describe('a storm of announcements', () => {
  const behind = 1_000_000
  const perSecond = 20
  const stormPerSecond = 10_000

  /** Four peers of 5 MB/s whose chain grows all the while. */
  function sync(isStormy: boolean): { readonly tookMs: number; readonly mostKept: number } {
    const blocks = [...simChain(behind + 1, 100).blocks]
    let chain = chainOf(blocks)
    const stormer: Behaviour = (self) => {
      const serve = serving(() => chain, undefined)(self)
      let seen = chain.tip.hash
      const tell = (): void => {
        if (chain.tip.hash !== seen) self.port.send({ kind: 'announce', tip: refOf(chain.tip) })
        seen = chain.tip.hash
        self.timeline.after(50, tell)
      }
      const storm = (): void => {
        const height = chain.tip.height - 50 + self.dice.integer(0, 100)
        self.port.send({ kind: 'announce', tip: { height, hash: `unknown-${height}` } })
        self.timeline.after(4_000 / stormPerSecond, storm)
      }
      tell()
      if (isStormy) storm()
      return serve
    }
    const peers = ['a', 'b', 'c', 'd'].map((key): PeerSpec => ({ key, behaviour: stormer }))
    const world = new SimWorld({ chain, peers, isWatched: false })
    let isGrowing = true
    const grow = (): void => {
      if (!isGrowing) return
      blocks.push(makeBlock(chain.tip, 'a', 100))
      chain = chainOf(blocks)
      world.timeline.after(1_000 / perSecond, grow)
    }
    grow()
    const state = stateOf(world)
    let mostKept = 0
    const watch = world.node.onStep
    world.node.onStep = (input, effects) => {
      watch(input, effects)
      const { requests, peers: known, standings, spans } = state
      mostKept = Math.max(mostKept, requests.size + known.size + standings.size + spans.length)
    }
    const isThere = (): boolean => (world.node.tip?.height ?? 0) >= behind
    expect(world.run(120_000, isThere)).toBe(true)
    const tookMs = world.timeline.now
    isGrowing = false
    // All of them know the newest tip by their next status.
    expect(world.run(30_000, () => world.node.tip?.hash === chain.tip.hash)).toBe(true)
    return { tookMs, mostKept }
  }

  test('does not slow a sync that is 1,000,000 blocks behind, and takes no memory (F82)', () => {
    const [calm, stormy] = [sync(false), sync(true)]
    expect(stormy.tookMs).toBeLessThan(1.1 * calm.tookMs)
    expect(stormy.mostKept).toBeLessThanOrEqual(2 * calm.mostKept)
  })
})

describe('peers that admit one request at a time', () => {
  const retryAfterMs = 1_500

  /** Answers busy to whatever comes while one is under way, and for a while to everything. */
  const admitting =
    (log: { readonly atMs: number; readonly isRefused: boolean }[], busyMs: readonly number[]) =>
    (serve: Behaviour): Behaviour =>
    (self) => {
      const [fromMs = 0, untilMs = 0] = busyMs
      const open = new Set<number>()
      const { port } = self
      const send = port.send.bind(port)
      port.send = (message) => {
        const isEnd = message.kind !== 'blocks' || message.last
        if ('id' in message && isEnd) open.delete(message.id)
        send(message)
      }
      const handle = serve(self)
      return (message) => {
        if (message.kind !== 'getBlocks') return handle(message)
        const { now } = self.timeline
        const isBusy = open.size > 0 || (now >= fromMs && now < untilMs)
        log.push({ atMs: now, isRefused: isBusy })
        if (isBusy) return send({ kind: 'busy', id: message.id, retryAfterMs })
        open.add(message.id)
        handle(message)
      }
    }

  test('are asked one at a time, waited for as long as they say, and not blamed (F84)', () => {
    const chain = simChain(20_001, 1_000)
    const logs = [1, 2, 3].map((): { atMs: number; isRefused: boolean }[] => [])
    const peers = logs.map((log, index): PeerSpec => {
      const behaviour = admitting(log, [1_000, 6_000])(serving(chain))
      return { key: `p${index}`, behaviour, rate: 1_000, roundTripMs: 100, isHonest: true }
    })
    const world = new SimWorld({ chain, peers })
    // All of it at 3 MB/s, the phase in which all are busy, and the last hint.
    const idealMs = bytesOf(chain.blocks) / 3_000
    expect(world.runToTip(2 * idealMs + 5_000 + 2 * retryAfterMs)).toBeDefined()
    for (const log of logs) {
      const refusals = log.filter(({ isRefused }) => isRefused)
      expect(refusals.length).toBeGreaterThan(0)
      // Once it is known that it admits one, only the phase in which all are busy refuses.
      expect(refusals.filter(({ atMs }) => atMs > 7_000)).toEqual([])
      for (const { atMs } of refusals) {
        const next = log.find((entry) => entry.atMs > atMs + 100)
        expect((next?.atMs ?? Infinity) - atMs).toBeGreaterThanOrEqual(retryAfterMs - 1)
      }
    }
    expect(world.node.notices.filter(({ kind }) => kind === 'peerFaulted')).toEqual([])
    for (const { failures } of stateOf(world).standings.values()) expect(failures).toBe(0)
  })
})

describe('five hundred peers', () => {
  test('of which each has one slice of 32 blocks make the whole chain (F86)', () => {
    const chain = simChain(16_000, 200)
    const asked: { readonly peer: number; readonly from: number; readonly to: number }[] = []
    const peers = Array.from({ length: 500 }, (_, peer): PeerSpec => {
      const slice = prunedBelow(cutAt(chain, peer * 32 + 31), peer * 32)
      const behaviour: Behaviour = (self) => {
        const serve = serving(slice, ({ tip, base }) => statusOf(refOf(tip), base))(self)
        return (message) => {
          if (message.kind === 'getBlocks') {
            asked.push({ peer, from: message.from, to: message.from + message.count - 1 })
          }
          serve(message)
        }
      }
      return { key: `p${peer}`, behaviour, isHonest: true }
    })
    const world = new SimWorld({ chain, peers, isWatched: false })
    expect(world.runToTip(120_000)).toBeDefined()
    for (const { peer, from, to } of asked) {
      expect(from).toBeGreaterThanOrEqual(peer * 32)
      expect(to).toBeLessThanOrEqual(peer * 32 + 31)
    }
  })
})
