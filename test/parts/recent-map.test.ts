import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RecentMap } from '../../src/recent-map.js'

const commands = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('set' as const), key: fc.nat(12) }),
    fc.record({ do: fc.constant('delete' as const), key: fc.nat(12) }),
  ),
  { maxLength: 200 },
)

test('holds what was set last, whatever was set again and deleted', () => {
  fc.assert(
    fc.property(commands, fc.integer({ min: 1, max: 6 }), (commands, maxSize) => {
      const map = new RecentMap<number, number>(maxSize)
      let model: [number, number][] = []
      for (const [index, { do: what, key }] of commands.entries()) {
        model = model.filter(([other]) => other !== key)
        if (what === 'set') {
          map.set(key, index)
          model.push([key, index])
          model = model.slice(-maxSize)
        } else map.delete(key)
        expect(map.size).toBe(model.length)
        for (let other = 0; other <= 12; other++) {
          expect(map.get(other)).toBe(model.find(([held]) => held === other)?.[1])
        }
      }
    }),
    { seed: 1, numRuns: 300 },
  )
})
