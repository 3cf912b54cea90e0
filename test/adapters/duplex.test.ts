import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { connectionFromDuplex } from 'holdfast/tcp'
import { transportSuite } from 'holdfast/testing'
import type { Connection, Endpoint, Transport } from '../../src/contracts/transport.js'
import { HoldfastError } from '../../src/errors.js'
import { RecordedEnd } from '../support/connections.js'
import { streamPair } from '../support/stream-pair.js'

const here = { host: 'fd00::1', port: 1 }
const there = { host: 'fd00::2', port: 2 }

describe('over Unix sockets', () => {
  transportSuite({
    test,
    factory: async () => {
      const directory = await mkdtemp(join(tmpdir(), 'holdfast-'))
      const transport = unixTransport(directory)
      return {
        acceptor: transport,
        dialler: transport,
        cleanup: () => rm(directory, { recursive: true }),
      }
    },
  })
})

describe('over a pair of streams that deliver inside write', () => {
  transportSuite({
    test,
    factory: () => {
      const transport = pairTransport()
      return { acceptor: transport, dialler: transport }
    },
  })
})

describe('connectionFromDuplex', () => {
  test('a stream that fails is closed with its error', async () => {
    const [stream] = streamPair()
    const end = new RecordedEnd(connectionFromDuplex(stream, { remote: there }))
    const failure = new Error('broken')
    stream.destroy(failure)
    await turn()
    expect(end.closes).toEqual([failure])
  })

  test('a stream that somebody else destroyed is not taken for an end in order', async () => {
    const [stream] = streamPair()
    const end = new RecordedEnd(connectionFromDuplex(stream, { remote: there }))
    stream.destroy()
    await turn()
    expect(end.closes).toHaveLength(1)
    expect(end.closes[0]).toBeInstanceOf(Error)
  })

  test('a stream that was over before it was handed in is closed, once, and not from inside open', async () => {
    const [stream] = streamPair()
    stream.destroy()
    await turn()
    const end = new RecordedEnd(connectionFromDuplex(stream, { remote: there }))
    expect(end.closes).toHaveLength(0)
    await turn()
    expect(end.closes).toHaveLength(1)
  })

  test('a stream that ends between the hand-over and open loses no bytes', async () => {
    const [stream, other] = streamPair()
    const connection = connectionFromDuplex(stream, { remote: there })
    other.end('last words')
    await turn()
    const end = new RecordedEnd(connection)
    await turn()
    await turn()
    expect(Buffer.concat(end.chunks).toString()).toBe('last words')
    expect(end.closes).toEqual([undefined])
  })

  test('a stream that never ends its own half is over when the remote has ended', async () => {
    const stream = new Duplex({
      read() {},
      write: (_chunk, _encoding, done) => {
        done()
      },
      allowHalfOpen: true,
    })
    const end = new RecordedEnd(connectionFromDuplex(stream, { remote: there }))
    stream.push('x')
    stream.push(null)
    await turn()
    await turn()
    expect(end.closes).toEqual([undefined])
    expect(stream.destroyed).toBe(true)
  })

  test('what a stream delivers while the reader pauses waits for resume', async () => {
    const stream = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        this.push('answer')
        done()
      },
    })
    const connection = connectionFromDuplex(stream, { remote: there })
    const told: string[] = []
    connection.open({
      data: (chunk) => {
        told.push(Buffer.from(chunk).toString())
        if (told.length > 1) return
        connection.write([Buffer.from('question')])
        connection.pause()
      },
      drained: () => {},
      closed: () => {},
    })
    stream.push('first')
    await turn()
    expect(told).toEqual(['first'])
    connection.resume()
    await turn()
    expect(told).toEqual(['first', 'answer'])
  })

  test('a handler that throws keeps nothing from what follows', async () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    const told: string[] = []
    const connection = connectionFromDuplex(stream, { remote: there })
    connection.open({
      data: (chunk) => {
        told.push(Buffer.from(chunk).toString())
        if (told.length === 1) throw new Error('a bug of the reader')
      },
      drained: () => {},
      closed: () => told.push('closed'),
    })
    await turn()
    expect(() => stream.push('a')).toThrow('a bug of the reader')
    stream.push('b')
    stream.push(null)
    await turn()
    expect(told).toEqual(['a', 'b', 'closed'])
  })

  test('streams of objects and of strings are refused', () => {
    const objects = new PassThrough({ objectMode: true })
    const strings = new PassThrough().setEncoding('utf8')
    for (const stream of [objects, strings]) {
      expect(() => connectionFromDuplex(stream, { remote: there })).toThrow(TypeError)
    }
  })
})

/**
 * What the documentation promises to be a few lines. The rule for addresses: the file `<port>` of the
 * directory is fd00::1 and that port, a dialler is fd00::2 and a port of its own.
 */
function unixTransport(directory: string): Transport {
  let nextPort = 1
  return {
    name: 'unix',
    defaultPort: 1,
    dial: async (address, { signal }) => {
      if (!(Number.isInteger(address.port) && address.port > 0 && address.port < 65_536)) {
        throw new RangeError(`no such port: ${address.port}`)
      }
      signal.throwIfAborted()
      return new Promise((resolve, reject) => {
        const socket = net.connect(join(directory, String(address.port)))
        const abort = (): void => {
          socket.destroy()
          reject(signal.reason)
        }
        signal.addEventListener('abort', abort, { once: true })
        socket.once('error', reject)
        socket.once('connect', () => {
          signal.removeEventListener('abort', abort)
          socket.off('error', reject)
          resolve(connectionFromDuplex(socket, { remote: address }))
        })
      })
    },
    listen: async (onConnection) => {
      let dialler = 0
      const server = net.createServer((socket) => {
        const remote = { ...there, port: ++dialler }
        onConnection(connectionFromDuplex(socket, { local: endpoint, remote }))
      })
      const endpoint = { ...here, port: nextPort++ }
      await new Promise<void>((resolve, reject) => {
        server.once('error', (cause) => {
          reject(new HoldfastError('LISTEN_FAILED', 'cannot listen', { cause }))
        })
        server.listen(join(directory, String(endpoint.port)), resolve)
      })
      return { endpoints: [endpoint], close: async () => void server.close() }
    },
  }
}

/** Both ends in this process, joined by streams that hand bytes over before write returns. */
function pairTransport(): Transport {
  const listeners = new Map<number, (connection: Connection) => void>()
  let nextPort = 1
  const accept = (address: Endpoint): Connection => {
    const onConnection = listeners.get(address.port)
    if (onConnection === undefined) throw new Error('nobody listens')
    const [a, b] = streamPair()
    const local = { ...there, port: nextPort++ }
    onConnection(connectionFromDuplex(a, { local: address, remote: local }))
    return connectionFromDuplex(b, { local, remote: address })
  }
  return {
    name: 'pair',
    defaultPort: 1,
    dial: async (address, { signal }) => {
      if (!(Number.isInteger(address.port) && address.port > 0 && address.port < 65_536)) {
        throw new RangeError(`no such port: ${address.port}`)
      }
      await Promise.resolve()
      signal.throwIfAborted()
      return accept(address)
    },
    listen: async (onConnection) => {
      const endpoint = { ...here, port: nextPort++ }
      listeners.set(endpoint.port, onConnection)
      return { endpoints: [endpoint], close: async () => void listeners.delete(endpoint.port) }
    },
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 5)
  })
}
