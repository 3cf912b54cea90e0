import { readFileSync } from 'node:fs'
import type { Machine } from './machine.js'
import type { Row } from './samples.js'

/** What one run found. */
export interface Results {
  readonly machine: Machine
  readonly rows: readonly Row[]
}

export function readResults(file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8')) as Results
}

export function formatRow({ contestant, unit, median, min, max, ratioToRaw }: Row): string {
  const ratio = ratioToRaw === null ? '' : `  ${formatNumber(ratioToRaw)} × raw`
  const spread = `(${formatNumber(min)} to ${formatNumber(max)})`
  return `  ${contestant.padEnd(17)} ${formatNumber(median).padStart(11)} ${unit.padEnd(13)} ${spread.padEnd(27)}${ratio}`
}

/** Three digits that count, and thousands apart. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.max(Math.abs(value), 1e-3))))
  return value.toLocaleString('en', { maximumFractionDigits: digits, useGrouping: true })
}

/** What moved between two runs: by ratios, because the machines may differ. */
export function compareResults(before: Results, after: Results): string[] {
  const old = new Map(before.rows.map((row) => [keyOf(row), row]))
  const lines = [
    `before: ${before.machine.commit}, ${before.machine.cpu}, Node.js ${before.machine.node}`,
    `after:  ${after.machine.commit}, ${after.machine.cpu}, Node.js ${after.machine.node}`,
  ]
  for (const row of after.rows) {
    const was = old.get(keyOf(row))
    if (was === undefined) continue
    const [from, to] =
      was.ratioToRaw !== null && row.ratioToRaw !== null
        ? [was.ratioToRaw, row.ratioToRaw]
        : [was.median, row.median]
    const moved = (100 * (to - from)) / Math.abs(from)
    const kind = row.ratioToRaw === null ? row.unit : '× raw'
    lines.push(
      `${row.name.padEnd(54)} ${row.contestant.padEnd(17)} ${formatNumber(from).padStart(9)} → ` +
        `${formatNumber(to).padStart(9)} ${kind}  ${moved >= 0 ? '+' : ''}${moved.toFixed(0)} %`,
    )
  }
  return lines
}

function keyOf({ name, contestant }: Row): string {
  return `${name}|${contestant}`
}
