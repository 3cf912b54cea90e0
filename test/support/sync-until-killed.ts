import { tcpTransport } from '../../src/adapters/tcp.js'
import type { Block, BlockRef, BlockStore } from '../../src/contracts/block-store.js'
import { createNode } from '../../src/node.js'
import { diskStore, killNetwork, rulesOfKills } from './kill-world.js'

// A process that syncs from the node at argv[4] and argv[5] into the store of kind argv[2] at argv[3],
// until it is killed. On stdout it says when it opens the store ("opening"), what it is about to make
// the tip ("try") and how, what was confirmed ("done"), and when it has all that the node has ("synced").

const [kind = '', location = '', host = '', port = '', length = '', chain = ''] =
  process.argv.slice(2)

/** Says what is written before and after. A line to a pipe is there as soon as it is written. */
class TellingStore implements BlockStore {
  readonly #store = diskStore(kind, location)

  open(): Promise<void> {
    process.stdout.write('opening\n')
    return this.#store.open()
  }

  append(blocks: readonly Block[], options: { expectTip: BlockRef | null }) {
    return this.#tell('append', blocks, () => this.#store.append(blocks, options))
  }

  replace(
    ancestor: BlockRef | null,
    blocks: readonly Block[],
    options: { expectTip: BlockRef | null },
  ) {
    return this.#tell('replace', blocks, () => this.#store.replace(ancestor, blocks, options))
  }

  async #tell(
    how: 'append' | 'replace',
    blocks: readonly Block[],
    write: () => Promise<BlockRef | null>,
  ) {
    say('try', blocks.at(-1) ?? null, how)
    const tip = await write()
    say('done', tip)
    return tip
  }

  close = () => this.#store.close()
  tip = () => this.#store.tip()
  base = () => this.#store.base()
  get = (height: number) => this.#store.get(height)
  hashAt = (height: number) => this.#store.hashAt(height)
  range: BlockStore['range'] = (from, limits) => this.#store.range(from, limits)
}

function say(what: 'try' | 'done', ref: BlockRef | null, how = ''): void {
  process.stdout.write(`${what} ${ref?.height} ${ref?.hash} ${how}`.trim() + '\n')
}

const node = createNode({
  network: killNetwork,
  // The lower of the two addresses, so that it dials at once.
  transport: tcpTransport({ host: '127.0.0.1', port: 0 }),
  peers: [`${host}:${port}`],
  chain: { rules: rulesOfKills(Number(chain)), store: new TellingStore() },
})
await node.start()
await node.sync.waitForHeight(Number(length) - 1)
process.stdout.write('synced\n')
