import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DrainWatch } from '../../src/connection/drain-watch.js'
import { SendQueue, type Sent } from '../../src/connection/send-queue.js'
import type { Connection } from '../../src/contracts/transport.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import type { EncodedFrame } from '../../src/wire/message-codec.js'

/** A transport's end that takes what it is given, and says when it likes no more. */
class TakingConnection implements Connection {
  readonly local = undefined
  readonly remote = { host: '10.0.0.9', port: 24_100 }
  readonly writes: Uint8Array[][] = []
  bufferedBytes = 0
  /** After so many bytes `write` returns false. */
  likesBytes = Infinity
  open(): void {}
  pause(): void {}
  resume(): void {}
  close(): void {}
  destroy(): void {}

  write(chunks: readonly Uint8Array[]): boolean {
    this.writes.push([...chunks])
    this.bufferedBytes += chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    return this.bufferedBytes < this.likesBytes
  }

  get text(): string {
    return Buffer.concat(this.writes.flat()).toString()
  }
}

const frame = (...texts: string[]): EncodedFrame => {
  const parts = texts.map((text) => new Uint8Array(Buffer.from(text)))
  return { parts, length: parts.reduce((sum, part) => sum + part.length, 0) }
}

function setUp(likesBytes = Infinity) {
  const connection = new TakingConnection()
  connection.likesBytes = likesBytes
  return { connection, queue: new SendQueue(connection) }
}

/** The system takes all that the transport has. */
function drain(connection: TakingConnection, queue: SendQueue): void {
  connection.bufferedBytes = 0
  queue.writable()
}

