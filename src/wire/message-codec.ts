import type { BlockRef } from '../contracts/block-store.js'
import type { ChainTip } from '../contracts/chain-rules.js'
import type { ToldPeer } from '../contracts/exchange-messages.js'
import type { NotFoundReason } from '../contracts/sync-messages.js'
import { peerIpBytes, peerIpFromBytes, tryParsePeerIp } from '../rules/peer-ip.js'
import { appHeadBytes } from './app-frames.js'
import {
  BinaryReader,
  BinaryWriter,
  clipUtf8,
  fromHex,
  fromUtf8,
  toHex,
  utf8,
  WireError,
} from './binary.js'
import { decodeBlocks, encodeBlocks } from './blocks-codec.js'
import {
  CborFields,
  checkBytes,
  checkHash,
  checkInteger,
  checkList,
  encodeFields,
  hashField,
} from './cbor-fields.js'
import { frameHeaderBytes, type Frame } from './frame-reader.js'
import {
  kindName,
  kindNumbers,
  maxAgentBytes,
  maxAppDataBytes,
  maxByeTextBytes,
  maxHashBytes,
  maxHeaders,
  maxLocatorEntries,
  maxNetworkBytes,
  maxToldPeers,
  maxTypeNameBytes,
  maxWeightBytes,
  type RefusalCode,
  type WireMessage,
} from './messages.js'

/** A message ready to be sent: in one part when it is small, and else in parts that are not copied together. */
export interface EncodedFrame {
  readonly parts: readonly Uint8Array[]
  readonly length: number
}

/** A system call of several parts costs more than copying so much. */
const maxJoinedBytes = 512

/** Of nearly every HELLO. */
const noBytes = new Uint8Array(0)

const maxHeight = Number.MAX_SAFE_INTEGER
const maxId = 2 ** 32 - 1
const maxDurationMs = 2 ** 31

const notFoundReasons: readonly NotFoundReason[] = [
  'above-tip',
  'below-base',
  'other-branch',
  'unavailable',
]
const refusalCodes: readonly RefusalCode[] = ['no-handler', 'handler-failed', 'too-large']

export function encodeMessage(message: WireMessage): EncodedFrame {
  const body = encodeBody(message)
  const length = body.reduce((sum, part) => sum + part.length, 0)
  const isJoined = length <= maxJoinedBytes
  const writer = new BinaryWriter(frameHeaderBytes + (isJoined ? length : 0))
  writer.u32(length).u8(kindNumbers[message.kind])
  if (isJoined) for (const part of body) writer.raw(part)
  const parts = isJoined ? [writer.bytes] : [writer.bytes, ...body]
  return { parts, length: frameHeaderBytes + length }
}

/** The message in a frame, or undefined for a kind that this version does not know. Throws WireError. */
export function decodeMessage(frame: Frame): WireMessage | undefined {
  const kind = kindName(frame.kindNumber)
  switch (kind) {
    case undefined:
      return undefined
    case 'message':
    case 'request':
    case 'answer':
      return decodeApp(kind, frame)
    default:
      return decodeBody(kind, frame.body)
  }
}

/** The kinds of which there are many: one view is made of each, that of its payload. */
function decodeApp(kind: 'message' | 'request' | 'answer', frame: Frame): WireMessage {
  const headBytes = appHeadBytes[kind]
  const { length } = frame
  if (length < headBytes) throw new WireError(`ends ${headBytes - length} bytes too early`)
  const bytes = frame.bodyFrom(headBytes)
  switch (kind) {
    case 'message':
      return { kind, type: frame.u16(0), bytes }
    case 'request':
      return { kind, id: frame.u32(0), type: frame.u16(4), bytes }
    case 'answer':
      return { kind, id: frame.u32(0), bytes }
  }
}

