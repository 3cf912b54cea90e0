import type { Block, BlockRef } from '../../contracts/block-store.js'
import {
  blockAt,
  expectChain,
  expectCode,
  expectRangeError,
  expectSame,
  last,
  run,
  type Check,
} from './setup.js'

/** A chain that changes its branch. */
export function replacingChecks(check: Check): void {
  const chain = run({ height: 99 }, 10)
  const tip = last(chain)
  const cases: Record<string, { keep: number; length: number }> = {
    'a longer branch': { keep: 6, length: 9 },
    'a branch of the same length': { keep: 6, length: 4 },
    'a shorter branch': { keep: 6, length: 1 },
    'a branch above the base': { keep: 1, length: 12 },
    'more blocks above the tip itself': { keep: 10, length: 3 },
    nothing: { keep: 4, length: 0 },
    'nothing above the tip itself': { keep: 10, length: 0 },
  }
  for (const [what, { keep, length }] of Object.entries(cases)) {
    check(`replace puts ${what} above the ancestor`, async (store) => {
      await store.append(chain, { expectTip: null })
      const ancestor = blockAt(chain, keep - 1)
      const branch = length === 0 ? [] : run(ancestor, length, 2)
      const after = [...chain.slice(0, keep), ...branch]
      const seen = await store.replace(ancestor, branch, { expectTip: tip })
      expectSame(seen, last(after), 'replace resolves with the new tip')
      await expectChain(store, after, 'the ancestor and below are kept, above is the branch alone')
      for (let height = last(after).height + 1; height <= tip.height; height++) {
        expectSame(await store.get(height), undefined, `block ${height} was removed`)
        expectSame(await store.hashAt(height), undefined, `the hash of ${height} was removed`)
      }
      const more = run(last(after), 4, 3)
      await store.append(more, { expectTip: last(after) })
      await expectChain(store, [...after, ...more], 'the chain grows on after a replace')
    })
  }

  for (const height of [0, 95, 104, 200]) {
    check(`replace above null removes all, and ${height} is the new base`, async (store) => {
      await store.append(chain, { expectTip: null })
      const other = run({ height: height - 1 }, 8, 2)
      expectSame(await store.replace(null, other, { expectTip: tip }), last(other), 'the new tip')
      await expectChain(store, other, 'the new run is the whole chain')
      for (const { height: old } of chain) {
        const now = other.find((block) => block.height === old)
        expectSame(await store.get(old), now, `nothing of the old chain is left at ${old}`)
      }
    })
  }

  check('replace above null with an empty run empties the store', async (store) => {
    await store.append(chain, { expectTip: null })
    expectSame(await store.replace(null, [], { expectTip: tip }), null, 'the tip is null')
    await expectChain(store, [], 'the store is empty')
    const other = run({ height: 4 }, 2, 2)
    await store.append(other, { expectTip: null })
    await expectChain(store, other, 'an emptied store takes a first run')
  })

  check('replace above null is a first run in an empty store', async (store) => {
    expectSame(await store.replace(null, [], { expectTip: null }), null, 'nothing for nothing')
    await store.replace(null, chain, { expectTip: null })
    await expectChain(store, chain, 'the run is the chain')
  })

  check(
    'replace rejects with UNKNOWN_ANCESTOR when it does not hold the ancestor',
    async (store) => {
      const unknown: Record<string, BlockRef> = {
        'another block at a height that it holds': { height: 103, hash: blockAt(chain, 4).hash },
        'a block above the tip': { height: 110, hash: 'above' },
        'a block below the base': { height: 99, hash: blockAt(chain, 0).previousHash },
        'the tip in other letters': { height: tip.height, hash: tip.hash.toUpperCase() },
      }
      await expectCode(
        store.replace(tip, [], { expectTip: null }),
        'UNKNOWN_ANCESTOR',
        'an empty store holds no ancestor',
      )
      await store.append(chain, { expectTip: null })
      for (const [what, ancestor] of Object.entries(unknown)) {
        for (const branch of [run(ancestor, 3, 2), []]) {
          const write = store.replace(ancestor, branch, { expectTip: tip })
          await expectCode(write, 'UNKNOWN_ANCESTOR', `${what}, ${branch.length} blocks`)
        }
        await expectChain(store, chain, `after ${what} the chain is unchanged`)
      }
      for (const height of [-1, 0.5, 2 ** 53]) {
        const write = store.replace({ height, hash: 'x' }, [], { expectTip: tip })
        await expectRangeError(write, `an ancestor at height ${height}`)
      }
    },
  )

  check('replace rejects with TIP_MISMATCH and the actual tip', async (store) => {
    await store.append(chain, { expectTip: null })
    const ancestor = blockAt(chain, 5)
    for (const expectTip of [null, ancestor, { ...tip, hash: 'another' }]) {
      for (const branch of [run(ancestor, 9, 2), []]) {
        const write = store.replace(ancestor, branch, { expectTip })
        const error = await expectCode(write, 'TIP_MISMATCH', 'replace with another tip expected')
        expectSame(error.actualTip, tip, 'actualTip is the tip that the store has')
      }
    }
    await expectChain(store, chain, 'a refused replace changes nothing')
  })

  check('replace rejects with NOT_CONTIGUOUS, and removes nothing then', async (store) => {
    await store.append(chain, { expectTip: null })
    const ancestor = blockAt(chain, 5)
    const branch = run(ancestor, 6, 2)
    const bad: Record<string, Block[]> = {
      'a branch of another ancestor': run(blockAt(chain, 4), 6, 2),
      'a branch that begins too high': branch.slice(1),
      'a branch that begins with the ancestor': [ancestor, ...branch],
      'a branch with a gap': [...branch.slice(0, 3), ...branch.slice(4)],
      'a branch with a broken link': [
        ...branch.slice(0, 5),
        { ...blockAt(branch, 5), previousHash: 'broken' },
      ],
    }
    for (const [what, blocks] of Object.entries(bad)) {
      const write = store.replace(ancestor, blocks, { expectTip: tip })
      await expectCode(write, 'NOT_CONTIGUOUS', what)
      await expectChain(store, chain, `after ${what} the chain is unchanged`)
    }
    const gap = [blockAt(chain, 0), blockAt(chain, 2)]
    await expectCode(store.replace(null, gap, { expectTip: tip }), 'NOT_CONTIGUOUS', 'above null')
    await expectChain(store, chain, 'also above null')
  })
}
