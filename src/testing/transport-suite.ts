import { TransportBench, type TransportUnderTest } from './transport-suite/bench.js'
import { dialTests } from './transport-suite/dials.js'
import { endTests } from './transport-suite/ends.js'
import { flowControlTests } from './transport-suite/flow-control.js'
import { listenerTests } from './transport-suite/listeners.js'
import { streamTests } from './transport-suite/streams.js'

export type { TransportUnderTest } from './transport-suite/bench.js'

/** The transports that the suite looks at, and the `test` function that it is to use. */
export interface TransportSuiteOptions {
  /** Registers a test: `test` of any framework. */
  readonly test: (name: string, body: () => Promise<void>) => void
  /** Makes a fresh pair for each test. */
  readonly factory: () => TransportUnderTest | Promise<TransportUnderTest>
}

/**
 * The contract of `Transport` and `Connection` as tests. An implementation that passes them can carry
 * everything in the library.
 *
 * ```ts
 * transportSuite({
 *   test,
 *   factory: () => {
 *     const transport = tcpTransport({ host: '127.0.0.1', port: 0 })
 *     return { acceptor: transport, dialler: transport }
 *   },
 * })
 * ```
 */
export function transportSuite({ test, factory }: TransportSuiteOptions): void {
  const suite = [...streamTests, ...flowControlTests, ...endTests, ...dialTests, ...listenerTests]
  for (const { name, body } of suite) {
    test(name, async () => {
      const bench = new TransportBench(await factory())
      try {
        await body(bench)
        await bench.checkContracts()
      } finally {
        await bench.cleanup()
      }
    })
  }
}
