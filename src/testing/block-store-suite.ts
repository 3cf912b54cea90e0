import { appendingChecks } from './block-store-suite/appending.js'
import { concurrencyChecks } from './block-store-suite/concurrency.js'
import { faultChecks } from './block-store-suite/faults.js'
import { lifecycleChecks } from './block-store-suite/lifecycle.js'
import { readingChecks } from './block-store-suite/reading.js'
import { replacingChecks } from './block-store-suite/replacing.js'
import { scriptChecks } from './block-store-suite/scripts.js'
import { checksFor, type BlockStoreSuiteOptions } from './block-store-suite/setup.js'

export type {
  BlockStoreSuiteOptions,
  BlockStoreUnderTest,
  FaultyBlockStoreUnderTest,
} from './block-store-suite/setup.js'

/** What fits into the largest frame. */
const defaultMaxPayloadBytes = 8 * 1024 * 1024

/**
 * Defines the tests that every BlockStore must pass: one or more for each sentence of the contract. With
 * `faultyFactory` also those of a disk that fails, and of a process that is killed, at every single
 * write. What a power cut takes only the store's own tests can show.
 *
 * Works with any test framework whose `test(title, body)` takes an async body: node:test, vitest, mocha
 * and jest alike. Assertions are node:assert, and a failure says which rule was broken, what was expected
 * and what was seen. Needs Node.js.
 *
 * ```ts
 * blockStoreSuite({ test, factory: () => ({ store: new MyBlockStore() }) })
 * ```
 */
export function blockStoreSuite(options: BlockStoreSuiteOptions): void {
  const { check, checkClosed } = checksFor(options)
  lifecycleChecks(check, checkClosed)
  appendingChecks(check, options.maxPayloadBytes ?? defaultMaxPayloadBytes)
  replacingChecks(check)
  readingChecks(check)
  concurrencyChecks(check)
  scriptChecks(check)
  faultChecks(options)
}
