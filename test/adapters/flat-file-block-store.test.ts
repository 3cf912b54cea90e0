import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { FlatFileBlockStore } from '../../src/adapters/flat-file-block-store.js'
import { blockStoreSuite } from '../../src/testing/block-store-suite.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { FaultyDisk } from '../support/faulty-disk.js'

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'holdfast-flat-'))

for (const fsync of ['always', 'interval', 'checkpoint'] as const) {
  describe(`FlatFileBlockStore with fsync '${fsync}'`, () => {
    blockStoreSuite({
      test,
      factory: async () => {
        const location = await folder()
        const segmentBytes = fsync === 'interval' ? 4_096 : 2 ** 20
        const options = { location, fsync, segmentBytes, verify: 'all' } as const
        return {
          store: new FlatFileBlockStore(options),
          reopen: () => new FlatFileBlockStore(options),
          cleanup: () => rm(location, { recursive: true }),
        }
      },
      faultyFactory: (beforeWrite) => {
        const disk = new FaultyDisk()
        disk.fault = () => {
          try {
            beforeWrite()
            return undefined
          } catch {
            return 'EIO'
          }
        }
        const options = { location: '/chain', fsync, segmentBytes: 1_024, verify: 'all' } as const
        const open = (): FlatFileBlockStore => new FlatFileBlockStore(options, disk)
        return {
          store: open(),
          reopen: open,
          afterKill: () => {
            // Where every confirmed write is on the disk, it may even be the machine that stops.
            if (fsync === 'always') disk.crash(new SeededRandom(disk.operations))
            else disk.kill()
            return open()
          },
        }
      },
    })
  })
}
