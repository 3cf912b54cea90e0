import type { Block, BlockStore } from '../../contracts/block-store.js'
import { HoldfastError } from '../../errors.js'
import {
  blockAt,
  expectChain,
  expectCode,
  expectSame,
  first,
  last,
  refAt,
  run,
  type Check,
} from './setup.js'

/** open, close, and what survives them. */
export function lifecycleChecks(check: Check, checkClosed: Check): void {
  checkClosed('before open everything rejects with STORE_CLOSED', async (store) => {
    await expectAllClosed(store, 'before open')
  })

  check('after close everything rejects with STORE_CLOSED', async (store) => {
    await store.append(run({ height: -1 }, 3), { expectTip: null })
    await store.close()
    await expectAllClosed(store, 'after close')
  })

  checkClosed('close before open is harmless, and open works afterwards', async (store) => {
    await store.close()
    await store.open()
    await expectChain(store, [], 'the store is empty')
  })

  checkClosed('open and close are idempotent', async (store) => {
    await Promise.all([store.open(), store.open()])
    await store.open()
    const chain = run({ height: -1 }, 3)
    await store.append(chain, { expectTip: null })
    await store.open()
    await expectChain(store, chain, 'opening an open store changes nothing')
    await Promise.all([store.close(), store.close()])
    await store.close()
    await expectCode(store.tip(), 'STORE_CLOSED', 'a store closed twice is closed')
  })

  check('open works again after close', async (store) => {
    for (let round = 0; round < 3; round++) {
      await store.close()
      await store.open()
      const tip = await store.tip()
      const more = run(tip ?? { height: -1 }, 2, round)
      expectSame(await store.append(more, { expectTip: tip }), last(more), 'append after reopening')
    }
  })

  check('a reopened store holds the same chain', async (_store, reopen) => {
    if (reopen === undefined) return
    let again = await reopen()
    await expectChain(again, [], 'an empty store reopened is empty')

    const chain = run({ height: 999 }, 10)
    await again.append(chain, { expectTip: null })
    again = await reopen()
    await expectChain(again, chain, 'what was appended is there after reopening')

    const branch = run(blockAt(chain, 4), 3, 2)
    await again.replace(blockAt(chain, 4), branch, { expectTip: last(chain) })
    again = await reopen()
    await expectChain(
      again,
      [...chain.slice(0, 5), ...branch],
      'a replaced chain is there, and only it, after reopening',
    )

    await again.replace(null, [], { expectTip: last(branch) })
    again = await reopen()
    await expectChain(again, [], 'an emptied store is empty after reopening')
  })

  check('close waits for the write that runs', async (store, reopen) => {
    const chain = run({ height: -1 }, 50)
    let isWritten = false
    const write = store.append(chain, { expectTip: null }).then((tip) => {
      isWritten = true
      return tip
    })
    await store.close()
    const wasWritten = isWritten
    expectSame(await write, last(chain), 'a write that runs when close is called is carried out')
    expectSame(wasWritten, true, 'close resolves after the write that ran')
    if (reopen !== undefined) {
      await expectChain(await reopen(), chain, 'what was written while closing is there')
    }
  })

  check(
    'writes that overlap a close are carried out or reject with STORE_CLOSED',
    async (store, reopen) => {
      const chain = run({ height: -1 }, 20)
      await store.append(chain.slice(0, 10), { expectTip: null })
      // Listened to at once: one may reject before the close is done.
      const writes = Promise.allSettled(
        chain
          .slice(10)
          .map((block, index) => store.append([block], { expectTip: refAt(chain, 9 + index) })),
      )
      await store.close()
      const outcomes = await writes
      expectDoneOrClosed(outcomes)
      if (reopen === undefined) return
      const written = outcomes.filter(({ status }) => status === 'fulfilled').length
      const held = chain.slice(0, 10 + written)
      await expectChain(await reopen(), held, 'the store holds exactly the writes that resolved')
    },
  )

  check('reads that overlap a close are answered or reject with STORE_CLOSED', async (store) => {
    const chain = run({ height: -1 }, 500, 1, 2_000)
    await store.append(chain, { expectTip: null })
    const reads = Promise.allSettled([
      store.range(0, { limit: 500, maxBytes: Number.MAX_SAFE_INTEGER }),
      store.tip(),
      store.base(),
      ...chain.flatMap(({ height }) => [store.get(height), store.hashAt(height)]),
    ])
    await store.close()
    const outcomes = await reads
    expectDoneOrClosed(outcomes)
    const whole = outcomes[0]
    if (whole.status === 'fulfilled') expectSame(whole.value, chain, 'a range is not cut short')
  })
}

function expectDoneOrClosed(outcomes: readonly PromiseSettledResult<unknown>[]): void {
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled' || HoldfastError.is(outcome.reason, 'STORE_CLOSED')) continue
    expectSame(outcome.reason, 'STORE_CLOSED', 'what a close cuts off rejects with STORE_CLOSED')
  }
}

async function expectAllClosed(store: BlockStore, when: string): Promise<void> {
  const blocks: Block[] = run({ height: -1 }, 2)
  const calls: Record<string, () => Promise<unknown>> = {
    tip: () => store.tip(),
    base: () => store.base(),
    get: () => store.get(0),
    hashAt: () => store.hashAt(0),
    range: () => store.range(0, { limit: 1, maxBytes: 1 }),
    append: () => store.append(blocks, { expectTip: null }),
    replace: () => store.replace(first(blocks), [], { expectTip: null }),
  }
  for (const [name, call] of Object.entries(calls)) {
    await expectCode(call(), 'STORE_CLOSED', `${name} ${when}`)
  }
}