describe('a send queue', () => {
  test('sends all that one turn of the event loop adds in one write', async () => {
    const { connection, queue } = setUp()
    queue.addBulk(frame('a', 'b'))
    queue.addBulk(frame('c'))
    queue.addUrgent(frame('!'))
    expect(connection.writes).toEqual([])
    expect(queue.queuedBytes).toBe(4)
    await Promise.resolve()
    expect(connection.writes).toHaveLength(1)
    expect(connection.text).toBe('!abc')
  })

  test('sends urgent frames before pongs, pongs before bulk, and each rank in its order', async () => {
    const { connection, queue } = setUp()
    queue.addBulk(frame('c1'))
    queue.addPong(frame('b1'))
    queue.addBulk(frame('c2'))
    queue.addUrgent(frame('a1'))
    queue.addPong(frame('b2'))
    queue.addUrgent(frame('a2'))
    await Promise.resolve()
    expect(connection.text).toBe('a1a2b1b2c1c2')
  })

  test('finishes a frame that was begun before anything urgent: frames never interleave (F39)', async () => {
    const { connection, queue } = setUp(1)
    queue.addBulk(frame('h', 'x'.repeat(600_000)))
    queue.addBulk(frame('later'))
    await Promise.resolve()
    expect(connection.text.length).toBe(256 * 1_024)
    queue.addUrgent(frame('!'))
    while (queue.queuedBytes > 0 && connection.writes.length < 20) drain(connection, queue)
    expect(connection.text).toBe(`h${'x'.repeat(600_000)}!later`)
  })

  test('keeps every frame whole and in the order of its rank, however the transport stalls (F39)', async () => {
    const adds = fc.array(
      fc.record({
        rank: fc.constantFrom('urgent', 'bulk'),
        size: fc.oneof(fc.nat({ max: 30 }), fc.nat({ max: 700_000 })),
        drains: fc.nat({ max: 2 }),
      }),
      { maxLength: 12 },
    )
    await fc.assert(
      fc.asyncProperty(adds, fc.integer({ min: 1, max: 500_000 }), async (adds, likesBytes) => {
        const { connection, queue } = setUp(likesBytes)
        const sent: Record<string, string[]> = { urgent: [], bulk: [] }
        for (const [index, { rank, size, drains }] of adds.entries()) {
          const name = `<${rank} ${index} ${size}>`
          sent[rank]?.push(name)
          const encoded = frame(name, '.'.repeat(size))
          if (rank === 'urgent') queue.addUrgent(encoded)
          else queue.addBulk(encoded)
          await Promise.resolve()
          for (let n = 0; n < drains; n++) drain(connection, queue)
          expect(queue.acceptedBytes - queue.drainedBytes).toBe(queue.queuedBytes)
        }
        for (let n = 0; queue.queuedBytes > 0; n++) {
          if (n > 1_000) throw new Error('never drained')
          drain(connection, queue)
        }
        const { text } = connection
        for (const rank of ['urgent', 'bulk']) {
          const read = [...text.matchAll(new RegExp(`<${rank} \\d+ (\\d+)>(\\.*)`, 'g'))]
          expect(read.map(([all]) => all.slice(0, all.indexOf('>') + 1))).toEqual(sent[rank])
          for (const [, size, dots] of read) expect(dots?.length).toBe(Number(size))
        }
      }),
      { seed: 8, numRuns: 60 },
    )
  })

  test('hands nothing more over after the transport said so, until it is writable', async () => {
    const { connection, queue } = setUp(1)
    queue.addBulk(frame('a'))
    await Promise.resolve()
    queue.addBulk(frame('b'))
    queue.addUrgent(frame('!'))
    await Promise.resolve()
    expect(connection.text).toBe('a')
    expect(queue.queuedBytes).toBe(3)
    drain(connection, queue)
    expect(connection.text).toBe('a!b')
  })

  test('keeps at most 16 pongs that wait, and drops the oldest', async () => {
    const { connection, queue } = setUp(1)
    queue.addBulk(frame('begun '))
    await Promise.resolve()
    for (let n = 0; n < 20; n++) queue.addPong(frame(`${n} `))
    connection.likesBytes = Infinity
    drain(connection, queue)
    expect(connection.text).toBe(
      `begun ${Array.from({ length: 16 }, (_, n) => `${n + 4} `).join('')}`,
    )
    expect(queue.queuedBytes).toBe(connection.bufferedBytes)
    expect(queue.acceptedBytes).toBe(connection.text.length)
  })

  test('tells when the last byte of a frame was handed over, once', async () => {
    const { connection, queue } = setUp(1)
    const told: string[] = []
    queue.addBulk(frame('x'.repeat(300_000)), { sent: () => told.push('large') })
    queue.addBulk(frame('y'), { sent: () => told.push('small') })
    await Promise.resolve()
    expect(told).toEqual([])
    drain(connection, queue)
    expect(told[0]).toBe('large')
    drain(connection, queue)
    drain(connection, queue)
    expect(told).toEqual(['large', 'small'])
  })

  test('counts what waits here and in the transport, and what has left', async () => {
    const { connection, queue } = setUp(1)
    queue.addBulk(frame('x'.repeat(400_000)))
    expect([queue.queuedBytes, queue.drainedBytes, queue.acceptedBytes]).toEqual([
      400_000, 0, 400_000,
    ])
    await Promise.resolve()
    expect(queue.queuedBytes).toBe(400_000)
    drain(connection, queue)
    expect(queue.drainedBytes).toBe(256 * 1_024)
  })

  test('with ten thousand frames sends them in order', async () => {
    const { connection, queue } = setUp(1)
    const texts = Array.from({ length: 10_000 }, (_, n) => `${n},`)
    for (const text of texts) queue.addBulk(frame(text))
    await Promise.resolve()
    drain(connection, queue)
    expect(connection.text).toBe(texts.join(''))
  })
})

