import assert from 'node:assert/strict'
import type { Connection, Endpoint, Listener, Transport } from '../../contracts/transport.js'
import { firstDifference } from './pattern.js'
import { Probe, type ProbeReactions } from './probe.js'

/** Fresh for each test. */
export interface TransportUnderTest {
  /** Listens, on an endpoint that nobody else uses: with port 0, where there are ports. */
  readonly acceptor: Transport

  /** Dials the acceptor. May be the same transport. */
  readonly dialler: Transport

  /** Where the acceptor is dialled. Default: the first endpoint of its listener. */
  readonly addressOf?: (listener: Listener) => Endpoint

  /**
   * Lets a little time pass: what is on its way gets a step further. Default: 2 real milliseconds. With
   * a simulated clock, advance it by less than the time a dial takes.
   */
  readonly settle?: () => Promise<void>

  /** Called when the test is over, after everything that it opened was destroyed. */
  readonly cleanup?: () => Promise<void>
}

export interface SuiteTest {
  readonly name: string
  readonly body: (bench: TransportBench) => Promise<void>
}

/** One step in real time. */
const stepMs = 2

/**
 * Steps after which something that has not happened never will. In real time they are about four seconds,
 * and more on a busy machine: less than the five after which most runners say only that a test took too
 * long, and not which sentence of the contract was broken.
 */
const maxSteps = 1_500

/** The same with a clock of the implementer's own, whose steps may be as short as he likes. */
const maxSettledSteps = 5_000

/** Steps that are given to what must not happen. */
const quietSteps = 20

/** Two transports on the bench: opens connections between them, waits, and checks every end. */
export class TransportBench {
  readonly #underTest: TransportUnderTest
  readonly #probes: Probe[] = []
  readonly #listeners: Listener[] = []
  /** Where `connect` dials. */
  #address: Endpoint | undefined
  /** Every connection that was accepted, in order. */
  readonly accepted: Probe[] = []
  isInsideDial = false

  constructor(underTest: TransportUnderTest) {
    this.#underTest = underTest
  }

  async listen(onAccepted?: (probe: Probe) => ProbeReactions | undefined): Promise<Endpoint> {
    const { acceptor } = this.#underTest
    const listener = await acceptor.listen?.((connection) => {
      const probe = this.#probe(connection)
      if (this.isInsideDial) probe.breaches.push('onConnection was called from inside dial')
      this.accepted.push(probe)
      probe.open()
      probe.reactions = onAccepted?.(probe) ?? {}
    })
    assert.ok(listener, 'the acceptor has a method listen, and it resolves with a listener')
    this.#listeners.push(listener)
    const address = this.#underTest.addressOf?.(listener) ?? listener.endpoints[0]
    assert.ok(address, 'a listener names at least one endpoint')
    return address
  }

  get listener(): Listener {
    const listener = this.#listeners.at(-1)
    assert.ok(listener)
    return listener
  }

  dialRaw(
    address: Endpoint,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Connection> {
    this.isInsideDial = true
    try {
      return this.#underTest.dialler.dial(address, { signal })
    } finally {
      this.isInsideDial = false
    }
  }

  /** Dials, and opens the connection in the tick in which it is there. */
  async dial(address: Endpoint): Promise<Probe> {
    const [probe] = await this.dialMany(address, 1)
    assert.ok(probe)
    return probe
  }

  /** `count` dials at once. */
  async dialMany(address: Endpoint, count: number): Promise<Probe[]> {
    const dialled = Array.from({ length: count }, async () =>
      this.adopt(await this.dialRaw(address)),
    )
    return this.settled(Promise.all(dialled), 'dial resolves when somebody listens')
  }

  /** A connection with both ends open. A transport without ports cannot listen twice: it need not. */
  async connect(): Promise<{ readonly dialler: Probe; readonly acceptor: Probe }> {
    const count = this.accepted.length
    this.#address ??= await this.listen()
    const dialler = await this.dial(this.#address)
    await this.until(() => this.accepted.length > count, 'the acceptor is handed the connection')
    const acceptor = this.accepted[count]
    assert.ok(acceptor)
    return { dialler, acceptor }
  }

  /** Opens what a raw dial gave, so that it is checked and cleaned up. */
  adopt(connection: Connection): Probe {
    return this.#probe(connection).open()
  }

  async step(): Promise<void> {
    if (this.#underTest.settle !== undefined) await this.#underTest.settle()
    else {
      await new Promise((resolve) => {
        setTimeout(resolve, stepMs)
      })
    }
  }

  async until(condition: () => boolean, promise: string, seen?: () => string): Promise<void> {
    const steps = this.#underTest.settle === undefined ? maxSteps : maxSettledSteps
    for (let count = 0; count < steps; count++) {
      if (condition()) return
      await this.step()
    }
    assert.fail(`${promise}, but it did not${seen === undefined ? '' : `: ${seen()}`}`)
  }

  /** Time enough for what must not happen. */
  async quiet(): Promise<void> {
    for (let count = 0; count < quietSteps; count++) await this.step()
  }

  /** What `promise` settles to, with time passing meanwhile. */
  async settled<Result>(promise: Promise<Result>, what: string): Promise<Result> {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    promise.then(settle, settle)
    await this.until(() => isSettled, what)
    return promise
  }

  async received(probe: Probe, bytes: number): Promise<void> {
    await this.until(
      () => probe.receivedBytes >= bytes,
      `all ${bytes} bytes that were written arrive`,
      () => `${probe.receivedBytes} arrived`,
    )
    this.checkReceived(probe, bytes)
  }

  checkReceived(probe: Probe, bytes: number): void {
    assert.equal(probe.receivedBytes, bytes, 'exactly the bytes that were written arrive')
    const difference = firstDifference(probe.chunks)
    assert.equal(
      difference,
      undefined,
      `bytes arrive as they were written, in order, and chunks stay as they were delivered, but byte ${difference} differs`,
    )
  }

  async closed(...probes: readonly Probe[]): Promise<void> {
    for (const probe of probes) {
      await this.until(() => probe.isClosed, 'closed is called once a connection is over')
    }
  }

  /** Each of them was closed in order. */
  async closedInOrder(...probes: readonly Probe[]): Promise<void> {
    await this.closed(...probes)
    for (const { closes } of probes) {
      assert.deepEqual(closes, [undefined], 'closed(undefined), once, when an end closed in order')
    }
  }

  /** Whatever the test was about: no end may have seen the contract broken. */
  async checkContracts(): Promise<void> {
    await this.quiet()
    for (const { breaches, closes } of this.#probes) {
      assert.deepEqual(breaches, [], 'handlers are called only when, and as often as, they may be')
      assert.ok(
        closes.length <= 1,
        `closed is called exactly once, but it was called ${closes.length} times`,
      )
    }
  }

  async cleanup(): Promise<void> {
    for (const probe of this.#probes) probe.connection.destroy()
    for (const listener of this.#listeners) await this.settled(listener.close(), 'close resolves')
    await this.step()
    await this.#underTest.cleanup?.()
  }

  #probe(connection: Connection): Probe {
    const probe = new Probe(connection)
    this.#probes.push(probe)
    return probe
  }
}
