import assert from 'node:assert/strict'
import type { SuiteTest, TransportBench } from './bench.js'
import type { Probe } from './probe.js'

const pieceBytes = 65_536

/** More than any kernel buffers for one connection. */
const maxBufferedBytes = 128 * 2 ** 20

export const flowControlTests: readonly SuiteTest[] = [
  {
    name: 'write returns false when too much is buffered, and drained follows once for each time',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      for (let phase = 1; phase <= 3; phase++) {
        acceptor.pause()
        writeUntilFull(dialler)
        assert.ok(
          dialler.connection.bufferedBytes > 0,
          'bufferedBytes counts what write took and could not hand on, but it is 0 after a false',
        )
        acceptor.resume()
        await bench.until(
          () => dialler.drainedCount === phase,
          'drained is called once after write returned false',
        )
        await bench.received(acceptor, dialler.writtenBytes)
        await bench.quiet()
        assert.equal(dialler.drainedCount, phase, 'drained is called once in each phase')
      }
    },
  },
  {
    name: 'bytes are taken even when write returns false',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      acceptor.pause()
      writeUntilFull(dialler)
      for (let count = 0; count < 10; count++) dialler.write(pieceBytes)
      acceptor.resume()
      await bench.received(acceptor, dialler.writtenBytes)
    },
  },
  {
    name: 'bufferedBytes returns to 0 once everything was handed on',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      dialler.write(2 ** 22)
      await bench.received(acceptor, dialler.writtenBytes)
      await bench.until(
        () => dialler.connection.bufferedBytes === 0,
        'bufferedBytes goes to 0',
        () => `it is ${dialler.connection.bufferedBytes}`,
      )
    },
  },
  {
    name: 'a writer that waits for drained gets everything through',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      const total = 2 ** 24
      const pump = (): void => {
        while (dialler.writtenBytes < total) if (!dialler.write(pieceBytes)) return
      }
      dialler.reactions = { drained: pump }
      pump()
      await bench.received(acceptor, total)
    },
  },
  {
    name: 'pausing and resuming between chunks loses nothing and moves nothing',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      acceptor.reactions = {
        data: () => {
          acceptor.pause()
        },
      }
      const total = 2 ** 20
      dialler.write(total)
      await bench.until(
        () => {
          acceptor.resume()
          return acceptor.receivedBytes >= total
        },
        'a paused reader that resumes gets everything',
        () => `${acceptor.receivedBytes} of ${total} bytes arrived`,
      )
      bench.checkReceived(acceptor, total)
    },
  },
  {
    name: 'nothing arrives at a paused reader, not even one paused before the first byte',
    body: async (bench) => {
      const address = await bench.listen((probe) => {
        probe.pause()
        return undefined
      })
      const dialler = await bench.dial(address)
      dialler.write(100_000)
      await bench.quiet()
      const acceptor = await firstAccepted(bench)
      assert.equal(acceptor.receivedBytes, 0, 'nothing is delivered while paused')
      acceptor.resume()
      await bench.received(acceptor, 100_000)
    },
  },
  {
    name: 'the end waits behind what a paused reader has not taken',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      acceptor.pause()
      dialler.write(200_000)
      dialler.close()
      await bench.quiet()
      assert.equal(
        acceptor.isClosed,
        false,
        'closed comes after the bytes that were sent before it',
      )
      acceptor.resume()
      await bench.closedInOrder(dialler, acceptor)
      bench.checkReceived(acceptor, 200_000)
    },
  },
  {
    name: 'one direction goes on while the reader of the other is paused',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      acceptor.pause()
      writeUntilFull(dialler)
      acceptor.write(2 ** 20)
      await bench.received(dialler, 2 ** 20)
    },
  },
]

function writeUntilFull(probe: Probe): void {
  const start = probe.writtenBytes
  while (probe.write(pieceBytes)) {
    assert.ok(
      probe.writtenBytes - start < maxBufferedBytes,
      `write returns false at some point, but it took ${maxBufferedBytes} bytes that nobody reads`,
    )
  }
}

async function firstAccepted(bench: TransportBench): Promise<Probe> {
  await bench.until(() => bench.accepted.length > 0, 'the acceptor is handed the connection')
  const [probe] = bench.accepted
  assert.ok(probe)
  return probe
}
