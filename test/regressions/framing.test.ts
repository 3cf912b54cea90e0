import { describe, expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import { encodeMessage } from '../../src/wire/message-codec.js'
import { kindNumbers, type MessageKind, type WireMessage } from '../../src/wire/messages.js'
import { World, directions, establish } from '../support/simulated-node.js'

/** The first five bytes of a frame. */
function header(kind: MessageKind, length: number): Uint8Array {
  const bytes = new Uint8Array(5)
  new DataView(bytes.buffer).setUint32(0, length)
  bytes[4] = kindNumbers[kind]
  return bytes
}

function streamOf(messages: readonly WireMessage[]): Uint8Array {
  return Uint8Array.from(
    messages.flatMap((message) => encodeMessage(message).parts.flatMap((part) => [...part])),
  )
}

const numbers = Array.from({ length: 6 }, (_, index) => index)
const script: WireMessage[] = [
  { kind: 'type', number: 0, name: 'n' },
  ...numbers.flatMap((number): WireMessage[] => [
    { kind: 'message', type: 0, bytes: Uint8Array.of(number) },
    { kind: 'ping', nonce: BigInt(number) },
    { kind: 'request', id: number, type: 0, bytes: Uint8Array.of(100 + number) },
  ]),
]

describe.each(directions)('over an %s connection', (direction) => {
  /** Sends the stream in these chunks, with time, timers and writes of the node between them. */
  async function reactionTo(chunks: readonly Uint8Array[]) {
    const world = new World({ latencyMs: 1 })
    const node = await world.running('10.0.0.1', {
      pingIntervalMs: 500,
      pongTimeoutMs: 15_000,
    })
    const handled: number[] = []
    node.connections.handle('n', (bytes) => {
      handled.push(bytes[0]!)
      return bytes
    })
    const raw = await establish(direction, node, world)
    // A pong would come in between, and this stream is cut in the middle of frames.
    raw.answersPings = false
    for (const chunk of chunks) {
      raw.sendBytes(chunk)
      await world.advance(600)
      node.connections.broadcast('between', Uint8Array.of(1))
    }
    await world.advance(100)
    expect(node.disconnected).toEqual([])
    return {
      handled,
      pongs: raw.all('pong').map(({ nonce }) => Number(nonce)),
      answers: raw.all('answer'),
    }
  }

  test('frames survive any split (F37)', async () => {
    const stream = streamOf(script)
    const whole = await reactionTo([stream])
    expect(whole.handled).toEqual(numbers.flatMap((number) => [number, 100 + number]))
    expect(whole.pongs).toEqual(numbers)
    expect(whole.answers.map(({ id, bytes }) => [id, ...bytes])).toEqual(
      numbers.map((number) => [number, 100 + number]),
    )
    for (let cut = 1; cut < stream.length; cut += 1) {
      expect(await reactionTo([stream.slice(0, cut), stream.slice(cut)]), `cut at ${cut}`).toEqual(
        whole,
      )
    }
    expect(await reactionTo(Array.from(stream, (byte) => Uint8Array.of(byte)))).toEqual(whole)
  })

  test('two frames in one chunk give two messages (F37)', async () => {
    const two = await reactionTo([streamOf(script.slice(0, 2)), streamOf([script[1]!, script[1]!])])
    expect(two.handled).toEqual([0, 0, 0])
  })

  test('a frame of exactly the maximum passes, one byte more fails before allocation (F38)', async () => {
    const { maxFrameBytes } = defaultConnectionLimits
    const world = new World({ latencyMs: 1 })
    const node = await world.running('10.0.0.1')
    let length = 0
    node.connections.handle('n', (bytes) => void (length = bytes.length))
    const raw = await establish(direction, node, world)
    raw.send({ kind: 'type', number: 0, name: 'n' })
    raw.send({ kind: 'message', type: 0, bytes: new Uint8Array(maxFrameBytes - 2) })
    await world.advance(1_000)
    expect([length, node.disconnected]).toEqual([maxFrameBytes - 2, []])

    // The header alone ends the connection.
    raw.sendBytes(header('message', maxFrameBytes + 1))
    await world.advance(1_000)
    expect(node.reasons).toEqual([
      {
        kind: 'misbehaved',
        by: 'us',
        what: expect.stringMatching(`${maxFrameBytes + 1} .* ${maxFrameBytes} `) as string,
      },
    ])
  })

  test('an absurd length takes no memory (F38)', async () => {
    const world = new World({ latencyMs: 1 })
    const node = await world.running('10.0.0.1')
    const raw = await establish(direction, node, world)
    const before = process.memoryUsage().arrayBuffers
    raw.sendBytes(header('message', 2 ** 32 - 1))
    await world.advance(1_000)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20)
    expect(node.reasons).toMatchObject([{ kind: 'misbehaved' }])
  })
})

test.each([
  { kind: 'hello', max: 8 * 1024 },
  { kind: 'ready', max: 1024 },
  { kind: 'bye', max: 1024 },
  { kind: 'message', max: 1024 },
] as const)(
  'before the handshake ends a $kind of more than $max bytes is too long (F38)',
  async ({ kind, max }) => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const raw = world.raw('10.0.0.9')
    const [atLimit, above] = [raw.dial(node.host), raw.dial(node.host)]
    atLimit.sendBytes(header(kind, max))
    above.sendBytes(header(kind, max + 1))
    await world.advance(1_000)
    expect(atLimit.isOpen).toBe(true)
    expect(above.farewell?.text).toContain(`at most ${max}`)
    expect(above.isClosed).toBe(true)
  },
)
