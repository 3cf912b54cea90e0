/**
 * A real node under attack on real TCP: a process of its own, honest peers on other loopback IPs, and
 * attackers from thousands more, who know the protocol and break it in every way that is listed in
 * `hostile/attacks.ts`, with random frames, and with mutations of recorded sessions. Meanwhile honest
 * peers keep their connections and their round trips, memory stays bounded, and nothing is left over.
 *
 *   npm run hostile
 *   npm run hostile -- --help
 *
 * It attacks its own process only, ends by itself, and leaves nothing behind. The exit code is 0 when
 * everything held, 1 when something did not, 2 for wrong arguments, 130 when it was interrupted.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { SeededRandom } from 'holdfast/testing'
import { IpRange } from './hostile/attacker.js'
import { attacks, offend } from './hostile/attacks.js'
import { CaseSource } from './hostile/cases.js'
import { Fuzz } from './hostile/fuzz.js'
import { judge, median, table, type Facts, type Phase } from './hostile/judge.js'
import { help, parseArguments, type HostileOptions } from './hostile/options.js'
import { Child, type SeenConnection, type VictimReport } from './hostile/protocol.js'
import { recordSession } from './hostile/session.js'

/** Cases are sent in rounds, so that what was seen of each is fetched before it is too much. */
const casesPerRound = 5_000
const offenders = ['127.99.0.1', '127.99.0.2', '127.99.0.3']

/** The campaign while it runs: the two processes, and what they told so far. */
class Campaign {
  readonly #victim = new Child('victim')
  readonly #honest = new Child('honest')
  readonly #phases: Phase[] = []
  readonly #roundTripsMs: number[] = []
  readonly #seen = new Map<string, SeenConnection>()
  #peakRssMb = 0
  readonly #options: HostileOptions
  readonly #say: (line: string) => void

  constructor(options: HostileOptions, say: (line: string) => void) {
    this.#options = options
    this.#say = say
  }

  async run(): Promise<Facts> {
    const { seed, isQuick, cases } = this.#options
    const dice = new SeededRandom(seed)
    const ips = new IpRange()
    const session = await recordSession()
    const port = await this.#victim.ask('start', 0)
    await this.#honest.ask('start', port)
    await sleep(1_500)
    const before = await this.#victim.ask('victim', { isSettled: true })
    await this.#honest.ask('honest', null)
    const setup = {
      port,
      dice,
      ips,
      durationMs: isQuick ? 700 : 5_000,
      connections: isQuick ? 1_000 : 5_000,
    }
    for (const [name, attack] of Object.entries(attacks)) {
      await this.#phase(name, () => attack(setup))
    }
    const fuzz = new Fuzz({ source: new CaseSource(session, dice), dice, ips, port })
    const name = 'random and mutated frames'
    for (let left = cases; left > 0; left -= casesPerRound) {
      const count = Math.min(left, casesPerRound)
      await this.#phase(name, async () => {
        await fuzz.run(count)
        return `${count} cases, ${fuzz.refusedConnections} connections refused so far`
      })
    }
    let banned: readonly string[] = []
    await this.#phase('violations from the same IPs', async () => {
      const violations = await offend(setup, offenders)
      banned = (await this.#victim.ask('victim', { isSettled: false })).bans
      return `${violations} violations from ${offenders.length} IPs, ${banned.length} IPs banned`
    })
    await sleep(3_000)
    const after = await this.#victim.ask('victim', { isSettled: true })
    const honest = await this.#honest.ask('honest', null)
    await this.#honest.ask('stop', null)
    const leftAfterStop = await this.#victim.ask('stop', null)
    const reached = Fuzz.reached(fuzz.sent, this.#seen)
    return {
      seed,
      phases: this.#phases,
      sentCases: fuzz.sent.length,
      reachedByState: Object.fromEntries(reached.byState),
      reachedByOrigin: Object.fromEntries(reached.byOrigin),
      pingMedianMs: median(this.#roundTripsMs) ?? Infinity,
      before,
      after,
      honest,
      peakRssMb: this.#peakRssMb,
      offenders,
      banned,
      leftAfterStop,
    }
  }

  /** Runs one attack, and asks both processes how it was. */
  async #phase(name: string, attack: () => Promise<string>): Promise<void> {
    const startedMs = performance.now()
    const what = await attack()
    // At least one ping of each honest peer falls into every attack.
    await sleep(Math.max(0, 1_100 - (performance.now() - startedMs)))
    const seconds = (performance.now() - startedMs) / 1_000
    const victim = await this.#victim.ask('victim', { isSettled: false })
    const honest = await this.#honest.ask('honest', null)
    this.#note(victim)
    this.#roundTripsMs.push(...honest.roundTripsMs)
    this.#phases.push({
      name,
      what,
      seconds,
      pingMedianMs: median(honest.roundTripsMs),
      pingMaxMs: honest.roundTripsMs.length === 0 ? undefined : Math.max(...honest.roundTripsMs),
      answers: honest.answers,
      peakRssMb: victim.peakRssMb,
      closes: victim.closes,
    })
    this.#say(`${name}: ${what}; ${seconds.toFixed(1)} s, peak ${victim.peakRssMb} MiB`)
  }

  #note(report: VictimReport): void {
    this.#peakRssMb = Math.max(this.#peakRssMb, report.peakRssMb)
    for (const [connection, facts] of report.seen) this.#seen.set(connection, facts)
  }

  end(): void {
    this.#victim.end()
    this.#honest.end()
  }
}

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
  const { options } = parsed
  const out = options.json ? process.stderr : process.stdout
  const say = (line: string): void => void out.write(`${line}\n`)
  const campaign = new Campaign(options, say)
  const interrupt = (): void => {
    campaign.end()
    process.exit(130)
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt)
  try {
    say(`seed ${options.seed}`)
    const facts = await campaign.run()
    say(`\n${table(facts)}\n`)
    const failed = judge(facts, options.cases)
    if (options.json) {
      const before = { ...facts.before, seen: undefined }
      const after = { ...facts.after, seen: undefined }
      process.stdout.write(`${JSON.stringify({ ...facts, before, after, failed })}\n`)
    }
    for (const text of failed) say(`NOT TRUE: ${text}`)
    if (failed.length === 0) say('Everything held.')
    return failed.length === 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`NOT TRUE: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  } finally {
    campaign.end()
  }
}

process.exitCode = await main()
