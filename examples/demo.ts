/**
 * What the library promises, shown on real sockets: nodes that all dial each other at the same moment
 * keep one connection per pair, a connection that breaks comes back, and a node that starts with nothing
 * catches up.
 *
 *   npm run demo
 *   npm run demo -- --help
 *
 * It ends by itself. The exit code is 0 when everything held that it says, 1 when something did not, and
 * 2 for wrong arguments or a block file that cannot be served.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HoldfastError, MemoryBlockStore } from 'holdfast'
import { LevelBlockStore } from 'holdfast/level'
import type { Block, BlockStore } from 'holdfast'
import { catchUp } from './demo/catch-up.js'
import { demoChain } from './demo/demo-chain.js'
import { chooseNetwork, ipOf } from './demo/network.js'
import { help, parseArguments } from './demo/options.js'
import type { DemoOptions } from './demo/options.js'
import { race, showPeers } from './demo/race.js'
import { dropAndRedial } from './demo/redial.js'
import { Report } from './demo/report.js'
import { summarize } from './demo/summary.js'
import { Swarm } from './demo/swarm.js'

const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

async function main(): Promise<number> {
  const parsed = parseArguments(process.argv.slice(2))
  if (parsed.kind === 'help') {
    process.stdout.write(help)
    return 0
  }
  if (parsed.kind === 'wrong') {
    process.stderr.write(`${parsed.message}\nTry --help.\n`)
    return 2
  }
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort(new Error('interrupted'))
  for (const name of endSignals) process.once(name, interrupt)
  try {
    return await demo(parsed.options, interrupted.signal)
  } catch (error) {
    if (interrupted.signal.aborted) {
      process.stderr.write('Interrupted; everything is cleaned up.\n')
      return 130
    }
    if (!HoldfastError.is(error, 'FILE_INVALID')) throw error
    process.stderr.write(`${error.message}\n`)
    return 2
  } finally {
    for (const name of endSignals) process.off(name, interrupt)
  }
}

async function demo(options: DemoOptions, signal: AbortSignal): Promise<number> {
  const { nodes } = options
  const startedMs = performance.now()
  const report = new Report(options.json ? process.stderr : process.stdout)
  const chain = await demoChain(options, report)
  const network = await chooseNetwork(options.transport, nodes + 1, report)
  const swarm = new Swarm(network, chain.rules)
  const location = await mkdtemp(join(tmpdir(), 'holdfast-demo-'))
  const emptyStore = new LevelBlockStore({ location })
  try {
    for (let number = 1; number <= nodes; number++) {
      await swarm.start(ipOf(number), await storeWith(chain.blocks))
    }
    const [first, second] = swarm.members

    report.title(`1. ${nodes} nodes dial each other over ${network.means}, at the same moment.`)
    const raced = await race(swarm, report, signal)
    await showPeers(swarm, report, signal)

    report.title(`2. The connection between ${first!.ip} and ${second!.ip} is dropped by force.`)
    const redialled = await dropAndRedial(swarm, [first!, second!], report, signal)

    const freshIp = ipOf(nodes + 1)
    report.title(`3. ${freshIp} starts with an empty LevelDB store and catches up.`)
    const fresh = { ip: freshIp, store: emptyStore }
    const synced = await catchUp(swarm, fresh, chain.blocks, report, signal)

    const about = { transport: network.name, nodes, chainId: chain.rules.chainId, startedMs }
    const facts = summarize({ ...about, swarm, raced, redialled, synced }, report)
    if (options.json) process.stdout.write(`${JSON.stringify(facts, undefined, 2)}\n`)
    return facts.ok ? 0 : 1
  } finally {
    await swarm.stop()
    await emptyStore.close()
    await rm(location, { recursive: true, force: true })
  }
}

async function storeWith(blocks: readonly Block[]): Promise<BlockStore> {
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(blocks, { expectTip: null })
  return store
}

process.exitCode = await main()

// It ends by itself when nothing is left: a socket or a timer that somebody forgot must not hide here.
setTimeout(() => {
  process.stderr.write('NOT TRUE: the demo ends by itself; something keeps the process alive\n')
  process.exit(1)
}, 5_000).unref()
