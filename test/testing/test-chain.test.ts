import { describe, expect, test } from 'vitest'
import {
  TEST_GENESIS_PREVIOUS_HASH,
  refOf,
  testChain,
  testChainRules,
} from '../../src/testing/test-chain.js'

describe('a test chain', () => {
  test('is the same for the same options and another for another seed', () => {
    const one = testChain({ length: 5, seed: 7 })
    expect(testChain({ length: 5, seed: 7 }).blocks).toEqual(one.blocks)
    expect(testChain({ length: 5, seed: 8 }).tip).not.toEqual(one.tip)
  })

  test('begins at height 0 with a genesis block and links every block to the one before', () => {
    const chain = testChain({ length: 20 })
    expect(chain.base).toEqual(refOf(chain.at(0)))
    expect(chain.at(0).previousHash).toBe(TEST_GENESIS_PREVIOUS_HASH)
    expect(chain.tip.height).toBe(19)
    for (let height = 1; height < 20; height++) {
      expect(chain.at(height).previousHash).toBe(chain.at(height - 1).hash)
    }
  })

  test('continues above the block that it is told to begin from', () => {
    const whole = testChain({ length: 10 })
    const upper = testChain({ length: 4, from: refOf(whole.at(5)) })
    expect(upper.blocks).toEqual(whole.blocks.slice(6))
    expect(testChainRules(upper).genesis).toEqual({ kind: 'checkpoint', ref: refOf(whole.at(5)) })
  })

  test('has payloads of the size asked for, by height', () => {
    const chain = testChain({ length: 4, blockBytes: (height) => 16 + height })
    expect(chain.blocks.map(({ payload }) => payload.length)).toEqual([16, 17, 18, 19])
    expect(testChainRules(chain).maxBlockBytes).toBe(19)
  })

  test('shares with its fork exactly the blocks up to the height of the fork', () => {
    const chain = testChain({ length: 10 })
    const fork = chain.fork(6, 8, 2)
    expect(fork.blocks.slice(0, 7)).toEqual(chain.blocks.slice(0, 7))
    expect(fork.at(7).previousHash).toBe(chain.at(6).hash)
    expect(fork.at(7).hash).not.toBe(chain.at(7).hash)
    expect(fork.tip.height).toBe(14)
    expect(() => chain.fork(10, 1, 2)).toThrow(RangeError)
  })
})

describe('the rules of a test chain', () => {
  const chain = testChain({ length: 3 })
  const rules = testChainRules(chain)
  const block = chain.at(1)

  test('accept every block of the chain and of its forks', () => {
    for (const each of [...chain.blocks, ...chain.fork(1, 5, 9).blocks]) {
      expect(rules.checkIntegrity(each)).toEqual({ ok: true })
    }
  })

  test('refuse a block whose payload, link or hash was changed', () => {
    const payload = block.payload.slice()
    payload[0] = (payload[0] ?? 0) ^ 1
    const { hash } = chain.at(2)
    expect(rules.checkIntegrity({ ...block, payload }).ok).toBe(false)
    expect(rules.checkIntegrity({ ...block, previousHash: hash }).ok).toBe(false)
    expect(rules.checkIntegrity({ ...block, hash }).ok).toBe(false)
  })

  test('refuse a block that moves bytes between the link and the payload', () => {
    const moved = {
      ...block,
      previousHash: block.previousHash.slice(0, -1),
      payload: Buffer.concat([Buffer.from(block.previousHash.slice(-1)), block.payload]),
    }
    expect(rules.checkIntegrity(moved).ok).toBe(false)
  })

  test('do not look at the height, which only the link to an anchor fixes', () => {
    expect(rules.checkIntegrity({ ...block, height: 99 })).toEqual({ ok: true })
  })
})
