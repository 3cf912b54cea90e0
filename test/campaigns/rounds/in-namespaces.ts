import type { SeededRandom } from 'holdfast/testing'
import { Crew } from './crew.js'
import { memberCount, nodeOptions, racePlans } from './loopback.js'
import { Namespaces } from './namespaces.js'
import { cutFor, longCut, quickToNotice, shortCut } from './partition.js'
import type { RoundPlan } from './round.js'
import { runSeries, type SeriesResult } from './series.js'

interface Options {
  readonly rounds: number
  readonly dice: SeededRandom
  readonly network: string
}

const lossPercent = 10

/** From so many rounds on, there are as many in namespaces, and each kind of cut has its turns. */
const manyRounds = 100

/** Races on hosts with their own network: undisturbed, with a network that is cut, with lost packets. */
export async function inNamespaces(
  options: Options,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<SeriesResult[]> {
  const namespaces = await Namespaces.create(memberCount)
  try {
    const crew = await Crew.start(namespaces, signal)
    try {
      const { rounds } = options
      const races = { ...options, rounds: rounds >= manyRounds ? rounds : Math.ceil(rounds / 10) }
      return [
        await runSeries(
          'namespaces',
          crew,
          racePlans('namespaces', namespaces, races),
          say,
          signal,
        ),
        await runSeries('partition', crew, partitionPlans(namespaces, options), say, signal),
        await withLoss(namespaces, crew, options, say, signal),
      ]
    } finally {
      await crew.close()
    }
  } finally {
    await namespaces.remove()
  }
}

function partitionPlans(namespaces: Namespaces, { rounds, dice, network }: Options): RoundPlan[] {
  const own = dice.fork()
  const patient = nodeOptions(network)
  const noticing = { ...patient, ...quickToNotice }
  const cuts = [{ node: noticing, disturbance: longCut(namespaces) }]
  if (rounds >= manyRounds) {
    cuts.push({ node: patient, disturbance: shortCut(namespaces) })
    // Around the moment at which the first ones give the other half up.
    for (let index = 0; index < Math.min(10, rounds / 50); index++) {
      const ms = 1_500 + own.next() * 3_000
      cuts.push({ node: noticing, disturbance: cutFor(namespaces, ms) })
    }
  }
  return cuts.map((cut, index) => ({
    ...cut,
    name: `partition round ${index + 1}`,
    dice: own.fork(),
    settleTimeoutMs: 30_000,
    watchMs: 1_000,
    mayDialsFail: true,
  }))
}

async function withLoss(
  namespaces: Namespaces,
  crew: Crew,
  { rounds, dice, network }: Options,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<SeriesResult> {
  const own = dice.fork()
  const plans = Array.from({ length: Math.max(1, Math.round(rounds / 20)) }, (_, index) => ({
    name: `loss round ${index + 1}`,
    dice: own.fork(),
    node: nodeOptions(network),
    settleTimeoutMs: 60_000,
    watchMs: 500,
    mayDialsFail: true,
  }))
  await namespaces.losePackets(lossPercent)
  const series = await runSeries(`${lossPercent} % of packets lost`, crew, plans, say, signal)
  const packetsLost = await namespaces.loseNoPackets()
  say(`  ${packetsLost} packets were lost`)
  const failures = packetsLost > 0 ? [] : ['no packet was lost: the loss did not work']
  return { ...series, packetsLost, failures: [...series.failures, ...failures] }
}