function encodeBody(message: WireMessage): Uint8Array[] {
  switch (message.kind) {
    case 'hello': {
      const { hello, nonce } = message
      const fields = {
        version: hello.version,
        network: hello.network,
        instance: fromHex(hello.instanceId),
        nonce: fromHex(nonce),
        yourIp: hello.yourIp,
        port: hello.listeningPort,
        agent: hello.agent,
        maxFrame: hello.maxFrameBytes,
        app: hello.appData.length > 0 ? hello.appData : undefined,
      }
      return [encodeFields(fields)]
    }
    case 'ready':
      return []
    case 'bye': {
      const { code, text, retryAfterMs } = message
      const fields = {
        code,
        text: clipUtf8(text, maxByeTextBytes),
        retryAfterMs: retryAfterMs === undefined ? undefined : durationField(retryAfterMs),
      }
      return [encodeFields(fields)]
    }
    case 'ping':
    case 'pong':
      return [new BinaryWriter(8).u64(message.nonce).bytes]
    case 'type': {
      const name = utf8(message.name)
      return [new BinaryWriter(2 + name.length).u16(message.number).raw(name).bytes]
    }
    case 'message':
      return [new BinaryWriter(2).u16(message.type).bytes, message.bytes]
    case 'request':
      return [new BinaryWriter(6).u32(message.id).u16(message.type).bytes, message.bytes]
    case 'answer':
      return [new BinaryWriter(4).u32(message.id).bytes, message.bytes]
    case 'refusal':
      return [new BinaryWriter(5).u32(message.id).u8(refusalCodes.indexOf(message.code)).bytes]
    case 'status':
      return [
        encodeFields({ chain: message.chainId, base: message.base, tip: tipField(message.tip) }),
      ]
    case 'announce':
      return [encodeFields({ tip: tipField(message.tip) })]
    case 'getHeaders':
      return [
        encodeFields({
          id: message.id,
          locator: message.locator.map(refField),
          count: message.count,
        }),
      ]
    case 'headers':
      return [
        encodeFields({
          id: message.id,
          previous: hashField(message.previousHash),
          headers: message.headers.map(refField),
        }),
      ]
    case 'getBlocks': {
      const { id, from, count, maxBytes, afterHash } = message
      const after = afterHash === undefined ? undefined : hashField(afterHash)
      return [encodeFields({ id, from, count, maxBytes, after })]
    }
    case 'blocks':
      return encodeBlocks(message)
    case 'notFound': {
      const { id, reason, base, tip } = message
      return [encodeFields({ id, reason, base, tip: tipField(tip) })]
    }
    case 'busy':
      return [encodeFields({ id: message.id, retryAfterMs: durationField(message.retryAfterMs) })]
    case 'cancel':
      return [encodeFields({ id: message.id })]
    case 'getPeers':
      return [encodeFields({ count: message.count })]
    case 'peers':
      return [encodeFields({ peers: message.peers.map(({ ip, port }) => [peerIpBytes(ip), port]) })]
  }
}

function decodeBody(
  kind: Exclude<WireMessage['kind'], keyof typeof appHeadBytes>,
  body: Uint8Array,
): WireMessage {
  switch (kind) {
    case 'hello':
      return decodeHello(new CborFields(body))
    case 'ready':
      new BinaryReader(body).end()
      return { kind }
    case 'bye': {
      const fields = new CborFields(body)
      const code = fields.integer('code', 0, 65_535)
      const text = fields.has('text') ? fields.text('text', maxByeTextBytes) : ''
      return { kind, code, text, retryAfterMs: optionalDuration(fields) }
    }
    case 'ping':
    case 'pong':
      // What follows the nonce is left to later versions.
      return { kind, nonce: new BinaryReader(body).bigU64() }
    case 'type': {
      const reader = new BinaryReader(body)
      const number = reader.u16()
      const name = reader.rest()
      if (name.length === 0 || name.length > maxTypeNameBytes) {
        throw new WireError(`a type name has 1 to ${maxTypeNameBytes} bytes, not ${name.length}`)
      }
      return { kind, number, name: fromUtf8(name) }
    }
    case 'refusal': {
      const reader = new BinaryReader(body)
      return { kind, id: reader.u32(), code: refusalCodes[reader.u8()] ?? 'handler-failed' }
    }
    case 'blocks':
      return decodeBlocks(body)
    case 'status':
    case 'announce':
    case 'getHeaders':
    case 'headers':
    case 'getBlocks':
    case 'notFound':
    case 'busy':
    case 'cancel':
      return decodeSync(kind, new CborFields(body))
    case 'getPeers':
      return { kind, count: new CborFields(body).integer('count', 1, maxToldPeers) }
    case 'peers': {
      const told = new CborFields(body).list('peers', maxToldPeers)
      return { kind, peers: told.flatMap(readToldPeer) }
    }
  }
}

