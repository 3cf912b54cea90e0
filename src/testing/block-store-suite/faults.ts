import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { Block, BlockRef, BlockStore } from '../../contracts/block-store.js'
import { HoldfastError } from '../../errors.js'
import { refOf } from '../test-chain.js'
import {
  blockAt,
  expectChain,
  isSame,
  run,
  testOfRule,
  type BlockStoreSuiteOptions,
  type FaultyBlockStoreUnderTest,
} from './setup.js'

/** Something that writes, as a change from one chain to another. */
interface Write {
  readonly before: readonly Block[]
  readonly after: readonly Block[]
  readonly make: (store: BlockStore) => Promise<unknown>
}

/** So many steps no single write takes. */
const maxSteps = 10_000

/** The n-th write to the disk fails, for every n, while the store does each kind of thing that writes. */
export function faultChecks({ test, faultyFactory }: BlockStoreSuiteOptions): void {
  if (faultyFactory === undefined) return
  for (const [what, write] of Object.entries(writes())) {
    testOfRule(
      test,
      `${what}, failing at any of its steps, is done or not done, and can be repeated`,
      () =>
        atEveryStep(faultyFactory, async (made, disk, step) => {
          const store = await filled(made, write.before)
          // Some failures pass at once, others take a while.
          disk.failAt(step, 1 + (step % 3))
          const held = await untilDone(store, write, disk)
          const more = run(held.at(-1) ?? { height: 6 }, 2, 9)
          await untilDone(store, appending(held, more), disk)
          disk.heal()
          await expectReopened(
            made,
            store,
            [...held, ...more],
            `${what} failed, and then it did not`,
          )
        }),
    )

    testOfRule(
      test,
      `${what}, failing at any of its steps, is after a reopening what the store said`,
      () =>
        atEveryStep(faultyFactory, async (made, disk, step) => {
          const store = await filled(made, write.before)
          disk.failAt(step, 1)
          const isDone = await write.make(store).then(
            () => true,
            (error: unknown) => {
              requireDiskError(error, 'a write')
              return false
            },
          )
          disk.heal()
          const held = await expectEither(store, write, isDone, `${what} failed at step ${step}`)
          await expectReopened(made, store, held, `${what} that failed`)
        }),
    )

    testOfRule(test, `${what}, cut off by a kill at any of its steps, is done or not done`, () =>
      atEveryStep(faultyFactory, async (made, disk, step) => {
        if (made.afterKill === undefined) return
        const store = await filled(made, write.before)
        disk.failAt(step, Infinity)
        const isDone = await write.make(store).then(
          () => true,
          () => false,
        )
        const again = await made.afterKill()
        disk.heal()
        await again.open()
        const rule = `a process was killed at step ${step} of ${what}`
        const held = await expectEither(again, write, isDone, rule)
        await expectGrowth(again, held, rule)
        await again.close()
      }),
    )
  }

  testOfRule(test, 'open, failing at any of its steps, can be repeated, and loses nothing', () =>
    atEveryStep(faultyFactory, async (made, disk, step) => {
      const chain = run({ height: 99 }, 5)
      const store = await filled(made, chain)
      await store.close()
      const again = (await made.reopen?.()) ?? store
      disk.failAt(step, 1 + (step % 3))
      await untilItResolves(() => again.open(), disk, 'open')
      await expectChain(again, chain, 'the chain is there after an open that failed at first')
      disk.heal()
      await expectGrowth(again, chain, 'an open that failed at first')
      await again.close()
    }),
  )

  testOfRule(test, 'close, failing at any of its steps, loses nothing', () =>
    atEveryStep(faultyFactory, async (made, disk, step) => {
      const chain = run({ height: 99 }, 5)
      const store = await filled(made, chain)
      disk.failAt(step, 1)
      await store.close().catch((error: unknown) => requireDiskError(error, 'close'))
      disk.heal()
      await expectReopened(made, store, chain, 'close failed')
    }),
  )
}

function writes(): Record<string, Write> {
  const chain = run({ height: 252 }, 6)
  const replacing = (ancestor: Block | null, branch: readonly Block[]): Write => {
    const kept = ancestor === null ? [] : chain.slice(0, chain.indexOf(ancestor) + 1)
    return {
      before: chain,
      after: [...kept, ...branch],
      make: (store) => store.replace(ancestor, branch, { expectTip: blockAt(chain, -1) }),
    }
  }
  return {
    'a first append': appending([], chain),
    'an append': appending(chain, run(blockAt(chain, -1), 4)),
    'a replace by a longer branch': replacing(blockAt(chain, 2), run(blockAt(chain, 2), 7, 2)),
    'a replace by a shorter branch': replacing(blockAt(chain, 2), run(blockAt(chain, 2), 1, 2)),
    'a replace by nothing': replacing(blockAt(chain, 2), []),
    'a replace of the whole chain': replacing(null, run({ height: 250 }, 4, 2)),
    'a replace that empties the store': replacing(null, []),
  }
}

