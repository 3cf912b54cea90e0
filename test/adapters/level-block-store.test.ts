import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AbstractLevel } from 'abstract-level'
import { ClassicLevel } from 'classic-level'
import { MemoryLevel } from 'memory-level'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { LevelBlockStore, type LevelDatabase } from '../../src/adapters/level-block-store.js'
import { HoldfastError } from '../../src/errors.js'
import { blockStoreSuite } from '../../src/testing/block-store-suite.js'
import { testChain } from '../../src/testing/test-chain.js'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const folder = async (): Promise<string> => mkdtemp(join(tmpdir(), 'holdfast-level-'))

async function temporaryFolder(): Promise<string> {
  const location = await folder()
  cleanups.push(() => rm(location, { recursive: true }))
  return location
}

async function temporaryDatabase(): Promise<ClassicLevel> {
  const database = new ClassicLevel(await temporaryFolder())
  cleanups.push(() => database.close())
  await database.open()
  return database
}

describe('LevelBlockStore in a folder', () => {
  blockStoreSuite({
    test,
    factory: async () => {
      const location = await folder()
      return {
        store: new LevelBlockStore({ location }),
        reopen: () => new LevelBlockStore({ location }),
        cleanup: () => rm(location, { recursive: true }),
      }
    },
  })

  test('a location that another store has open is refused with the cause, and is free later', async () => {
    const location = await temporaryFolder()
    const one = new LevelBlockStore({ location })
    const two = new LevelBlockStore({ location })
    await one.open()
    const error: unknown = await two.open().catch((reason: unknown) => reason)
    expect(HoldfastError.is(error, 'STORE_LOCKED') && error.message).toMatch(/has it open/)
    expect(error).toHaveProperty('cause.cause.code', 'LEVEL_LOCKED')
    await expect(two.tip()).rejects.toHaveProperty('code', 'STORE_CLOSED')
    await one.close()
    await two.open()
    expect(await two.tip()).toBeNull()
    await two.close()
  })

  test('a location that cannot be opened rejects with the cause', async () => {
    const store = new LevelBlockStore({ location: '/dev/null/nowhere' })
    await expect(store.open()).rejects.toHaveProperty('cause')
    await store.close()
  })
})

describe('what a LevelBlockStore is made with', () => {
  const location = 'chain'
  const refused: Record<string, { options: object; text: RegExp }> = {
    'no place': { options: {}, text: /location must be the path/ },
    'a location that is no text': { options: { location: 7 }, text: /path of a folder, not 7/ },
    'an empty location': { options: { location: '' }, text: /path of a folder, not ""/ },
    'a place too many': {
      options: { location, database: new MemoryLevel() },
      text: /a location or a database, not both/,
    },
    'a database that is none': { options: { database: new Map() }, text: /no open, close, batch/ },
    'a database that is null': { options: { database: null }, text: /abstract-level database/ },
    'a sync that is neither': { options: { location, sync: 'yes' }, text: /sync must be .*"yes"/ },
    'a depth that is unknown': {
      options: { location, verify: 'base' },
      text: /verify must be .*"base"/,
    },
  }
  for (const [what, { options, text }] of Object.entries(refused)) {
    test(`${what} is a TypeError that says so`, () => {
      const make = (): unknown => new LevelBlockStore(options as { location: string })
      expect(make).toThrow(TypeError)
      expect(make).toThrow(text)
    })
  }
})

// For the compiler: whatever extends AbstractLevel is a LevelDatabase, with any formats and encodings.
const takesAny = (
  database: AbstractLevel<Buffer | Uint8Array | string, string, object>,
): LevelDatabase => database
const takesSublevel: typeof takesAny = (database) => database.sublevel('chain')

for (const when of ['before', 'after'] as const) {
  describe(`LevelBlockStore on a database that fails ${when} it has written`, () => {
    blockStoreSuite({
      // The others were run on such a database above.
      test: (title, body) => title.includes('at any of its steps') && test(title, body),
      factory: () => ({ store: new LevelBlockStore({ database: new MemoryLevel() }) }),
      faultyFactory: (beforeWrite) => {
        const database = new MemoryLevel()
        const open = (): LevelBlockStore =>
          new LevelBlockStore({ database: failing(database, when, beforeWrite), verify: 'all' })
        return { store: open(), reopen: open, afterKill: open, cleanup: () => database.close() }
      },
    })
  })
}

