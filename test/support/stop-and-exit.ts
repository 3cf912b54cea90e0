import { createServer, type AddressInfo } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LevelBlockStore } from '../../src/adapters/level-block-store.js'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import { tcpTransport } from '../../src/adapters/tcp.js'
import { createNode } from '../../src/node.js'
import { testChain, testChainRules } from '../../src/testing/test-chain.js'

/*
 * A program that stops its nodes and says so, and then has nothing more to do: it must end by itself.
 * Its argument says when it stops: in mid-sync, while it starts, or after a start that failed.
 */
const [when] = process.argv.slice(2)
const directory = await mkdtemp(join(tmpdir(), 'holdfast-stop-'))
const chain = testChain({ length: 4_000 })
const rules = testChainRules(chain)

const full = new MemoryBlockStore()
await full.open()
await full.append(chain.blocks, { expectTip: null })
await full.close()
const server = createNode({
  network: 'stop',
  transport: tcpTransport({ host: '127.0.0.2', port: 0 }),
  chain: { rules, store: full },
})
await server.start()
const { port } = server.connections.endpoints[0]!

// Accepts, and never says a word.
const deaf = createServer(() => undefined)
await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.3', resolve))
deaf.unref()
const taken = when === 'failed start' ? port : 0

const node = createNode({
  network: 'stop',
  transport: tcpTransport({
    host: when === 'failed start' ? '127.0.0.2' : '127.0.0.1',
    port: taken,
  }),
  peers: [
    `127.0.0.2:${port}`,
    `127.0.0.3:${(deaf.address() as AddressInfo).port}`,
    // Refused, and an address that nobody has.
    '127.0.0.4:1',
    '198.51.100.1:24100',
  ],
  chain: {
    // Slow enough to be in the middle of it.
    rules: {
      ...rules,
      validate: async () => {
        await new Promise((resolve) => setTimeout(resolve, 1))
        return { ok: true }
      },
    },
    store: new LevelBlockStore({ location: join(directory, 'chain') }),
  },
})

switch (when) {
  case 'mid-sync': {
    await node.start()
    await node.sync.waitForHeight(50)
    await node.stop()
    const { height } = node.sync.tip!
    if (height >= chain.tip.height) throw new Error('the sync was over before the stop')
    break
  }
  case 'start': {
    const starting = node.start().catch((error: unknown) => error)
    await new Promise((resolve) => setImmediate(resolve))
    await node.stop()
    await starting
    break
  }
  case 'failed start':
    await node.start().then(
      () => {
        throw new Error('the port was free')
      },
      (error: unknown) => {
        process.stdout.write(`${(error as { code: string }).code} `)
      },
    )
    break
  case 'await using': {
    await using scoped = node
    await scoped.start()
    await scoped.sync.waitForHeight(0)
    break
  }
  default:
    throw new Error(`when is ${String(when)}?`)
}
await server.stop()
await rm(directory, { recursive: true })
process.stdout.write(`stopped ${node.status().state}`)