function appending(before: readonly Block[], more: readonly Block[]): Write {
  return {
    before,
    after: [...before, ...more],
    make: (store) => store.append(more, { expectTip: refOrNull(before) }),
  }
}

/** Counts the writes to the disk, and says which of them fail. */
class FailingDisk {
  #from = Infinity
  #to = Infinity
  #writes = 0

  /** Writes since `failAt`, and how many of them failed. */
  met = 0
  isUsed = false

  failAt(first: number, count: number): void {
    this.#from = first
    this.#to = first + count
    this.#writes = 0
    this.met = 0
  }

  heal(): void {
    this.#from = Infinity
  }

  readonly beforeWrite = (): void => {
    this.isUsed = true
    const number = this.#writes++
    if (number < this.#from || number >= this.#to) return
    this.met++
    throw new Error('this write to the disk fails, for the suite wants it to')
  }
}

/** Calls `body` on fresh stores, with the steps 0, 1, … to fail at, until one is never reached. */
async function atEveryStep(
  factory: NonNullable<BlockStoreSuiteOptions['faultyFactory']>,
  body: (made: FaultyBlockStoreUnderTest, disk: FailingDisk, step: number) => Promise<void>,
): Promise<void> {
  for (let step = 0; step < maxSteps; step++) {
    const disk = new FailingDisk()
    const made = await factory(disk.beforeWrite)
    try {
      await body(made, disk, step)
    } finally {
      disk.heal()
      await made.store.close().catch(() => undefined)
      await made.cleanup?.()
    }
    assert.ok(
      disk.isUsed,
      'faultyFactory was given a function to be called at each write to the disk, and nobody called it',
    )
    if (disk.met === 0) return
  }
  assert.fail(`one call wrote to the disk more than ${maxSteps} times`)
}

async function filled(
  { store }: FaultyBlockStoreUnderTest,
  chain: readonly Block[],
): Promise<BlockStore> {
  await store.open()
  await store.append(chain, { expectTip: null })
  return store
}

/** Makes a write, again while it fails and was not done. Returns the chain that the store then holds. */
async function untilDone(
  store: BlockStore,
  write: Write,
  disk: FailingDisk,
): Promise<readonly Block[]> {
  let isDone = false
  await untilItResolves(
    async () => {
      if (!isDone) await write.make(store)
    },
    disk,
    'a write',
    async () => {
      const held = await expectEither(store, write, false, 'a write that the disk made fail')
      isDone = held === write.after
    },
  )
  await expectChain(store, write.after, 'the write resolved, or was found done')
  return write.after
}

async function untilItResolves(
  action: () => Promise<unknown>,
  disk: FailingDisk,
  what: string,
  afterFailure?: () => Promise<void>,
): Promise<void> {
  let met = 0
  for (;;) {
    try {
      await action()
      return
    } catch (error) {
      requireDiskError(error, what)
      if (disk.met === met) {
        assert.fail(
          `${what} works again as soon as the disk does\n  expected: it resolves\n  seen:     it rejected with ${inspect(error)}`,
        )
      }
      met = disk.met
    }
    await afterFailure?.()
  }
}

/** Which of the two chains the store holds, all of it. */
async function expectEither(
  store: BlockStore,
  { before, after }: Write,
  isDone: boolean,
  rule: string,
): Promise<readonly Block[]> {
  const isAfter = isDone || isSame(await store.tip(), refOrNull(after))
  const held = isAfter ? after : before
  const meaning = isDone ? 'what resolved is there' : 'all of the write is there, or nothing of it'
  await expectChain(store, held, `${rule}: ${meaning}`)
  return held
}

async function expectReopened(
  { reopen }: FaultyBlockStoreUnderTest,
  store: BlockStore,
  chain: readonly Block[],
  what: string,
): Promise<void> {
  await store.close()
  const again = (await reopen?.()) ?? store
  await again.open()
  await expectChain(again, chain, `after ${what} the reopened store holds the same chain`)
  await expectGrowth(again, chain, what)
  await again.close()
}

async function expectGrowth(
  store: BlockStore,
  chain: readonly Block[],
  what: string,
): Promise<void> {
  const more = run(chain.at(-1) ?? { height: 20 }, 2, 77)
  await store.append(more, { expectTip: refOrNull(chain) })
  await expectChain(store, [...chain, ...more], `the chain grows on after ${what}`)
}

/** A failing disk is none of the things for which the contract has a name. */
function requireDiskError(error: unknown, what: string): void {
  const isNamed =
    HoldfastError.is(error) || error instanceof RangeError || error instanceof TypeError
  if (!isNamed) return
  assert.fail(
    `${what} that the disk made fail rejects with what the disk said\n  seen:     ${inspect(error)}`,
  )
}

const refOrNull = (chain: readonly Block[]): BlockRef | null => {
  const last = chain.at(-1)
  return last === undefined ? null : refOf(last)
}
