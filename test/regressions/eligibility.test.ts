import fc from 'fast-check'
import { expect, test } from 'vitest'
import { refOf, testChain } from '../../src/testing/test-chain.js'
import { honest } from '../rules/sync/peers.js'
import { World, type Behaviour, type WorldPeer } from '../rules/sync/world.js'

const chain = testChain({ length: 120, blockBytes: 1_000 })
const branch = chain.fork(40, 120, 7)

/** Shows its branch, and serves no block of it. */
const promising: Behaviour = (message, self) => {
  const isOfBranch =
    message.kind === 'getBlocks' && branch.at(message.from - 1).hash === message.afterHash
  if (!isOfBranch) honest(branch)(message, self)
}

const word = fc.record({
  atMs: fc.nat({ max: 8_000 }),
  isOurs: fc.boolean(),
  has: fc.constantFrom(chain, branch),
})
const peers = fc.array(
  fc.record({
    has: fc.constantFrom(chain, branch),
    isPromising: fc.boolean(),
    words: fc.array(word, { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 5 },
)

test('sync asks only peers that are of our chain by what they said last (F30)', () => {
  fc.assert(
    fc.property(peers, fc.nat({ max: 119 }), fc.nat(), (drawn, height, seed) => {
      const store = chain.blocks.slice(0, height + 1)
      const world = new World({ chain, store, seed }).start()
      const { chainId } = world.rules
      const isOurs = new Map<number, boolean>()
      const tell = (peer: WorldPeer, ours: boolean, tip = refOf(chain.tip)): void => {
        isOurs.set(peer.connection, ours)
        const id = ours ? chainId : 'another'
        world.say(peer, { kind: 'status', chainId: id, base: 0, tip })
      }
      const asked: { kind: string; isOurs: boolean | undefined }[] = []
      for (const [index, { has, isPromising, words }] of drawn.entries()) {
        const answer = isPromising ? promising : honest(has)
        const peer = world.join(`p${index}`, (message, self) => {
          if (message.kind === 'getBlocks' || message.kind === 'getHeaders') {
            asked.push({ kind: message.kind, isOurs: isOurs.get(self.connection) })
          }
          answer(message, self)
        })
        tell(peer, true, refOf(has.tip))
        for (const said of words) {
          world.after(said.atMs, () => {
            tell(peer, said.isOurs, refOf(said.has.tip))
          })
        }
      }
      world.run(60_000)
      expect(asked.filter((request) => request.isOurs !== true)).toEqual([])
    }),
    { numRuns: 150 },
  )
})

test('a fork attempt ends as soon as its peer says that its chain is another one (F30)', () => {
  const world = new World({ chain, store: chain.blocks }).start()
  const peer = world.joinWith('promising', branch.tip, promising)
  world.run(200)
  expect(world.state.fork?.stage.kind).toBe('fetching')
  world.say(peer, { kind: 'status', chainId: 'another', base: 0, tip: null })
  expect(world.state.fork).toBeUndefined()
  world.joinWith('honest', branch.tip, honest(branch))
  expect(world.run(2_000, () => world.tip?.hash === branch.tip.hash)).toBe(true)
})
