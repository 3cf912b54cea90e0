import { describe, expect, test } from 'vitest'
import { HoldfastError, MemoryBlockStore, type Block, type BlockStore } from 'holdfast'
import { blockStoreSuite, type FaultyBlockStoreUnderTest } from 'holdfast/testing'

/** What is wrong with a store, as a change to one that is right. */
type Flaw = (inner: BlockStore) => Partial<BlockStore>

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const flaws: readonly { readonly what: string; readonly flaw: Flaw; readonly found: RegExp }[] = [
  {
    what: 'copies what it is given too late',
    flaw: (inner) => ({
      append: async (blocks, options) => {
        await turn()
        return inner.append(blocks, options)
      },
    }),
    found: /keeps no reference|what the caller does afterwards changes nothing/,
  },
  {
    what: 'returns the same block twice',
    flaw: (inner) => {
      const cache = new Map<number, Block | undefined>()
      const get = async (height: number): Promise<Block | undefined> => {
        if (!cache.has(height)) cache.set(height, await inner.get(height))
        return cache.get(height)
      }
      return { get }
    },
    found: /also in a block returned twice/,
  },
  {
    what: 'returns a block more than the limit',
    flaw: (inner) => ({
      range: (from, limits) => inner.range(from, { ...limits, limit: limits.limit + 1 }),
    }),
    found: /range from 10, limit 1\n {2}expected: \[ \{.*\} \]\n {2}seen: .*height: 11/,
  },
  {
    what: 'returns a byte more than maxBytes',
    flaw: (inner) => ({
      range: (from, { limit, maxBytes }) =>
        inner.range(from, { limit, maxBytes: Math.min(maxBytes + 1, Number.MAX_SAFE_INTEGER) }),
    }),
    found: /range from 0, maxBytes 149/,
  },
  {
    what: 'leaves out a first block that is larger than maxBytes',
    flaw: (inner) => ({
      range: async (from, limits) =>
        (await inner.range(from, limits)).filter(
          ({ payload }) => payload.length <= limits.maxBytes,
        ),
    }),
    found: /range from 0, maxBytes 0/,
  },
  {
    what: 'appends block by block',
    flaw: (inner) => ({
      append: async (blocks, { expectTip }) => {
        let tip = blocks.length === 0 ? await inner.append([], { expectTip }) : expectTip
        for (const block of blocks) tip = await inner.append([block], { expectTip: tip })
        return tip
      },
    }),
    found: /after a run with a gap the chain is unchanged|a refused first run leaves nothing/,
  },
  {
    what: 'removes first and writes afterwards',
    flaw: (inner) => ({
      replace: async (ancestor, blocks, options) => {
        const below = await inner.replace(ancestor, [], options)
        await turn()
        return inner.append(blocks, { expectTip: below })
      },
    }),
    found: /is of one state|after a branch with a gap the chain is unchanged/,
  },
  {
    what: 'does not say what the tip is',
    flaw: (inner) => ({
      append: (blocks, options) =>
        inner.append(blocks, options).catch((error: unknown) => {
          if (!HoldfastError.is(error, 'TIP_MISMATCH')) throw error
          throw new HoldfastError('TIP_MISMATCH', 'another tip')
        }),
    }),
    found: /actualTip of an empty store is null/,
  },
  {
    what: 'compares no tip when there is nothing to write',
    flaw: (inner) => ({
      append: (blocks, options) =>
        blocks.length === 0 ? inner.tip() : inner.append(blocks, options),
    }),
    found: /append of 0 blocks, expecting null/,
  },
  {
    what: 'takes hashes for equal that differ in their letters',
    flaw: (inner) => ({
      append: (blocks, { expectTip }) =>
        inner.append(blocks, {
          expectTip: expectTip && { ...expectTip, hash: expectTip.hash.toLowerCase() },
        }),
    }),
    found: /expecting the hash in other letters/,
  },
  {
    what: 'lets every writer win',
    flaw: (inner) => ({
      replace: async (ancestor, blocks) =>
        inner.replace(ancestor, blocks, { expectTip: await inner.tip() }),
    }),
    found: /every writer but one is refused|replace with another tip expected/,
  },
  {
    what: 'keeps heights in 32 bits',
    flaw: (inner) => ({ hashAt: (height) => inner.hashAt(height % 2 ** 32) }),
    found: /hashAt 4294967306\n {2}expected: undefined/,
  },
  {
    what: 'takes any number for a height',
    flaw: (inner) => ({ get: async (height) => inner.get(Math.max(0, Math.trunc(height) || 0)) }),
    found: /get -1\n {2}expected: a RangeError/,
  },
  {
    what: 'answers before it is open',
    flaw: (inner) => ({ tip: () => inner.tip().catch(() => null) }),
    found: /tip before open\n {2}expected: a HoldfastError STORE_CLOSED/,
  },
  {
    what: 'can be opened once',
    flaw: (inner) => {
      let isOpen = false
      return {
        open: async () => {
          if (isOpen) throw new Error('it is open')
          isOpen = true
          await inner.open()
        },
      }
    },
    found:
      /open and close are idempotent\n {2}expected: every call resolves.*\n {2}seen: .*it is open/,
  },
  {
    what: 'closes while it writes',
    flaw: (inner) => ({
      append: async (blocks, options) => {
        const copies = blocks.map((block) => ({ ...block, payload: block.payload.slice() }))
        await turn()
        return inner.append(copies, options)
      },
    }),
    found: /close waits for the write that runs/,
  },
  {
    what: 'cuts large payloads',
    flaw: (inner) => ({
      get: async (height) => {
        const block = await inner.get(height)
        return block && { ...block, payload: block.payload.subarray(0, 65_535) }
      },
    }),
    found: /65536 bytes/,
  },
  {
    what: 'takes an empty payload for no block',
    flaw: (inner) => ({
      get: async (height) => {
        const block = await inner.get(height)
        return block?.payload.length === 0 ? undefined : block
      },
    }),
    found: /0 bytes\n {2}expected: \{.*\n {2}seen: {5}undefined/,
  },
  {
    what: 'keeps its base when all was replaced',
    flaw: (inner) => {
      let base: ReturnType<BlockStore['base']> | undefined
      return { base: async () => (base ??= inner.base()) }
    },
    found: /\(base\)/,
  },
  {
    what: 'rewrites hashes',
    flaw: (inner) => ({ hashAt: async (height) => (await inner.hashAt(height))?.normalize() }),
    found: /hashAt 3\n/,
  },
]

const faultyStores: Record<
  string,
  { make: (beforeWrite: () => void) => FaultyBlockStoreUnderTest; found: RegExp }
> = {
  'writes in two steps': {
    make: (beforeWrite) => {
      const inner = new MemoryBlockStore()
      return {
        store: flawed(inner, () => ({
          replace: async (ancestor, blocks, options) => {
            beforeWrite()
            const below = await inner.replace(ancestor, [], options)
            beforeWrite()
            return inner.append(blocks, { expectTip: below })
          },
        })),
      }
    },
    found: /all of the write is there, or nothing of it/,
  },
  'loses what was confirmed when it is killed': {
    make: (beforeWrite) => ({
      store: failing(new MemoryBlockStore(), beforeWrite),
      afterKill: () => new MemoryBlockStore(),
    }),
    found: /a process was killed at step 0 of an append.*nothing of it \(tip\)\n {2}expected: \{/,
  },
  'fails for ever after the first failure': {
    make: (beforeWrite) => {
      let failed: unknown
      const store = failing(new MemoryBlockStore(), () => {
        if (failed !== undefined) throw failed as Error
        try {
          beforeWrite()
        } catch (error) {
          failed = error
          throw error
        }
      })
      return { store }
    },
    found: /works again as soon as the disk does\n {2}expected: it resolves/,
  },
  'names a failing disk as if the caller were to blame': {
    make: (beforeWrite) => {
      const store = failing(new MemoryBlockStore(), () => {
        try {
          beforeWrite()
        } catch (cause) {
          throw new HoldfastError('TIP_MISMATCH', 'no', { cause })
        }
      })
      return { store }
    },
    found: /rejects with what the disk said/,
  },
  'does not tell of its writes': {
    make: () => ({ store: new MemoryBlockStore() }),
    found: /nobody called it/,
  },
}

describe('blockStoreSuite', () => {
  test('passes a store without a flaw, on a disk that fails too', async () => {
    expect(await failuresOf(() => ({ store: new MemoryBlockStore() }))).toEqual([])
    const faulty = await failuresOf(undefined, (beforeWrite) => {
      const store = new MemoryBlockStore()
      const open = (): BlockStore => failing(store, beforeWrite)
      return { store: open(), reopen: open, afterKill: open }
    })
    expect(faulty).toEqual([])
  })

  test.each(flaws)('finds a store that $what', async ({ flaw, found }) => {
    const make = (): { store: BlockStore } => ({ store: flawed(new MemoryBlockStore(), flaw) })
    expect((await failuresOf(make, undefined, found)).join('\n')).toMatch(found)
  })

  test('finds a store that forgets when it is reopened', async () => {
    const found = /what was appended is there after reopening/
    const make = () => ({ store: new MemoryBlockStore(), reopen: () => new MemoryBlockStore() })
    expect((await failuresOf(make, undefined, found)).join('\n')).toMatch(found)
  })

  test.each(Object.entries(faultyStores))(
    'finds a store that %s',
    async (_what, { make, found }) => {
      expect((await failuresOf(undefined, make, found)).join('\n')).toMatch(found)
    },
  )
})

/**
 * Runs the tests of one factory or the other, as far as the first failure that is `found`. The messages of
 * those that failed.
 */
async function failuresOf(
  factory?: () => { readonly store: BlockStore; readonly reopen?: () => BlockStore },
  faultyFactory?: (beforeWrite: () => void) => FaultyBlockStoreUnderTest,
  found?: RegExp,
): Promise<string[]> {
  const failures: string[] = []
  const bodies: (() => Promise<void>)[] = []
  blockStoreSuite({
    test: (title, body) => {
      if (title.includes('at any of its steps') === (factory === undefined)) bodies.push(body)
    },
    factory: factory ?? (() => ({ store: new MemoryBlockStore() })),
    ...(faultyFactory && { faultyFactory }),
    maxPayloadBytes: 65_536,
  })
  for (const body of bodies) {
    await body().catch((error: unknown) => failures.push(String(error)))
    if (found !== undefined && failures.some((text) => found.test(text))) break
  }
  return failures
}

const failing = (inner: BlockStore, beforeWrite: () => void): BlockStore =>
  flawed(inner, () => ({
    append: async (blocks, options) => {
      if (blocks.length > 0) beforeWrite()
      return inner.append(blocks, options)
    },
    replace: async (ancestor, blocks, options) => {
      beforeWrite()
      return inner.replace(ancestor, blocks, options)
    },
  }))

function flawed(inner: BlockStore, flaw: Flaw): BlockStore {
  return {
    open: () => inner.open(),
    close: () => inner.close(),
    tip: () => inner.tip(),
    base: () => inner.base(),
    get: (height) => inner.get(height),
    hashAt: (height) => inner.hashAt(height),
    range: (from, limits) => inner.range(from, limits),
    append: (blocks, options) => inner.append(blocks, options),
    replace: (ancestor, blocks, options) => inner.replace(ancestor, blocks, options),
    ...flaw(inner),
  }
}
