import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { drawPicture, factsIn } from '../../examples/demo/picture.js'
import { root } from '../docs/support/code-blocks.js'

const picture = readFileSync(join(root, 'docs/demo.svg'), 'utf8')
const hint = 'npm run docs:picture draws it anew'

describe('the picture of the demo in README.md', () => {
  test('is what the script draws of a run in which everything held', () => {
    const facts = factsIn(picture)
    expect(facts, hint).toMatchObject({
      ok: true,
      broken: [],
      connectionsPerPair: 1,
      closesWithoutFault: 0,
    })
    expect(drawPicture(facts!), hint).toBe(picture)
  })

  test('says in words what it shows, and stands in README.md', () => {
    expect(picture).toMatch(
      /<title id="title">4 nodes dial each other at once and keep one connection/,
    )
    expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain('](docs/demo.svg)')
  })

  test('says nothing that the facts do not: other facts are another picture', () => {
    const facts = factsIn(picture)!
    const other = drawPicture({ ...facts, redialMs: facts.redialMs + 1 })
    expect(other).not.toBe(picture)
    expect(factsIn(other)!.redialMs).toBe(facts.redialMs + 1)
  })
})
