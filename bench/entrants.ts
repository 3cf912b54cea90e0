import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { contestantNames, type ContestantName } from './contestants/contestant.js'
import type { Entrant } from './pair.js'

/** Where the packages of those that holdfast is measured against lie. From the bundle in bench/dist. */
const packages = fileURLToPath(new URL('../node_modules', import.meta.url))

/** libp2p 3 uses what came with Node.js 22. */
const modernMajor = 22

/** Who takes part, and a line for each of those who cannot. */
export function entrantsAmong(wanted: readonly ContestantName[] = contestantNames): {
  readonly entrants: readonly Entrant[]
  readonly missing: readonly string[]
} {
  const entrants: Entrant[] = []
  const missing: string[] = []
  const own = (name: ContestantName): boolean => name === 'raw' || name === 'holdfast'
  const others = wanted.filter((name) => !own(name))
  for (const contestant of wanted.filter(own)) entrants.push({ contestant, node: process.execPath })
  if (others.length > 0 && !existsSync(packages)) {
    missing.push(`${others.join(', ')}: not installed (npm ci --prefix bench)`)
    return { entrants, missing }
  }
  for (const contestant of others) {
    const node = contestant.startsWith('libp2p') ? modernNode() : process.execPath
    if (node === undefined) missing.push(`${contestant}: needs Node.js ${modernMajor}`)
    else entrants.push({ contestant, node })
  }
  return { entrants, missing }
}

let foundNode: string | undefined

function modernNode(): string | undefined {
  if (Number(process.versions.node.split('.')[0]) >= modernMajor) return process.execPath
  try {
    foundNode ??= execFileSync(
      'npx',
      ['-y', '-p', `node@${modernMajor}`, 'node', '-p', 'process.execPath'],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    ).trim()
    return foundNode
  } catch {
    return undefined
  }
}
