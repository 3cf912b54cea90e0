import type { Effort } from './effort.js'
import { withPairs, type Entrant, type Pair } from './pair.js'
import type { Figure, Samples } from './samples.js'

interface StreamFigure extends Figure {
  measure(pair: Pair, ms: number): Promise<number>
}

const mebibyte = 1024 * 1024

export const smallMessages: StreamFigure = oneWay('64 B messages, one way', 64)

export const streamFigures: readonly StreamFigure[] = [
  smallMessages,
  oneWay('1 KiB messages, one way', 1_024),
  {
    name: '1 MiB messages, one way',
    unit: 'MB/s',
    better: 'more',
    measure: async ({ driver }, ms) => {
      const perSecond = await driver.ask('flood', { messageBytes: mebibyte, ms })
      return (perSecond * mebibyte) / 1e6
    },
  },
  {
    name: 'request and answer, one at a time',
    unit: 'µs',
    better: 'less',
    measure: async ({ driver }, ms) =>
      1_000 * (await driver.ask('roundTrips', { messageBytes: 64, ms })),
  },
  {
    name: '64 requests in flight',
    unit: 'requests/s',
    better: 'more',
    measure: ({ driver }, ms) => driver.ask('inFlight', { messageBytes: 64, inFlight: 64, ms }),
  },
]

/** One connection of each, and what goes over it. */
export async function measureStreams(
  entrants: readonly Entrant[],
  effort: Effort,
  samples: Samples,
  isWanted: (figure: Figure) => boolean,
  measured: (figure: Figure) => void,
): Promise<void> {
  const wanted = streamFigures.filter(isWanted)
  if (wanted.length === 0) return
  await withPairs(entrants, async (pairs) => {
    for (const { contestant, driver, address } of pairs) {
      await driver.ask('link', { contestant, address })
    }
    for (const figure of wanted) {
      for (const pair of pairs) await figure.measure(pair, effort.loadMs)
      for (let round = 0; round < effort.rounds; round += 1) {
        for (const pair of inTurn(pairs, round)) {
          samples.add(figure, pair.contestant, await figure.measure(pair, effort.loadMs))
        }
      }
      measured(figure)
    }
    for (const { contestant, server, driver } of pairs) {
      const [sent, received] = [await driver.ask('sent', null), await server.ask('received', null)]
      if (sent !== received) throw new Error(`${contestant} lost ${sent - received} messages`)
    }
  })
}

/** Whoever comes first may find another machine than who comes last: each round another one does. */
export function inTurn<T>(all: readonly T[], round: number): readonly T[] {
  const first = round % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}

function oneWay(name: string, messageBytes: number): StreamFigure {
  return {
    name,
    unit: 'messages/s',
    better: 'more',
    measure: ({ driver }, ms) => driver.ask('flood', { messageBytes, ms }),
  }
}
