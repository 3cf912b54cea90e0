import assert from 'node:assert/strict'
import type { Connection, Transport } from '../../src/contracts/transport.js'
import type { SimulatedClock } from '../../src/testing/simulated-clock.js'

/** A signal that does not abort. */
export const never: AbortSignal = new AbortController().signal

/** One end of a connection that records what its reader is told. */
export class RecordedEnd {
  readonly connection: Connection
  readonly chunks: Uint8Array[] = []
  readonly closes: (Error | undefined)[] = []
  drainedCount = 0

  constructor(connection: Connection) {
    this.connection = connection
    connection.open({
      data: (chunk) => this.chunks.push(chunk),
      drained: () => (this.drainedCount += 1),
      closed: (error) => this.closes.push(error),
    })
  }

  get receivedBytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0)
  }
}

/** Lets `from` dial `to`, which listens from now on, and hands back both ends. */
export async function connectedPair(
  clock: SimulatedClock,
  from: Transport,
  to: Transport,
): Promise<{ readonly dialler: RecordedEnd; readonly acceptor: RecordedEnd }> {
  const accepted: RecordedEnd[] = []
  const listener = await to.listen?.((connection) => accepted.push(new RecordedEnd(connection)))
  const address = listener?.endpoints[0]
  assert.ok(address)
  let dialler: RecordedEnd | undefined
  const dialled = from.dial(address, { signal: never }).then((connection) => {
    dialler = new RecordedEnd(connection)
  })
  await clock.runUntil(() => dialler !== undefined && accepted.length > 0)
  await dialled
  const [acceptor] = accepted
  assert.ok(dialler)
  assert.ok(acceptor)
  return { dialler, acceptor }
}
