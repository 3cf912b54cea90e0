import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { inspect, isDeepStrictEqual } from 'node:util'
import type { Block, BlockRef, BlockStore } from '../../contracts/block-store.js'
import { HoldfastError, type HoldfastErrorCode } from '../../errors.js'
import { refOf, testBlockHash, testBlocks } from '../test-chain.js'

/** One store of the implementation under test. */
export interface BlockStoreUnderTest {
  /** Empty and not open. */
  readonly store: BlockStore

  /**
   * Another store, not open, on the same data, as after a restart of the process. Called when the store
   * before it was closed. Leave it out when the data ends with the store.
   */
  readonly reopen?: () => BlockStore | Promise<BlockStore>

  /** Called when the test is over and the store closed, to remove what was made for it. */
  readonly cleanup?: () => void | Promise<void>
}

/** A store whose disk fails when the suite wants it to. */
export interface FaultyBlockStoreUnderTest extends BlockStoreUnderTest {
  /**
   * Another store, not open, on what a process leaves that is killed at this moment: `store` was not
   * closed, and is not used any more. A write that was confirmed must be there, as far as the store
   * promises so. Leave it out when a kill cannot be played.
   */
  readonly afterKill?: () => BlockStore | Promise<BlockStore>
}

/** The stores that the suite looks at, and the `test` function that it is to use. */
export interface BlockStoreSuiteOptions {
  /** What defines a test in your framework: `test` of node:test or vitest, `it` of mocha or jest. */
  readonly test: (title: string, body: () => Promise<void>) => unknown

  /** Called once for each test. */
  readonly factory: () => BlockStoreUnderTest | Promise<BlockStoreUnderTest>

  /**
   * The same on something that can fail: whatever the store writes to (a file, a database, a server)
   * calls `beforeWrite` at each write, sync, rename or removal, before carrying it out, in the middle or
   * afterwards. Where it throws, that operation fails. Called once for each of the steps of each thing
   * that writes, so let it be quick: something in memory, or without waiting for the disk.
   *
   * Leave it out for a store with nothing below it that could fail; its tests are then not defined.
   */
  readonly faultyFactory?: (
    beforeWrite: () => void,
  ) => FaultyBlockStoreUnderTest | Promise<FaultyBlockStoreUnderTest>

  /** The largest payload that the store must take, in bytes. Default 8 MiB, the largest frame. */
  readonly maxPayloadBytes?: number
}

export type Reopen = () => Promise<BlockStore>

/** Defines a test on a fresh store; `reopen` is undefined where the factory offers none. */
export type Check = (
  title: string,
  body: (store: BlockStore, reopen: Reopen | undefined) => Promise<void>,
) => void

/** Makes the two kinds of tests: on a store that is open, and on one that is not yet. */
export function checksFor({ test, factory }: BlockStoreSuiteOptions): {
  check: Check
  checkClosed: Check
} {
  const define =
    (opens: boolean): Check =>
    (title, body) => {
      testOfRule(test, title, async () => {
        const made = await factory()
        let store = made.store
        const reopen = made.reopen
        try {
          if (opens) await store.open()
          await body(
            store,
            reopen &&
              (async () => {
                await store.close()
                store = await reopen()
                await store.open()
                return store
              }),
          )
        } finally {
          await store.close()
          await made.cleanup?.()
        }
      })
    }
  return { check: define(true), checkClosed: define(false) }
}

/** Defines a test that names its rule also where a call rejects of which the rule says that it resolves. */
export function testOfRule(
  test: BlockStoreSuiteOptions['test'],
  title: string,
  body: () => Promise<void>,
): void {
  test(`a block store: ${title}`, async () => {
    try {
      await body()
    } catch (cause) {
      if (cause instanceof assert.AssertionError) throw cause
      const message = `${title}\n  expected: every call resolves that this rule does not forbid\n  seen:     ${show(cause)}`
      throw Object.assign(new assert.AssertionError({ message }), { cause })
    }
  })
}

/** Fails with the rule, what it expects and what was seen. Payloads are compared by their bytes. */
export function expectSame(seen: unknown, expected: unknown, rule: string): void {
  const [plainSeen, plainExpected] = [plain(seen), plain(expected)]
  const message = `${rule}\n  expected: ${show(plainExpected)}\n  seen:     ${show(plainSeen)}`
  assert.deepStrictEqual(plainSeen, plainExpected, message)
}

/** Whether `expectSame` would pass. */
export const isSame = (seen: unknown, expected: unknown): boolean =>
  isDeepStrictEqual(plain(seen), plain(expected))

