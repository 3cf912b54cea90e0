import { fc, test as property } from '@fast-check/vitest'
import { expect, test } from 'vitest'
import { ChunkQueue, joinChunks } from '../../src/adapters/chunk-queue.js'

const step = fc.oneof(
  fc.record({ push: fc.uint8Array({ maxLength: 20 }) }),
  fc.record({ take: fc.nat(50) }),
  fc.record({ takeChunk: fc.nat(50) }),
)

property.prop([fc.array(step, { maxLength: 200 })])(
  'what is taken out is what was put in, in order, and never more than was asked for',
  (steps) => {
    const queue = new ChunkQueue()
    const held: number[] = []
    for (const each of steps) {
      if ('push' in each) {
        queue.push(each.push)
        held.push(...each.push)
      } else if ('take' in each) {
        const taken = joinChunks(queue.take(each.take))
        expect([...taken]).toEqual(held.splice(0, each.take))
      } else {
        const taken = queue.takeChunk(each.takeChunk)
        if (taken === undefined) expect(Math.min(held.length, each.takeChunk)).toBe(0)
        else expect([...taken]).toEqual(held.splice(0, taken.length))
      }
      expect(queue.bytes).toBe(held.length)
    }
  },
)

test('a long queue is taken in order across its own clean-ups', () => {
  const queue = new ChunkQueue()
  for (let index = 0; index < 5_000; index++) queue.push(new Uint8Array([index & 0xff]))
  for (let index = 0; index < 5_000; index++) expect(queue.takeChunk(9)?.[0]).toBe(index & 0xff)
  expect(queue.takeChunk(9)).toBeUndefined()
  expect(queue.bytes).toBe(0)
})

test('a chunk that fits is taken out as it was put in', () => {
  const queue = new ChunkQueue()
  const chunk = new Uint8Array(10)
  queue.push(chunk)
  expect(queue.takeChunk(10)).toBe(chunk)
})
