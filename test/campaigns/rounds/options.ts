import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'

export const places = ['loopback', 'namespaces', 'both'] as const

export interface RoundsOptions {
  readonly rounds: number
  readonly seed: number
  readonly json: boolean
  readonly place: (typeof places)[number]
}

export type ParsedArguments =
  | { readonly kind: 'run'; readonly options: RoundsOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string }

const defaultRounds = 200
const quickRounds = 20
const maxRounds = 100_000
const maxSeed = 2 ** 32

export const help = `Usage: npm run rounds -- [options]

Eight processes, one IP each, dial each other at one instant, round after round; each pair must keep
exactly one connection, the same one at both ends. One round in ten kills a process.

  --rounds N     rounds on loopback (default ${defaultRounds}), and again in network namespaces
                 (a tenth of them where they are fewer than 100)
  --quick        ${quickRounds} rounds, and the shortest of everything else
  --place WHERE  loopback, namespaces (needs root, ip and nft) or both (default)
  --seed S       what is left to chance: orders, victims, moments. The system's timing is not in it
  --json         print the facts as one JSON object on standard output, all else on standard error
  --help         print this

Exit code: 0 when everything held, 1 when something did not, 2 for wrong arguments, 130 when interrupted.
`

export function parseArguments(args: readonly string[]): ParsedArguments {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        place: { type: 'string', default: 'both' },
        seed: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { kind: 'help' }
    const place = places.find((name) => name === values.place)
    if (place === undefined) return wrong(`--place must be one of ${places.join(', ')}`)
    const rounds = whole(values.rounds, values.quick ? quickRounds : defaultRounds)
    if (!(rounds >= 1 && rounds <= maxRounds)) {
      return wrong(`--rounds must be a whole number from 1 to ${maxRounds}`)
    }
    const seed = whole(values.seed, randomInt(maxSeed))
    if (!(seed < maxSeed)) return wrong(`--seed must be a whole number below ${maxSeed}`)
    return { kind: 'run', options: { rounds, seed, json: values.json, place } }
  } catch (error) {
    if (error instanceof TypeError) return wrong(error.message)
    throw error
  }
}

const wrong = (message: string): ParsedArguments => ({ kind: 'wrong', message })

/** NaN for what is no whole number. */
const whole = (text: string | undefined, otherwise: number): number => {
  if (text === undefined) return otherwise
  return /^\d+$/.test(text) ? Number(text) : NaN
}