/** Resolves with the error; fails when `promise` resolves or rejects with anything else. */
export async function expectCode(
  promise: Promise<unknown>,
  code: HoldfastErrorCode,
  rule: string,
): Promise<HoldfastError> {
  const error = await rejectionOf(promise, `${rule}\n  expected: a HoldfastError ${code}`)
  if (HoldfastError.is(error, code)) return error
  assert.fail(`${rule}\n  expected: a HoldfastError ${code}\n  seen:     ${show(error)}`)
}

export const expectRangeError = (promise: Promise<unknown>, rule: string): Promise<void> =>
  expectError(promise, RangeError, rule)

export const expectTypeError = (promise: Promise<unknown>, rule: string): Promise<void> =>
  expectError(promise, TypeError, rule)

async function expectError(
  promise: Promise<unknown>,
  kind: typeof RangeError | typeof TypeError,
  rule: string,
): Promise<void> {
  const error = await rejectionOf(promise, `${rule}\n  expected: a ${kind.name}`)
  if (error instanceof kind) return
  assert.fail(`${rule}\n  expected: a ${kind.name}\n  seen:     ${show(error)}`)
}

/** Checks everything that a store says of itself against the chain that it should hold. */
export async function expectChain(
  store: BlockStore,
  chain: readonly Block[],
  rule: string,
): Promise<void> {
  const [first, last] = [chain[0], chain.at(-1)]
  expectSame(await store.tip(), last ? refOf(last) : null, `${rule} (tip)`)
  expectSame(await store.base(), first ? refOf(first) : null, `${rule} (base)`)
  if (first === undefined || last === undefined) {
    for (const height of [0, 1]) {
      expectSame(await store.get(height), undefined, `${rule} (get ${height})`)
    }
    return
  }
  const all = { limit: chain.length + 1, maxBytes: Number.MAX_SAFE_INTEGER }
  expectSame(await store.range(first.height, all), chain, `${rule} (range)`)
  for (const block of new Set([first, last])) {
    expectSame(await store.get(block.height), block, `${rule} (get ${block.height})`)
    expectSame(await store.hashAt(block.height), block.hash, `${rule} (hashAt ${block.height})`)
  }
  for (const height of [first.height - 1, last.height + 1]) {
    if (!Number.isSafeInteger(height) || height < 0) continue
    expectSame(await store.get(height), undefined, `${rule} (get ${height}, outside)`)
    expectSame(await store.hashAt(height), undefined, `${rule} (hashAt ${height}, outside)`)
  }
}

/** `length` blocks on top of `below`, or from `height` on when there is none. */
export function run(
  below: BlockRef | { readonly height: number },
  length: number,
  seed = 1,
  blockBytes = 32,
): Block[] {
  const hash = 'hash' in below ? below.hash : '0'.repeat(64)
  return [...testBlocks({ length, seed, blockBytes, from: { height: below.height, hash } })]
}

/** One block on top of `below` with a payload of the caller's. */
export function blockOn(below: BlockRef, payload: Uint8Array): Block {
  return {
    height: below.height + 1,
    hash: testBlockHash(below.hash, payload),
    previousHash: below.hash,
    payload,
  }
}

export const first = (blocks: readonly Block[]): BlockRef => refAt(blocks, 0)
export const last = (blocks: readonly Block[]): BlockRef => refAt(blocks, -1)

export const refAt = (blocks: readonly Block[], index: number): BlockRef =>
  refOf(blockAt(blocks, index))

/** The element at `index`, negative from the end. */
export function blockAt(blocks: readonly Block[], index: number): Block {
  const block = blocks.at(index)
  assert.ok(block !== undefined, `the suite asked its own chain for block ${index}`)
  return block
}

async function rejectionOf(promise: Promise<unknown>, rule: string): Promise<unknown> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return error
  }
  assert.fail(`${rule}\n  seen:     it resolved with ${show(plain(value))}`)
}

/** Blocks with their payloads as text, so that any kind of Uint8Array compares and prints the same. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  if (!('height' in value && 'hash' in value)) return value
  const { height, hash } = value
  if (!('payload' in value && 'previousHash' in value)) return { height, hash }
  const { previousHash, payload } = value
  const bytes =
    payload instanceof Uint8Array
      ? `${payload.length} bytes, SHA-256 ${createHash('sha256').update(payload).digest('hex')}`
      : payload
  return { height, hash, previousHash, payload: bytes }
}

const show = (value: unknown): string =>
  inspect(value, { depth: 4, maxArrayLength: 6, breakLength: Infinity })
