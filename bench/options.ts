import { parseArgs } from 'node:util'
import { contestantNames, isContestantName, type ContestantName } from './contestants/contestant.js'
import { efforts, type Effort } from './effort.js'

export const help = `npm run bench -- [OPTIONS]

Measures holdfast beside a raw socket and other libraries: two processes per contestant over loopback
TCP, contestants in turn within each round. What is not installed is left out: npm ci --prefix bench.

  --quick            at most three minutes
  --smoke            some seconds, raw and holdfast alone: shows that each figure comes, not what it is
  --only NAMES       contestants, with commas: ${contestantNames.join(', ')}
  --figures TEXT     only figures whose names contain it
  --json FILE        writes the figures and the machine that they are of
  --report FILE      draws them as plots in one HTML file
  --from FILE        draws or prints what --json wrote, and measures nothing
  --compare A B      what moved between two files of --json
  --help`

export type BenchOptions =
  | { readonly kind: 'help' }
  | { readonly kind: 'compare'; readonly before: string; readonly after: string }
  | {
      readonly kind: 'run'
      readonly effort: Effort
      readonly only: readonly ContestantName[]
      readonly figures: string
      readonly from: string | undefined
      readonly json: string | undefined
      readonly report: string | undefined
    }

/** Throws TypeError for what it does not know. */
export function benchOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      compare: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      only: { type: 'string' },
      figures: { type: 'string', default: '' },
      from: { type: 'string' },
      json: { type: 'string' },
      report: { type: 'string' },
    },
  })
  if (values.help) return { kind: 'help' }
  if (values.compare) {
    const [before, after, ...rest] = positionals
    if (before === undefined || after === undefined || rest.length > 0) {
      throw new TypeError('--compare takes two files')
    }
    return { kind: 'compare', before, after }
  }
  if (positionals.length > 0) throw new TypeError(`what is ${positionals.join(' ')}?`)
  const effort = values.smoke ? efforts.smoke : values.quick ? efforts.quick : efforts.full
  const { figures, from, json, report } = values
  const only = contestantsIn(values.only, effort)
  return { kind: 'run', effort, only, figures, from, json, report }
}

function contestantsIn(text: string | undefined, effort: Effort): readonly ContestantName[] {
  if (text === undefined) return effort.name === 'smoke' ? ['raw', 'holdfast'] : contestantNames
  return text.split(',').map((name) => {
    if (!isContestantName(name)) throw new TypeError(`'${name}' is no contestant`)
    return name
  })
}
