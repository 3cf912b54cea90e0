import { once, requestMark, type Contestant, type Link } from './contestant.js'
import { FrameParser, frameOf } from './frames.js'
import { peerPackage } from './peer-package.js'
import { ignore, spreadOverSecond } from './raw.js'

interface MessageEvent {
  /** A Uint8Array, or a list of them. */
  readonly data: Uint8Array | { subarray(): Uint8Array }
}

interface Stream {
  readonly writableNeedsDrain: boolean
  send(bytes: Uint8Array): boolean
  addEventListener(event: 'message', listener: (event: MessageEvent) => void): void
  addEventListener(event: 'drain', listener: () => void, options: { readonly once: true }): void
}

interface Libp2p {
  getMultiaddrs(): readonly unknown[]
  handle(protocol: string, handler: (stream: Stream) => void, options: object): Promise<void>
  dialProtocol(address: unknown, protocol: string): Promise<Stream>
  stop(): Promise<void>
}

type Make = (options?: object) => unknown

const protocol = '/bench/1'
const unlimited = 1_000_000

/** TCP, a secure channel (or none) and yamux; one stream per link, and frames of ours on it. */
export function libp2p(security: 'noise' | 'plaintext'): Contestant {
  return {
    serve: async () => {
      const node = await makeNode(security, ['/ip4/127.0.0.1/tcp/0'])
      const streams: Stream[] = []
      let messages = 0
      let pings: NodeJS.Timeout | undefined
      await node.handle(
        protocol,
        (stream) => {
          streams.push(stream)
          readFrames(stream, (frame) => {
            if (frame[0] === requestMark) stream.send(frameOf(frame))
            else messages += 1
          })
        },
        { maxInboundStreams: unlimited },
      )
      return {
        address: String(node.getMultiaddrs()[0]),
        received: () => messages,
        startPings: () => {
          const ping = frameOf(new Uint8Array(9))
          pings = spreadOverSecond(streams.length, (index) => streams[index]?.send(ping))
        },
        close: () => {
          clearInterval(pings)
          return node.stop()
        },
      }
    },
    client: async () => {
      const node = await makeNode(security, [])
      return {
        connect: async (address) => {
          const { multiaddr } = await peerPackage<{
            readonly multiaddr: (text: string) => unknown
          }>('@multiformats/multiaddr')
          return linkOver(await node.dialProtocol(multiaddr(address), protocol))
        },
        close: () => node.stop(),
      }
    },
  }
}

function linkOver(stream: Stream): Link {
  const waiting: (() => void)[] = []
  readFrames(stream, (frame) => {
    const answered = waiting.shift()
    if (answered === undefined) stream.send(frameOf(frame))
    else answered()
  })
  return {
    send: (bytes) => stream.send(frameOf(bytes)),
    // Not its `onDrain()`, which stops waiting after the first drain.
    drained: () =>
      once((resolve) => {
        if (stream.writableNeedsDrain)
          stream.addEventListener('drain', () => resolve(), { once: true })
        else resolve()
      }),
    request: (bytes, answered) => {
      waiting.push(answered)
      stream.send(frameOf(bytes))
    },
    close: ignore,
  }
}

function readFrames(stream: Stream, frame: (frame: Uint8Array) => void): void {
  const parser = new FrameParser((chunk, start, end) => {
    frame(chunk.subarray(start, end))
  })
  stream.addEventListener('message', ({ data }) => {
    parser.push(Buffer.from(data instanceof Uint8Array ? data : data.subarray()))
  })
}

/** Its limits on how many may connect, and how fast, are lifted: they are not what is measured. */
async function makeNode(
  security: 'noise' | 'plaintext',
  listen: readonly string[],
): Promise<Libp2p> {
  const { createLibp2p } = await peerPackage<{
    readonly createLibp2p: (options: object) => Promise<Libp2p>
  }>('libp2p')
  const { tcp } = await peerPackage<{ readonly tcp: Make }>('@libp2p/tcp')
  const { yamux } = await peerPackage<{ readonly yamux: Make }>('@chainsafe/libp2p-yamux')
  const encrypter =
    security === 'noise'
      ? (await peerPackage<{ readonly noise: Make }>('@chainsafe/libp2p-noise')).noise
      : (await peerPackage<{ readonly plaintext: Make }>('@libp2p/plaintext')).plaintext
  return createLibp2p({
    addresses: { listen },
    transports: [tcp({ backlog: 2_048, maxConnections: unlimited })],
    connectionEncrypters: [encrypter()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: unlimited,
      maxIncomingPendingConnections: unlimited,
      inboundConnectionThreshold: unlimited,
      maxParallelDials: unlimited,
    },
  })
}
