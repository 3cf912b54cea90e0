import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import { defaultPingLimits } from '../../src/ping-monitor.js'
import { defaultSyncLimits } from '../../src/rules/sync/limits.js'
import { root } from './support/code-blocks.js'

const page = readFileSync(join(root, 'docs/LIMITS.md'), 'utf8')

/** What the page says: `name` (number), or a row whose first two columns are these. */
function told(name: string): number | undefined {
  const inRow = new RegExp(`\\| \`${name}\` \\| ([\\d,]+) \\|`).exec(page)
  const inText = new RegExp(`\`${name}\` \\(([\\d,]+)\\)`).exec(page)
  const [, value] = inRow ?? inText ?? []
  return value === undefined ? undefined : Number(value.replaceAll(',', ''))
}

const toldOf = (limits: object): object =>
  Object.fromEntries(Object.keys(limits).map((name) => [name, told(name)]))

test('docs/LIMITS.md has every limit of connections and of pings with its default', () => {
  expect(toldOf(defaultConnectionLimits)).toEqual(defaultConnectionLimits)
  expect(toldOf(defaultPingLimits)).toEqual(defaultPingLimits)
})

test('docs/LIMITS.md has the limits of sync that are options, with their defaults', () => {
  const names = Object.keys(defaultSyncLimits).filter((name) => told(name) !== undefined)
  expect(names).toHaveLength(7)
  for (const name of names) expect(defaultSyncLimits).toMatchObject({ [name]: told(name) })
})
