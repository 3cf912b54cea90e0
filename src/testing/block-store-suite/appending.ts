import type { Block, BlockRef } from '../../contracts/block-store.js'
import type { HoldfastErrorCode } from '../../errors.js'
import {
  blockAt,
  blockOn,
  expectChain,
  expectCode,
  expectRangeError,
  expectSame,
  expectTypeError,
  last,
  refAt,
  run,
  type Check,
} from './setup.js'

/** A chain that grows: first run, further runs, and everything that is refused. */
export function appendingChecks(check: Check, maxPayloadBytes: number): void {
  check('a new store is empty', async (store) => {
    await expectChain(store, [], 'a new store is empty')
    expectSame(await store.range(0, { limit: 5, maxBytes: 5 }), [], 'an empty store has no range')
    expectSame(await store.hashAt(0), undefined, 'an empty store has no hash')
  })

  const bases = [0, 1, 1_000, 2 ** 31 - 1, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER - 4]
  for (const height of bases) {
    check(`the first run may begin at height ${height}, which becomes the base`, async (store) => {
      const chain = run({ height: height - 1 }, 5)
      const tip = await store.append(chain.slice(0, 3), { expectTip: null })
      expectSame(tip, refAt(chain, 2), 'append resolves with the new tip')
      await expectChain(store, chain.slice(0, 3), 'the first run is the chain')
      await store.append(chain.slice(3), { expectTip: blockAt(chain, 2) })
      await expectChain(store, chain, 'the base stays when the chain grows')
    })
  }

  for (const edge of [2 ** 8, 2 ** 16, 2 ** 24, 2 ** 32, 2 ** 40]) {
    check(`heights keep their order across ${edge}`, async (store) => {
      const chain = run({ height: edge - 4 }, 8)
      await store.append(chain.slice(0, 2), { expectTip: null })
      await store.append(chain.slice(2), { expectTip: blockAt(chain, 1) })
      await expectChain(store, chain, 'a chain across the edge is in order')
      const branch = run(blockAt(chain, 1), 7, 2)
      await store.replace(blockAt(chain, 1), branch, { expectTip: last(chain) })
      const held = [...chain.slice(0, 2), ...branch]
      await expectChain(store, held, 'and so is a branch across it')
      for (const [index, block] of held.entries()) {
        expectSame(await store.get(block.height), block, `get ${block.height}`)
        const limits = { limit: 3, maxBytes: Number.MAX_SAFE_INTEGER }
        const seen = await store.range(block.height, limits)
        expectSame(seen, held.slice(index, index + 3), `three blocks from ${block.height}`)
      }
    })
  }

  check('a run of 2,000 blocks is one write', async (store) => {
    const chain = run({ height: -1 }, 2_000)
    expectSame(await store.append(chain, { expectTip: null }), last(chain), 'the new tip')
    await expectChain(store, chain, 'every block of a long run is there')
  })

  check('append rejects with TIP_MISMATCH and the actual tip', async (store) => {
    const chain = run({ height: 9 }, 4)
    const tip = last(chain)
    const empty = await expectCode(
      store.append(run(tip, 1), { expectTip: tip }),
      'TIP_MISMATCH',
      'an empty store has no tip to expect',
    )
    expectSame(empty.actualTip, null, 'actualTip of an empty store is null')
    await store.append(chain, { expectTip: null })

    const wrong: Record<string, BlockRef | null> = {
      'null, though the store has a tip': null,
      'another hash': { height: tip.height, hash: blockAt(chain, 0).hash },
      'the hash in other letters': { height: tip.height, hash: tip.hash.toUpperCase() },
      'another height': { height: tip.height + 1, hash: tip.hash },
      'the block below the tip': blockAt(chain, -2),
    }
    for (const [what, expectTip] of Object.entries(wrong)) {
      for (const blocks of [run(tip, 2), []]) {
        const rule = `append of ${blocks.length} blocks, expecting ${what}`
        const error = await expectCode(store.append(blocks, { expectTip }), 'TIP_MISMATCH', rule)
        expectSame(error.actualTip, tip, `${rule} (actualTip)`)
      }
    }
    await expectChain(store, chain, 'a refused append changes nothing')
  })

  check('an empty run changes nothing and resolves with the tip', async (store) => {
    expectSame(await store.append([], { expectTip: null }), null, 'the tip of an empty store')
    await expectChain(store, [], 'the store is still empty')
    const chain = run({ height: 4 }, 3)
    await store.append(chain, { expectTip: null })
    expectSame(await store.append([], { expectTip: last(chain) }), last(chain), 'the tip')
    await expectChain(store, chain, 'the chain is still the same')
  })

  check('append rejects with NOT_CONTIGUOUS, and then all or nothing is stored', async (store) => {
    const chain = run({ height: -1 }, 4)
    const tip = last(chain)
    const next = run(tip, 6)
    const other = run(blockAt(next, 2), 3, 2)
    await store.append(chain, { expectTip: null })
    const bad: Record<string, Block[]> = {
      'a run that begins too high': next.slice(1),
      'a run that begins too low': chain.slice(-1),
      'a run on another block of that height': run({ ...tip, hash: 'another' }, 2),
      'a run with a gap': [...next.slice(0, 2), ...next.slice(3)],
      'a run with a block twice': [...next.slice(0, 2), ...next.slice(1)],
      'a run that goes down': [...next].reverse(),
      'a run whose last link is broken': [
        ...next.slice(0, 5),
        { ...blockAt(next, 5), previousHash: blockAt(next, 3).hash },
      ],
      'a run with right links and a wrong height': [
        ...next.slice(0, 3),
        { ...blockAt(other, 0), height: blockAt(other, 0).height + 1 },
      ],
    }
    for (const [what, blocks] of Object.entries(bad)) {
      await expectCode(store.append(blocks, { expectTip: tip }), 'NOT_CONTIGUOUS', what)
      await expectChain(store, chain, `after ${what} the chain is unchanged`)
    }
    await store.append(next, { expectTip: tip })
    await expectChain(store, [...chain, ...next], 'a good run is taken after the bad ones')
  })

  check('a first run that is not contiguous leaves the store empty', async (store) => {
    const [a, b, c] = run({ height: -1 }, 3) as [Block, Block, Block]
    for (const blocks of [
      [a, c],
      [b, a],
      [a, { ...b, previousHash: c.hash }],
    ]) {
      await expectCode(store.append(blocks, { expectTip: null }), 'NOT_CONTIGUOUS', 'a first run')
      await expectChain(store, [], 'a refused first run leaves nothing')
    }
  })

  check('a height that is no safe integer from 0 on is a RangeError', async (store) => {
    const [genesis] = run({ height: -1 }, 1) as [Block]
    for (const height of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      const blocks = [{ ...genesis, height }]
      await expectRangeError(store.append(blocks, { expectTip: null }), `a block at ${height}`)
    }
    const highest = run({ height: Number.MAX_SAFE_INTEGER - 1 }, 1)
    await store.append(highest, { expectTip: null })
    const beyond = { ...genesis, height: 2 ** 53, previousHash: last(highest).hash }
    await expectRangeError(
      store.append([beyond], { expectTip: last(highest) }),
      'a block above the highest safe integer',
    )
    await expectChain(store, highest, 'a refused height changes nothing')
  })

  check(`payloads of 0 and of ${maxPayloadBytes} bytes come back whole`, async (store) => {
    const genesis = blockAt(run({ height: -1 }, 1), 0)
    const empty = blockOn(genesis, new Uint8Array(0))
    const pattern = (_: unknown, index: number): number => (index * 31) >> 3
    const large = blockOn(empty, Uint8Array.from({ length: maxPayloadBytes }, pattern))
    const chain = [genesis, empty, large, blockOn(large, Uint8Array.of(0))]
    await store.append(chain, { expectTip: null })
    await expectChain(store, chain, 'payloads of any size')
    for (const block of chain) {
      expectSame(await store.get(block.height), block, `${block.payload.length} bytes`)
    }
    const seen = await store.range(2, { limit: 2, maxBytes: 0 })
    expectSame(seen, [large], 'the first block of a range comes however large it is')
  })

  check('a payload that is a window into a larger buffer is stored alone', async (store) => {
    const buffer = Uint8Array.from({ length: 100 }, (_, index) => index)
    const [genesis] = run({ height: -1 }, 1) as [Block]
    const window = blockOn(genesis, buffer.subarray(10, 30))
    const pooled = blockOn(window, Buffer.from('one that Node.js cut out of its pool'))
    await store.append([genesis, window, pooled], { expectTip: null })
    buffer.fill(0xee)
    const kept = blockOn(
      genesis,
      Uint8Array.from({ length: 20 }, (_, index) => 10 + index),
    )
    await expectChain(store, [genesis, kept, pooled], 'only the window is stored')
  })

  check('what is no block is a TypeError', async (store) => {
    const [genesis, next] = run({ height: -1 }, 2) as [Block, Block]
    await store.append([genesis], { expectTip: null })
    const changes: Record<string, object> = {
      'a payload that is text': { payload: 'text' },
      'a payload that is an array': { payload: [1, 2] },
      'no payload': { payload: undefined },
      'a hash that is a number': { hash: 7 },
      'no previous hash': { previousHash: undefined },
    }
    for (const [what, change] of Object.entries(changes)) {
      const bad = { ...next, ...change }
      await expectTypeError(store.append([bad], { expectTip: genesis }), what)
      await expectTypeError(store.replace(genesis, [bad], { expectTip: genesis }), what)
      await expectChain(store, [genesis], `after ${what} the chain is unchanged`)
    }
  })

  check(
    'of several broken rules the run is named first, then the tip, then the rest',
    async (store) => {
      const chain = run({ height: 9 }, 4)
      const expectTip = last(chain)
      await store.append(chain, { expectTip: null })
      const stale = refAt(chain, 1)
      const unknown = { height: 11, hash: 'unknown' }
      const gap = [blockAt(chain, 0), blockAt(chain, 2)]
      const elsewhere = run({ height: 50, hash: 'elsewhere' }, 2)
      const replacing = (ancestor: BlockRef, blocks: readonly Block[], tip: BlockRef) =>
        store.replace(ancestor, blocks, { expectTip: tip })
      const cases: [what: string, code: HoldfastErrorCode, write: () => Promise<unknown>][] = [
        ['a gap, and a stale tip', 'NOT_CONTIGUOUS', () => store.append(gap, { expectTip: stale })],
        ['a gap, and an unknown ancestor', 'NOT_CONTIGUOUS', () => replacing(unknown, gap, stale)],
        [
          'a stale tip, and no link',
          'TIP_MISMATCH',
          () => store.append(chain, { expectTip: stale }),
        ],
        [
          'a stale tip, and an unknown ancestor',
          'TIP_MISMATCH',
          () => replacing(unknown, [], stale),
        ],
        [
          'an unknown ancestor, and no link',
          'UNKNOWN_ANCESTOR',
          () => replacing(unknown, elsewhere, expectTip),
        ],
      ]
      for (const [what, code, write] of cases) {
        await expectCode(write(), code, what)
        await expectChain(store, chain, `after ${what} the chain is unchanged`)
      }
    },
  )

  check('hashes come back exactly as they were given', async (store) => {
    const hashes = [
      '0xAB',
      '0xab',
      'é',
      'e\u0301',
      '\u{1f9f1}',
      '\u0000\n',
      '\ufeffbom',
      'x'.repeat(500),
    ]
    const chain = hashes.map((hash, height): Block => ({
      height,
      hash,
      previousHash: hashes[height - 1] ?? '',
      payload: Uint8Array.of(height),
    }))
    await store.append(chain, { expectTip: null })
    await expectChain(store, chain, 'hashes are compared with === and never rewritten')
    for (const { height, hash } of chain) {
      expectSame(await store.hashAt(height), hash, `hashAt ${height}`)
    }
  })
}
