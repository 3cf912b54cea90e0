import { decode as decodeCbor, encode as encodeCbor } from 'cborg'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex, fromUtf8, toHex, utf8, WireError } from '../../src/wire/binary.js'
import { maxCborItems } from '../../src/wire/cbor-fields.js'
import { decodeMessage, encodeMessage } from '../../src/wire/message-codec.js'
import { Frame } from '../../src/wire/frame-reader.js'
import {
  blocksOverheadBytes,
  kindName,
  kindNumbers,
  maxBodyBytes,
  type MessageKind,
  type WireMessage,
} from '../../src/wire/messages.js'
import { anyMessage, bodyOf, bytesOf, hash, messagesByKind } from './support/arbitrary-messages.js'

const seed = 13
const allKinds = Object.keys(kindNumbers) as MessageKind[]
const cborKinds = [
  'hello',
  'bye',
  'status',
  'announce',
  'getHeaders',
  'headers',
  'getBlocks',
  'notFound',
  'busy',
  'cancel',
  'getPeers',
  'peers',
] as const satisfies readonly MessageKind[]

const decode = (kind: MessageKind, body: Uint8Array): WireMessage | undefined =>
  decodeMessage(new Frame(kindNumbers[kind], body, 0, body.length))

/** A body from fields, as another implementation might write them. */
const decodeFields = (kind: MessageKind, fields: unknown) => decode(kind, encodeCbor(fields))

/** The smallest message of each CBOR kind, as fields. */
const fieldsOf: Record<(typeof cborKinds)[number], Record<string, unknown>> = {
  hello: {
    version: 1,
    network: 'main',
    instance: new Uint8Array(16),
    nonce: new Uint8Array(8),
    maxFrame: 1_024,
  },
  bye: { code: 1 },
  status: { chain: 'chain', base: 0 },
  announce: { tip: [1, 'x'] },
  getHeaders: { id: 1, locator: [], count: 1 },
  headers: { id: 1, previous: 'x', headers: [] },
  getBlocks: { id: 1, from: 0, count: 1, maxBytes: 1 },
  notFound: { id: 1, reason: 'above-tip', base: 0 },
  busy: { id: 1, retryAfterMs: 0 },
  cancel: { id: 1 },
  getPeers: { count: 1 },
  peers: { peers: [] },
}

describe('every kind of message', () => {
  test.each(allKinds)('%s is decoded as it was encoded, with all its fields', (kind) => {
    const messages: fc.Arbitrary<WireMessage> = messagesByKind[kind]
    fc.assert(
      fc.property(messages, (message) => {
        const { parts, length } = encodeMessage(message)
        const frame = new Uint8Array(Buffer.concat(parts))
        expect(frame.length).toBe(length)
        expect(new DataView(frame.buffer).getUint32(0)).toBe(length - 5)
        expect(frame[4]).toBe(kindNumbers[kind])
        expect(decode(kind, frame.subarray(5))).toEqual(message)
      }),
      { seed, numRuns: 150 },
    )
  })

  test.each(allKinds)('%s within its limits fits the longest body that is accepted', (kind) => {
    const messages: fc.Arbitrary<WireMessage> = messagesByKind[kind]
    const phase = { maxFrameBytes: 1024 * 1024, isEstablished: true }
    fc.assert(
      fc.property(messages, (message) => {
        expect(bodyOf(message).length).toBeLessThanOrEqual(maxBodyBytes(kindNumbers[kind], phase))
      }),
      { seed, numRuns: 50 },
    )
  })

  test('has a number for good', () => {
    expect(kindNumbers).toEqual({
      hello: 0x01,
      ready: 0x02,
      bye: 0x03,
      ping: 0x10,
      pong: 0x11,
      type: 0x20,
      message: 0x21,
      request: 0x22,
      answer: 0x23,
      refusal: 0x24,
      status: 0x30,
      announce: 0x31,
      getHeaders: 0x32,
      headers: 0x33,
      getBlocks: 0x34,
      blocks: 0x35,
      notFound: 0x36,
      busy: 0x37,
      cancel: 0x38,
      getPeers: 0x40,
      peers: 0x41,
    })
  })

  test('that this version does not know is undefined, whatever its body (F34)', () => {
    const known = new Set<number>(Object.values(kindNumbers))
    for (let kindNumber = 0; kindNumber < 256; kindNumber++) {
      if (known.has(kindNumber)) continue
      expect(decodeMessage(new Frame(kindNumber, Uint8Array.of(0xff), 0, 1))).toBeUndefined()
      expect(kindName(kindNumber)).toBeUndefined()
    }
  })
})