for (const storeEncoding of ['buffer', 'view'] as const) {
  for (const isSublevel of [false, true]) {
    const where = isSublevel ? 'in a sublevel of memory-level' : 'in memory-level'
    describe(`LevelBlockStore ${where} that keeps ${storeEncoding}s`, () => {
      blockStoreSuite({
        test,
        factory: () => {
          const whole = new MemoryLevel<string, object>({ storeEncoding, valueEncoding: 'json' })
          const database = isSublevel ? takesSublevel(whole) : takesAny(whole)
          return {
            store: new LevelBlockStore({ database }),
            reopen: () => new LevelBlockStore({ database }),
            cleanup: () => whole.close(),
          }
        },
      })
    })
  }
}

describe('LevelBlockStore in a sublevel of a database of the user’s', () => {
  blockStoreSuite({
    test,
    factory: async () => {
      const location = await folder()
      // Encodings of the user's, which are none of the store's business.
      const database = new ClassicLevel<string, object>(location, { valueEncoding: 'json' })
      await database.put('a key of the user', { untouched: true })
      const chain = database.sublevel('chain')
      return {
        store: new LevelBlockStore({ database: chain }),
        reopen: () => new LevelBlockStore({ database: chain }),
        cleanup: async () => {
          expect(await database.get('a key of the user')).toEqual({ untouched: true })
          await database.close()
          await rm(location, { recursive: true })
        },
      }
    },
  })
})

describe('LevelBlockStore in a database without snapshots', () => {
  blockStoreSuite({
    test,
    factory: async () => {
      const location = await folder()
      const database = new ClassicLevel(location)
      const live = withoutSnapshots(database)
      return {
        store: new LevelBlockStore({ database: live }),
        reopen: () => new LevelBlockStore({ database: live }),
        cleanup: async () => {
          await database.close()
          await rm(location, { recursive: true })
        },
      }
    },
  })
})

