import fc from 'fast-check'
import { parsePeerIp } from '../../../src/rules/peer-ip.js'
import { encodeMessage } from '../../../src/wire/message-codec.js'
import type { MessageKind, WireMessage } from '../../../src/wire/messages.js'

export const bytesOf = (message: WireMessage): Uint8Array =>
  new Uint8Array(Buffer.concat(encodeMessage(message).parts))

export const bodyOf = (message: WireMessage): Uint8Array => bytesOf(message).subarray(5)

const id = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const u16 = fc.integer({ min: 0, max: 65_535 })
const height = fc.oneof(
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 23, 24, 255, 256, 2 ** 32, Number.MAX_SAFE_INTEGER),
)
const bytes = (maxLength: number) =>
  fc.oneof(fc.uint8Array({ maxLength: Math.min(maxLength, 40) }), fc.uint8Array({ maxLength }))
const hex = (length: number) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((data) => Buffer.from(data).toString('hex'))
/** Of at most `maxBytes` bytes of UTF-8, with characters of every length and byte order marks. */
const text = (maxBytes: number) =>
  fc
    .array(
      fc.oneof(fc.string({ unit: 'binary', maxLength: 3 }), fc.constantFrom('a', '\ufeff', '€')),
    )
    .map((parts) => parts.join(''))
    .filter((joined) => Buffer.byteLength(joined) <= maxBytes)

/** Hashes as chains write them: bytes in hexadecimal of any length, and any other text. */
export const hash = fc.oneof(
  hex(32),
  fc.integer({ min: 0, max: 127 }).chain(hex),
  text(127),
  hex(20).map((digits) => `0x${digits.toUpperCase()}`),
)
const ref = fc.record({ height, hash })
const tip = fc.oneof(ref, fc.record({ height, hash, weight: bytes(64) }))
const optionalTip = fc.option(tip, { nil: null })
const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })

const blocks = fc
  .record({
    id,
    last: fc.boolean(),
    from: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 10 }),
    previousHash: hash,
    contents: fc.array(fc.record({ hash, payload: bytes(300) }), { maxLength: 5 }),
  })
  .map(({ id, last, from, previousHash, contents }) => ({
    kind: 'blocks' as const,
    id,
    last,
    blocks: contents.map(({ hash, payload }, index) => ({
      height: from + index,
      hash,
      previousHash: index === 0 ? previousHash : (contents[index - 1]?.hash ?? ''),
      payload,
    })),
  }))

const peerHello = fc.record({
  version: u16,
  network: text(128),
  instanceId: hex(16),
  yourIp: optional(
    fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::1', '::1', 'fe80::7')).map(parsePeerIp),
  ),
  listeningPort: optional(fc.integer({ min: 1, max: 65_535 })),
  agent: text(128),
  maxFrameBytes: fc.integer({ min: 1_024, max: 2 ** 32 - 1 }),
  appData: bytes(4_096),
})

const kind = <Kind extends MessageKind>(name: Kind) => fc.constant(name)

/** Any message that may be sent, by kind. */
export const messagesByKind: {
  readonly [Kind in MessageKind]: fc.Arbitrary<Extract<WireMessage, { kind: Kind }>>
} = {
  hello: fc.record({ kind: kind('hello'), hello: peerHello, nonce: hex(8) }),
  ready: fc.record({ kind: kind('ready') }),
  bye: fc.record({
    kind: kind('bye'),
    code: u16,
    text: text(512),
    retryAfterMs: optional(fc.integer({ min: 0, max: 2 ** 31 })),
  }),
  ping: fc.record({ kind: kind('ping'), nonce: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  pong: fc.record({ kind: kind('pong'), nonce: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  type: fc.record({
    kind: kind('type'),
    number: u16,
    name: text(64).filter((name) => name.length > 0),
  }),
  message: fc.record({ kind: kind('message'), type: u16, bytes: bytes(500) }),
  request: fc.record({ kind: kind('request'), id, type: u16, bytes: bytes(500) }),
  answer: fc.record({ kind: kind('answer'), id, bytes: bytes(500) }),
  refusal: fc.record({
    kind: kind('refusal'),
    id,
    code: fc.constantFrom('no-handler' as const, 'handler-failed' as const, 'too-large' as const),
  }),
  status: fc.record({ kind: kind('status'), chainId: text(128), base: height, tip: optionalTip }),
  announce: fc.record({ kind: kind('announce'), tip }),
  getHeaders: fc.record({
    kind: kind('getHeaders'),
    id,
    locator: fc.array(ref, { maxLength: 64 }),
    count: fc.integer({ min: 1, max: 2_000 }),
  }),
  headers: fc.record({
    kind: kind('headers'),
    id,
    previousHash: hash,
    headers: fc.array(ref, { maxLength: 20 }),
  }),
  getBlocks: fc.record(
    {
      kind: kind('getBlocks'),
      id,
      from: height,
      count: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      maxBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      afterHash: hash,
    },
    { requiredKeys: ['kind', 'id', 'from', 'count', 'maxBytes'] },
  ),
  blocks,
  notFound: fc.record({
    kind: kind('notFound'),
    id,
    reason: fc.constantFrom(
      'above-tip' as const,
      'below-base' as const,
      'other-branch' as const,
      'unavailable' as const,
    ),
    base: height,
    tip: optionalTip,
  }),
  busy: fc.record({ kind: kind('busy'), id, retryAfterMs: fc.integer({ min: 0, max: 2 ** 31 }) }),
  cancel: fc.record({ kind: kind('cancel'), id }),
  getPeers: fc.record({ kind: kind('getPeers'), count: fc.integer({ min: 1, max: 1_000 }) }),
  peers: fc.record({
    kind: kind('peers'),
    peers: fc.array(
      fc.record({
        ip: fc.oneof(fc.ipV4(), fc.ipV6()).map(parsePeerIp),
        port: fc.integer({ min: 1, max: 65_535 }),
      }),
      { maxLength: 1_000 },
    ),
  }),
}

export const anyMessage: fc.Arbitrary<WireMessage> = fc.oneof(...Object.values(messagesByKind))