/** What came is a message or a WireError; nothing else may ever come out of it. */
function decodeSafely(kind: MessageKind, body: Uint8Array): WireMessage | undefined {
  try {
    return decode(kind, body)
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    return undefined
  }
}

describe('what is not what the protocol says', () => {
  test('every truncation of a message is a message or a WireError', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const body = bodyOf(message)
        for (let length = 0; length < Math.min(body.length, 200); length++) {
          decodeSafely(message.kind, body.subarray(0, length))
        }
      }),
      { seed, numRuns: 150 },
    )
  })

  test('every mutation of a message is a message that can be said again, or a WireError', () => {
    const mutations = fc.array(
      fc.record({
        what: fc.constantFrom('flip', 'set', 'insert', 'remove', 'repeat', 'cut'),
        at: fc.nat(),
        value: fc.nat({ max: 255 }),
      }),
      { minLength: 1, maxLength: 6 },
    )
    let survivors = 0
    fc.assert(
      fc.property(anyMessage, mutations, fc.constantFrom(...allKinds), (message, changes, kind) => {
        let body = [...bodyOf(message)]
        for (const { what, at, value } of changes) {
          const index = at % (body.length + 1)
          if (what === 'flip') body[index] = (body[index] ?? 0) ^ (1 << (value & 7))
          else if (what === 'set') body[index] = value
          else if (what === 'insert') body.splice(index, 0, value)
          else if (what === 'remove') body.splice(index, 1)
          else if (what === 'repeat') body.splice(index, 0, ...body.slice(index, index + 20))
          else body = body.slice(0, index)
        }
        const asKind = changes.length % 3 === 0 ? kind : message.kind
        const decoded = decodeSafely(asKind, Uint8Array.from(body))
        if (decoded === undefined) return
        survivors += 1
        expect(decode(decoded.kind, bodyOf(decoded))).toEqual(decoded)
      }),
      { seed, numRuns: 4_000 },
    )
    expect(survivors).toBeGreaterThan(500)
  })

  test('bytes of any kind are a message or a WireError', () => {
    fc.assert(
      fc.property(fc.constantFrom(...allKinds), fc.uint8Array({ maxLength: 80 }), (kind, body) => {
        decodeSafely(kind, body)
      }),
      { seed, numRuns: 3_000 },
    )
  })

  test.each([
    ['an array nested as deep as a body is long', new Uint8Array(2 ** 16).fill(0x81)],
    ['a map nested as deep as a body is long', new Uint8Array(2 ** 16).fill(0xa1)],
    ['a tag nested as deep as a body is long', new Uint8Array(2 ** 16).fill(0xc1)],
    ['a map of 2^53 - 1 entries', hexBody('bb001fffffffffffff')],
    ['a map of 2^64 - 1 entries', hexBody('bbffffffffffffffff')],
    ['an array of 2^32 - 1 entries', hexBody('a16269649affffffff')],
    ['a byte string of 2^32 - 1 bytes', hexBody('a16269645affffffff')],
    ['a text of 2^53 - 1 bytes', hexBody('a16269647b001fffffffffffff')],
    ['a map without a length', hexBody('bf62696401ff')],
    ['an array without a length', hexBody('a16269649f01ff')],
    ['a text without a length', hexBody('a16269647f6161ff')],
    ['a byte string without a length', hexBody('a16269645f4161ff')],
    ['a key twice', hexBody('a262696401626964 02')],
    ['two values in a row', hexBody('a162696401 a0')],
    ['nothing at all', new Uint8Array(0)],
    ['an array', hexBody('8101')],
    ['a number', hexBody('01')],
    ['null', hexBody('f6')],
    ['a lone break', hexBody('ff')],
    ['an integer in more bytes than it needs', hexBody('a16269641801')],
    ['an integer above 2^53', hexBody('a16269641b0020000000000000')],
    ['a negative integer', hexBody('a162696420')],
    ['a fraction', hexBody('a1626964f93e00')],
    ['NaN', hexBody('a1626964f97e00')],
    ['infinity', hexBody('a1626964f97c00')],
    ['undefined', hexBody('a1626964f7')],
    ['a tag', hexBody('a1626964c101')],
    ['a large number in a tag', hexBody('a1626964c24101')],
    ['a text that is not UTF-8', hexBody('a1626964 61ff')],
    ['a key that is not UTF-8', hexBody('a26269640161ff00')],
  ])('%s is a WireError, at once', (_, body) => {
    for (const kind of cborKinds) {
      expect(() => decode(kind, body), kind).toThrow(WireError)
    }
  })

  test('more than 16,384 values in one body are a WireError, at once', () => {
    const items = (count: number) => ({ ...fieldsOf.cancel, later: Array<number>(count).fill(0) })
    expect(decodeFields('cancel', items(maxCborItems - 6))?.kind).toBe('cancel')
    expect(() => decodeFields('cancel', items(maxCborItems - 4))).toThrow('more than 16384 values')
    for (const item of [0x80, 0x81, 0xa0, 0xf6]) {
      const body = new Uint8Array(2 ** 20).fill(item)
      body.set([0x9a, 0, 0x0f, 0xff, 0xfb])
      const startMs = performance.now()
      expect(() => decode('headers', body)).toThrow(WireError)
      expect(performance.now() - startMs).toBeLessThan(1_000)
    }
  })

  test.each(cborKinds)('%s without one of its fields is a WireError', (kind) => {
    const fields = fieldsOf[kind]
    expect(decodeFields(kind, fields)?.kind).toBe(kind)
    for (const key of Object.keys(fields)) {
      const { [key]: _, ...rest } = fields
      expect(() => decodeFields(kind, rest), key).toThrow(WireError)
      expect(() => decodeFields(kind, { ...rest, [key]: null }), key).toThrow(WireError)
    }
  })

  test.each(cborKinds)('%s with a field of another type is a WireError', (kind) => {
    const fields = fieldsOf[kind]
    const values = [true, -1, 1.5, 'text', Uint8Array.of(1, 2, 3), [[]], new Map(), 2 ** 53 - 1]
    for (const key of Object.keys(fields)) {
      for (const value of values) {
        if (isAllowed(key, value)) continue
        const what = `${key}: ${JSON.stringify(value)}`
        expect(() => decodeFields(kind, { ...fields, [key]: value }), what).toThrow(WireError)
      }
    }
  })

  test.each(cborKinds)(
    '%s may have fields that a later version added: they are ignored',
    (kind) => {
      const fields = fieldsOf[kind]
      const later = { ...fields, later: [1, { deep: [null, 'x', Uint8Array.of(1)] }], zzz: -5.5 }
      expect(decodeFields(kind, later)).toEqual(decodeFields(kind, fields))
      const withOtherKeys = new Map<unknown, unknown>([
        ...Object.entries(fields),
        [7, 'x'],
        [[], 1],
      ])
      expect(decodeFields(kind, withOtherKeys)).toEqual(decodeFields(kind, fields))
    },
  )
})

