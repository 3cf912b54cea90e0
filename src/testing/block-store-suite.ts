import { appendingChecks } from './block-store-suite/appending.js'
import { concurrencyChecks } from './block-store-suite/concurrency.js'
import { lifecycleChecks } from './block-store-suite/lifecycle.js'
import { readingChecks } from './block-store-suite/reading.js'
import { replacingChecks } from './block-store-suite/replacing.js'
import { checksFor, type BlockStoreSuiteOptions } from './block-store-suite/setup.js'

export type { BlockStoreSuiteOptions, BlockStoreUnderTest } from './block-store-suite/setup.js'

/**
 * Defines the tests that every BlockStore must pass: one or more for each sentence of the contract,
 * except for crashes, which only the store's own tests can bring about.
 *
 * Works with any test framework whose `test(title, body)` takes an async body; assertions are
 * node:assert, and a failure says which rule was broken and what was seen. Needs Node.js.
 *
 * ```ts
 * blockStoreSuite({ test, factory: () => ({ store: new MyBlockStore() }) })
 * ```
 */
export function blockStoreSuite(options: BlockStoreSuiteOptions): void {
  const { check, checkClosed } = checksFor(options)
  lifecycleChecks(check, checkClosed)
  appendingChecks(check)
  replacingChecks(check)
  readingChecks(check)
  concurrencyChecks(check)
}
