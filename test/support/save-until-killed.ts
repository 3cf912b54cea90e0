import { filePeerStore } from '../../src/adapters/file-peer-store.js'
import type { PeerRecord } from '../../src/contracts/peer-store.js'

// A process that saves known peers at argv[2] until it is killed: each time others, of different
// number, which all bear the number of the round. On stdout it says what was confirmed.

const [path = '', from = '0'] = process.argv.slice(2)
const store = filePeerStore(path)
process.stdout.write('started\n')
for (let round = Number(from) + 1; ; round++) {
  const peers = Array.from({ length: 1 + ((round * 7_919) % 4_000) }, (_, index): PeerRecord => ({
    host: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    source: 'added',
    firstSeenUnixMs: round,
    timesConnected: round,
  }))
  await store.save({ version: 1, savedAtUnixMs: round, peers, bans: [] })
  process.stdout.write(`${round}\n`)
}
