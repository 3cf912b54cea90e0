import type { MessageKind, WireMessage } from '../../../src/wire/messages.js'

const ofDigits = (digits: string): string => digits.repeat(32 / digits.length)
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

/** The messages whose bytes docs/PROTOCOL.md shows, one of each kind. */
export const examples: {
  readonly [Kind in MessageKind]: Extract<WireMessage, { kind: Kind }>
} = {
  hello: {
    kind: 'hello',
    hello: {
      version: 1,
      network: 'my-chain-1',
      instanceId: '000102030405060708090a0b0c0d0e0f',
      yourIp: '203.0.113.5',
      listeningPort: 24_100,
      agent: 'holdfast',
      maxFrameBytes: 8 * 1024 * 1024,
      appData: new Uint8Array(0),
    },
    nonce: '1011121314151617',
  },
  ready: { kind: 'ready' },
  bye: { kind: 'bye', code: 6, text: 'too many handshakes are under way', retryAfterMs: 5_000 },
  ping: { kind: 'ping', nonce: 0x0102030405060708n },
  pong: { kind: 'pong', nonce: 0x0102030405060708n },
  type: { kind: 'type', number: 0, name: 'tx' },
  message: { kind: 'message', type: 0, bytes: bytes('hello') },
  request: { kind: 'request', id: 1, type: 0, bytes: bytes('what time is it?') },
  answer: { kind: 'answer', id: 1, bytes: bytes('noon') },
  refusal: { kind: 'refusal', id: 1, code: 'no-handler' },
  status: {
    kind: 'status',
    chainId: 'my-chain-1',
    base: 0,
    tip: { height: 1_000, hash: ofDigits('ab'), weight: Uint8Array.of(3, 0xe8) },
  },
  announce: { kind: 'announce', tip: { height: 1_001, hash: ofDigits('cd') } },
  getHeaders: {
    kind: 'getHeaders',
    id: 2,
    locator: [
      { height: 1_000, hash: ofDigits('ab') },
      { height: 0, hash: ofDigits('00') },
    ],
    count: 2_000,
  },
  headers: {
    kind: 'headers',
    id: 2,
    previousHash: ofDigits('ab'),
    headers: [{ height: 1_001, hash: ofDigits('cd') }],
  },
  getBlocks: {
    kind: 'getBlocks',
    id: 3,
    from: 1_001,
    count: 2,
    maxBytes: 1_048_576,
    afterHash: ofDigits('ab'),
  },
  blocks: {
    kind: 'blocks',
    id: 3,
    last: true,
    blocks: [
      {
        height: 1_001,
        hash: ofDigits('cd'),
        previousHash: ofDigits('ab'),
        payload: bytes('first'),
      },
      { height: 1_002, hash: 'second', previousHash: ofDigits('cd'), payload: bytes('payload') },
    ],
  },
  notFound: {
    kind: 'notFound',
    id: 3,
    reason: 'above-tip',
    base: 0,
    tip: { height: 1_000, hash: ofDigits('ab') },
  },
  busy: { kind: 'busy', id: 3, retryAfterMs: 1_000 },
  cancel: { kind: 'cancel', id: 3 },
  getPeers: { kind: 'getPeers', count: 250 },
  peers: {
    kind: 'peers',
    peers: [
      { ip: '203.0.113.5', port: 24_100 },
      { ip: '2001:db8::7', port: 25_000 },
    ],
  },
}
