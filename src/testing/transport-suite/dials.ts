import assert from 'node:assert/strict'
import type { SuiteTest, TransportBench } from './bench.js'

export const dialTests: readonly SuiteTest[] = [
  {
    name: 'a dial to an address where nobody listens rejects',
    body: async (bench) => {
      const address = await bench.listen()
      await bench.settled(bench.listener.close(), 'close resolves')
      const dialled = bench.settled(bench.dialRaw(address), 'a dial to nobody settles')
      await assert.rejects(dialled, Error, 'a dial to nobody rejects with an Error')
    },
  },
  {
    name: 'a dial whose signal has aborted rejects with its reason and reaches nobody',
    body: async (bench) => {
      const address = await bench.listen()
      const reason = new Error('given up before')
      const dialled = bench.settled(
        bench.dialRaw(address, AbortSignal.abort(reason)),
        'a dial whose signal has aborted settles',
      )
      assert.equal(await rejection(dialled), reason, 'dial rejects with signal.reason')
      await bench.quiet()
      assert.equal(
        bench.accepted.length,
        0,
        'a dial that was aborted before it began reaches nobody',
      )
    },
  },
  {
    name: 'an abort rejects the dial at once, with the reason, whatever the reason is',
    body: async (bench) => {
      const address = await bench.listen()
      for (const reason of [new Error('given up'), 'a word', 7]) {
        const controller = new AbortController()
        const dialled = bench.dialRaw(address, controller.signal)
        let rejected: unknown
        dialled.catch((error: unknown) => {
          rejected = error
        })
        controller.abort(reason)
        await new Promise((resolve) => {
          setImmediate(resolve)
        })
        assert.equal(rejected, reason, 'dial rejects with signal.reason as soon as signal aborts')
      }
    },
  },
  {
    name: 'a dial aborted at any moment leaves no connection open at the acceptor',
    body: abortedAtAnyMoment,
  },
  {
    name: 'an abort after the dial has succeeded changes nothing',
    body: async (bench) => {
      const address = await bench.listen()
      const controller = new AbortController()
      const dialled = bench
        .dialRaw(address, controller.signal)
        .then((connection) => bench.adopt(connection))
      const dialler = await bench.settled(dialled, 'dial resolves')
      controller.abort()
      dialler.write(1_000)
      await bench.until(() => bench.accepted.length === 1, 'the acceptor is handed the connection')
      const [acceptor] = bench.accepted
      assert.ok(acceptor)
      await bench.received(acceptor, 1_000)
      assert.equal(dialler.isClosed, false, 'the connection goes on')
    },
  },
  {
    name: 'a dial to a port that cannot be dialled rejects with a RangeError',
    body: async (bench) => {
      const address = await bench.listen()
      for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
        const dialled = bench.settled(
          bench.dialRaw({ ...address, port }),
          `a dial to port ${port} settles`,
        )
        await assert.rejects(dialled, RangeError, `dial rejects port ${port} with a RangeError`)
      }
    },
  },
]

async function abortedAtAnyMoment(bench: TransportBench): Promise<void> {
  const address = await bench.listen()
  for (let steps = 0; steps < 12; steps++) {
    const controller = new AbortController()
    const reason = new Error(`given up after ${steps} steps`)
    let isAborted = false
    const dialled = bench.dialRaw(address, controller.signal).then(
      (connection) => {
        assert.equal(isAborted, false, 'a dial that was aborted does not succeed any more')
        bench.adopt(connection).destroy()
      },
      (error: unknown) => {
        assert.equal(error, reason, 'dial rejects with signal.reason')
      },
    )
    for (let count = 0; count < steps; count++) await bench.step()
    controller.abort(reason)
    await Promise.resolve()
    isAborted = true
    await bench.settled(dialled, 'dial settles')
  }
  await bench.quiet()
  const open = bench.accepted.filter(({ isClosed }) => !isClosed)
  assert.equal(open.length, 0, 'a dial that was given up leaves nothing open at the acceptor')
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.fail('the dial resolved')
}
