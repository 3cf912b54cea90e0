import type { BlockStore } from '../../contracts/block-store.js'
import {
  blockAt,
  blockOn,
  expectChain,
  expectRangeError,
  expectSame,
  first,
  last,
  run,
  type Check,
} from './setup.js'

/** Looking up, ranges, and who owns what was returned. */
export function readingChecks(check: Check): void {
  const chain = run({ height: 9 }, 10)
  const much = Number.MAX_SAFE_INTEGER
  const fill = (store: BlockStore): Promise<unknown> => store.append(chain, { expectTip: null })

  check('get and hashAt find every block held and none else', async (store) => {
    await fill(store)
    for (const block of chain) {
      expectSame(await store.get(block.height), block, `get ${block.height}`)
      expectSame(await store.hashAt(block.height), block.hash, `hashAt ${block.height}`)
    }
    for (const height of [0, 9, 20, 21, 266, 2 ** 32 + 10, much]) {
      expectSame(await store.get(height), undefined, `get ${height}`)
      expectSame(await store.hashAt(height), undefined, `hashAt ${height}`)
    }
  })

  check('range returns as many blocks as limit says, up to the tip', async (store) => {
    await fill(store)
    for (const [from, limit] of [
      [10, 1],
      [10, 4],
      [13, 7],
      [13, 8],
      [19, 5],
      [10, much],
    ] as const) {
      const seen = await store.range(from, { limit, maxBytes: much })
      const expected = chain.slice(from - 10, Math.min(10, from - 10 + limit))
      expectSame(seen, expected, `range from ${from}, limit ${limit}`)
    }
  })

  check('range is empty when the store does not hold its first height', async (store) => {
    await fill(store)
    for (const from of [0, 9, 20, 266, 2 ** 32 + 10, much]) {
      const seen = await store.range(from, { limit: 20, maxBytes: much })
      expectSame(seen, [], `range from ${from}, of a chain from 10 to 19`)
    }
  })

  check(
    'range returns as many blocks as fit into maxBytes, and always the first',
    async (store) => {
      const genesis = blockOn({ height: -1, hash: 'none' }, new Uint8Array(100))
      const second = blockOn(genesis, new Uint8Array(50))
      const third = blockOn(second, new Uint8Array(0))
      const sized = [genesis, second, third, blockOn(third, new Uint8Array(51))]
      await store.append(sized, { expectTip: null })
      const expected: [from: number, maxBytes: number, count: number][] = [
        [0, 0, 1],
        [0, 99, 1],
        [0, 100, 1],
        [0, 149, 1],
        [0, 150, 3],
        [0, 200, 3],
        [0, 201, 4],
        [1, 100, 2],
        [1, 101, 3],
        [2, 0, 1],
        [3, 1, 1],
      ]
      for (const [from, maxBytes, count] of expected) {
        const seen = await store.range(from, { limit: 10, maxBytes })
        expectSame(
          seen,
          sized.slice(from, from + count),
          `range from ${from}, maxBytes ${maxBytes}`,
        )
      }
      const seen = await store.range(0, { limit: 2, maxBytes: 200 })
      expectSame(seen, sized.slice(0, 2), 'the stricter of two limits holds')
    },
  )

  check('heights and limits outside their range are a RangeError', async (store) => {
    const limits = { limit: 1, maxBytes: 1 }
    for (const filled of [false, true]) {
      if (filled) await fill(store)
      for (const height of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
        await expectRangeError(store.get(height), `get ${height}`)
        await expectRangeError(store.hashAt(height), `hashAt ${height}`)
        await expectRangeError(store.range(height, limits), `range from ${height}`)
      }
      for (const limit of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
        await expectRangeError(store.range(10, { ...limits, limit }), `limit ${limit}`)
      }
      for (const maxBytes of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
        await expectRangeError(store.range(10, { ...limits, maxBytes }), `maxBytes ${maxBytes}`)
      }
    }
  })

  check('the store keeps no reference to what it is given', async (store) => {
    const kept = run({ height: -1 }, 4)
    const given = kept.map((block) => ({ ...block, payload: block.payload.slice() }))
    const more = run(last(kept), 1)
    const expectTip = { ...last(kept) }
    const writes = [
      store.append(given, { expectTip: null }),
      store.append([...more], { expectTip }),
    ]
    // From the moment of the call: a caller may reuse its buffers while the write is queued.
    for (const block of given) {
      block.payload.fill(0xee)
      block.hash = 'changed'
    }
    given.length = 1
    expectTip.hash = 'changed'
    await Promise.all(writes)
    await expectChain(store, [...kept, ...more], 'what the caller does afterwards changes nothing')
  })

  check('what the store returns is the caller’s', async (store) => {
    const appended = await store.append(chain, { expectTip: null })
    const returned = [
      await store.get(12),
      await store.get(12),
      ...(await store.range(10, { limit: 10, maxBytes: much })),
    ]
    for (const ref of [appended, await store.tip(), await store.base(), ...returned]) {
      if (ref) Object.assign(ref, { height: 7, hash: 'changed' })
    }
    for (const block of returned) block?.payload.fill(0xee)
    await expectChain(store, chain, 'changing what was returned changes nothing in the store')
    expectSame(await store.get(12), blockAt(chain, 2), 'also in a block returned twice')
    expectSame(await store.base(), first(chain), 'also the base')
  })
}
