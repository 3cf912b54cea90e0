/** A process that serves a generated chain over TCP from memory, and says where. Ends with its parent. */
import { createNode, MemoryBlockStore } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import { testChain, testChainRules } from 'holdfast/testing'
import { chainOptions, network } from './chain.js'

const [blocks = '0'] = process.argv.slice(2)
const chain = testChain(chainOptions(Number(blocks)))
const store = new MemoryBlockStore()
await store.open()
await store.append(chain.blocks, { expectTip: null })
const node = createNode({
  network,
  transport: tcpTransport({ host: '127.0.4.1', port: 0 }),
  chain: { rules: testChainRules(chain), store },
})
await node.start()
process.on('disconnect', () => process.exit(0))
process.send?.({ port: node.connections.endpoints[0]?.port, tip: chain.tip })
