import { expect, test } from 'vitest'
import { generatedChain } from '../../examples/demo/generated-chain.js'

test('a generated chain is the same for the same seed, and another for another', () => {
  const [one, same, other] = [generatedChain(50), generatedChain(50), generatedChain(50, 2)]
  expect(one.blocks).toEqual(same.blocks)
  expect(one.blocks[0]!.hash).not.toBe(other.blocks[0]!.hash)
})

test('a longer chain begins with the shorter one', () => {
  expect(generatedChain(80).blocks.slice(0, 50)).toEqual(generatedChain(50).blocks)
})

test('every block passes the rules, links to the one below, and is of a realistic size', () => {
  const { blocks, rules } = generatedChain(1_000)
  expect(rules.genesis).toEqual({ kind: 'hash', ref: { height: 0, hash: blocks[0]!.hash } })
  let bytes = 0
  for (const [index, block] of blocks.entries()) {
    expect(block.height).toBe(index)
    expect(rules.checkIntegrity(block)).toEqual({ ok: true })
    if (index > 0) expect(block.previousHash).toBe(blocks[index - 1]!.hash)
    expect(block.payload.length).toBeLessThanOrEqual(rules.maxBlockBytes)
    bytes += block.payload.length
  }
  expect(bytes / blocks.length).toBeGreaterThan(1_000)
  expect(bytes / blocks.length).toBeLessThan(1_400)
})
