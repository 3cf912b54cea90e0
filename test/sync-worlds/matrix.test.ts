import { describe, expect, test } from 'vitest'
import { matrixChain, matrixRows, matrixWorld, runRow } from './matrix.js'

const chain = matrixChain()

describe('a sync of 100 MB', () => {
  test.each(matrixRows.map((row) => [row.name, row] as const))(
    'with %s takes no longer than its bound',
    (_, row) => {
      const { ratio } = runRow(row, chain)
      expect(ratio).toBeLessThanOrEqual(row.maxRatio)
      // Nobody can be faster than what there is.
      if (row.bad.length === 0) expect(ratio).toBeGreaterThanOrEqual(1)
    },
  )

  test('takes exactly as long again from the same seed', () => {
    const [, row] = matrixRows
    if (row === undefined) throw new Error('no rows')
    const once = matrixWorld(row, chain, 'ours', 7)
    const again = matrixWorld(row, chain, 'ours', 7)
    expect(once.runToTip(60_000)).toBe(again.runToTip(60_000))
    expect(once.node.steps).toBe(again.node.steps)
  })
})
