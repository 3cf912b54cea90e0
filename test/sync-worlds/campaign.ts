/**
 * Syncs in random worlds, in virtual time: up to 16 peers, honest and bad; stores that fail; networks of
 * nodes that sync from each other. See properties.ts for what must hold.
 *
 *   npm run sync-worlds                            20,000 worlds; the seed comes from the clock
 *   npm run sync-worlds -- --quick                 2,000 worlds, or as many as 60 s allow: for CI
 *   npm run sync-worlds -- --worlds 5000 --seed 7
 *   npm run sync-worlds -- --only 'a store'        properties whose name begins like this
 *   npm run sync-worlds -- --seed 7 --path 12:0:3 --only …    one world again, as the failure said
 *
 * The exit code is 0 when all held.
 */
import { parseArgs } from 'node:util'
import { Margins } from './judge.js'
import { worldProperties, type Draw, type WorldProperty } from './properties.js'

const batch = 50
const quickMs = 60_000

function main(): boolean {
  const { values } = parseArgs({
    options: {
      worlds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      path: { type: 'string' },
      only: { type: 'string', default: '' },
    },
  })
  const seed = numberOf('seed', values.seed)
  const worlds = numberOf('worlds', values.worlds ?? (values.quick ? '2000' : '20000'))
  const margins = new Margins()
  const all = worldProperties(margins)
  const chosen = all.filter(({ name }) => name.startsWith(values.only))
  if (chosen.length === 0) throw new RangeError(`no property begins with "${values.only}"`)
  console.log(`seed ${seed}`)
  const { path } = values
  if (path !== undefined) return chosen.every((one) => holds(one, { seed, path }))
  const untilMs = values.quick ? performance.now() + quickMs : Infinity
  const counts = new Map<string, number>()
  for (let done = 0, round = 0; done < worlds && performance.now() < untilMs; round++) {
    for (const one of chosen) {
      const numRuns = Math.min(batch, worlds - done)
      if (numRuns === 0) break
      if (!holds(one, { seed: seed + round, numRuns })) return false
      counts.set(one.name, (counts.get(one.name) ?? 0) + numRuns)
      done += numRuns
    }
    process.stderr.write(`${done} worlds\n`)
  }
  for (const [name, count] of counts) console.log(`${count} worlds: ${name}`)
  console.log(`at most ${(margins.largestShare * 100).toFixed(0)} % of its time, in any world`)
  console.log(`an honest peer cooled down for ${margins.longestCooldownMs.toFixed(0)} ms at most`)
  return true
}

function holds({ name, flaw }: WorldProperty, draw: Draw): boolean {
  const found = flaw(draw)
  if (found === undefined) return true
  console.log(`FAILED: ${name}\n  ${String(found.error)}\n  ${found.world}`)
  console.log(`  --seed ${found.seed} --path ${found.path} --only '${name}'`)
  return false
}

function numberOf(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new RangeError(`--${name} must be a whole number, not ${text}`)
}

process.exitCode = main() ? 0 : 1
