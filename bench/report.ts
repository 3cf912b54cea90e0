import { formatNumber, type Results } from './results.js'
import type { Row } from './samples.js'

const barHeight = 22
const labelWidth = 150
const plotWidth = 620

/** One HTML file with everything in it: bars per figure, with the spread of the rounds. */
export function drawReport({ machine, rows }: Results): string {
  const figures = new Map<string, Row[]>()
  for (const row of rows) figures.set(row.name, [...(figures.get(row.name) ?? []), row])
  const plots = Array.from(figures, ([name, of]) => plot(name, of)).join('\n')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>holdfast, measured</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2rem auto; padding: 0 1rem; color: #1c2430; }
  h2 { font-size: 1.05rem; margin: 2rem 0 .3rem; }
  svg { display: block; max-width: 100%; height: auto; }
  svg text { font: 13px system-ui, sans-serif; fill: #1c2430; }
  .bar { fill: #a9b7c6; } .holdfast { fill: #2563a8; } .raw { fill: #5c6b7a; }
  .spread { stroke: #1c2430; stroke-width: 1.5; }
  p { color: #4a5666; }
</style>
<h1>holdfast, measured</h1>
<p>${escape(machine.cpu)}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${escape(machine.system)}, Node.js ${escape(machine.node)}, commit ${escape(machine.commit)}, ${escape(machine.measuredAt)}.
Medians of the rounds; the line is from the least to the most; × is the ratio to a raw socket in the same round.</p>
${plots}
</html>
`
}

function plot(name: string, rows: readonly Row[]): string {
  const most = Math.max(...rows.map(({ max }) => max), Number.MIN_VALUE)
  const x = (value: number): string => ((Math.max(0, value) / most) * plotWidth).toFixed(1)
  const bars = rows.map((row, index) => {
    const y = index * (barHeight + 6)
    const middle = y + barHeight / 2
    const ratio = row.ratioToRaw === null ? '' : `, ${formatNumber(row.ratioToRaw)} ×`
    const kind = row.contestant === 'holdfast' || row.contestant === 'raw' ? row.contestant : ''
    return `<text x="0" y="${middle + 4}">${escape(row.contestant)}</text>
<g transform="translate(${labelWidth} 0)">
<rect class="bar ${kind}" y="${y}" height="${barHeight}" width="${x(row.median)}"/>
<line class="spread" x1="${x(row.min)}" x2="${x(row.max)}" y1="${middle}" y2="${middle}"/>
<text x="${Number(x(row.max)) + 6}" y="${middle + 4}">${formatNumber(row.median)} ${escape(row.unit)}${ratio}</text>
</g>`
  })
  const height = rows.length * (barHeight + 6)
  return `<h2>${escape(name)}</h2>
<svg viewBox="0 0 ${labelWidth + plotWidth + 220} ${height}" role="img" aria-label="${escape(name)}">
${bars.join('\n')}
</svg>`
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