/** Values of a type that the field has, so that only the limits of others are looked at. */
function isAllowed(key: string, value: unknown): boolean {
  if (['network', 'chain', 'reason', 'previous'].includes(key) && typeof value === 'string')
    return true
  if (key === 'previous' && value instanceof Uint8Array) return true
  // What is no entry is passed over.
  if (key === 'peers' && Array.isArray(value)) return true
  return ['base', 'from', 'count', 'maxBytes'].includes(key) && value === 2 ** 53 - 1
}

function hexBody(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

describe('a list of peers', () => {
  const address = Uint8Array.of(8, 8, 8, 8)
  const good = { ip: '8.8.8.8', port: 1 }

  test.each([
    [[[address, 1]], [good]],
    [[[address, 1, 'more']], [good]],
    [[[Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 8, 8, 8, 8), 1]], [good]],
    [
      [
        [address, 0],
        [address, 65_536],
        [address, -1],
        [address, 1.5],
        [address, '1'],
      ],
      [],
    ],
    [[[address], address, 1, 'x', {}, [], [Uint8Array.of(8, 8, 8), 1], ['8.8.8.8', 1]], []],
    [
      [
        ['an onion', 1],
        [address, 1],
      ],
      [good],
    ],
  ])('passes over what is no entry: %j', (peers, read) => {
    expect(decodeFields('peers', { peers })).toEqual({ kind: 'peers', peers: read })
  })

  test('has at most 1,000 entries, and a question asks for at most so many', () => {
    const entries = (length: number) => ({ peers: Array.from({ length }, () => [address, 1]) })
    expect(decodeFields('peers', entries(1_000))).toMatchObject({ peers: { length: 1_000 } })
    expect(() => decodeFields('peers', entries(1_001))).toThrow(WireError)
    expect(() => decodeFields('getPeers', { count: 0 })).toThrow(WireError)
    expect(() => decodeFields('getPeers', { count: 1_001 })).toThrow(WireError)
  })
})

