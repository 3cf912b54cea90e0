import { HoldfastError } from '../errors.js'

type Bytes = Uint8Array

/** Keys and values are bytes, whatever encodings the database was made with. */
export const asBytes = { keyEncoding: 'view', valueEncoding: 'view' } as const
type AsBytes = typeof asBytes

interface KeyRange {
  readonly gt?: Bytes
  readonly gte?: Bytes
  readonly lte?: Bytes
}

/** One change of a batch, which is done as a whole or not at all. */
export type LevelOperation =
  | { readonly type: 'put'; readonly key: Bytes; readonly value: Bytes }
  | { readonly type: 'del'; readonly key: Bytes }

/**
 * What LevelBlockStore needs of a database: the part of abstract-level (version 2 and up) that it uses.
 * classic-level, memory-level, browser-level and their sublevels all fit, with whatever encodings they
 * were made, as long as they can store bytes (memory-level with `storeEncoding: 'utf8'` cannot).
 */
export interface LevelDatabase {
  readonly status: 'opening' | 'open' | 'closing' | 'closed'
  /** Without snapshots in its iterators, `range` waits for writes and writes for it. */
  readonly supports: { readonly implicitSnapshots: boolean }
  /** Opens it, or with `passive` waits until somebody else has. */
  open(options?: { readonly passive?: boolean }): Promise<void>
  /** Closes it, when what was begun is done. */
  close(): Promise<void>
  /** The value of a key; undefined where there is none. */
  get(key: Bytes, options: AsBytes): Promise<Bytes | undefined>
  /** Makes all changes or none; with `sync` they are on the disk when it resolves. */
  batch(operations: LevelOperation[], options: AsBytes & { sync: boolean }): Promise<void>
  /** Deletes a range of keys. */
  clear(options: KeyRange & { keyEncoding: 'view' }): Promise<void>
  /** The records of a range in the order of their keys. */
  iterator(
    options: AsBytes & KeyRange & { reverse?: boolean; limit?: number },
  ): AsyncIterable<[Bytes, Bytes]>
}

/** Where the records are: in a folder, or in a database of the user's. */
export type LevelPlace =
  /** A folder of its own, made when it is missing. Opened with classic-level. */
  | { readonly location: string; readonly database?: never }
  /**
   * An abstract-level database or sublevel that holds nothing else, for one store. It stays open
   * after `close`, unless it was closed before `open`.
   */
  | { readonly database: LevelDatabase; readonly location?: never }

export interface OpenDatabase {
  readonly database: LevelDatabase
  /** Closes the database, if it was opened for us. */
  release(): Promise<void>
}

/** TypeError unless it is a path or a database, and not both. */
export function requirePlace(place: LevelPlace): void {
  const { location, database }: { readonly location?: unknown; readonly database?: unknown } = place
  if (location !== undefined && database !== undefined) {
    throw new TypeError('a LevelBlockStore has a location or a database, not both')
  }
  if (database !== undefined) requireDatabase(database)
  else if (typeof location !== 'string' || location === '') {
    throw new TypeError(
      `location must be the path of a folder, not ${JSON.stringify(location)}; or hand in a database`,
    )
  }
}

const usedMethods = ['open', 'close', 'get', 'batch', 'clear', 'iterator'] as const

function requireDatabase(database: unknown): void {
  const isObject = typeof database === 'object' && database !== null
  const missing = usedMethods.filter(
    (name) => !isObject || typeof (database as Record<string, unknown>)[name] !== 'function',
  )
  if (missing.length === 0) return
  throw new TypeError(
    `database must be an abstract-level database; it has no ${missing.join(', ')}`,
  )
}

/** Those that a store of this process has open: two would write over each other's records. */
const taken = new WeakSet<LevelDatabase>()

/** STORE_LOCKED while another store has the folder, or this very database, open. */
export async function openDatabase(place: LevelPlace): Promise<OpenDatabase> {
  const database = place.database ?? (await classicLevelAt(place.location))
  if (taken.has(database)) throw lockedError()
  taken.add(database)
  const { status } = database
  const opensHere = place.database === undefined || status === 'closed' || status === 'closing'
  try {
    await database.open({ passive: !opensHere })
  } catch (error) {
    taken.delete(database)
    throw explained(error)
  }
  return {
    database,
    release: async () => {
      taken.delete(database)
      if (opensHere) await database.close()
    },
  }
}

/** Loaded when it is wanted: it is native code, which a browser with a database of its own has not. */
async function classicLevelAt(location: string): Promise<LevelDatabase> {
  const { ClassicLevel } = await import('classic-level')
  return new ClassicLevel(location)
}

/** What abstract-level rejects with, said in the words of the contract where it has any. */
function explained(error: unknown): unknown {
  switch (codeOf(error instanceof Error ? error.cause : undefined)) {
    case 'LEVEL_LOCKED':
      return lockedError(error)
    case 'LEVEL_CORRUPTION':
      return new HoldfastError('STORE_CORRUPT', 'the database of the block store is damaged', {
        cause: error,
      })
    default:
      return error
  }
}

const lockedError = (cause?: unknown): HoldfastError =>
  new HoldfastError(
    'STORE_LOCKED',
    'the block store cannot be opened: another process, or another store of this one, has it open',
    { cause },
  )

const codeOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'code' in value ? value.code : undefined
