import { Tokenizer, Type } from 'cborg'
import { encodeMessage } from '../../../src/wire/message-codec.js'
import type { WireMessage } from '../../../src/wire/messages.js'

interface Field {
  readonly bytes: Uint8Array
  readonly what: string
}

const bytesPerLine = 16

/** The frame of a message as docs/PROTOCOL.md shows it: bytes at the left, what they are at the right. */
export function annotate(message: WireMessage): string {
  const frame = new Uint8Array(Buffer.concat(encodeMessage(message).parts))
  const body = frame.subarray(5)
  const fields: Field[] = [
    { bytes: frame.subarray(0, 4), what: `length of the body: ${body.length}` },
    { bytes: frame.subarray(4, 5), what: `kind: ${message.kind}` },
    ...bodyFields(message, body),
  ]
  return fields.flatMap(linesOf).join('\n')
}

/** The bytes in a block of such lines. */
export function bytesIn(block: string): Uint8Array {
  const hex = block
    .split('\n')
    .map((line) => line.slice(0, 3 * bytesPerLine))
    .join(' ')
  return new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'))
}

function linesOf({ bytes, what }: Field): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += bytesPerLine) {
    const hex = [...bytes.subarray(at, at + bytesPerLine)].map((byte) => hexOf([byte])).join(' ')
    lines.push(`${hex.padEnd(3 * bytesPerLine)} ${at === 0 ? what : ''}`.trimEnd())
  }
  return lines
}

function bodyFields(message: WireMessage, body: Uint8Array): Field[] {
  switch (message.kind) {
    case 'ready':
      return []
    case 'ping':
    case 'pong':
      return split(body, [[8, 'nonce']])
    case 'type':
      return split(
        body,
        [[2, `number: ${message.number}`]],
        `name: ${JSON.stringify(message.name)}`,
      )
    case 'message':
      return split(body, [[2, `number of the type: ${message.type}`]], 'content')
    case 'request':
      return split(
        body,
        [
          [4, `id: ${message.id}`],
          [2, `number of the type: ${message.type}`],
        ],
        'content',
      )
    case 'answer':
      return split(body, [[4, `id: ${message.id}`]], 'content')
    case 'refusal':
      return split(body, [
        [4, `id: ${message.id}`],
        [1, `code: ${message.code}`],
      ])
    case 'blocks':
      return blocksFields(message, body)
    default:
      return cborFields(body)
  }
}

function split(
  body: Uint8Array,
  parts: readonly (readonly [number, string])[],
  rest?: string,
): Field[] {
  const fields: Field[] = []
  let at = 0
  for (const [length, what] of parts) {
    fields.push({ bytes: body.subarray(at, at + length), what })
    at += length
  }
  if (rest !== undefined) fields.push({ bytes: body.subarray(at), what: rest })
  return fields
}

function blocksFields(
  message: Extract<WireMessage, { kind: 'blocks' }>,
  body: Uint8Array,
): Field[] {
  const first = message.blocks[0]
  const parts: [number, string][] = [
    [4, `id: ${message.id}`],
    [1, `flags: ${message.last ? 'the last chunk' : 'more chunks follow'}`],
    [2, `number of blocks: ${message.blocks.length}`],
    [8, `height of the first: ${first?.height ?? 0}`],
  ]
  let at = 15
  const addHash = (what: string): void => {
    const header = body[at] ?? 0
    const length = header & 0x7f
    parts.push([1, `${what}: ${length} bytes${header < 0x80 ? '' : ' of text'}`])
    if (length > 0) parts.push([length, ''])
    at += 1 + length
  }
  addHash('hash below the first')
  for (const { height, payload } of message.blocks) {
    addHash(`hash at ${height}`)
    parts.push([4, `length of its payload: ${payload.length}`], [payload.length, 'payload'])
    at += 4 + payload.length
  }
  return split(body, parts)
}

/** One line for the map, and one for each of its keys with its value. */
function cborFields(body: Uint8Array): Field[] {
  const tokens = new Tokenizer(body, {})
  const fields: Field[] = []
  const take = (render: () => string): string => {
    const start = tokens.pos()
    const what = render()
    fields.push({ bytes: body.subarray(start, tokens.pos()), what })
    return what
  }
  take(() => `a map of ${String(tokens.next().value)}`)
  while (!tokens.done()) take(() => `${readValue(tokens)}: ${readValue(tokens)}`)
  return fields
}

function readValue(tokens: Tokenizer): string {
  const { type, value } = tokens.next() as { type: Type; value: unknown }
  if (type === Type.array) {
    const items = Array.from({ length: value as number }, () => readValue(tokens))
    return `[${items.join(', ')}]`
  }
  return value instanceof Uint8Array ? `h'${hexOf(value)}'` : JSON.stringify(value)
}

function hexOf(bytes: Iterable<number>): string {
  return Buffer.from([...bytes]).toString('hex')
}