describe('small frames that are written into the slab of a send queue', () => {
  /** Adds a frame of this text as its sender does. */
  function write(queue: SendQueue, text: string, awaitedBy?: Sent): void {
    const offset = queue.reserve(text.length, awaitedBy)
    queue.slab.set(Buffer.from(text), offset)
  }

  test('leave as one piece, and tell each of their senders', async () => {
    const { connection, queue } = setUp()
    const told: string[] = []
    write(queue, 'a', { sent: () => told.push('a') })
    write(queue, 'bb')
    write(queue, 'c', { sent: () => told.push('c') })
    expect([queue.queuedBytes, queue.acceptedBytes, told]).toEqual([4, 4, []])
    await Promise.resolve()
    expect(connection.writes.map((parts) => parts.length)).toEqual([1])
    expect(connection.text).toBe('abbc')
    expect(told).toEqual(['a', 'c'])
  })

  test('keep their places among the others', async () => {
    const { connection, queue } = setUp()
    write(queue, 'a')
    queue.addBulk(frame('b'))
    write(queue, 'c')
    write(queue, 'd')
    queue.addBulk(frame('e'))
    queue.addUrgent(frame('!'))
    write(queue, 'f')
    await Promise.resolve()
    expect(connection.text).toBe('!abcdef')
  })

  test('are not written over while the transport has them', async () => {
    const { connection, queue } = setUp(1)
    for (const text of ['first ', 'second ', 'third ']) {
      write(queue, text)
      await Promise.resolve()
      drain(connection, queue)
    }
    expect(connection.text).toBe('first second third ')
  })

  test('leave before the end of the turn when they fill a slab, and never wait for an idle transport', () => {
    const { connection, queue } = setUp()
    let most = 0
    for (let n = 0; n < 100_000; n++) {
      write(queue, `${n},`)
      most = Math.max(most, queue.queuedBytes - connection.bufferedBytes)
    }
    expect(most).toBeLessThan(2 * 64 * 1_024)
    queue.flush()
    expect(connection.text).toBe(Array.from({ length: 100_000 }, (_, n) => `${n},`).join(''))
  })

  test('are dropped and counted like the others at the end', async () => {
    const { connection, queue } = setUp(1)
    write(queue, 'a')
    await Promise.resolve()
    write(queue, 'bcd')
    queue.addBulk(frame('e'))
    expect(queue.end(frame('BYE'))).toBe(4)
    expect(connection.text).toBe('aBYE')
    expect(queue.slab).toHaveLength(0)
  })

  test('cost an idle connection no memory', async () => {
    const { queue } = setUp()
    write(queue, 'a')
    await Promise.resolve()
    expect(queue.slab).toHaveLength(0)
  })
})

test('a sender above high water goes on when the transport took all at once, and says so by no event', async () => {
  const connection = new TakingConnection()
  const queue = new SendQueue(connection, {
    flushed: () => {
      connection.bufferedBytes = 0
      watch.taken()
    },
  })
  const watch = new DrainWatch({
    queue,
    clock: new SimulatedClock(),
    limits: { sendHighWaterBytes: 10, slowPeerMs: 30_000 },
    host: {
      queueDrained: () => undefined,
      peerStopped: () => {
        throw new Error('it is not slow')
      },
    },
  })
  queue.addBulk(frame('x'.repeat(11)))
  watch.added()
  expect(watch.isAboveHighWater).toBe(true)
  await watch.wait(undefined)
  expect(watch.isAboveHighWater).toBe(false)
})

describe('the end of a send queue', () => {
  test('puts the last frame behind what the transport still likes to have', () => {
    const { connection, queue } = setUp()
    queue.addBulk(frame('bulk '))
    expect(queue.end(frame('BYE'))).toBe(0)
    expect(connection.text).toBe('bulk BYE')
  })

  test('drops what waits and says how much, but finishes the frame that was begun (F44)', async () => {
    const { connection, queue } = setUp(1)
    queue.addBulk(frame('x'.repeat(300_000)))
    queue.addBulk(frame('dropped'))
    queue.addUrgent(frame('too'))
    await Promise.resolve()
    queue.addPong(frame('and this'))
    const dropped = queue.end(frame('BYE'))
    // The urgent frame left first, so that the large one is the one that was begun.
    expect(connection.text).toBe(`too${'x'.repeat(300_000)}BYE`)
    expect(dropped).toBe('dropped'.length + 'and this'.length)
    expect(queue.queuedBytes).toBe(connection.bufferedBytes)
  })

  test('is the last write: nothing that comes later leaves (F44)', async () => {
    const { connection, queue } = setUp()
    queue.end(frame('BYE'))
    queue.addUrgent(frame('late'))
    queue.addBulk(frame('late'))
    await Promise.resolve()
    queue.writable()
    expect(connection.text).toBe('BYE')
  })

  test('without a last frame writes nothing', () => {
    const { connection, queue } = setUp()
    expect(queue.end(undefined)).toBe(0)
    expect(connection.writes).toEqual([])
  })

  test('by `drop` forgets everything and says how much it was', async () => {
    const { connection, queue } = setUp(1)
    queue.addBulk(frame('a'))
    await Promise.resolve()
    queue.addBulk(frame('bcd'))
    expect(queue.drop()).toBe(3)
    drain(connection, queue)
    expect(connection.text).toBe('a')
  })
})
