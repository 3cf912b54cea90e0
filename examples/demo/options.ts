import { parseArgs } from 'node:util'

export interface DemoOptions {
  /** How many nodes dial each other. */
  readonly nodes: number
  /** How many blocks; of a file, undefined means all. */
  readonly count: number | undefined
  readonly transport: 'tcp' | 'memory'
  /** A Bitcoin Core block file to serve instead of generated blocks. */
  readonly blocks: string | undefined
  readonly json: boolean
}

export type ParsedArguments =
  | { readonly kind: 'run'; readonly options: DemoOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string }

const maxNodes = 16
const maxCount = 100_000

export const defaultCount = 20_000

export const help = `Usage: npm run demo -- [options]

Starts nodes that all dial each other at the same moment, shows that each pair keeps one connection,
drops one by force, and lets a fresh node catch up with their chain from nothing.

  --nodes N              how many nodes dial each other, 2 to ${maxNodes} (default 4)
  --count BLOCKS         how many blocks they hold, 1 to ${maxCount} (default ${defaultCount}; with --blocks: all)
  --transport tcp|memory real sockets on 127.0.0.1, 127.0.0.2, … or pipes in memory (default tcp)
  --blocks FILE          serve the blocks of a Bitcoin Core block file (blk*.dat) instead of generated
                         ones; an obfuscated file needs its xor.dat beside it
  --json                 print the facts as one JSON object on standard output, all else on standard error
                         (with npm run --silent, or npm adds two lines of its own)
  --help                 print this

Exit code: 0 when everything held, 1 when something did not, 2 for wrong arguments or a bad file.
`

export function parseArguments(args: readonly string[]): ParsedArguments {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        nodes: { type: 'string', default: '4' },
        count: { type: 'string' },
        transport: { type: 'string', default: 'tcp' },
        blocks: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { kind: 'help' }
    if (values.blocks === '') throw new WrongArgument('--blocks must name a file')
    const count =
      values.count === undefined ? undefined : whole('--count', values.count, 1, maxCount)
    const options: DemoOptions = {
      nodes: whole('--nodes', values.nodes, 2, maxNodes),
      count: count ?? (values.blocks === undefined ? defaultCount : undefined),
      transport: transportName(values.transport),
      blocks: values.blocks,
      json: values.json,
    }
    return { kind: 'run', options }
  } catch (error) {
    if (error instanceof WrongArgument || isParseArgsError(error)) {
      return { kind: 'wrong', message: error.message }
    }
    throw error
  }
}

class WrongArgument extends Error {}

function whole(name: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN
  if (value >= least && value <= most) return value
  throw new WrongArgument(`${name} must be a whole number from ${least} to ${most}, not '${text}'`)
}

function transportName(text: string): 'tcp' | 'memory' {
  if (text === 'tcp' || text === 'memory') return text
  throw new WrongArgument(`--transport must be tcp or memory, not '${text}'`)
}

const isParseArgsError = (error: unknown): error is Error =>
  error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
