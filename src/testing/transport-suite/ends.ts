import assert from 'node:assert/strict'
import type { SuiteTest, TransportBench } from './bench.js'
import type { Probe } from './probe.js'

type Ending = (probe: Probe) => void

const close: Ending = (probe) => {
  probe.close()
}
const destroy: Ending = (probe) => {
  probe.destroy()
}

export const endTests: readonly SuiteTest[] = [
  {
    name: 'close sends what was written, and then the end, which both ends see as one in order',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      dialler.write(2 ** 20)
      dialler.close()
      await bench.closedInOrder(dialler, acceptor)
      bench.checkReceived(acceptor, 2 ** 20)
    },
  },
  {
    name: 'the acceptor can close as well as the dialler',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      acceptor.write(2 ** 20)
      acceptor.close()
      await bench.closedInOrder(acceptor, dialler)
      bench.checkReceived(dialler, 2 ** 20)
    },
  },
  {
    name: 'last bytes reach a remote that is in the middle of sending',
    body: lastBytesAgainstTheStream,
  },
  {
    name: 'a reader that is paused closes as well as any, and its last bytes arrive',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      acceptor.pause()
      dialler.write(2 ** 22)
      await bench.quiet()
      acceptor.write(1_000)
      acceptor.close()
      await bench.closedInOrder(acceptor, dialler)
      bench.checkReceived(dialler, 1_000)
    },
  },
  {
    name: 'nothing that was written before is lost when both ends close at once',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      acceptor.write(10)
      await bench.received(dialler, 10)
      dialler.write(1_000)
      dialler.close()
      acceptor.close()
      await bench.closedInOrder(dialler, acceptor)
    },
  },
  ...[
    { name: 'both close', ends: [close, close] },
    { name: 'both are destroyed', ends: [destroy, destroy] },
    { name: 'one is closed and the other destroyed', ends: [close, destroy] },
    { name: 'one is closed twice', ends: [both(close, close)] },
    { name: 'one is destroyed twice', ends: [both(destroy, destroy)] },
    { name: 'one is closed and then destroyed', ends: [both(close, destroy)] },
    { name: 'one is destroyed and then closed', ends: [both(destroy, close)] },
  ].map(({ name, ends }) => ({
    name: `closed is called exactly once at each end when ${name}`,
    body: (bench: TransportBench) => endedBy(bench, ends),
  })),
  {
    name: 'destroy drops what was not sent yet',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      acceptor.pause()
      const piece = new Uint8Array(2 ** 20)
      for (let count = 0; count < 128; count++) dialler.writeRaw([piece])
      dialler.destroy()
      await bench.closed(dialler)
      acceptor.resume()
      await bench.closed(acceptor)
      assert.deepEqual(dialler.closes, [undefined], 'an end of our own is no error')
      assert.equal(dialler.connection.bufferedBytes, 0, 'nothing is buffered after the end')
      assert.ok(
        acceptor.receivedBytes < 128 * piece.length,
        'destroy drops what was not sent, but all of 128 MiB arrived at a reader that was paused',
      )
    },
  },
  {
    name: 'a connection destroyed in the tick in which it was accepted ends at the dialler too',
    body: async (bench) => {
      const address = await bench.listen((probe) => {
        probe.destroy()
        return undefined
      })
      // It may end before or after the dial has succeeded: either is an end.
      const dialled = bench.dialRaw(address).then(
        (connection) => bench.adopt(connection),
        () => undefined,
      )
      const dialler = await bench.settled(dialled, 'the dial settles')
      await bench.closed(...bench.accepted, ...(dialler === undefined ? [] : [dialler]))
    },
  },
  {
    name: 'an end from inside a handler is an end like any other',
    body: async (bench) => {
      for (const end of [close, destroy]) {
        const { dialler, acceptor } = await bench.connect()
        acceptor.reactions = {
          data: () => {
            end(acceptor)
          },
        }
        dialler.write(2 ** 20)
        await bench.closed(acceptor, dialler)
        assert.equal(acceptor.chunks.length, 1, 'no data is delivered after the reader ended it')
      }
    },
  },
  {
    name: 'after the end write returns false and no method throws',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      dialler.close()
      assert.equal(dialler.write(10), false, 'write returns false after close')
      await bench.closedInOrder(dialler, acceptor)
      for (const probe of [dialler, acceptor]) {
        assert.equal(probe.write(10), false, 'write returns false after the end')
        probe.pause()
        probe.resume()
        probe.close()
        probe.destroy()
        assert.equal(probe.connection.bufferedBytes, 0, 'nothing is buffered after the end')
      }
      assert.equal(acceptor.receivedBytes, 0, 'what is written after close is not sent')
    },
  },
]

/** A reset would do it: it destroys what the other end has not read yet. */
async function lastBytesAgainstTheStream(bench: TransportBench): Promise<void> {
  const { dialler, acceptor } = await bench.connect()
  const piece = new Uint8Array(65_536)
  let left = 1_000
  const send = (): void => {
    while (left > 0) {
      left -= 1
      if (!acceptor.writeRaw([piece])) return
    }
  }
  acceptor.reactions = { drained: send, data: send }
  send()
  await bench.until(() => dialler.receivedBytes > piece.length, 'bytes arrive')
  dialler.write(300_000)
  dialler.close()
  await bench.closedInOrder(acceptor, dialler)
  bench.checkReceived(acceptor, 300_000)
}

async function endedBy(bench: TransportBench, endings: readonly Ending[]): Promise<void> {
  const { dialler, acceptor } = await bench.connect()
  dialler.write(1_000)
  acceptor.write(1_000)
  for (const [index, end] of endings.entries()) end(index === 0 ? dialler : acceptor)
  await bench.closed(dialler, acceptor)
  await bench.quiet()
  for (const { closes } of [dialler, acceptor]) {
    assert.equal(closes.length, 1, 'closed is called exactly once, however the connection ended')
  }
  assert.deepEqual(dialler.closes, [undefined], 'an end of our own is no error')
}

function both(first: Ending, second: Ending): Ending {
  return (probe) => {
    first(probe)
    second(probe)
  }
}
