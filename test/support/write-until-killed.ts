import { LevelBlockStore } from '../../src/adapters/level-block-store.js'
import type { Block, BlockRef } from '../../src/contracts/block-store.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { refOf, testBlocks } from '../../src/testing/test-chain.js'

// A process that writes to the block store at argv[2] until it is killed, with the dice of argv[3].
// On stdout it says when it opens the store ("opening"), what it is about to make the tip ("try") and
// what was confirmed ("done").

const [location = '', seed = '1'] = process.argv.slice(2)
const random = new SeededRandom(Number(seed))

const store = new LevelBlockStore({ location, sync: random.next() < 0.5 })
process.stdout.write('opening\n')
await store.open()
for (;;) {
  const tip = await store.tip()
  const ancestor = random.next() < 0.3 ? await blockBelow(tip, random.integer(0, 6)) : tip
  const blocks = runOn(ancestor, random.integer(1, 8))
  say('try', blocks.at(-1) ?? null)
  say('done', await store.replace(ancestor, blocks, { expectTip: tip }))
}

async function blockBelow(tip: BlockRef | null, depth: number): Promise<BlockRef | null> {
  const base = await store.base()
  if (tip === null || base === null) return null
  const block = await store.get(Math.max(base.height, tip.height - depth))
  return block ? refOf(block) : null
}

function runOn(below: BlockRef | null, length: number): Block[] {
  const from = below ?? { height: 999, hash: '0'.repeat(64) }
  // Large enough that a batch takes several writes to the log, and that files are compacted.
  const blockBytes = random.pick([100, 100, 5_000, 200_000])
  return [...testBlocks({ length, seed: random.integer(0, 1e9), blockBytes, from })]
}

function say(what: 'try' | 'done', ref: BlockRef | null): void {
  process.stdout.write(`${what} ${ref?.height} ${ref?.hash}\n`)
}
