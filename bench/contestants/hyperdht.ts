import { once, requestMark, type Contestant, type Link } from './contestant.js'
import { FrameParser, frameOf } from './frames.js'
import { peerPackage } from './peer-package.js'
import { ignore, spreadOverSecond } from './raw.js'

interface Stream {
  write(bytes: Uint8Array): boolean
  once(event: 'open' | 'drain', listener: () => void): void
  on(event: 'data', listener: (bytes: Buffer) => void): void
  on(event: 'error', listener: (error: unknown) => void): void
  destroy(): void
}

interface Server {
  listen(): Promise<void>
  readonly publicKey: Buffer
}

interface Dht {
  createServer(options: object, connected: (stream: Stream) => void): Server
  connect(publicKey: Buffer): Stream
  destroy(options?: object): Promise<void>
}

interface Testnet {
  readonly bootstrap: readonly object[]
}

type DhtClass = new (options: object) => Dht
type MakeTestnet = (size: number) => Promise<Testnet>

/** The encrypted streams over UDP that hyperswarm gives out, with a network of nodes on this machine. */
export const hyperdht: Contestant = {
  serve: async () => {
    const { default: makeTestnet } = await peerPackage<{ readonly default: MakeTestnet }>(
      'hyperdht/testnet.js',
    )
    const { bootstrap } = await makeTestnet(3)
    const node = await makeNode(bootstrap)
    const streams: Stream[] = []
    let messages = 0
    let pings: NodeJS.Timeout | undefined
    const server = node.createServer({ firewall: () => false }, (stream) => {
      streams.push(stream)
      stream.on('error', ignore)
      readFrames(stream, (frame) => {
        if (frame[0] === requestMark) stream.write(frameOf(frame))
        else messages += 1
      })
    })
    await server.listen()
    return {
      address: JSON.stringify({ bootstrap, key: server.publicKey.toString('hex') }),
      received: () => messages,
      startPings: () => {
        const ping = frameOf(new Uint8Array(9))
        pings = spreadOverSecond(streams.length, (index) => streams[index]?.write(ping))
      },
      close: () => {
        clearInterval(pings)
        return node.destroy()
      },
    }
  },
  client: () => {
    let node: Dht | undefined
    return Promise.resolve({
      connect: async (address) => {
        const { bootstrap, key } = JSON.parse(address) as {
          readonly bootstrap: readonly object[]
          readonly key: string
        }
        node = await makeNode(bootstrap)
        const stream = node.connect(Buffer.from(key, 'hex'))
        await once<void>((resolve, reject) => {
          stream.on('error', reject)
          stream.once('open', () => resolve())
        })
        return linkOver(stream)
      },
      close: () => node?.destroy() ?? Promise.resolve(),
    })
  },
}

function linkOver(stream: Stream): Link {
  const waiting: (() => void)[] = []
  let isFull = false
  readFrames(stream, (frame) => {
    const answered = waiting.shift()
    if (answered === undefined) stream.write(frameOf(frame))
    else answered()
  })
  return {
    send: (bytes) => {
      isFull = !stream.write(frameOf(bytes))
      return !isFull
    },
    drained: () =>
      once((resolve) => {
        if (isFull) stream.once('drain', () => resolve())
        else resolve()
      }),
    request: (bytes, answered) => {
      waiting.push(answered)
      stream.write(frameOf(bytes))
    },
    close: () => {
      stream.destroy()
    },
  }
}

function readFrames(stream: Stream, frame: (frame: Uint8Array) => void): void {
  const parser = new FrameParser((chunk, start, end) => {
    frame(chunk.subarray(start, end))
  })
  stream.on('data', (bytes) => {
    parser.push(bytes)
  })
}

/** Not `firewalled`, or it looks for a way through a firewall for ever. */
async function makeNode(bootstrap: readonly object[]): Promise<Dht> {
  const { default: DhtNode } = await peerPackage<{ readonly default: DhtClass }>('hyperdht')
  return new DhtNode({ bootstrap, host: '127.0.0.1', firewalled: false, ephemeral: true })
}
