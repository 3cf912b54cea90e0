import type { ConnectionHandlers, Connection, Endpoint } from '../../src/contracts/transport.js'
import type { PeerHello } from '../../src/contracts/peer-service.js'
import type { MemoryTransport } from '../../src/adapters/memory.js'
import { protocolVersion } from '../../src/rules/handshake.js'
import { FrameReader } from '../../src/wire/frame-reader.js'
import { decodeMessage, encodeMessage } from '../../src/wire/message-codec.js'
import type { ByeMessage, MessageKind, WireMessage } from '../../src/wire/messages.js'

type MessageOf<Kind extends MessageKind> = Extract<WireMessage, { readonly kind: Kind }>

/** A host that speaks the protocol by hand, well or badly, as its test says. */
export class RawPeer {
  readonly transport: MemoryTransport
  readonly instanceId: string
  readonly network: string
  /** Inbound connections in the order in which they came. */
  readonly accepted: RawConnection[] = []

  constructor(
    transport: MemoryTransport,
    { instanceId = 'ab'.repeat(16), network = 'test' }: RawPeerOptions = {},
  ) {
    this.transport = transport
    this.instanceId = instanceId
    this.network = network
  }

  /** Accepts connections, and hands each to `onConnection` when it comes. */
  async listen(onConnection?: (raw: RawConnection) => void): Promise<void> {
    await this.transport.listen?.((connection) => {
      const raw = new RawConnection(this, connection.remote.host)
      this.accepted.push(raw)
      raw.attach(connection)
      onConnection?.(raw)
    })
  }

  /** What is sent before the dial has its connection waits for it. */
  dial(to: Endpoint | string): RawConnection {
    const endpoint = typeof to === 'string' ? { host: to, port: this.transport.defaultPort } : to
    const raw = new RawConnection(this, endpoint.host)
    this.transport.dial(endpoint, { signal: new AbortController().signal }).then(
      (connection) => raw.attach(connection),
      (error: unknown) => raw.failed(error),
    )
    return raw
  }
}

export interface RawPeerOptions {
  readonly instanceId?: string
  readonly network?: string
}

/** One end of a connection that is spoken by hand. */
export class RawConnection {
  /** Everything that came, in order. */
  readonly received: WireMessage[] = []
  receivedBytes = 0
  dialError: unknown
  isClosed = false
  hasSentReady = false
  /** Whether pings are answered. */
  answersPings = true
  onMessage: ((message: WireMessage) => void) | undefined
  readonly #peer: RawPeer
  readonly #remoteHost: string
  readonly #reader = new FrameReader(() => 2 ** 31)
  readonly #waiting: Uint8Array[] = []
  #connection: Connection | undefined

  constructor(peer: RawPeer, remoteHost: string) {
    this.#peer = peer
    this.#remoteHost = remoteHost
  }

  get isOpen(): boolean {
    return this.#connection !== undefined && !this.isClosed
  }

  get local(): Endpoint | undefined {
    return this.#connection?.local
  }

  get remote(): Endpoint | undefined {
    return this.#connection?.remote
  }

  attach(connection: Connection): void {
    this.#connection = connection
    connection.open(this.#handlers())
    if (this.#waiting.length > 0) connection.write(this.#waiting.splice(0))
  }

  failed(error: unknown): void {
    this.dialError = error
    this.isClosed = true
  }

  send(...messages: readonly WireMessage[]): void {
    for (const message of messages) this.sendBytes(...encodeMessage(message).parts)
  }

  sendBytes(...chunks: readonly Uint8Array[]): void {
    if (this.#connection === undefined) this.#waiting.push(...chunks)
    else this.#connection.write(chunks)
  }

  /**
   * Goes through the handshake as a good peer does. `decides`: whether READY is for this end to send
   * first, because it has the lower IP.
   */
  shakeHands({ decides }: { readonly decides: boolean }): this {
    this.hello()
    this.onMessage = ({ kind }) => {
      if (kind === (decides ? 'hello' : 'ready')) this.ready()
    }
    return this
  }

  /** Sends a HELLO that is right but for `changes`. */
  hello(changes: Partial<PeerHello> & { readonly nonce?: string } = {}): void {
    const { nonce = '0123456789abcdef', ...hello } = changes
    this.send({
      kind: 'hello',
      nonce,
      hello: {
        version: protocolVersion,
        network: this.#peer.network,
        instanceId: this.#peer.instanceId,
        yourIp: this.#remoteHost,
        listeningPort: this.#peer.transport.listen === undefined ? undefined : 24_100,
        agent: 'raw',
        maxFrameBytes: 2 ** 23,
        appData: new Uint8Array(0),
        ...hello,
      },
    })
  }

  ready(): void {
    this.hasSentReady = true
    this.send({ kind: 'ready' })
  }

  bye(code: number, text = ''): void {
    this.send({ kind: 'bye', code, text, retryAfterMs: undefined })
  }

  pause(): void {
    this.#connection?.pause()
  }

  resume(): void {
    this.#connection?.resume()
  }

  close(): void {
    this.#connection?.close()
  }

  destroy(): void {
    this.#connection?.destroy()
  }

  /** The messages of one kind that came. */
  all<Kind extends MessageKind>(kind: Kind): MessageOf<Kind>[] {
    return this.received.filter((message): message is MessageOf<Kind> => message.kind === kind)
  }

  /** Whether READY came. */
  get hasReady(): boolean {
    return this.received.some(({ kind }) => kind === 'ready')
  }

  get farewell(): ByeMessage | undefined {
    return this.all('bye')[0]
  }

  /** The kinds of what came, in order. */
  get kinds(): MessageKind[] {
    return this.received.map(({ kind }) => kind)
  }

  #handlers(): ConnectionHandlers {
    return {
      data: (chunk) => {
        this.receivedBytes += chunk.length
        this.#reader.push(chunk)
        for (;;) {
          const result = this.#reader.next()
          if (result.kind !== 'frame') return
          const message = decodeMessage(result)
          if (message !== undefined) this.#receive(message)
        }
      },
      drained: () => undefined,
      closed: () => {
        this.isClosed = true
      },
    }
  }

  #receive(message: WireMessage): void {
    this.received.push(message)
    if (message.kind === 'ping' && this.answersPings) {
      this.send({ kind: 'pong', nonce: message.nonce })
    }
    this.onMessage?.(message)
  }
}
