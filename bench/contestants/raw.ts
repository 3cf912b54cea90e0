import { createServer, Socket, type AddressInfo } from 'node:net'
import { requestMark, type Client, type Contestant, type Link } from './contestant.js'
import { FrameParser, lengthBytes } from './frames.js'

/** A slab is as large as what the last turn wrote, within these: large ones are dear for few messages. */
const minSlabBytes = 1024
const maxSlabBytes = 64 * 1024
/** Longer messages are not copied: they leave in one `writev` with the slab before them. */
const maxCopiedBytes = 16 * 1024
const highWaterBytes = 256 * 1024
const noSlab = Buffer.alloc(0)

/** Writes frames: all small ones of one turn of the event loop leave in one slab. */
class FrameWriter {
  readonly #socket: Socket
  #slab = noSlab
  #nextSlabBytes = minSlabBytes
  /** Written in this turn of the event loop. */
  #turnBytes = 0
  #start = 0
  #end = 0
  #isFlushScheduled = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  write(body: Uint8Array): boolean {
    const length = body.length
    const copied = length <= maxCopiedBytes ? length : 0
    if (this.#end + lengthBytes + copied > this.#slab.length) {
      this.flush()
      while (this.#nextSlabBytes < lengthBytes + copied) this.#nextSlabBytes *= 2
      this.#slab = Buffer.allocUnsafe(this.#nextSlabBytes)
      this.#nextSlabBytes = Math.min(2 * this.#nextSlabBytes, maxSlabBytes)
      this.#start = 0
      this.#end = 0
    }
    const slab = this.#slab
    let end = this.#end
    slab[end] = length >>> 24
    slab[end + 1] = length >>> 16
    slab[end + 2] = length >>> 8
    slab[end + 3] = length
    end += lengthBytes
    if (copied > 0 || length === 0) {
      slab.set(body, end)
      this.#end = end + length
      this.#turnBytes += lengthBytes + length
      if (!this.#isFlushScheduled) {
        this.#isFlushScheduled = true
        queueMicrotask(this.#flushLater)
      }
    } else {
      this.#end = end
      this.#socket.cork()
      this.flush()
      this.#socket.write(body)
      this.#socket.uncork()
    }
    return this.#socket.writableLength < highWaterBytes
  }

  flush(): void {
    if (this.#end === this.#start) return
    this.#socket.write(this.#slab.subarray(this.#start, this.#end))
    this.#start = this.#end
  }

  readonly #flushLater = (): void => {
    this.#isFlushScheduled = false
    this.flush()
    this.#slab = noSlab
    this.#start = 0
    this.#end = 0
    this.#nextSlabBytes = minSlabBytes
    while (this.#nextSlabBytes < Math.min(this.#turnBytes, maxSlabBytes)) this.#nextSlabBytes *= 2
    this.#turnBytes = 0
  }
}

/** A plain socket with the least framing there is: what Node.js can do at best. */
export const raw: Contestant = {
  serve: async () => {
    const sockets = new Set<Socket>()
    const writers = new Map<Socket, FrameWriter>()
    let pings: NodeJS.Timeout | undefined
    let messages = 0
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.on('error', ignore)
      socket.on('close', () => {
        sockets.delete(socket)
      })
      const writer = new FrameWriter(socket)
      writers.set(socket, writer)
      const parser = new FrameParser((chunk, start, end) => {
        if (chunk[start] === requestMark) writer.write(chunk.subarray(start, end))
        else messages += 1
      })
      socket.on('data', (chunk) => {
        parser.push(chunk)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 2_048, resolve))
    const { port } = server.address() as AddressInfo
    return {
      address: String(port),
      received: () => messages,
      startPings: () => {
        const all = [...writers.values()]
        const ping = Buffer.alloc(9)
        pings = spreadOverSecond(all.length, (index) => all[index]?.write(ping))
      },
      close: () => {
        clearInterval(pings)
        for (const socket of sockets) socket.destroy()
        return new Promise((resolve) => server.close(() => resolve()))
      },
    }
  },
  client: (from) =>
    Promise.resolve<Client>({
      connect: (address) =>
        new Promise((resolve, reject) => {
          const socket = new Socket()
          socket.on('error', reject)
          socket.connect(
            { host: '127.0.0.1', port: Number(address), localAddress: from, noDelay: true },
            () => resolve(linkOver(socket)),
          )
        }),
      close: () => Promise.resolve(),
    }),
}

function linkOver(socket: Socket): Link {
  const waiting: (() => void)[] = []
  const writer = new FrameWriter(socket)
  let first = 0
  const parser = new FrameParser((chunk, start, end) => {
    const answered = waiting[first]
    if (answered === undefined) {
      // A ping: it is echoed.
      writer.write(chunk.subarray(start, end))
      return
    }
    first += 1
    if (first === 1_024) {
      waiting.splice(0, first)
      first = 0
    }
    answered()
  })
  socket.on('data', (chunk) => {
    parser.push(chunk)
  })
  return {
    send: (bytes) => writer.write(bytes),
    drained: () => {
      writer.flush()
      if (!socket.writableNeedDrain) return Promise.resolve()
      return new Promise((resolve) => socket.once('drain', resolve))
    },
    request: (bytes, answered) => {
      waiting.push(answered)
      writer.write(bytes)
    },
    close: () => {
      socket.destroy()
    },
  }
}

/** Calls `each` for every index below `count` once a second, a few at a time. */
export function spreadOverSecond(count: number, each: (index: number) => void): NodeJS.Timeout {
  let index = 0
  let due = 0
  let last = performance.now()
  return setInterval(() => {
    const now = performance.now()
    due += ((now - last) * count) / 1_000
    last = now
    for (; due >= 1; due -= 1) {
      each(index)
      index = (index + 1) % count
    }
  }, 1)
}

export function ignore(): void {
  // What ends with the run may fail as it likes.
}
