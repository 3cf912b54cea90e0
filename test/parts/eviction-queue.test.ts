import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EvictionQueue } from '../../src/registry/eviction-queue.js'

interface Peer {
  readonly key: string
  rank: number
}

const commands = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('add' as const), rank: fc.nat(20) }),
    fc.record({
      do: fc.constant('change' as const),
      nth: fc.nat(),
      rank: fc.oneof(fc.nat(20), fc.constant(Infinity)),
    }),
    fc.record({ do: fc.constant('take' as const) }),
  ),
  { maxLength: 300 },
)

test('among 32 peers the one that goes has the lowest rank, however ranks changed', () => {
  fc.assert(
    fc.property(commands, (commands) => {
      const peers = new Map<string, Peer>()
      const queue = new EvictionQueue(peers, (peer) => peer.rank)
      for (const [index, command] of commands.entries()) {
        if (command.do === 'add' && peers.size < 32) {
          const peer = { key: String(index), rank: command.rank }
          peers.set(peer.key, peer)
          queue.add(peer)
        } else if (command.do === 'change') {
          const peer = [...peers.values()][command.nth % Math.max(1, peers.size)]
          if (peer !== undefined) peer.rank = command.rank
        } else if (command.do === 'take') {
          const lowest = Math.min(...[...peers.values()].map(({ rank }) => rank))
          const first = queue.first()
          expect(first?.rank ?? Infinity).toBe(lowest)
          expect(first?.peer.rank ?? Infinity).toBe(lowest)
          if (first === undefined) continue
          peers.delete(first.peer.key)
          queue.delete(first.peer)
        }
      }
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('among any number a risen rank is always seen, and a fallen one within a thirty-second of them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 33, max: 2_000 }), fc.nat(), fc.nat(), (size, nth, risen) => {
      const peers = new Map<string, Peer>()
      const queue = new EvictionQueue(peers, (peer) => peer.rank)
      for (let n = 0; n < size; n++) {
        const peer = { key: String(n), rank: 1_000 + n }
        peers.set(peer.key, peer)
        queue.add(peer)
      }
      peers.get(String(risen % size))!.rank = Infinity
      const fallen = peers.get(String(nth % size))!
      fallen.rank = 1
      let turns = 0
      for (let first = queue.first(); first?.peer !== fallen; first = queue.first()) {
        expect(first).toBeDefined()
        expect(first!.peer.rank).toBe(first!.rank)
        peers.delete(first!.peer.key)
        queue.delete(first!.peer)
        turns += 1
      }
      expect(turns).toBeLessThanOrEqual(Math.ceil(size / 32))
    }),
    { seed: 2, numRuns: 60 },
  )
})

test('a newcomer costs as many looks with 20,000 peers as with 200', () => {
  const looksPerTurn = (size: number): number => {
    let looks = 0
    const peers = new Map<string, Peer>()
    const queue = new EvictionQueue(peers, (peer) => {
      looks += 1
      return peer.rank
    })
    const add = (n: number): void => {
      const peer = { key: String(n), rank: n }
      peers.set(peer.key, peer)
      queue.add(peer)
    }
    for (let n = 0; n < size; n++) add(n)
    looks = 0
    for (let n = 0; n < 1_000; n++) {
      const { peer } = queue.first()!
      peers.delete(peer.key)
      queue.delete(peer)
      add(size + n)
    }
    return looks / 1_000
  }
  expect(looksPerTurn(20_000)).toBeLessThanOrEqual(looksPerTurn(200))
})
