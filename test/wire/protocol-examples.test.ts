import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import { protocolVersion } from '../../src/rules/handshake.js'
import { FrameReader } from '../../src/wire/frame-reader.js'
import { decodeMessage } from '../../src/wire/message-codec.js'
import { kindNumbers, maxBodyBytes, type MessageKind } from '../../src/wire/messages.js'
import { annotate, bytesIn } from './support/annotate.js'
import { examples } from './support/examples.js'

const page = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8')
const kinds = Object.keys(kindNumbers) as MessageKind[]

/** The example under the heading of a kind. */
function exampleOf(kind: MessageKind): string {
  const number = kindNumbers[kind].toString(16).padStart(2, '0')
  const [, section = ''] = page.split(`### ${kind} (0x${number})\n`)
  const [, block = ''] =
    /```text\n([0-9a-f]{2} [\s\S]*?)\n```/.exec(section.split('\n### ')[0] ?? '') ?? []
  return block
}

describe('docs/PROTOCOL.md', () => {
  test.each(kinds)('shows a %s as the codec writes it', (kind) => {
    expect(exampleOf(kind)).toBe(annotate(examples[kind]))
  })

  test.each(kinds)('shows a %s that is read as what it says', (kind) => {
    const reader = new FrameReader(() => 2 ** 20)
    reader.push(bytesIn(exampleOf(kind)))
    const result = reader.next()
    if (result.kind !== 'frame') throw new Error('not one whole frame')
    expect(decodeMessage(result)).toEqual(examples[kind])
    expect(reader.bufferedBytes).toBe(0)
  })

  test('names every kind with its number and its longest body', () => {
    const phase = { maxFrameBytes: Infinity, isEstablished: true }
    for (const kind of kinds) {
      const number = `0x${kindNumbers[kind].toString(16).padStart(2, '0')}`
      const max = maxBodyBytes(kindNumbers[kind], phase)
      const shown = max === Infinity ? 'largest frame' : `${max / 1024} KiB`
      const row = page.split('\n').find((line) => line.startsWith(`| ${number} | \`${kind}\` |`))
      expect(row, `${kind} in the table of kinds`).toContain(` ${shown} |`)
    }
    const rows = page.split('\n').filter((line) => /^\| 0x[0-9a-f]{2} \| `/.test(line))
    expect(rows).toHaveLength(kinds.length)
  })

  test('names the defaults of the handshake', () => {
    const { handshakeTimeoutMs, confirmTimeoutMs } = defaultConnectionLimits
    expect(page).toContain(`${handshakeTimeoutMs / 1_000} s from the first byte`)
    expect(page).toContain(`${confirmTimeoutMs / 1_000} s from READY sent`)
  })

  test('names the version that is spoken', () => {
    expect(page).toContain(`This page is version ${protocolVersion} of the protocol.`)
  })
})
