import { connect, type Socket } from 'node:net'
import { FrameReader } from '../../../src/wire/frame-reader.js'
import { decodeMessage, encodeMessage } from '../../../src/wire/message-codec.js'
import type { WireMessage } from '../../../src/wire/messages.js'
import type { SeededRandom } from 'holdfast/testing'
import { network, victimIp } from './protocol.js'

export type State = 'before HELLO' | 'in handshake' | 'established'

/** Fresh IPs for attackers, so that the ban of one is not the end of the attack. */
export class IpRange {
  #next = 0

  next(): string {
    const n = this.#next
    this.#next += 1
    return `127.${100 + ((n / 62_500) | 0)}.${1 + (((n / 250) | 0) % 250)}.${1 + (n % 250)}`
  }
}

export function frame(message: WireMessage): Buffer {
  return Buffer.concat(encodeMessage(message).parts)
}

export function helloFrame(dice: SeededRandom): Buffer {
  return frame({
    kind: 'hello',
    nonce: Buffer.from(dice.bytes(8)).toString('hex'),
    hello: {
      version: 1,
      network,
      instanceId: Buffer.from(dice.bytes(16)).toString('hex'),
      yourIp: victimIp,
      listeningPort: undefined,
      agent: 'attacker',
      maxFrameBytes: 8 * 1024 * 1024,
      appData: new Uint8Array(0),
    },
  })
}

/** One socket of an attacker. It knows how many bytes it sent, and whether it was told to go. */
export class Attacker {
  readonly socket: Socket
  readonly closed: Promise<void>
  sentBytes = 0
  isClosed = false
  #port = 0
  readonly #ip: string
  readonly #reader = new FrameReader(() => 2 ** 31)
  #waiters: ((isOpen: boolean) => void)[] = []
  #wanted: WireMessage['kind'] | undefined

  private constructor(ip: string, port: number) {
    this.#ip = ip
    this.socket = connect({ host: victimIp, port, localAddress: ip, noDelay: true })
    this.socket.on('connect', () => {
      this.#port = this.socket.localPort ?? 0
    })
    // A reset is what attackers expect.
    this.socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.isClosed = true
        this.#settle(false)
        resolve()
      })
    })
    this.socket.on('data', (chunk) => {
      this.#read(chunk)
    })
  }

  /** Connects; undefined when the victim takes no more. */
  static async open(ip: string, port: number): Promise<Attacker | undefined> {
    const attacker = new Attacker(ip, port)
    const isOpen = await new Promise<boolean>((resolve) => {
      attacker.socket.once('connect', () => resolve(true))
      attacker.socket.once('close', () => resolve(false))
    })
    return isOpen ? attacker : undefined
  }

  /** Goes as far as `state`; undefined when the victim has no room. */
  static async in(
    state: State,
    { ip, port, dice }: { readonly ip: string; readonly port: number; readonly dice: SeededRandom },
  ): Promise<Attacker | undefined> {
    const attacker = await Attacker.open(ip, port)
    if (attacker === undefined || state === 'before HELLO') return attacker
    // The victim has the lower IP: it says READY when it elects.
    const greeted = attacker.wait(state === 'in handshake' ? 'hello' : 'ready', 5_000)
    attacker.send(helloFrame(dice))
    if (!(await greeted)) {
      attacker.socket.destroy()
      return undefined
    }
    if (state === 'in handshake') return attacker
    const status = attacker.wait('status', 5_000)
    attacker.send(frame({ kind: 'ready' }))
    if (await status) return attacker
    attacker.socket.destroy()
    return undefined
  }

  /** How the victim calls this connection. */
  get name(): string {
    return `${this.#ip}:${this.#port}`
  }

  /** False when the system's buffers are full. */
  send(bytes: Uint8Array): boolean {
    if (this.isClosed || !this.socket.writable) return false
    this.sentBytes += bytes.length
    return this.socket.write(bytes)
  }

  /** Resolves with true when a message of this kind comes, with false at the end or after `ms`. */
  wait(kind: WireMessage['kind'], ms: number): Promise<boolean> {
    if (this.isClosed) return Promise.resolve(false)
    this.#wanted = kind
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#settle(false), ms)
      this.#waiters.push((isThere) => {
        clearTimeout(timer)
        resolve(isThere)
      })
    })
  }

  #settle(isThere: boolean): void {
    this.#wanted = undefined
    for (const waiter of this.#waiters.splice(0)) waiter(isThere)
  }

  #read(chunk: Uint8Array): void {
    this.#reader.push(chunk)
    for (;;) {
      const result = this.#reader.next()
      if (result.kind !== 'frame') return
      if (this.#wanted === undefined) continue
      if (decodeMessage(result)?.kind === this.#wanted) this.#settle(true)
    }
  }
}
