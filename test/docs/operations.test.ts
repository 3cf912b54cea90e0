import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { syncPeerStates } from '../../src/rules/sync/peer-state.js'
import { root } from './support/code-blocks.js'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const operations = read('docs/OPERATIONS.md')
const closeReasons = read('docs/CLOSE-REASONS.md')

/** What stands first in the rows of a page's tables, where several may share one. */
const rowsOf = (page: string): Set<string> =>
  new Set(
    Array.from(page.matchAll(/^\| ([^|]*) \|/gm), ([, cell = '']) =>
      Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = '']) => name),
    ).flat(),
  )

function declarationIn(path: string, name: string): ts.TypeAliasDeclaration {
  const file = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true)
  const found = file.statements
    .filter(ts.isTypeAliasDeclaration)
    .find((each) => each.name.text === name)
  if (found === undefined) throw new Error(`${path} has no type ${name}`)
  return found
}

/** The string literals of a union, or those of its members' `kind`. */
function literalsOf(path: string, name: string): string[] {
  const literals: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isPropertySignature(node) && node.name.getText() !== 'kind') return
    if (ts.isLiteralTypeNode(node) && ts.isStringLiteral(node.literal))
      literals.push(node.literal.text)
    ts.forEachChild(node, visit)
  }
  visit(declarationIn(path, name))
  return [...new Set(literals)]
}

/** The members of an event map. */
function eventsOf(path: string, name: string): string[] {
  const names: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isTypeLiteralNode(node)) {
      for (const { name: member } of node.members)
        if (member !== undefined) names.push(member.getText())
    } else ts.forEachChild(node, visit)
  }
  visit(declarationIn(path, name))
  return names
}

const maps: readonly (readonly [string, string])[] = [
  ['src/connection/connection-events.ts', 'ConnectionEvents'],
  ['src/events.ts', 'CommonEvents'],
  ['src/node.ts', 'NodeEvents'],
  ['src/peer-exchange.ts', 'PeerExchangeEvents'],
  ['src/peer-memory.ts', 'PeerMemoryEvents'],
  ['src/ping-monitor.ts', 'PingEvents'],
  ['src/sync-coordinator.ts', 'SyncEvents'],
]

const sourceFiles = ts.sys
  .readDirectory(join(root, 'src'), ['.ts'])
  .map((path) => ({ path, text: readFileSync(path, 'utf8') }))

describe('docs/OPERATIONS.md', () => {
  const rows = rowsOf(operations)

  test.each([
    ['stalled reason', literalsOf('src/rules/sync/notices.ts', 'StallReason'), 6],
    ['phase of sync', literalsOf('src/rules/sync/notices.ts', 'SyncPhase'), 7],
    ['bottleneck', literalsOf('src/rules/sync/bottleneck.ts', 'Bottleneck'), 3],
    ['state of a peer in sync', [...syncPeerStates], 9],
    ['health', literalsOf('src/rules/health.ts', 'Health'), 7],
    ['close reason', literalsOf('src/contracts/close-reason.ts', 'CloseReason'), 18],
  ])('says what each %s means, and what to do', (_, names, least) => {
    expect(names.length).toBeGreaterThanOrEqual(least)
    expect(names.filter((name) => !rows.has(name))).toEqual([])
  })

  test('knows every map of events', () => {
    const declared = sourceFiles.flatMap(({ text }) =>
      Array.from(text.matchAll(/^export type (\w+Events)\b/gm), ([, name]) => name),
    )
    expect(declared.sort()).toEqual(maps.map(([, name]) => name).sort())
  })

  test.each(maps)('says what each event of %s means: %s', (path, name) => {
    const events = eventsOf(path, name)
    expect(events.length).toBeGreaterThan(0)
    expect(events.filter((event) => !rows.has(event))).toEqual([])
  })

  test('says what each namespace of logs tells, and names none that is not there', () => {
    const used = sourceFiles.flatMap(({ text }) =>
      Array.from(text.matchAll(/createDebug\('([^']+)'\)/g), ([, name = '']) => name),
    )
    const told = [...rows].filter((name) => /^holdfast:[a-z]+$/.test(name))
    expect(told.sort()).toEqual([...new Set(used)].sort())
  })
})

describe('docs/CLOSE-REASONS.md', () => {
  test('says when each error code comes, and names none that is not there', () => {
    const codes = literalsOf('src/errors.ts', 'HoldfastErrorCode')
    const told = [...rowsOf(closeReasons)].filter((name) => /^[A-Z_]+$/.test(name))
    expect(told.sort()).toEqual(codes.sort())
  })

  test('has a row for each close reason', () => {
    const rows = rowsOf(closeReasons)
    const kinds = literalsOf('src/contracts/close-reason.ts', 'CloseReason')
    expect(kinds.filter((kind) => !rows.has(kind))).toEqual([])
  })
})
