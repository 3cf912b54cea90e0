import assert from 'node:assert/strict'
import type { SuiteTest, TransportBench } from './bench.js'
import { patternBytes } from './pattern.js'

const sizes = [1, 2, 3, 17, 1_000, 65_535, 65_536, 65_537, 2 ** 20, 2 ** 22]

export const streamTests: readonly SuiteTest[] = [
  {
    name: 'bytes arrive in order, in whatever sizes they were written, in both directions',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      for (const size of sizes) {
        dialler.write(size)
        acceptor.write(size)
      }
      await bench.received(acceptor, dialler.writtenBytes)
      await bench.received(dialler, acceptor.writtenBytes)
    },
  },
  {
    name: 'many small chunks of one write arrive in order and as a whole',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      dialler.write(...Array.from({ length: 5_000 }, (_, index) => index % 7))
      dialler.write()
      dialler.write(0)
      await bench.received(acceptor, dialler.writtenBytes)
    },
  },
  {
    name: 'a view into a larger buffer is sent without what lies around it',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      dialler.write(100)
      const around = new Uint8Array(300).fill(0xee)
      around.set(patternBytes(100, 100), 100)
      dialler.writeRaw([around.subarray(100, 200)])
      await bench.received(acceptor, 200)
    },
  },
  {
    name: 'bytes that the acceptor writes at once reach the dialler',
    body: async (bench) => {
      const address = await bench.listen((probe) => {
        probe.write(1_000)
        return undefined
      })
      const dialler = await bench.dial(address)
      await bench.received(dialler, 1_000)
    },
  },
  {
    name: 'an acceptor that writes and closes at once is heard to its last byte',
    body: async (bench) => {
      const address = await bench.listen((probe) => {
        probe.write(40)
        probe.close()
        return undefined
      })
      const dialler = await bench.dial(address)
      await bench.closedInOrder(dialler)
      bench.checkReceived(dialler, 40)
    },
  },
  {
    name: 'nothing is written into a chunk that the reader keeps',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      for (let round = 0; round < 50; round++) {
        dialler.write(10_000)
        await bench.received(acceptor, dialler.writtenBytes)
      }
      bench.checkReceived(acceptor, dialler.writtenBytes)
    },
  },
  {
    name: 'fifty connections at once keep their bytes apart',
    body: fiftyConnections,
  },
]

async function fiftyConnections(bench: TransportBench): Promise<void> {
  const address = await bench.listen((probe) => ({
    data: (chunk) => {
      probe.writeRaw([chunk])
    },
  }))
  const diallers = await bench.dialMany(address, 50)
  for (const [index, dialler] of diallers.entries()) dialler.write(1_000 + index)
  for (const dialler of diallers) await bench.received(dialler, dialler.writtenBytes)

  const remotes = bench.accepted.map(
    ({ connection: { remote } }) => `${remote.host} ${remote.port}`,
  )
  assert.equal(
    new Set(remotes).size,
    50,
    'two open connections never show the same remote endpoint',
  )
  for (const dialler of diallers) dialler.close()
  await bench.closedInOrder(...diallers, ...bench.accepted)
}
