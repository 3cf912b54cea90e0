/**
 * What the library promises of connections, on real sockets between real processes: eight of them, one
 * IP each, dial each other at the same instant, and each pair keeps exactly one connection, the same
 * one at both ends, of which nothing established is ever closed. One round in ten kills a process with
 * SIGKILL and starts it again, and the mesh heals. Where root allows it, once more in network
 * namespaces, with a network that is cut in two and with packets that are lost at random.
 *
 *   npm run rounds
 *   npm run rounds -- --help
 *
 * It sends to its own addresses only, ends by itself, and leaves nothing behind. The exit code is 0 when
 * everything held, 1 when something did not, 2 for wrong arguments, 130 when it was interrupted.
 */
import { SeededRandom } from 'holdfast/testing'
import { memberCount, onLoopback, whyNoLoopback } from './rounds/loopback.js'
import { inNamespaces } from './rounds/in-namespaces.js'
import { whyNoNamespaces } from './rounds/namespaces.js'
import { help, parseArguments, type RoundsOptions } from './rounds/options.js'
import type { SeriesResult } from './rounds/series.js'

const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const stages = [
  { name: 'loopback', run: onLoopback, whyNot: whyNoLoopback },
  { name: 'namespaces', run: inNamespaces, whyNot: whyNoNamespaces },
] as const

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
  // Listened to until the end: a second Ctrl-C must not cut the cleaning up short.
  for (const name of endSignals) process.on(name, interrupt)
  // When nobody reads what it says any more, it ends in order as well.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', interrupt)
  try {
    return await campaign(parsed.options, interrupted.signal)
  } catch (error) {
    if (error === interrupted.signal.reason || isAbort(error)) {
      process.stderr.write('Interrupted; everything is cleaned up.\n')
      return 130
    }
    process.stderr.write(`NOT TRUE: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  } finally {
    for (const name of endSignals) process.off(name, interrupt)
  }
}

async function campaign(options: RoundsOptions, signal: AbortSignal): Promise<number> {
  const { rounds, seed, json, place } = options
  const out = json ? process.stderr : process.stdout
  const say = (line: string): void => void out.write(`${line}\n`)
  const startedMs = performance.now()
  const dice = new SeededRandom(seed)
  const network = `rounds-${process.pid}-${seed}`
  const series: SeriesResult[] = []
  const skipped: { readonly place: string; readonly why: string }[] = []
  say(`${memberCount} processes dial each other at one instant; seed ${seed}`)
  for (const stage of stages) {
    const own = dice.fork()
    if (place !== 'both' && place !== stage.name) continue
    const why = await stage.whyNot()
    if (why === undefined) {
      series.push(...(await stage.run({ rounds, dice: own, network }, say, signal)))
    } else {
      skipped.push({ place: stage.name, why })
      say(`\n${stage.name}: skipped: ${why}`)
    }
  }
  const failures = series.flatMap((one) => one.failures)
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10
  const facts = { ok: failures.length === 0, seed, members: memberCount, seconds, series, skipped }
  if (json) process.stdout.write(`${JSON.stringify(facts, undefined, 2)}\n`)
  const outcome = facts.ok ? 'Everything held' : `${failures.length} expectations did not hold`
  say(series.length === 0 ? '\nNothing was run.' : `\n${outcome}, in ${seconds} s.`)
  return facts.ok ? 0 : 1
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError'

process.exitCode = await main()

// It ends by itself when nothing is left: a process or a timer that somebody forgot must not hide here.
setTimeout(() => {
  process.stderr.write('NOT TRUE: the campaign ends by itself; something keeps the process alive\n')
  process.exit(1)
}, 5_000).unref()