describe('LevelBlockStore and the database that it was given', () => {
  const chain = testChain({ length: 6 })

  test('leaves it open when it was open', async () => {
    const database = await temporaryDatabase()
    const store = new LevelBlockStore({ database })
    await store.open()
    await store.close()
    expect(database.status).toBe('open')
    await expect(store.tip()).rejects.toHaveProperty('code', 'STORE_CLOSED')
  })

  test('closes it when it was closed and had to be opened', async () => {
    const database = await temporaryDatabase()
    await database.close()
    const store = new LevelBlockStore({ database })
    await store.open()
    expect(database.status).toBe('open')
    await store.close()
    expect(database.status).toBe('closed')
  })

  test('has it alone: another store on it is refused until this one is closed', async () => {
    const database = new MemoryLevel()
    const [one, two] = [new LevelBlockStore({ database }), new LevelBlockStore({ database })]
    await one.open()
    await one.append(chain.blocks, { expectTip: null })
    await expect(two.open()).rejects.toHaveProperty('code', 'STORE_LOCKED')
    await two.close()
    await one.close()
    await two.open()
    expect(await two.tip()).toEqual(chain.tip)
    await two.close()
  })

  test('can be opened by another store when one could not', async () => {
    const database = new MemoryLevel<string, string>()
    await database.put('a key', 'of another program')
    const store = new LevelBlockStore({ database })
    await expect(store.open()).rejects.toHaveProperty('code', 'STORE_CORRUPT')
    await database.del('a key')
    const again = new LevelBlockStore({ database })
    await again.open()
    expect(await again.tip()).toBeNull()
    await again.close()
  })

  test('refuses one that can keep nothing but text', async () => {
    const store = new LevelBlockStore({ database: new MemoryLevel({ storeEncoding: 'utf8' }) })
    await expect(store.open()).rejects.toHaveProperty('code', 'LEVEL_ENCODING_NOT_SUPPORTED')
    await store.close()
  })

  test('waits for it when it is just being opened', async () => {
    const database = new ClassicLevel(await temporaryFolder())
    cleanups.push(() => database.close())
    const store = new LevelBlockStore({ database })
    await store.open()
    await store.close()
    expect(database.status).toBe('open')
  })

  for (const sync of [undefined, true, false]) {
    test(`makes one batch per write, with sync ${sync ?? 'as default'}`, async () => {
      const database = await temporaryDatabase()
      const store = new LevelBlockStore({ database, ...(sync === undefined ? {} : { sync }) })
      await store.open()
      const batch = vi.spyOn(database, 'batch')
      await store.append(chain.blocks, { expectTip: null })
      const branch = chain.fork(2, 1, 2)
      await store.replace(branch.at(2), [branch.at(3)], { expectTip: chain.tip })
      await store.append([], { expectTip: branch.tip })
      const calls = batch.mock.calls as unknown as [operations: object[], options: object][]
      // A block and its name each, and the record of the ends.
      expect(calls.map(([{ length }, options]) => [length, options])).toMatchObject([
        [1 + 2 * 6, { sync: sync ?? true }],
        [1 + 2 * 3, { sync: sync ?? true }],
      ])
      await store.close()
    })
  }

  test('does not take a block that is written while it looks for a missing one', async () => {
    const database: LevelDatabase = await temporaryDatabase()
    const store = new LevelBlockStore({ database })
    await store.open()
    const look = database.get.bind(database)
    const get = vi.spyOn(database, 'get')
    get.mockImplementationOnce(async (key, options) => {
      const value = await look(key, options)
      await store.append(chain.blocks, { expectTip: null })
      return value
    })
    expect(await store.get(3)).toEqual(chain.at(3))
    await store.close()
  })

  test('hands on what the disk rejects with, and stays usable', async () => {
    const database = await temporaryDatabase()
    const store = new LevelBlockStore({ database })
    await store.open()
    const batch = vi.spyOn(database, 'batch')
    batch.mockImplementationOnce(() => Promise.reject(new Error('disk full')) as never)
    await expect(store.append(chain.blocks, { expectTip: null })).rejects.toThrow('disk full')
    expect(await store.tip()).toBeNull()
    expect(await store.append(chain.blocks, { expectTip: null })).toEqual(chain.tip)
    await store.close()
  })
})

/** The same database, which asks before or after each write whether it fails. */
function failing(
  database: LevelDatabase,
  when: 'before' | 'after',
  beforeWrite: () => void,
): LevelDatabase {
  const write = async (action: () => Promise<void>): Promise<void> => {
    if (when === 'before') beforeWrite()
    await action()
    if (when === 'after') beforeWrite()
  }
  return {
    ...view(database),
    batch: (operations, options) => write(() => database.batch(operations, options)),
    clear: (options) => write(() => database.clear(options)),
  }
}

/** The same database with iterators that see every write at once, as those of browser-level do. */
function withoutSnapshots(database: ClassicLevel): LevelDatabase {
  const whole: LevelDatabase = database
  async function* iterator(
    options: Parameters<LevelDatabase['iterator']>[0],
  ): AsyncGenerator<[Uint8Array, Uint8Array]> {
    const { gte, limit = Infinity, ...rest } = options
    let from: { gt?: Uint8Array; gte?: Uint8Array } = gte ? { gte } : {}
    for (let count = 0; count < limit; count++) {
      const found: [Uint8Array, Uint8Array][] = []
      for await (const entry of whole.iterator({ ...rest, ...from, limit: 1 })) found.push(entry)
      const [entry] = found
      if (entry === undefined) return
      yield entry
      from = { gt: entry[0] }
    }
  }
  return { ...view(whole), supports: { implicitSnapshots: false }, iterator }
}

/** An object of its own for each store, as each process has one. */
const view = (database: LevelDatabase): LevelDatabase => ({
  status: 'open',
  supports: database.supports,
  open: (options) => database.open(options),
  close: () => database.close(),
  get: (key, options) => database.get(key, options),
  batch: (operations, options) => database.batch(operations, options),
  clear: (options) => database.clear(options),
  iterator: (options) => database.iterator(options),
})
