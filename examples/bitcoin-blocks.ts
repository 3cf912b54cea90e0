/**
 * Real Bitcoin blocks, from one node to another over TCP.
 *
 * One node serves the blocks of a Bitcoin Core block file (blk*.dat; an obfuscated one needs its xor.dat
 * beside it), another one starts with nothing and gets them. `ChainRules` for Bitcoin check proof of work,
 * Merkle root and witness commitment of every block on its way in: see examples/demo/bitcoin-chain-rules.ts.
 *
 * Run it: npx tsx examples/bitcoin-blocks.ts ~/.bitcoin/blocks/blk00000.dat
 * Without a file it says so, and ends.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createNode, MemoryBlockStore, type BlockStore } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import { readBitcoinBlockFile } from './demo/bitcoin-block-file.js'
import { bitcoinChainRules } from './demo/bitcoin-chain-rules.js'

async function run(path: string): Promise<void> {
  const { blocks, anchor } = await readBitcoinBlockFile(path)
  const rules = bitcoinChainRules(anchor)
  const tip = blocks.at(-1)
  assert(tip, 'the file holds blocks')
  const bytes = blocks.reduce((sum, { payload }) => sum + payload.length, 0)
  console.log(`${path}: ${blocks.length} blocks, ${bytes} bytes, up to ${tip.hash}`)

  const nodeWith = (store: BlockStore) =>
    createNode({
      network: rules.chainId,
      // Both are on 127.0.0.1, told apart by their ports.
      identity: 'endpoint',
      transport: tcpTransport({ host: '127.0.0.1', port: 0 }),
      chain: { rules, store },
    })
  const full = new MemoryBlockStore()
  await full.open()
  await full.append(blocks, { expectTip: null })
  await using server = nodeWith(full)
  await using client = nodeWith(new MemoryBlockStore())
  await server.start()
  await client.start()
  const startedMs = performance.now()
  await client.connections.connect(`127.0.0.1:${server.connections.endpoints[0]?.port}`)
  await client.sync.waitForHeight(tip.height, { signal: AbortSignal.timeout(60_000) })

  const seconds = (performance.now() - startedMs) / 1_000
  console.log(`The new node is at height ${client.sync.tip?.height} after ${seconds.toFixed(2)} s.`)
  assert.deepEqual(client.sync.tip, { height: tip.height, hash: tip.hash })
}

const path = process.argv[2]
if (path === undefined) console.log('skipped: name a block file, for instance blk00000.dat')
else if (!existsSync(path)) console.log(`skipped: there is no file ${path}`)
else await run(path)
