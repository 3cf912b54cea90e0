import { WireError } from '../wire/binary.js'
import {
  frameHeaderBytes,
  FrameReader,
  type Frame,
  type FrameResult,
} from '../wire/frame-reader.js'
import { decodeMessage } from '../wire/message-codec.js'
import { kindName, maxBodyBytes, type WireMessage } from '../wire/messages.js'

/** What a frame loop reads for. */
export interface FrameLoopHost {
  /** Runs one input to completion: each frame is a turn of its own. */
  run(input: () => void): void
  /** Whether the next frame may be read: the connection is open, and its handlers keep up. */
  mayRead(): boolean
  /** The time, by which long work is cut into slices. */
  now(): number
  /** This slice is over: the rest is to be read when others had their turn. */
  yield(): void
  /** Whether more than the handshake's messages may come. */
  isEstablished(): boolean
  /** A message, and the bytes of its frame. */
  receive(message: WireMessage, frameBytes: number): void
  /** A frame of a kind that this version does not know, on an established connection. */
  unknownFrame(frameBytes: number): void
  /** The bytes are not what the protocol says; there is no going on. */
  fault(what: string): void
}

/**
 * How long one connection may keep the event loop with what one chunk brought, in milliseconds, and
 * after how many frames that is looked at. A chunk holds thousands of small frames, and the others wait.
 */
const maxSliceMs = 2
const framesPerLook = 16

/** The one path from bytes to messages: chunk → frames → decode → `receive`, in order, one at a time. */
export class FrameLoop {
  readonly #host: FrameLoopHost
  readonly #reader: FrameReader
  /** Read, and not taken yet: one, but inside another turn, which the turns of these wait for. */
  readonly #read: FrameResult[] = []

  constructor(host: FrameLoopHost, maxFrameBytes: number) {
    this.#host = host
    this.#reader = new FrameReader((kindNumber) =>
      maxBodyBytes(kindNumber, { maxFrameBytes, isEstablished: host.isEstablished() }),
    )
  }

  push(chunk: Uint8Array): void {
    this.#reader.push(chunk)
    this.read()
  }

  /** Reads the frames that are there, as long as the host wants them, and not for long at a time. */
  read(): void {
    let startedMs: number | undefined
    for (let frames = 1; this.#host.mayRead(); frames += 1) {
      const result = this.#reader.next()
      if (result.kind === 'incomplete') return
      this.#read.push(result)
      this.#host.run(this.#takeFirst)
      if (frames % framesPerLook !== 0) continue
      const nowMs = this.#host.now()
      startedMs ??= nowMs
      if (nowMs - startedMs > maxSliceMs && this.#host.mayRead()) this.#host.yield()
    }
  }

  /** Forgets what was read and not handled. */
  clear(): void {
    this.#reader.clear()
  }

  /** The turn of one frame. The same function for all of them, because one for each costs. */
  readonly #takeFirst = (): void => {
    const result = this.#read.shift()
    if (result?.kind === 'frame') this.#take(result)
    if (result?.kind === 'too-long') {
      this.#host.fault(`frame of ${result.length} bytes where at most ${result.max} are allowed`)
    }
  }

  #take(frame: Frame): void {
    const { kindNumber } = frame
    const frameBytes = frameHeaderBytes + frame.length
    try {
      const message = decodeMessage(frame)
      if (message === undefined) this.#unknown(kindNumber, frameBytes)
      else if (this.#host.isEstablished() || isHandshake(message))
        this.#host.receive(message, frameBytes)
      else this.#host.fault(`'${message.kind}' before the handshake ended`)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#host.fault(`${kindName(kindNumber) ?? kindNumber}: ${error.message}`)
    }
  }

  #unknown(kindNumber: number, frameBytes: number): void {
    if (this.#host.isEstablished()) this.#host.unknownFrame(frameBytes)
    else this.#host.fault(`frame of unknown kind ${kindNumber} before the handshake ended`)
  }
}

function isHandshake(message: WireMessage): boolean {
  return message.kind === 'hello' || message.kind === 'ready' || message.kind === 'bye'
}
