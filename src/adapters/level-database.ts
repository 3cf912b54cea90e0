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

export type LevelOperation =
  | { readonly type: 'put'; readonly key: Bytes; readonly value: Bytes }
  | { readonly type: 'del'; readonly key: Bytes }

/**
 * What LevelBlockStore needs of a database: the part of abstract-level (version 2 and up) that it uses.
 * classic-level, memory-level, browser-level and their sublevels all fit.
 */
export interface LevelDatabase {
  readonly status: 'opening' | 'open' | 'closing' | 'closed'
  /** Without snapshots in its iterators, `range` waits for writes and writes for it. */
  readonly supports: { readonly implicitSnapshots: boolean }
  open(options?: { readonly passive?: boolean }): Promise<void>
  close(): Promise<void>
  get(key: Bytes, options: AsBytes): Promise<Bytes | undefined>
  batch(operations: LevelOperation[], options: AsBytes & { sync: boolean }): Promise<void>
  clear(options: KeyRange & { keyEncoding: 'view' }): Promise<void>
  iterator(
    options: AsBytes & KeyRange & { reverse?: boolean; limit?: number },
  ): AsyncIterable<[Bytes, Bytes]>
}

export type LevelPlace =
  /** A folder of its own, made when it is missing. Opened with classic-level. */
  | { readonly location: string }
  /**
   * An abstract-level database or sublevel that holds nothing else, for one store. It stays open
   * after `close`, unless it was closed before `open`.
   */
  | { readonly database: LevelDatabase }

export interface OpenDatabase {
  readonly database: LevelDatabase
  /** Closes the database, if it was opened for us. */
  release(): Promise<void>
}

export async function openDatabase(place: LevelPlace): Promise<OpenDatabase> {
  const database = 'database' in place ? place.database : await classicLevelAt(place.location)
  const { status } = database
  const opensHere = 'location' in place || status === 'closed' || status === 'closing'
  try {
    await database.open({ passive: !opensHere })
  } catch (error) {
    throw explained(error)
  }
  return {
    database,
    release: async () => {
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
      return new HoldfastError(
        'STORE_LOCKED',
        'the block store cannot be opened: another process, or another store of this one, has it open',
        { cause: error },
      )
    case 'LEVEL_CORRUPTION':
      return new HoldfastError('STORE_CORRUPT', 'the database of the block store is damaged', {
        cause: error,
      })
    default:
      return error
  }
}

const codeOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'code' in value ? value.code : undefined