describe('the limits of fields', () => {
  const list = (length: number, entry: unknown) => Array.from({ length }, () => entry)
  const text = (length: number) => 'x'.repeat(length)
  const bytes = (length: number) => new Uint8Array(length)
  const maxSafe = Number.MAX_SAFE_INTEGER

  test.each<[MessageKind, string, unknown[], unknown[]]>([
    ['hello', 'version', [0, 65_535], [65_536]],
    ['hello', 'network', ['', text(128), 'é'.repeat(64)], [text(129), 'é'.repeat(65)]],
    ['hello', 'instance', [bytes(16)], [bytes(15), bytes(17)]],
    ['hello', 'nonce', [bytes(8)], [bytes(7), bytes(9)]],
    ['hello', 'yourIp', ['', text(64)], [text(65)]],
    ['hello', 'port', [1, 65_535], [0, 65_536]],
    ['hello', 'agent', ['', text(128)], [text(129)]],
    ['hello', 'maxFrame', [1_024, 2 ** 32 - 1], [1_023, 2 ** 32]],
    ['hello', 'app', [bytes(0), bytes(4_096)], [bytes(4_097)]],
    ['bye', 'code', [0, 65_535], [65_536]],
    ['bye', 'text', ['', text(512)], [text(513)]],
    ['bye', 'retryAfterMs', [0, 2 ** 31], [2 ** 31 + 1]],
    ['status', 'chain', ['', text(128)], [text(129)]],
    ['status', 'base', [0, maxSafe], []],
    [
      'status',
      'tip',
      [
        [1, 'x'],
        [1, 'x', bytes(64)],
      ],
      [[1], [1, 'x', bytes(65)]],
    ],
    [
      'announce',
      'tip',
      [
        [0, ''],
        [maxSafe, text(127)],
      ],
      [[], [1, text(128)]],
    ],
    [
      'announce',
      'tip',
      [[1, bytes(127)]],
      [
        [1, bytes(128)],
        [1, 'x', bytes(1), 0],
      ],
    ],
    ['getHeaders', 'locator', [list(64, [1, 'x'])], [list(65, [1, 'x']), [5], [[1]]]],
    ['getHeaders', 'count', [1, 2_000], [0, 2_001]],
    ['headers', 'headers', [list(2_000, [1, 'x'])], [list(2_001, [1, 'x'])]],
    ['headers', 'previous', [bytes(127), text(127), ''], [bytes(128), text(128)]],
    ['getBlocks', 'id', [0, 2 ** 32 - 1], [2 ** 32]],
    ['getBlocks', 'from', [0, maxSafe], []],
    ['getBlocks', 'count', [1, maxSafe], [0]],
    ['getBlocks', 'maxBytes', [1, maxSafe], [0]],
    ['getBlocks', 'after', ['x', bytes(32)], [bytes(128), 5]],
    ['notFound', 'reason', ['above-tip', text(64)], [text(65)]],
    ['busy', 'retryAfterMs', [0, 2 ** 31], [2 ** 31 + 1]],
  ])('of %s: %s', (kind, key, accepted, refused) => {
    const fields = fieldsOf[kind as (typeof cborKinds)[number]]
    for (const value of accepted) {
      expect(decodeFields(kind, { ...fields, [key]: value })?.kind).toBe(kind)
    }
    for (const value of refused) {
      expect(() => decodeFields(kind, { ...fields, [key]: value })).toThrow(WireError)
    }
  })

  test('a HELLO that does not name our IP, or nonsense, is read as naming none', () => {
    for (const yourIp of [undefined, 'nonsense', '010.0.0.1', '1.2.3.4:80']) {
      const fields = yourIp === undefined ? fieldsOf.hello : { ...fieldsOf.hello, yourIp }
      expect(decodeFields('hello', fields)).toMatchObject({ hello: { yourIp: undefined } })
    }
    const mapped = { ...fieldsOf.hello, yourIp: '::ffff:1.2.3.4' }
    expect(decodeFields('hello', mapped)).toMatchObject({ hello: { yourIp: '1.2.3.4' } })
  })

  test('of a type name are 1 and 64 bytes of UTF-8', () => {
    const name = (bytes: Uint8Array) => decode('type', Uint8Array.from([0, 5, ...bytes]))
    expect(name(utf8('x'.repeat(64)))).toEqual({ kind: 'type', number: 5, name: 'x'.repeat(64) })
    expect(() => name(utf8('x'.repeat(65)))).toThrow(WireError)
    expect(() => name(new Uint8Array(0))).toThrow(WireError)
    expect(() => name(Uint8Array.of(0xff))).toThrow(WireError)
  })

  test('of a BYE are kept by its sender: its text is cut between characters, its time is whole', () => {
    const bye = (text: string, retryAfterMs?: number) =>
      decode('bye', bodyOf({ kind: 'bye', code: 6, text, retryAfterMs }))
    expect(bye('x'.repeat(600))).toMatchObject({ text: 'x'.repeat(512) })
    expect(bye(`${'x'.repeat(511)}😀`)).toMatchObject({ text: 'x'.repeat(511) })
    expect(bye('😀'.repeat(200))).toMatchObject({ text: '😀'.repeat(128) })
    expect(bye('\ud800')).toMatchObject({ text: '\ufffd' })
    expect(bye('', 1.5)).toMatchObject({ retryAfterMs: 2 })
    expect(bye('', 1e300)).toMatchObject({ retryAfterMs: 2 ** 31 })
    const busy = (retryAfterMs: number) =>
      decode('busy', bodyOf({ kind: 'busy', id: 1, retryAfterMs }))
    expect(busy(1.5)).toMatchObject({ retryAfterMs: 2 })
    expect(busy(Infinity)).toMatchObject({ retryAfterMs: 2 ** 31 })
  })
})

