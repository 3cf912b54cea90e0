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
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
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
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

async function demo(options: DemoOptions, signal: AbortSignal): Promise<number> {
  const startedMs = performance.now()
  const report = new Report(options.json ? process.stderr : process.stdout)
  const chain = await demoChain(options, report)
  const network = await chooseNetwork(options.transport, options.nodes + 1, report)
  const transport = network.name
  const swarm = new Swarm(network, chain.rules)
  const location = await mkdtemp(join(tmpdir(), 'holdfast-demo-'))
  const emptyStore = new LevelBlockStore({ location })
  try {
    for (let number = 1; number <= options.nodes; number++) {
      await swarm.start(ipOf(number), await storeWith(chain.blocks))
    }
    const [first, second] = swarm.members

    report.title(
      `1. ${options.nodes} nodes dial each other over ${transport}, all at the same moment.`,
    )
    const raced = await race(swarm, report, signal)
    await showPeers(swarm, report, signal)

    report.title(`2. The connection between ${first!.ip} and ${second!.ip} is dropped by force.`)
    const redialled = await dropAndRedial(swarm, [first!, second!], report, signal)

    const freshIp = ipOf(options.nodes + 1)
    report.title(`3. ${freshIp} starts with an empty LevelDB store and catches up.`)
    const fresh = { ip: freshIp, store: emptyStore }
    const synced = await catchUp(swarm, fresh, chain.blocks, report, signal)

    const nodes = options.nodes
    const facts = summarize(
      { transport, nodes, swarm, raced, redialled, synced, startedMs },
      report,
    )
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
