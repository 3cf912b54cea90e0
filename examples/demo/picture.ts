import type { Facts } from './summary.js'
import { count, megabytes } from './report.js'

const width = 860
const height = 300
const panelWidth = width / 3

/** What a person reads is drawn; the facts themselves stand in the picture, so that it can be checked. */
const factsPattern = /<metadata>(.*?)<\/metadata>/s

/** The demo's three acts as an SVG picture. The same facts give the same picture. */
export function drawPicture(facts: Facts): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title">
<title id="title">${escaped(titleOf(facts))}</title>
<metadata>${escaped(JSON.stringify(facts))}</metadata>
<style>
  text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #24292f }
  .head { font-weight: 600; font-size: 14px }
  .small { font-size: 11px; fill: #57606a }
  .paper { fill: #ffffff; stroke: #d0d7de }
  .line { stroke: #1a7f37; stroke-width: 3 }
  .gone { stroke: #cf222e; stroke-width: 1; stroke-dasharray: 3 4; opacity: 0.7 }
  .node { fill: #0969da }
  .fresh { fill: #8250df }
  .inside { fill: #ffffff; font-size: 11px; font-weight: 600 }
  .track { fill: #eaeef2 }
  .full { fill: #1a7f37 }
  .lost { fill: #cf222e }
</style>
<rect class="paper" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${raceOf(facts)}
${redialOf(facts)}
${catchUpOf(facts)}
</svg>
`
}

/** The facts that a picture was drawn from; undefined when it holds none. */
export function factsIn(picture: string): Facts | undefined {
  const text = factsPattern.exec(picture)?.[1]
  return text === undefined ? undefined : (JSON.parse(unescaped(text)) as Facts)
}

function titleOf({ nodes, race, redialMs, blocksSynced }: Facts): string {
  return (
    `${nodes} nodes dial each other at once and keep one connection per pair (${race.sockets} sockets, ` +
    `${race.pairs} connections); a dropped one is back after ${redialMs} ms; an empty node fetches ` +
    `${count(blocksSynced)} blocks.`
  )
}

function raceOf({ nodes, pairs, race, transport }: Facts): string {
  const ips = [...new Set(pairs.flatMap((pair) => pair.ips))].sort(byNumber).slice(0, nodes)
  const places = new Map(ips.map((ip, index) => [ip, placeOf(index, nodes)]))
  const lines = pairs.flatMap(({ ips: [one, other], sockets }) => {
    const [from, to] = [places.get(one), places.get(other)]
    if (from === undefined || to === undefined) return []
    const gone = Array.from({ length: sockets - 1 }, (_, index) =>
      curve(from, to, 13 * (index + 1) * (index % 2 === 0 ? 1 : -1)),
    )
    return [...gone, `<line class="line" x1="${from.x}" y1="${from.y}" x2="${to.x}" y2="${to.y}"/>`]
  })
  const circles = [...places].map(
    ([ip, { x, y }]) =>
      `<circle class="node" cx="${x}" cy="${y}" r="19"/>` +
      `<text class="inside" x="${x}" y="${y + 4}" text-anchor="middle">.${lastOf(ip)}</text>`,
  )
  return panel(
    0,
    `${nodes} nodes dial at once (${transport})`,
    [...lines, ...circles],
    [
      `${race.dials} dials, ${race.sockets} sockets, ${race.pairs} pairs`,
      `${race.duplicatesRefused} duplicates refused, 1 kept per pair`,
      `all quiet after ${race.settledAfterMs} ms`,
    ],
  )
}

function redialOf({ redialMs, closesWithoutFault }: Facts): string {
  const [left, right, gap] = [30, panelWidth - 30, 60]
  const middle = panelWidth / 2
  const bars = [
    `<rect class="full" x="${left}" y="118" width="${middle - gap / 2 - left}" height="22" rx="3"/>`,
    `<rect class="full" x="${middle + gap / 2}" y="118" width="${right - middle - gap / 2}" height="22" rx="3"/>`,
    `<text class="lost" x="${middle}" y="108" text-anchor="middle">dropped by force</text>`,
    `<text class="small" x="${middle}" y="134" text-anchor="middle">${redialMs} ms</text>`,
    `<text class="small" x="${left}" y="160">connected</text>`,
    `<text class="small" x="${right}" y="160" text-anchor="end">connected again</text>`,
  ]
  return panel(1, 'a connection breaks', bars, [
    `back after ${redialMs} ms, with backoff`,
    'every other connection stayed',
    `${closesWithoutFault} closes without a fault`,
  ])
}

function catchUpOf({ blocksSynced, bytesSynced, hashesEqual, syncMs }: Facts): string {
  const [left, full] = [30, panelWidth - 60]
  const share = blocksSynced === 0 ? 0 : hashesEqual / blocksSynced
  const bars = [
    `<circle class="fresh" cx="${panelWidth / 2}" cy="90" r="19"/>`,
    `<text class="inside" x="${panelWidth / 2}" y="94" text-anchor="middle">new</text>`,
    `<rect class="track" x="${left}" y="130" width="${full}" height="22" rx="3"/>`,
    `<rect class="full" x="${left}" y="130" width="${Math.round(full * share)}" height="22" rx="3"/>`,
    `<text class="small" x="${left}" y="172">height 0</text>`,
    `<text class="small" x="${left + full}" y="172" text-anchor="end">${count(blocksSynced - 1)}</text>`,
  ]
  const seconds = syncMs / 1_000
  return panel(2, 'an empty node catches up', bars, [
    `${count(blocksSynced)} blocks, ${megabytes(bytesSynced)}, in ${seconds.toFixed(1)} s`,
    `${count(blocksSynced / seconds)} blocks/s from all peers at once`,
    `${count(hashesEqual)} of ${count(blocksSynced)} hashes equal`,
  ])
}

function panel(
  index: number,
  title: string,
  drawing: readonly string[],
  says: readonly string[],
): string {
  const lines = says.map(
    (text, line) =>
      `<text x="${panelWidth / 2}" y="${240 + line * 19}" text-anchor="middle">${escaped(text)}</text>`,
  )
  return [
    `<g transform="translate(${Math.round(index * panelWidth)} 0)">`,
    `<text class="head" x="${panelWidth / 2}" y="32" text-anchor="middle">${escaped(title)}</text>`,
    ...drawing,
    ...lines,
    '</g>',
  ].join('\n')
}

interface Place {
  readonly x: number
  readonly y: number
}

function placeOf(index: number, nodes: number): Place {
  const angle = (2 * Math.PI * index) / nodes - Math.PI * 0.75
  return {
    x: Math.round(panelWidth / 2 + 92 * Math.cos(angle)),
    y: Math.round(132 + 82 * Math.sin(angle)),
  }
}

/** A line that bends aside by so much. */
function curve(from: Place, to: Place, aside: number): string {
  const length = Math.hypot(to.x - from.x, to.y - from.y)
  const x = Math.round((from.x + to.x) / 2 - ((to.y - from.y) / length) * aside * 2)
  const y = Math.round((from.y + to.y) / 2 + ((to.x - from.x) / length) * aside * 2)
  return `<path class="gone" fill="none" d="M${from.x} ${from.y} Q${x} ${y} ${to.x} ${to.y}"/>`
}

const lastOf = (ip: string): string => ip.split('.').at(-1) ?? ip

const byNumber = (a: string, b: string): number => Number(lastOf(a)) - Number(lastOf(b))

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function unescaped(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
}