describe('values of later versions', () => {
  test('of a refusal read as a handler that failed', () => {
    expect(decode('refusal', Uint8Array.of(0, 0, 0, 1, 77))).toEqual({
      kind: 'refusal',
      id: 1,
      code: 'handler-failed',
    })
  })

  test('of a notFound reason read as unavailable', () => {
    const later = decodeFields('notFound', { ...fieldsOf.notFound, reason: 'on-the-moon' })
    expect(later).toMatchObject({ reason: 'unavailable' })
  })

  test('after the nonce of a ping are ignored', () => {
    const body = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3)
    expect(decode('ping', body)).toEqual({ kind: 'ping', nonce: 9n })
    expect(decode('pong', body)).toEqual({ kind: 'pong', nonce: 9n })
    expect(() => decode('ping', body.subarray(0, 7))).toThrow(WireError)
  })

  test('in READY are refused: it has no body', () => {
    expect(decode('ready', new Uint8Array(0))).toEqual({ kind: 'ready' })
    expect(() => decode('ready', Uint8Array.of(0))).toThrow(WireError)
  })
})

describe('hashes', () => {
  const announced = (hash: string) =>
    (decodeCbor(bodyOf({ kind: 'announce', tip: { height: 1, hash } })) as { tip: unknown[] })
      .tip[1]

  test('travel as bytes where they are lower-case hexadecimal, and as text otherwise', () => {
    expect(announced('00ff')).toEqual(Uint8Array.of(0, 255))
    for (const text of ['00FF', '0xff', 'abc', 'zz', 'Qm123']) expect(announced(text)).toBe(text)
  })

  test('read the same whichever way they came', () => {
    for (const value of ['00ff', Uint8Array.of(0, 255)]) {
      expect(decodeFields('announce', { tip: [1, value] })).toMatchObject({ tip: { hash: '00ff' } })
    }
  })

  test('of any text come back as they were, in control messages and beside blocks', () => {
    fc.assert(
      fc.property(hash, hash, (one, other) => {
        const announce: WireMessage = { kind: 'announce', tip: { height: 0, hash: one } }
        expect(decode('announce', bodyOf(announce))).toEqual(announce)
        const block = { height: 1, hash: one, previousHash: other, payload: new Uint8Array(0) }
        const blocks: WireMessage = { kind: 'blocks', id: 1, last: true, blocks: [block] }
        expect(decode('blocks', bodyOf(blocks))).toEqual(blocks)
      }),
      { seed, numRuns: 300 },
    )
  })

  test('longer than 127 bytes are refused before they are sent beside blocks', () => {
    const message = (hash: string): WireMessage => ({
      kind: 'blocks',
      id: 1,
      last: true,
      blocks: [{ height: 0, hash, previousHash: '', payload: new Uint8Array(0) }],
    })
    expect(bytesOf(message('ab'.repeat(127))).length).toBeGreaterThan(127)
    expect(() => encodeMessage(message('ab'.repeat(128)))).toThrow(RangeError)
    expect(() => encodeMessage(message('x'.repeat(128)))).toThrow(RangeError)
  })
})

