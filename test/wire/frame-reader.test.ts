import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { FrameReader, frameHeaderBytes, type Frame } from '../../src/wire/frame-reader.js'
import { decodeMessage } from '../../src/wire/message-codec.js'
import { anyMessage, bytesOf } from './support/arbitrary-messages.js'

const seed = 9

function header(length: number, kindNumber = 7): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes)
  new DataView(bytes.buffer).setUint32(0, length)
  bytes[4] = kindNumber
  return bytes
}

const frameOf = (body: Uint8Array, kindNumber = 7): Uint8Array =>
  new Uint8Array(Buffer.concat([header(body.length, kindNumber), body]))

/** Everything that can be read now. */
function readAll(reader: FrameReader): Frame[] {
  const frames: Frame[] = []
  for (let result = reader.next(); result.kind !== 'incomplete'; result = reader.next()) {
    if (result.kind === 'too-long') throw new Error('too long')
    frames.push(result)
  }
  return frames
}

function cut(stream: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((place) => place % (stream.length + 1)))].sort(
    (a, b) => a - b,
  )
  return [...places, stream.length].map((end, index) =>
    stream.slice(index === 0 ? 0 : places[index - 1], end),
  )
}

/** Memory that is in use, garbage not counted. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const unlimited = () => 2 ** 32

describe('frames', () => {
  const streams = fc.array(
    fc.record({ kindNumber: fc.nat({ max: 255 }), body: fc.uint8Array({ maxLength: 60 }) }),
    { maxLength: 12 },
  )

  test('survive any split: any chunking gives the same frames (F37)', () => {
    fc.assert(
      fc.property(streams, fc.array(fc.nat(), { maxLength: 80 }), (frames, cuts) => {
        const stream = new Uint8Array(
          Buffer.concat(frames.map(({ body, kindNumber }) => frameOf(body, kindNumber))),
        )
        const reader = new FrameReader(unlimited)
        const read: Frame[] = []
        let pushed = 0
        let taken = 0
        for (const chunk of cut(stream, cuts)) {
          reader.push(chunk)
          pushed += chunk.length
          for (const frame of readAll(reader)) {
            read.push(frame)
            taken += frameHeaderBytes + frame.body.length
          }
          expect(reader.bufferedBytes).toBe(pushed - taken)
        }
        expect(read.map(({ kindNumber, body }) => ({ kindNumber, body: [...body] }))).toEqual(
          frames.map(({ kindNumber, body }) => ({ kindNumber, body: [...body] })),
        )
        expect(reader.bufferedBytes).toBe(0)
      }),
      { seed, numRuns: 500 },
    )
  })

  test('cut at every single byte give the same frames (F37)', () => {
    const bodies = ['', 'a', 'hello world', '\0\0\0\0\0'].map((text) => Buffer.from(text))
    const stream = Buffer.concat(bodies.map((body) => frameOf(body)))
    for (let at = 0; at <= stream.length; at++) {
      const reader = new FrameReader(unlimited)
      reader.push(Uint8Array.from(stream.subarray(0, at)))
      const frames = readAll(reader)
      reader.push(Uint8Array.from(stream.subarray(at)))
      frames.push(...readAll(reader))
      expect(frames.map(({ body }) => Buffer.from(body))).toEqual(bodies)
    }
  })

  test('two in one chunk are two messages (F37)', () => {
    const reader = new FrameReader(unlimited)
    reader.push(new Uint8Array([...frameOf(Uint8Array.of(1)), ...frameOf(Uint8Array.of(2))]))
    expect(readAll(reader).map(({ body }) => [...body])).toEqual([[1], [2]])
  })

  test('of real messages of every kind come out as they went in, however cut (F37)', () => {
    fc.assert(
      fc.property(
        fc.array(anyMessage, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (messages, cuts) => {
          const reader = new FrameReader(unlimited)
          const stream = new Uint8Array(Buffer.concat(messages.map(bytesOf)))
          const read = cut(stream, cuts).flatMap((chunk) => {
            reader.push(chunk)
            return readAll(reader)
          })
          expect(read.map((frame) => decodeMessage(frame))).toEqual(messages)
        },
      ),
      { seed, numRuns: 200 },
    )
  })

  test('are views of the chunk that they lie in, and one copy where they span chunks', () => {
    const stream = frameOf(Uint8Array.of(1, 2, 3, 4))
    const whole = new FrameReader(unlimited)
    whole.push(stream)
    expect(readAll(whole)[0]?.body.buffer).toBe(stream.buffer)
    const parted = new FrameReader(unlimited)
    parted.push(stream.slice(0, 7))
    parted.push(stream.slice(7))
    const body = readAll(parted)[0]?.body
    expect(body).toEqual(Uint8Array.of(1, 2, 3, 4))
    expect(body?.buffer.byteLength).toBe(4)
  })

  test('forgotten by `clear` leave nothing behind', () => {
    const reader = new FrameReader(unlimited)
    reader.push(frameOf(Uint8Array.of(1, 2, 3)).subarray(0, 6))
    reader.clear()
    expect(reader.bufferedBytes).toBe(0)
    reader.push(frameOf(Uint8Array.of(9)))
    expect(readAll(reader).map(({ body }) => [...body])).toEqual([[9]])
  })

  test('that come byte by byte cost about the memory of their bytes', () => {
    const length = 300_000
    const reader = new FrameReader(unlimited)
    for (const byte of header(length)) reader.push(Uint8Array.of(byte))
    const before = liveBytes()
    for (let index = 0; index < length - 1; index++) {
      reader.push(Uint8Array.of(index))
      if (reader.next().kind !== 'incomplete') throw new Error(`a frame after ${index} bytes`)
    }
    expect(liveBytes() - before).toBeLessThan(10 * length)
    reader.push(Uint8Array.of(length - 1))
    const [frame] = readAll(reader)
    expect(frame?.body.length).toBe(length)
    expect(frame?.body.every((byte, index) => byte === (index & 255))).toBe(true)
    expect(reader.bufferedBytes).toBe(0)
  })

  test('that come in small chunks of any size survive their joining (F37)', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new SeededRandom(seed)
      const bodies = Array.from({ length: 60 }, () =>
        random.bytes(random.pick([0, 1, 7, 900, 20_000])),
      )
      const stream = new Uint8Array(Buffer.concat(bodies.map((body) => frameOf(body))))
      const largest = random.pick([3, 30, 255, 256, 400])
      const reader = new FrameReader(unlimited)
      const read: Frame[] = []
      for (let at = 0; at < stream.length;) {
        const end = at + random.integer(1, largest)
        reader.push(stream.slice(at, end))
        read.push(...readAll(reader))
        at = end
      }
      const isSame = read.every(({ body }, n) => Buffer.compare(body, bodies[n]!) === 0)
      expect([read.length, isSame, reader.bufferedBytes]).toEqual([bodies.length, true, 0])
    }
  })
})

describe('a frame of', () => {
  const max = 1_000
  const limited = () => new FrameReader(() => max)

  test('exactly the maximum passes (F38)', () => {
    const reader = limited()
    reader.push(frameOf(new Uint8Array(max)))
    expect(readAll(reader)[0]?.body.length).toBe(max)
  })

  test.each([max + 1, 2 ** 31, 2 ** 32 - 1])(
    'length %i fails as soon as its header is there, before any memory is taken (F38)',
    (length) => {
      const reader = limited()
      reader.push(header(length, 9).subarray(0, 4))
      expect(reader.next()).toEqual({ kind: 'incomplete' })
      const before = process.memoryUsage().arrayBuffers
      reader.push(header(length, 9).subarray(4))
      const tooLong = { kind: 'too-long', kindNumber: 9, length, max }
      expect(reader.next()).toEqual(tooLong)
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6)
      // The stream cannot go on, whatever comes.
      reader.push(new Uint8Array(5_000))
      expect(reader.next()).toEqual(tooLong)
    },
  )

  test('the maximum takes no memory before its bytes are there', () => {
    const reader = new FrameReader(unlimited)
    const before = process.memoryUsage().arrayBuffers
    reader.push(header(2 ** 30))
    expect(reader.next()).toEqual({ kind: 'incomplete' })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6)
  })

  test('a length that is allowed when its header comes passes: the limit is asked for each frame (F38)', () => {
    let limit = 10
    const asked: number[] = []
    const reader = new FrameReader((kindNumber) => {
      asked.push(kindNumber)
      return limit
    })
    reader.push(
      new Uint8Array([...frameOf(new Uint8Array(10), 1), ...frameOf(new Uint8Array(20), 2)]),
    )
    expect(reader.next()).toMatchObject({ kind: 'frame', kindNumber: 1 })
    expect(reader.next()).toEqual({ kind: 'too-long', kindNumber: 2, length: 20, max: 10 })
    limit = 20
    expect(reader.next()).toMatchObject({ kind: 'frame', kindNumber: 2 })
    expect(asked).toEqual([1, 2, 2])
  })
})