function decodeHello(fields: CborFields): WireMessage {
  const hello = {
    version: fields.integer('version', 0, 65_535),
    network: fields.text('network', maxNetworkBytes),
    instanceId: toHex(fields.bytes('instance', 16, 16)),
    yourIp: fields.has('yourIp') ? tryParsePeerIp(fields.text('yourIp', 64)) : undefined,
    listeningPort: fields.has('port') ? fields.integer('port', 1, 65_535) : undefined,
    agent: fields.has('agent') ? fields.text('agent', maxAgentBytes) : '',
    maxFrameBytes: fields.integer('maxFrame', 1_024, maxId),
    appData: fields.has('app') ? fields.bytes('app', 0, maxAppDataBytes) : noBytes,
  }
  return { kind: 'hello', hello, nonce: toHex(fields.bytes('nonce', 8, 8)) }
}

function decodeSync(
  kind:
    'status' | 'announce' | 'getHeaders' | 'headers' | 'getBlocks' | 'notFound' | 'busy' | 'cancel',
  fields: CborFields,
): WireMessage {
  if (kind === 'status') {
    const chainId = fields.text('chain', maxNetworkBytes)
    return { kind, chainId, base: fields.integer('base', 0, maxHeight), tip: optionalTip(fields) }
  }
  if (kind === 'announce') return { kind, tip: checkTip(fields.list('tip', 3)) }
  const id = fields.integer('id', 0, maxId)
  switch (kind) {
    case 'getHeaders': {
      const locator = fields.list('locator', maxLocatorEntries).map(checkRef)
      return { kind, id, locator, count: fields.integer('count', 1, maxHeaders) }
    }
    case 'headers': {
      const headers = fields.list('headers', maxHeaders).map(checkRef)
      return { kind, id, previousHash: fields.hash('previous', maxHashBytes), headers }
    }
    case 'getBlocks': {
      const from = fields.integer('from', 0, maxHeight)
      const count = fields.integer('count', 1, maxHeight)
      const maxBytes = fields.integer('maxBytes', 1, maxHeight)
      const request = { kind, id, from, count, maxBytes }
      return fields.has('after')
        ? { ...request, afterHash: fields.hash('after', maxHashBytes) }
        : request
    }
    case 'notFound': {
      const told = fields.text('reason', 64)
      const reason = notFoundReasons.find((known) => known === told) ?? 'unavailable'
      return {
        kind,
        id,
        reason,
        base: fields.integer('base', 0, maxHeight),
        tip: optionalTip(fields),
      }
    }
    case 'busy':
      return { kind, id, retryAfterMs: fields.integer('retryAfterMs', 0, maxDurationMs) }
    case 'cancel':
      return { kind, id }
  }
}

/** What is not understood is left out: later versions may tell of other kinds of addresses. */
function readToldPeer(value: unknown): readonly ToldPeer[] {
  const [address, port] = Array.isArray(value) ? (value as readonly unknown[]) : []
  const ip = address instanceof Uint8Array ? peerIpFromBytes(address) : undefined
  const isPort = typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535
  return ip !== undefined && isPort ? [{ ip, port }] : []
}

function refField(ref: BlockRef): [number, Uint8Array | string] {
  return [ref.height, hashField(ref.hash)]
}

/** Whole milliseconds that the peer accepts. */
function durationField(ms: number): number {
  return Math.min(Math.ceil(ms), maxDurationMs)
}

function tipField(tip: ChainTip | null): unknown[] | undefined {
  if (tip === null) return undefined
  return tip.weight === undefined ? refField(tip) : [...refField(tip), tip.weight]
}

function checkRef(value: unknown): BlockRef {
  const [height, hash] = checkList('block', value, 3)
  return {
    height: checkInteger('height', height, 0, maxHeight),
    hash: checkHash('hash', hash, maxHashBytes),
  }
}

function checkTip(value: readonly unknown[]): ChainTip {
  const weight = value[2]
  const ref = checkRef(value)
  return weight === undefined
    ? ref
    : { ...ref, weight: checkBytes('weight', weight, 0, maxWeightBytes) }
}

function optionalTip(fields: CborFields): ChainTip | null {
  return fields.has('tip') ? checkTip(fields.list('tip', 3)) : null
}

function optionalDuration(fields: CborFields): number | undefined {
  return fields.has('retryAfterMs') ? fields.integer('retryAfterMs', 0, maxDurationMs) : undefined
}
