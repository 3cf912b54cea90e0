import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DueBatches, type Batch, type Batched } from '../../src/due-batches.js'

class Item implements Batched<Item> {
  readonly name: number
  batch: Batch<Item> | undefined

  constructor(name: number) {
    this.name = name
  }
}

const taken = (due: DueBatches<Item>, nowMs: number): number[] => {
  const names: number[] = []
  for (let item = due.takeUpTo(nowMs); item !== undefined; item = due.takeUpTo(nowMs)) {
    names.push(item.name)
  }
  return names
}

describe('items by the time at which they are due', () => {
  test('are taken once each, earlier ones first, and none before its time', () => {
    const word = fc.record({
      kind: fc.constantFrom('set', 'set', 'set', 'delete', 'take'),
      name: fc.nat({ max: 9 }),
      dueMs: fc.nat({ max: 12 }),
    })
    fc.assert(
      fc.property(fc.array(word, { maxLength: 60 }), (words) => {
        const items = Array.from({ length: 10 }, (_, name) => new Item(name))
        const due = new DueBatches<Item>()
        const model = new Map<number, number>()
        const timesOf = (names: Iterable<number>) => [...names].map((name) => model.get(name)!)
        for (const { kind, name, dueMs } of words) {
          switch (kind) {
            case 'set':
              due.set(items[name]!, dueMs)
              model.set(name, dueMs)
              break
            case 'delete':
              due.delete(items[name]!)
              model.delete(name)
              break
            default: {
              const names = taken(due, dueMs)
              const expected = [...model.keys()].filter((other) => model.get(other)! <= dueMs)
              expect([...names].sort()).toEqual(expected.sort())
              const times = timesOf(names)
              expect(times).toEqual([...times].sort((a, b) => a - b))
              for (const one of names) model.delete(one)
            }
          }
          const first = model.size === 0 ? undefined : Math.min(...model.values())
          expect(due.firstMs).toBe(first)
        }
      }),
      { seed: 1, numRuns: 500 },
    )
  })

  test('may be set again while those of their time are taken', () => {
    const due = new DueBatches<Item>()
    const [one, other] = [new Item(1), new Item(2)]
    due.set(one, 10)
    due.set(other, 10)
    const first = due.takeUpTo(10)!
    due.set(first, 20)
    expect(taken(due, 15)).toEqual([first === one ? 2 : 1])
    expect(due.firstMs).toBe(20)
    expect(taken(due, 20)).toEqual([first.name])
    expect(due.firstMs).toBeUndefined()
  })
})
