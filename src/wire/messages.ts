import type { Block } from '../contracts/block-store.js'
import type { ExchangeMessage } from '../contracts/exchange-messages.js'
import type { PeerHello } from '../contracts/peer-service.js'
import type { SyncMessage } from '../contracts/sync-messages.js'

/** A HELLO with what only the handshake needs of it. */
export interface HelloMessage {
  readonly kind: 'hello'
  readonly hello: PeerHello
  /** 16 hexadecimal digits, fresh for each dial. */
  readonly nonce: string
}

export interface ReadyMessage {
  readonly kind: 'ready'
}

/** Why the sender closes. The codes are those of `byeCodes`; others are kept as they come. */
export interface ByeMessage {
  readonly kind: 'bye'
  readonly code: number
  readonly text: string
  readonly retryAfterMs: number | undefined
}

export interface PingMessage {
  readonly kind: 'ping'
  readonly nonce: bigint
}

export interface PongMessage {
  readonly kind: 'pong'
  readonly nonce: bigint
}

/** From here on `number` stands for the application's message type `name`, on this connection. */
export interface TypeMessage {
  readonly kind: 'type'
  readonly number: number
  readonly name: string
}

export interface AppMessage {
  readonly kind: 'message'
  readonly type: number
  readonly bytes: Uint8Array
}

export interface RequestMessage {
  readonly kind: 'request'
  readonly id: number
  readonly type: number
  readonly bytes: Uint8Array
}

export interface AnswerMessage {
  readonly kind: 'answer'
  readonly id: number
  readonly bytes: Uint8Array
}

/** Why a request was not answered. */
export type RefusalCode = 'no-handler' | 'handler-failed' | 'too-large'

export interface RefusalMessage {
  readonly kind: 'refusal'
  readonly id: number
  readonly code: RefusalCode
}

/** Everything that one node says to another. */
export type WireMessage =
  | HelloMessage
  | ReadyMessage
  | ByeMessage
  | PingMessage
  | PongMessage
  | TypeMessage
  | AppMessage
  | RequestMessage
  | AnswerMessage
  | RefusalMessage
  | SyncMessage
  | ExchangeMessage

export type MessageKind = WireMessage['kind']

/** The byte that names each kind in a frame. A number is never given to another kind. */
export const kindNumbers = {
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
} as const satisfies Record<MessageKind, number>

const kindNames: (MessageKind | undefined)[] = Array.from({ length: 256 }, () => undefined)
for (const [name, number] of Object.entries(kindNumbers)) kindNames[number] = name as MessageKind

/** The name of a kind, or undefined for one that this version does not know. */
export function kindName(number: number): MessageKind | undefined {
  return kindNames[number]
}

const kibibyte = 1024

/** The longest body of the kinds that need little; the others go up to the connection's largest frame. */
const bodyLimits: Partial<Record<MessageKind, number>> = {
  hello: 8 * kibibyte,
  ready: kibibyte,
  bye: kibibyte,
  ping: kibibyte,
  pong: kibibyte,
  type: kibibyte,
  refusal: kibibyte,
  status: kibibyte,
  announce: kibibyte,
  getHeaders: 64 * kibibyte,
  headers: 1024 * kibibyte,
  getBlocks: kibibyte,
  notFound: kibibyte,
  busy: kibibyte,
  cancel: kibibyte,
  getPeers: kibibyte,
  peers: 32 * kibibyte,
}

const bodyLimitsByNumber = kindNames.map((name) => (name && bodyLimits[name]) ?? Infinity)

/** The longest body accepted for a frame of this kind. */
export function maxBodyBytes(
  kindNumber: number,
  phase: { maxFrameBytes: number; isEstablished: boolean },
): number {
  const limit = bodyLimitsByNumber[kindNumber] ?? Infinity
  if (phase.isEstablished) return Math.min(limit, phase.maxFrameBytes)
  return kindNumber === kindNumbers.hello ? limit : Math.min(limit, kibibyte)
}

/** Frame bytes of a `blocks` message beside the payloads, at most, for a number of blocks. */
export function blocksOverheadBytes(count: number): number {
  return 512 + 264 * count
}

/** The largest number of blocks in one `blocks` message. */
export const maxBlocksPerMessage = 65_535

export const maxHashBytes = 127
export const maxTypeNameBytes = 64
export const maxAgentBytes = 128
export const maxNetworkBytes = 128
export const maxAppDataBytes = 4 * kibibyte
export const maxByeTextBytes = 512
export const maxLocatorEntries = 64
export const maxHeaders = 2_000
export const maxWeightBytes = 64
export const maxToldPeers = 1_000
export const maxAppTypes = 1_024

/** The payload bytes of a run of blocks. */
export function payloadBytes(blocks: readonly Block[]): number {
  return blocks.reduce((sum, block) => sum + block.payload.length, 0)
}
