import type { Connection, ConnectionHandlers, Endpoint } from '../../../src/contracts/transport.js'
import { FrameReader } from '../../../src/wire/frame-reader.js'
import { decodeMessage, encodeMessage } from '../../../src/wire/message-codec.js'
import type { WireMessage } from '../../../src/wire/messages.js'

/** What is in flight. */
export type Item =
  | { readonly kind: 'message'; readonly message: WireMessage; readonly bytes: Uint8Array }
  /** The end of the connection: after a BYE, in order, or by a reset. */
  | { readonly kind: 'end'; readonly bye: Uint8Array | undefined; readonly isReset: boolean }

export type Side = 0 | 1
export const otherSide = (side: Side): Side => (side === 0 ? 1 : 0)

/** One physical connection, from the dial on. What arrives, and when, is for its owner to say. */
export class Wire {
  readonly number: number
  readonly route: number
  /** In flight, by the side that sent it. */
  readonly inFlight: readonly [Item[], Item[]] = [[], []]
  readonly holes: [boolean, boolean] = [false, false]
  readonly ends: [WireEnd | undefined, WireEnd | undefined] = [undefined, undefined]
  isDialing = true

  constructor(number: number, route: number) {
    this.number = number
    this.route = route
  }

  statusOf(side: Side): 'over' | 'dialing' | 'open' {
    if (side === 0 && this.isDialing) return 'dialing'
    return this.ends[side]?.isOpen === true ? 'open' : 'over'
  }

  get isOver(): boolean {
    return this.statusOf(0) === 'over' && this.statusOf(1) === 'over'
  }

  /** What one end says: it is lost when nobody is there, or in a hole. */
  send(side: Side, item: Item): void {
    const queue = this.inFlight[side]
    if (this.holes[side] || queue.at(-1)?.kind === 'end') return
    if (this.statusOf(otherSide(side)) === 'open') queue.push(item)
  }

  /** An end is over: nobody reads there any more, and what was for nobody is gone. */
  forgotten(side: Side): void {
    this.inFlight[otherSide(side)].length = 0
    if (this.statusOf(otherSide(side)) !== 'open') this.inFlight[side].length = 0
  }

  openHole(side: Side): void {
    this.holes[side] = true
    this.inFlight[side].length = 0
  }

  /** A reset overtakes what `side` had sent: only the end is left of it. */
  lose(side: Side): void {
    const queue = this.inFlight[side]
    const hasEnd = queue.at(-1)?.kind === 'end'
    queue.length = 0
    if (hasEnd) queue.push({ kind: 'end', bye: undefined, isReset: true })
  }
}

/** What a connection is made of at one end. */
export class WireEnd implements Connection {
  readonly local = undefined
  readonly remote: Endpoint
  readonly bufferedBytes = 0
  readonly wire: Wire
  readonly side: Side
  /** The number that the node gave it. */
  id = 0
  isOpen = true
  isCrashed = false
  /** Nonces of its pings that the node has not forgotten, by their numbers in the challenge. */
  readonly pingNumbers = new Map<bigint, number>()
  /** Nonces of pings that left since the last look. */
  readonly newPings: bigint[] = []
  readonly #reader = new FrameReader(() => 2 ** 31)
  readonly #onOpen: (end: WireEnd) => void
  readonly #rewrite: (message: WireMessage) => WireMessage
  #handlers: ConnectionHandlers | undefined
  #bye: Uint8Array | undefined
  #owesClosed = false

  constructor(
    wire: Wire,
    side: Side,
    options: {
      readonly remoteHost: string
      readonly onOpen: (end: WireEnd) => void
      /** What the other end reads instead. */
      readonly rewrite: (message: WireMessage) => WireMessage
    },
  ) {
    this.wire = wire
    this.side = side
    this.remote = { host: options.remoteHost, port: 24_100 }
    this.#onOpen = options.onOpen
    this.#rewrite = options.rewrite
    wire.ends[side] = this
  }

  open(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
    this.#onOpen(this)
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (!this.isOpen) return false
    for (const chunk of chunks) this.#reader.push(chunk)
    for (let next = this.#reader.next(); next.kind === 'frame'; next = this.#reader.next()) {
      const message = decodeMessage(next)
      if (message === undefined) throw new Error(`a frame of unknown kind ${next.kindNumber}`)
      this.#send(message)
    }
    return true
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    if (!this.isOpen) return
    this.#owesClosed = true
    this.#end({ kind: 'end', bye: this.#bye, isReset: false })
  }

  destroy(): void {
    if (!this.isOpen) return
    this.#owesClosed = true
    this.#end({ kind: 'end', bye: undefined, isReset: true })
  }

  /** The process that held it is gone. */
  crash(withReset: boolean): void {
    if (!this.isOpen) return
    if (withReset) this.wire.send(this.side, { kind: 'end', bye: undefined, isReset: true })
    this.isOpen = false
    this.isCrashed = true
    this.wire.forgotten(this.side)
  }

  /** The oldest item that is on its way arrives, in one piece or two; a BYE may be lost before its end. */
  deliver(item: Item, options: { readonly cut: number; readonly losesBye: boolean }): void {
    if (item.kind === 'message') {
      const cut = Math.max(0, Math.floor(options.cut * item.bytes.length))
      if (cut > 0) this.#handlers?.data(item.bytes.subarray(0, cut))
      if (this.isOpen) this.#handlers?.data(item.bytes.subarray(cut))
      return
    }
    if (item.bye !== undefined && !options.losesBye) this.#handlers?.data(item.bye)
    if (!this.isOpen) return
    this.#end({ kind: 'end', bye: undefined, isReset: false })
    this.#handlers?.closed(item.isReset ? new Error('reset in the replay') : undefined)
  }

  /** The transport has released what was closed here. */
  release(): void {
    if (!this.#owesClosed) return
    this.#owesClosed = false
    this.#handlers?.closed(undefined)
  }

  #send(original: WireMessage): void {
    const message = this.#rewrite(original)
    const bytes = bytesOf(message)
    if (message.kind === 'bye') {
      this.#bye = bytes
      return
    }
    if (message.kind === 'ping') this.newPings.push(message.nonce)
    this.wire.send(this.side, { kind: 'message', message, bytes })
  }

  #end(item: Item): void {
    this.wire.send(this.side, item)
    this.isOpen = false
    this.wire.forgotten(this.side)
  }
}

function bytesOf(message: WireMessage): Uint8Array {
  const { parts, length } = encodeMessage(message)
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}
