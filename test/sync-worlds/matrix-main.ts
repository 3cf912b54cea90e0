/**
 * How long a sync takes in worlds of different peers, in virtual time, beside two classic policies.
 *
 *   npm run sync-matrix
 *   npm run sync-matrix -- --json          rows of { name, idealMs, tookMs, ratio }
 *   npm run sync-matrix -- --seed 7
 *
 * The exit code is 0 when every row is within its bound.
 */
import { parseArgs } from 'node:util'
import { matrixChain, matrixRows, runRow, type MatrixPolicy, type MatrixResult } from './matrix.js'

function main(): boolean {
  const { values } = parseArgs({
    options: { json: { type: 'boolean', default: false }, seed: { type: 'string', default: '1' } },
  })
  const seed = Number(values.seed)
  const chain = matrixChain()
  const results = matrixRows.map((row) => ({ row, ours: runRow(row, chain, 'ours', seed) }))
  const isFine = results.every(({ row, ours }) => ours.ratio <= row.maxRatio)
  if (values.json) {
    console.log(JSON.stringify(results.map(({ ours }) => ours)))
    return isFine
  }
  console.log('| world | ideal | took | × ideal | bound | 50 blocks, 30 s | one peer at a time |')
  console.log('| --- | --: | --: | --: | --: | --: | --: |')
  for (const { row, ours } of results) {
    const classic = (policy: MatrixPolicy): string => times(runRow(row, chain, policy, seed))
    const cells = [
      row.name,
      seconds(ours.idealMs),
      seconds(ours.tookMs),
      ours.ratio.toFixed(2),
      row.maxRatio.toFixed(2),
      classic('fixed'),
      classic('one'),
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
  return isFine
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`

const times = ({ ratio }: MatrixResult): string =>
  Number.isFinite(ratio) ? ratio.toFixed(2) : 'no end in 1 h'

process.exitCode = main() ? 0 : 1
