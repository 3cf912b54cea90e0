import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { CloseReason, CloseReasonKind } from '../../src/contracts/close-reason.js'
import {
  byeCodes,
  describeReason,
  isTransient,
  reasonFromBye,
} from '../../src/rules/close-reasons.js'
import { outcomeOf } from '../../src/rules/dial-policy.js'
import { Frame } from '../../src/wire/frame-reader.js'
import { decodeMessage, encodeMessage } from '../../src/wire/message-codec.js'

/** What a node says of a connection's end, and whether it passes; `null`: never said in a BYE. */
const kinds: Record<CloseReasonKind, { code: number | null; isTransient: boolean }> = {
  ended: { code: null, isTransient: true },
  'transport-error': { code: null, isTransient: true },
  duplicate: { code: 1, isTransient: true },
  self: { code: 2, isTransient: false },
  'wrong-network': { code: 3, isTransient: false },
  'wrong-version': { code: 4, isTransient: false },
  banned: { code: 5, isTransient: false },
  busy: { code: 6, isTransient: true },
  'handshake-timeout': { code: 7, isTransient: true },
  'confirm-timeout': { code: 8, isTransient: true },
  'ping-timeout': { code: 9, isTransient: true },
  slow: { code: 10, isTransient: true },
  flood: { code: 11, isTransient: false },
  misbehaved: { code: 12, isTransient: false },
  disconnected: { code: 13, isTransient: true },
  evicted: { code: 15, isTransient: true },
  shutdown: { code: 14, isTransient: true },
  refused: { code: 16, isTransient: false },
}
const allKinds = Object.keys(kinds) as CloseReasonKind[]
const sent = allKinds.filter((kind) => kinds[kind].code !== null)
const reasonOf = (kind: CloseReasonKind): CloseReason =>
  kind === 'misbehaved' ? { kind, by: 'us', what: 'why' } : { kind, by: 'us', text: 'why' }

describe('the BYE codes', () => {
  test('are fixed for good, each for one kind', () => {
    const expected = sent.map((kind) => [kind, kinds[kind].code])
    expect(byeCodes).toEqual(Object.fromEntries(expected))
  })

  test.each(sent)('of %s goes over the wire and means the same, decided by the peer', (kind) => {
    const code = byeCodes[kind] ?? 0
    const frame = encodeMessage({ kind: 'bye', code, text: 'why', retryAfterMs: undefined })
    const body = Buffer.concat(frame.parts).subarray(5)
    const bye = decodeMessage(new Frame(0x03, body, 0, body.length))
    if (bye?.kind !== 'bye') throw new Error('not a BYE')
    const read = reasonFromBye(bye)
    expect(read).toMatchObject({ kind, by: 'peer', text: 'why' })
    if (read.kind === 'misbehaved') expect(read.what).toBe('why')
  })

  test('of busy carry when to come again, and the others do not', () => {
    const bye = { text: '', retryAfterMs: 5_000 }
    expect(reasonFromBye({ ...bye, code: 6 })).toEqual({
      kind: 'busy',
      by: 'peer',
      retryAfterMs: 5_000,
    })
    expect(reasonFromBye({ ...bye, code: 14 })).toEqual({ kind: 'shutdown', by: 'peer' })
    expect(reasonFromBye({ code: 6, text: '', retryAfterMs: undefined })).toEqual({
      kind: 'busy',
      by: 'peer',
    })
  })

  test.each([0, 17, 99, 65_535])('%i of a later version reads as disconnected', (code) => {
    expect(reasonFromBye({ code, text: 'new', retryAfterMs: undefined })).toEqual({
      kind: 'disconnected',
      by: 'peer',
      text: 'new',
    })
  })
})

test.each(allKinds)('%s passes by itself, or does not', (kind) => {
  expect(isTransient(reasonOf(kind))).toBe(kinds[kind].isTransient)
})

describe('a reason in one line', () => {
  test('says who, what and why', () => {
    expect(describeReason({ kind: 'busy', by: 'peer', text: 'full' })).toBe(
      'closed by the peer: busy (full)',
    )
    expect(describeReason({ kind: 'misbehaved', by: 'us', what: 'two HELLOs' })).toBe(
      'closed by this node: misbehaved (two HELLOs)',
    )
    expect(describeReason({ kind: 'ended', by: 'network' })).toBe('lost: ended')
    expect(describeReason({ kind: 'slow', by: 'us', text: '' })).toBe('closed by this node: slow')
  })
})

/** What has no BYE code is seen, not sent; a socket refused before it was a connection is our own doing. */
function byOf(kind: CloseReasonKind): string {
  if (byeCodes[kind] !== undefined) return 'us, peer'
  return kind === 'transport-error' ? 'network, us' : 'network'
}

describe('docs/CLOSE-REASONS.md', () => {
  const page = readFileSync(new URL('../../docs/CLOSE-REASONS.md', import.meta.url), 'utf8')
  const [reasonTable = '', errorTable = ''] = page.split('\n## Errors\n')
  const rowsOf = (text: string): string[][] =>
    text
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
      .map((cells) => cells.slice(1, -1))

  test('has one row for each kind, with its BYE code, whether it passes and what it costs', () => {
    const rows = rowsOf(reasonTable)
    expect(rows.map(([kind]) => kind).sort()).toEqual([...allKinds].sort())
    for (const [name, code, by, passes, costs] of rows) {
      const kind = name as CloseReasonKind
      expect(code, kind).toBe(byeCodes[kind] === undefined ? 'never sent' : `${byeCodes[kind]}`)
      expect(by, kind).toBe(byOf(kind))
      expect(passes, kind).toBe(isTransient(reasonOf(kind)) ? 'yes' : 'no')
      expect(costs, kind).toBe(outcomeOf(reasonOf(kind)).kind)
    }
  })

  test('has one row for each code of HoldfastError', () => {
    const source = readFileSync(new URL('../../src/errors.ts', import.meta.url), 'utf8')
    const codes = [...source.matchAll(/^ {2}\| '([A-Z_]+)'$/gm)].map(([, code]) => code)
    expect(codes.length).toBeGreaterThan(20)
    expect(rowsOf(errorTable).map(([code]) => code)).toEqual(codes)
  })
})
