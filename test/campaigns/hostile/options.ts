import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'

export interface HostileOptions {
  readonly cases: number
  readonly seed: number
  readonly json: boolean
  readonly isQuick: boolean
}

export type ParsedArguments =
  | { readonly kind: 'run'; readonly options: HostileOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string }

const fullCases = 110_000
const quickCases = 5_000
const maxSeed = 2 ** 31

export const help = `Usage: npm run hostile -- [options]

A real node in its own process is attacked over real TCP from thousands of loopback IPs, while honest
peers ping it and exchange requests with it. Needs a system that answers on all of 127.0.0.0/8.

  --cases N      random and mutated frames to send (default ${fullCases})
  --quick        ${quickCases} cases, and the shortest of everything else
  --seed S       what is left to chance: the cases and their order. The system's timing is not in it
  --json         print the facts as one JSON object on standard output, all else on standard error
  --help         print this

Exit code: 0 when everything held, 1 when something did not, 2 for wrong arguments, 130 when interrupted.
`

export function parseArguments(args: readonly string[]): ParsedArguments {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        cases: { type: 'string' },
        quick: { type: 'boolean', default: false },
        seed: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { kind: 'help' }
    const cases = whole(values.cases, values.quick ? quickCases : fullCases)
    if (!(cases >= 1 && cases <= 10_000_000)) {
      return wrong('--cases must be a whole number from 1 to 10000000')
    }
    const seed = whole(values.seed, randomInt(maxSeed))
    if (!(seed < maxSeed)) return wrong(`--seed must be a whole number below ${maxSeed}`)
    return { kind: 'run', options: { cases, seed, json: values.json, isQuick: values.quick } }
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
