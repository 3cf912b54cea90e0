import assert from 'node:assert/strict'
import type { Block, BlockStore } from '../../contracts/block-store.js'
import { HoldfastError } from '../../errors.js'
import { refOf } from '../test-chain.js'
import { blockAt, expectChain, expectSame, isSame, last, run, type Check } from './setup.js'

/** Writes against writes, and reads against writes. */
export function concurrencyChecks(check: Check): void {
  check('of concurrent appends to one tip exactly one wins', async (store) => {
    const chain = run({ height: -1 }, 3)
    await store.append(chain, { expectTip: null })
    const branches = Array.from({ length: 8 }, (_, index) => run(last(chain), 3, 10 + index))
    await expectOneWinner(
      store,
      branches.map((branch) => ({
        write: store.append(branch, { expectTip: last(chain) }),
        after: [...chain, ...branch],
      })),
    )
  })

  check('of concurrent first runs exactly one wins', async (store) => {
    const chains = Array.from({ length: 5 }, (_, index) => run({ height: index }, 3, index))
    await expectOneWinner(
      store,
      chains.map((after) => ({ write: store.append(after, { expectTip: null }), after })),
    )
  })

  check('of a concurrent append and replace exactly one wins', async (store) => {
    const chain = run({ height: -1 }, 5)
    await store.append(chain, { expectTip: null })
    const more = run(last(chain), 2, 2)
    const branch = run(blockAt(chain, 1), 9, 3)
    const expectTip = last(chain)
    await expectOneWinner(store, [
      {
        write: store.replace(blockAt(chain, 1), branch, { expectTip }),
        after: [...chain.slice(0, 2), ...branch],
      },
      { write: store.append(more, { expectTip }), after: [...chain, ...more] },
      { write: store.replace(null, [], { expectTip }), after: [] },
    ])
  })

  check('writes are carried out in the order of their calls', async (store) => {
    const chain = run({ height: -1 }, 20)
    const writes = chain.map((block, index) =>
      store.append([block], { expectTip: index === 0 ? null : blockAt(chain, index - 1) }),
    )
    expectSame(
      await Promise.all(writes),
      chain.map(refOf),
      'each write finds the one before it done',
    )
    await expectChain(store, chain, 'and all of them are there')
  })

  check('a write that was refused does not stop the ones behind it', async (store) => {
    const chain = run({ height: -1 }, 2)
    const gap = [blockAt(chain, 0), { ...blockAt(chain, 1), height: 5 }]
    const [refused, mismatched, written] = await Promise.allSettled([
      store.append(gap, { expectTip: null }),
      store.append(chain, { expectTip: last(chain) }),
      store.append(chain, { expectTip: null }),
    ])
    expectSame(
      [refused.status, mismatched.status, written.status],
      ['rejected', 'rejected', 'fulfilled'],
      'two refused writes and a good one',
    )
    await expectChain(store, chain, 'the good write is there')
  })

  check('reads that overlap writes see the chain before or after, never between', async (store) => {
    const states = statesOfAChain()
    const from = 100
    const everything = { limit: 1_000, maxBytes: Number.MAX_SAFE_INTEGER }
    const held = (chain: readonly Block[], height: number): Block | undefined =>
      chain.find((block) => block.height === height)
    const reads: Read[] = [
      { what: 'tip', ask: () => store.tip(), of: (chain) => refOrNull(chain.at(-1)) },
      { what: 'base', ask: () => store.base(), of: (chain) => refOrNull(chain[0]) },
      { what: 'get', ask: () => store.get(112), of: (chain) => held(chain, 112) },
      { what: 'hashAt', ask: () => store.hashAt(108), of: (chain) => held(chain, 108)?.hash },
      {
        what: 'range',
        ask: () => store.range(from, everything),
        of: (chain) => (held(chain, from) ? chain.filter(({ height }) => height >= from) : []),
      },
    ]

    let started = 0
    let completed = 0
    const write = async (): Promise<void> => {
      for (const [index, { ancestor, branch }] of states.entries()) {
        const before = states[index - 1]?.chain.at(-1)
        started = index + 1
        await store.replace(ancestor, branch, { expectTip: refOrNull(before) })
        completed = index + 1
      }
    }
    const read = async ({ what, ask, of }: Read): Promise<void> => {
      while (completed < states.length) {
        const oldest = completed
        const seen = await ask()
        const possible = [[], ...states.map(({ chain }) => chain)].slice(oldest, started + 1)
        if (!possible.some((chain) => isSame(seen, of(chain)))) {
          expectSame(
            seen,
            of(possible[0] ?? []),
            `${what} is of one state, from ${oldest} to ${started}`,
          )
        }
        // A store that reads without the disk must not keep the event loop from its own writes.
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await Promise.all([write(), ...reads.map(read)])
    await expectChain(store, states.at(-1)?.chain ?? [], 'the last write is there')
  })
}

interface Read {
  readonly what: string
  readonly ask: () => Promise<unknown>
  readonly of: (chain: readonly Block[]) => unknown
}

interface State {
  readonly ancestor: Block | null
  readonly branch: Block[]
  readonly chain: Block[]
}

/** Growth, reorganisations to longer and shorter branches, and a new base now and then. */
function statesOfAChain(): State[] {
  const states: State[] = []
  let chain: Block[] = []
  for (let step = 0; step < 40; step++) {
    const starts = step % 10 === 0
    const keep = starts ? 0 : step % 3 === 0 ? 5 : chain.length
    const ancestor = chain[keep - 1] ?? null
    const below = ancestor ?? { height: step % 20 === 0 ? 99 : 95 }
    const branch = run(below, step % 6 === 3 ? 4 : 15, 100 + step, 2_000)
    chain = [...chain.slice(0, keep), ...branch]
    states.push({ ancestor, branch, chain })
  }
  return states
}

async function expectOneWinner(
  store: BlockStore,
  writers: readonly { write: Promise<unknown>; after: readonly Block[] }[],
): Promise<void> {
  const outcomes = await Promise.allSettled(writers.map(({ write }) => write))
  const winner = outcomes.findIndex(({ status }) => status === 'fulfilled')
  const after = writers[winner]?.after
  assert.ok(after !== undefined, 'one of the writers must win; all were rejected')
  for (const [index, outcome] of outcomes.entries()) {
    if (index === winner) continue
    const reason: unknown = outcome.status === 'rejected' ? outcome.reason : outcome
    if (!HoldfastError.is(reason, 'TIP_MISMATCH')) {
      expectSame(reason, 'a TIP_MISMATCH', 'every writer but one is refused')
      continue
    }
    const expected = refOrNull(after.at(-1))
    expectSame(reason.actualTip, expected, 'actualTip is the tip that the winner made')
  }
  await expectChain(store, after, 'the chain is the one of the winner')
}

const refOrNull = (block: Block | undefined): { height: number; hash: string } | null =>
  block === undefined ? null : refOf(block)
