import { frameHeaderBytes } from './frame-reader.js'
import { kindNumbers } from './messages.js'

/** Bytes of the body before the payload, for each kind that carries one of the application. */
export const appHeadBytes = { message: 2, request: 6, answer: 4 } as const

/** Payloads up to this are copied next to one another, which is cheaper than a write of its own for each. */
export const maxCopiedBytes = 16 * 1024

/** The length of the frame around a payload. */
export function appFrameBytes(kind: keyof typeof appHeadBytes, payload: Uint8Array): number {
  return frameHeaderBytes + appHeadBytes[kind] + payload.length
}

/** Writes the frame of an application message at `offset` of `target`, where there must be room. */
export function writeMessageFrame(
  target: Uint8Array,
  offset: number,
  type: number,
  payload: Uint8Array,
): void {
  const start = writeHeader(target, offset, kindNumbers.message, 2 + payload.length)
  writeU16(target, start, type)
  target.set(payload, start + 2)
}

/** Writes the frame of a request: see `writeMessageFrame`. */
export function writeRequestFrame(
  target: Uint8Array,
  offset: number,
  id: number,
  type: number,
  payload: Uint8Array,
): void {
  const start = writeHeader(target, offset, kindNumbers.request, 6 + payload.length)
  writeU32(target, start, id)
  writeU16(target, start + 4, type)
  target.set(payload, start + 6)
}

/** Writes the frame of an answer: see `writeMessageFrame`. */
export function writeAnswerFrame(
  target: Uint8Array,
  offset: number,
  id: number,
  payload: Uint8Array,
): void {
  const start = writeHeader(target, offset, kindNumbers.answer, 4 + payload.length)
  writeU32(target, start, id)
  target.set(payload, start + 4)
}

/** Returns where the body begins. */
function writeHeader(
  target: Uint8Array,
  offset: number,
  kindNumber: number,
  bodyBytes: number,
): number {
  writeU32(target, offset, bodyBytes)
  target[offset + 4] = kindNumber
  return offset + frameHeaderBytes
}

function writeU16(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 8
  target[offset + 1] = value
}

function writeU32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24
  target[offset + 1] = value >>> 16
  target[offset + 2] = value >>> 8
  target[offset + 3] = value
}