describe('blocks', () => {
  const message: WireMessage = {
    kind: 'blocks',
    id: 7,
    last: false,
    blocks: [
      { height: 5, hash: 'aa', previousHash: '09', payload: Uint8Array.of(1, 2, 3) },
      { height: 6, hash: 'bb', previousHash: 'aa', payload: Uint8Array.of(4) },
    ],
  }

  test('are sent without a copy of a payload above 1 KiB, and in as few parts as that leaves', () => {
    const sizes = [3, 1_024, 1_025, 0, 10_000, 1, 5_000]
    const blocks = sizes.map((size, index) => ({
      height: index,
      hash: `0${index}`,
      previousHash: index === 0 ? '' : `0${index - 1}`,
      payload: new Uint8Array(size).fill(index + 1),
    }))
    const sent: WireMessage = { ...message, blocks }
    const { parts, length } = encodeMessage(sent)
    for (const { payload } of blocks) {
      if (payload.length > 1_024) expect(parts).toContain(payload)
    }
    expect(parts).toHaveLength(1 + 2 * 3)
    expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(length)
    expect(decode('blocks', bodyOf(sent))).toEqual(sent)
    expect(encodeMessage(message).parts).toHaveLength(1)
  })

  test('are read without a copy: payloads are views of the frame', () => {
    const body = bodyOf(message)
    const decoded = decode('blocks', body)
    if (decoded?.kind !== 'blocks') throw new Error('not blocks')
    for (const { payload } of decoded.blocks) expect(payload.buffer).toBe(body.buffer)
  })

  const head = (from: bigint, count: number): Uint8Array => {
    const bytes = new Uint8Array(16)
    const view = new DataView(bytes.buffer)
    view.setUint16(5, count)
    view.setBigUint64(7, from)
    return bytes
  }

  test('at heights above 2^53 - 1 are refused', () => {
    const run = (from: bigint, count: number) =>
      decode('blocks', Uint8Array.from([...head(from, count), ...new Uint8Array(5 * count)]))
    expect(run(2n ** 53n - 1n, 1)).toMatchObject({ blocks: [{ height: Number.MAX_SAFE_INTEGER }] })
    for (const [from, count] of [
      [2n ** 53n, 0],
      [2n ** 53n, 1],
      [2n ** 53n - 1n, 2],
      [2n ** 64n - 1n, 1],
    ] as const) {
      expect(() => run(from, count), `${from} and ${count}`).toThrow(WireError)
    }
  })

  test('that promise more than the frame holds are refused without taking memory', () => {
    const before = process.memoryUsage().arrayBuffers
    expect(() => decode('blocks', head(0n, 65_535))).toThrow(WireError)
    const huge = Uint8Array.from([...head(0n, 1), 0, 0xff, 0xff, 0xff, 0xff, 1, 2])
    expect(() => decode('blocks', huge)).toThrow(WireError)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6)
  })

  test('followed by anything are refused', () => {
    expect(() => decode('blocks', Uint8Array.from([...bodyOf(message), 0]))).toThrow(WireError)
  })

  test('have flags of which only the first means something', () => {
    const body = bodyOf(message)
    body[4] = 0xfe
    expect(decode('blocks', body)).toMatchObject({ last: false })
    body[4] = 0xff
    expect(decode('blocks', body)).toMatchObject({ last: true })
  })

  test('cost at most the stated overhead beside their payloads', () => {
    fc.assert(
      fc.property(messagesByKind.blocks, (message) => {
        const payloads = message.blocks.reduce((sum, { payload }) => sum + payload.length, 0)
        const overhead = encodeMessage(message).length - payloads
        expect(overhead).toBeLessThanOrEqual(blocksOverheadBytes(message.blocks.length))
      }),
      { seed, numRuns: 200 },
    )
  })
})

