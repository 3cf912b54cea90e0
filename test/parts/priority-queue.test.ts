import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PriorityQueue } from '../../src/priority-queue.js'

const commands = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('set' as const),
      item: fc.nat({ max: 30 }),
      dueMs: fc.nat({ max: 100 }),
    }),
    fc.record({ do: fc.constant('delete' as const), item: fc.nat({ max: 30 }) }),
    fc.record({ do: fc.constant('take' as const), nowMs: fc.nat({ max: 110 }) }),
  ),
  { maxLength: 400 },
)

test('items come when they are due and never before, whatever was set, set again and deleted', () => {
  fc.assert(
    fc.property(commands, (commands) => {
      const queue = new PriorityQueue<number>()
      const model = new Map<number, number>()
      for (const command of commands) {
        if (command.do === 'set') {
          queue.set(command.item, command.dueMs)
          model.set(command.item, command.dueMs)
        } else if (command.do === 'delete') {
          queue.delete(command.item)
          model.delete(command.item)
        } else {
          const nextDueMs = Math.min(...model.values())
          const item = queue.takeUpTo(command.nowMs)
          if (nextDueMs > command.nowMs) expect(item).toBeUndefined()
          else {
            expect(model.get(item ?? -1)).toBe(nextDueMs)
            model.delete(item ?? -1)
          }
        }
        expect(queue.size).toBe(model.size)
        expect(queue.lowest).toBe(model.size === 0 ? undefined : Math.min(...model.values()))
      }
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('an item that is set again is due at its new time only', () => {
  const queue = new PriorityQueue<string>()
  queue.set('a', 10)
  queue.set('a', 50)
  expect(queue.lowest).toBe(50)
  expect(queue.takeUpTo(49)).toBeUndefined()
  expect(queue.takeUpTo(50)).toBe('a')
  expect(queue.takeUpTo(1e9)).toBeUndefined()
  queue.set('a', 60)
  queue.set('a', 5)
  expect(queue.takeUpTo(5)).toBe('a')
  expect(queue.takeUpTo(1e9)).toBeUndefined()
})

test('an item that is set over and over again costs no memory', () => {
  const queue = new PriorityQueue<string>()
  queue.set('far', 1e9)
  const before = process.memoryUsage().heapUsed
  for (let dueMs = 0; dueMs < 300_000; dueMs++) queue.set('near', dueMs)
  expect(queue.size).toBe(2)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(40e6)
  expect(queue.takeUpTo(1e6)).toBe('near')
  expect(queue.lowest).toBe(1e9)
})

/** A time that counts how often it is compared. */
function counted(atMs: number, counter: { count: number }): number {
  const time = {
    valueOf: () => {
      counter.count += 1
      return atMs
    },
  }
  return time as unknown as number
}

test('an item costs a number of comparisons that grows with the logarithm of their number', () => {
  const comparisonsPerTurn = (items: number): number => {
    const counter = { count: 0 }
    const queue = new PriorityQueue<number>()
    const turns = 4 * items
    for (let item = 0; item < items; item += 1) queue.set(item, counted(item, counter))
    for (let turn = 0; turn < turns; turn += 1) {
      const item = queue.takeUpTo(Infinity)
      if (item === undefined) throw new Error('the queue is empty')
      // Somewhere behind the others, as pings of a random phase are.
      queue.set(item, counted(turn + items + ((turn * 7_919) % items), counter))
    }
    return counter.count / turns
  }
  const [few, many] = [comparisonsPerTurn(100), comparisonsPerTurn(10_000)]
  // A hundred times as many items are 6.6 levels more, of at most six comparisons each.
  expect(many - few).toBeLessThan(6 * Math.log2(100))
})