describe('the longest body', () => {
  const before = { maxFrameBytes: 8 * 1024 * 1024, isEstablished: false }
  const after = { maxFrameBytes: 8 * 1024 * 1024, isEstablished: true }

  test('before a connection is established is 8 KiB for HELLO and 1 KiB for all else', () => {
    for (let kindNumber = 0; kindNumber < 256; kindNumber++) {
      expect(maxBodyBytes(kindNumber, before)).toBe(kindNumber === 1 ? 8_192 : 1_024)
    }
  })

  test('afterwards is that of its kind', () => {
    const limits = Object.fromEntries(
      allKinds.map((kind) => [kind, maxBodyBytes(kindNumbers[kind], after)]),
    )
    const kibibyte = 1_024
    const large = after.maxFrameBytes
    expect(limits).toEqual({
      hello: 8 * kibibyte,
      ready: kibibyte,
      bye: kibibyte,
      ping: kibibyte,
      pong: kibibyte,
      type: kibibyte,
      message: large,
      request: large,
      answer: large,
      refusal: kibibyte,
      status: kibibyte,
      announce: kibibyte,
      getHeaders: 64 * kibibyte,
      headers: 1_024 * kibibyte,
      getBlocks: kibibyte,
      blocks: large,
      notFound: kibibyte,
      busy: kibibyte,
      cancel: kibibyte,
      getPeers: kibibyte,
      peers: 32 * kibibyte,
    })
    expect(maxBodyBytes(0xee, after)).toBe(large)
  })

  test('is never above the largest frame of the connection', () => {
    for (let kindNumber = 0; kindNumber < 256; kindNumber++) {
      const phase = { maxFrameBytes: 2_000, isEstablished: true }
      expect(maxBodyBytes(kindNumber, phase)).toBeLessThanOrEqual(2_000)
    }
  })
})

describe('hexadecimal and UTF-8', () => {
  test('go there and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes)
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'))
      }),
      { seed, numRuns: 200 },
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(fromUtf8(utf8(text))).toBe(text)
      }),
      { seed, numRuns: 200 },
    )
    expect(fromUtf8(utf8('\ufeffx'))).toBe('\ufeffx')
  })

  test.each(['0', 'AB', '0x', 'gg', 'a ', '/0', ':0', '`a'])('%j is no hexadecimal', (text) => {
    expect(fromHex(text)).toBeUndefined()
  })
})
