import { describe, expect, test } from 'vitest'
import type { ListenerErrorInfo } from '../../src/events.js'
import { World, directions, establish, type SimulatedNode } from '../support/simulated-node.js'

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const code = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code

/** Two connected nodes, seen from the end that dialled or from the one that accepted. */
async function ends(direction: 'inbound' | 'outbound', world: World) {
  const { a, b } = await world.pair()
  return direction === 'outbound' ? { us: a, them: b } : { us: b, them: a }
}

/** The error of a promise, after so much time. */
async function failure(world: World, promise: Promise<unknown>, ms = 1_000): Promise<unknown> {
  const caught = promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (ms > 0) await world.advance(ms)
  return caught
}

function errorsOf(node: SimulatedNode): ListenerErrorInfo[] {
  const errors: ListenerErrorInfo[] = []
  node.connections.on('listenerError', (info) => void errors.push(info))
  return errors
}

describe.each(directions)('over an %s connection', (direction) => {
  test('messages of every type arrive once, in order, with their bytes', async () => {
    const world = new World({ latencyMs: [1, 50], recut: true })
    const { us, them } = await ends(direction, world)
    const got: string[] = []
    const types = ['a', 'b', 'ü'.repeat(32), 'x'.repeat(64)]
    for (const type of types) {
      them.connections.handle(type, (body, peer) => {
        got.push(`${type} ${[...body].join()} ${peer.ip}`)
      })
    }
    const sent: string[] = []
    for (let number = 0; number < 100; number += 1) {
      const type = types[number % 4]!
      expect(us.peer.send(type, bytes(number, 255 - number))).toBe(true)
      sent.push(`${type} ${number},${255 - number} ${us.host}`)
    }
    us.peer.send('a', new Uint8Array(0))
    await world.advance(2_000)
    expect(got).toEqual([...sent, `a  ${us.host}`])
  })

  test('a request is answered by what its handler returns, or its promise brings', async () => {
    const world = new World()
    const { us, them } = await ends(direction, world)
    them.connections.handle('sync', (body) => bytes(...body, 1))
    them.connections.handle('async', async (body) => {
      await new Promise<void>((resolve) => world.clock.setTimer(500, resolve))
      return bytes(...body, 2)
    })
    them.connections.handle('empty', () => bytes())
    const answers = Promise.all(
      ['async', 'sync', 'empty'].map((type) => us.peer.request(type, bytes(9))),
    )
    await world.advance(1_000)
    expect(await answers).toEqual([bytes(9, 2), bytes(9, 1), bytes()])
    // A handler of messages has no answer for a request.
    them.connections.handle('nothing', () => undefined)
    expect(code(await failure(world, us.peer.request('nothing', bytes())))).toBe('REQUEST_REFUSED')
  })

  test('a request without a handler is refused, and so is one whose handler is gone', async () => {
    const world = new World()
    const { us, them } = await ends(direction, world)
    const refused = await failure(world, us.peer.request('unknown', bytes()))
    expect(code(refused)).toBe('REQUEST_REFUSED')
    expect((refused as Error).message).toContain("'unknown': no-handler")
    them.connections.handle('once', () => bytes(1))
    const answer = us.peer.request('once', bytes())
    await world.advance(1_000)
    expect(await answer).toEqual(bytes(1))
    them.connections.handle('once', undefined)
    expect(code(await failure(world, us.peer.request('once', bytes())))).toBe('REQUEST_REFUSED')
    // A message that nobody handles is counted, and that is all.
    us.peer.send('unknown', bytes(1))
    await world.advance(1_000)
    expect(them.peer).toMatchObject({ unhandledMessages: 3 })
    expect([us.disconnected, them.disconnected]).toEqual([[], []])
  })

  test.each([
    {
      how: 'throws',
      handler: () => {
        throw new Error('handler')
      },
    },
    { how: 'rejects', handler: () => Promise.reject(new Error('handler')) },
  ])('a handler that $how gives a refusal there and an event here', async ({ handler }) => {
    const world = new World()
    const { us, them } = await ends(direction, world)
    const errors = errorsOf(them)
    them.connections.handle('bad', handler)
    const refused = await failure(world, us.peer.request('bad', bytes()))
    expect(code(refused)).toBe('REQUEST_REFUSED')
    expect((refused as Error).message).toContain('handler-failed')
    us.peer.send('bad', bytes())
    await world.advance(1_000)
    expect(errors).toEqual([{ event: 'bad', error: new Error('handler'), count: 1 }])
    await world.advance(10_000)
    expect(errors.slice(1)).toEqual([{ event: 'bad', error: new Error('handler'), count: 1 }])
    expect([us.disconnected, them.disconnected]).toEqual([[], []])
  })

  test('a request times out by its own deadline, and a late answer goes nowhere', async () => {
    const world = new World()
    const { us, them } = await ends(direction, world)
    them.connections.handle('slow', async () => {
      await new Promise<void>((resolve) => world.clock.setTimer(5_000, resolve))
      return bytes(1)
    })
    const short = failure(world, us.peer.request('slow', bytes(), { timeoutMs: 1_000 }), 0)
    const long = us.peer.request('slow', bytes(), { timeoutMs: 10_000 })
    await world.advance(999)
    await world.advance(2)
    expect(code(await short)).toBe('REQUEST_TIMEOUT')
    await world.advance(6_000)
    expect(await long).toEqual(bytes(1))
    // Without a word of its own, the option of the node counts.
    const byDefault = await failure(world, us.peer.request('never', bytes()), 100)
    expect(code(byDefault)).toBe('REQUEST_REFUSED')
    expect([us.disconnected, them.disconnected]).toEqual([[], []])
  })

  test('an abort ends one request with its reason, and leaves the others alone', async () => {
    const world = new World()
    const { us, them } = await ends(direction, world)
    them.connections.handle('slow', async (body) => {
      await new Promise<void>((resolve) => world.clock.setTimer(1_000, resolve))
      return body
    })
    const controller = new AbortController()
    const one = failure(world, us.peer.request('slow', bytes(1), { signal: controller.signal }), 0)
    const two = us.peer.request('slow', bytes(2))
    await world.advance(100)
    controller.abort(new Error('enough'))
    expect(await one).toEqual(new Error('enough'))
    await world.advance(2_000)
    expect(await two).toEqual(bytes(2))
    const aborted = us.peer.request('slow', bytes(3), { signal: controller.signal })
    expect(await failure(world, aborted)).toEqual(new Error('enough'))
  })

  test('the end of the connection rejects what is under way, with its reason', async () => {
    const world = new World()
    const { us, them } = await ends(direction, world)
    them.connections.handle('never', () => new Promise<Uint8Array>(() => undefined))
    const { peer } = us
    const request = failure(world, peer.request('never', bytes()), 0)
    await world.advance(100)
    them.connections.disconnect(us.host, 'bye')
    await world.advance(100)
    expect(await request).toMatchObject({
      code: 'CONNECTION_CLOSED',
      reason: { kind: 'disconnected', by: 'peer', text: 'bye' },
    })
    expect(() => peer.send('x', bytes())).toThrow(
      expect.objectContaining({ code: 'NOT_CONNECTED' }),
    )
    expect(code(await failure(world, peer.request('x', bytes())))).toBe('NOT_CONNECTED')
    expect(code(await failure(world, peer.drained()))).toBe('NOT_CONNECTED')
  })

  test('the caller’s own mistakes are errors at the door, and send nothing', async () => {
    const world = new World()
    const { us, them } = await ends(direction, world)
    const { peer } = us
    const before = peer.bytesSent
    for (const type of ['', 'x'.repeat(65), 'ü'.repeat(33)]) {
      expect(() => peer.send(type, bytes())).toThrow(RangeError)
      expect(await failure(world, peer.request(type, bytes()), 0)).toBeInstanceOf(RangeError)
    }
    expect(() => peer.send(5 as never, bytes())).toThrow(TypeError)
    expect(() => peer.send('x', 'text' as never)).toThrow(TypeError)
    expect(() => peer.send('x', new Uint8Array(2 ** 23))).toThrow(/at most 8388602 bytes/)
    for (const timeoutMs of [0, -1, Number.NaN, Infinity]) {
      expect(await failure(world, peer.request('x', bytes(), { timeoutMs }), 0)).toBeInstanceOf(
        RangeError,
      )
    }
    expect(peer.bytesSent).toBe(before)
    expect(them.disconnected).toEqual([])
  })

  test('one type more than a connection carries is an error here, and nothing breaks', async () => {
    const world = new World()
    const { us, them } = await ends(direction, world)
    let handled = 0
    them.connections.handle('t0', () => void (handled += 1))
    for (let number = 0; number < 1_024; number += 1) us.peer.send(`t${number}`, bytes(1))
    expect(() => us.peer.send('t1024', bytes(1))).toThrow(/at most 1024 message types; t1024/)
    us.peer.send('t0', bytes(1))
    await world.advance(1_000)
    expect(handled).toBe(2)
    expect([us.disconnected, them.disconnected]).toEqual([[], []])
  })

  test('one request more than may wait is refused at once', async () => {
    const world = new World()
    const a = await world.running('10.0.0.1', { maxRequests: 3 })
    const raw = await establish(direction, a, world)
    const waiting = [1, 2, 3].map((number) =>
      failure(world, a.peer.request('x', bytes(number), { timeoutMs: 5_000 }), 0),
    )
    expect(code(await failure(world, a.peer.request('x', bytes(4)), 10))).toBe('TOO_MANY_REQUESTS')
    raw.send({ kind: 'answer', id: raw.all('request')[0]!.id, bytes: bytes(1) })
    await world.advance(100)
    const next = failure(world, a.peer.request('x', bytes(5), { timeoutMs: 5_000 }), 6_000)
    expect(code(await next)).toBe('REQUEST_TIMEOUT')
    expect((await Promise.all(waiting)).map(code)).toEqual([
      undefined,
      'REQUEST_TIMEOUT',
      'REQUEST_TIMEOUT',
    ])
  })
})

describe('back-pressure', () => {
  const narrow = { maxInFlightBytes: 10_000, highWaterBytes: 10_000, latencyMs: 10 }
  const limits = { maxFrameBytes: 50_000, sendHighWaterBytes: 100_000, sendMaxBytes: 210_000 }

  test('send says false above the high-water mark, throws at the hard limit, and drained says when to go on', async () => {
    const world = new World(narrow)
    const node = await world.running('10.0.0.1', limits)
    const raw = await establish('inbound', node, world)
    const { peer } = node
    raw.pause()
    const results: unknown[] = []
    for (let number = 0; number < 6; number += 1) {
      try {
        results.push(peer.send('bulk', new Uint8Array(40_000).fill(number)))
      } catch (error) {
        results.push(code(error))
      }
    }
    expect(results).toEqual([true, true, false, false, false, 'QUEUE_FULL'])
    expect(code(await failure(world, peer.request('bulk', new Uint8Array(40_000)), 0))).toBe(
      'QUEUE_FULL',
    )
    let isDrained = false
    const controller = new AbortController()
    const aborted = failure(world, peer.drained({ signal: controller.signal }), 0)
    void peer.drained().then(() => (isDrained = true))
    controller.abort(new Error('no time'))
    expect(await aborted).toEqual(new Error('no time'))
    await world.advance(10_000)
    expect(isDrained).toBe(false)
    raw.resume()
    await world.clock.runUntil(() => isDrained, { maxMs: 60_000 })
    expect(peer.queuedBytes).toBeLessThanOrEqual(limits.sendHighWaterBytes)
    expect(peer.queuedBytes).toBeGreaterThan(0)
    await world.advance(10_000)
    // What was taken arrived, in order; what was refused did not.
    expect(raw.all('message').map((message) => message.bytes[0])).toEqual([0, 1, 2, 3, 4])
    await peer.drained()
    expect(peer.send('bulk', new Uint8Array(1))).toBe(true)
  })

  test('pings go before queued bulk', async () => {
    const world = new World(narrow)
    const node = await world.running('10.0.0.1', limits)
    const raw = await establish('inbound', node, world)
    raw.pause()
    // The first fills what the transport takes; the others wait at this end.
    node.peer.send('bulk', new Uint8Array(40_000))
    await world.advance(100)
    for (let number = 0; number < 3; number += 1) node.peer.send('bulk', new Uint8Array(40_000))
    await world.advance(100)
    void node.pings.ping(node.peer)
    raw.resume()
    await world.advance(10_000)
    const kinds = raw.kinds.filter((kind) => kind === 'ping' || kind === 'message')
    expect(kinds.indexOf('ping')).toBe(1)
    expect(kinds.filter((kind) => kind === 'message')).toHaveLength(4)
  })

  test('reading pauses while handlers hold too much, loses nothing, and costs the peer no ping', async () => {
    const world = new World()
    const a = await world.running('10.0.0.1')
    const b = await world.running('10.0.0.9', { maxHandlerBytes: 100_000 })
    const connecting = a.connections.connect(b.host)
    await world.advance(100)
    await connecting
    const release: (() => void)[] = []
    const got: number[] = []
    b.connections.handle('work', async (body) => {
      got.push(body[0]!)
      await new Promise<void>((resolve) => release.push(resolve))
    })
    for (let number = 0; number < 20; number += 1) {
      a.peer.send('work', new Uint8Array(20_000).fill(number))
    }
    await world.advance(5_000)
    expect(got.length).toBeLessThan(10)
    // Longer than three missed pongs: what b does not read, it does not hold against a.
    await world.advance(60_000)
    expect(b.disconnected).toEqual([])
    while (release.length > 0) {
      release.shift()!()
      await world.advance(10)
    }
    expect(got).toEqual(Array.from({ length: 20 }, (_, number) => number))
    expect([a.disconnected, b.disconnected]).toEqual([[], []])
  })
})

describe('broadcast', () => {
  test('counts who took it, and skips who accepts no message of that size', async () => {
    const world = new World()
    const node = await world.running('10.0.0.1')
    const hosts = ['10.0.0.2', '10.0.0.3', '10.0.0.4']
    const got: string[] = []
    for (const host of hosts) {
      const peer = await world.running(host, host === '10.0.0.3' ? { maxFrameBytes: 2_000 } : {})
      peer.connections.handle('news', (body) => void got.push(`${host} ${body.length}`))
      void peer.connections.connect(node.host)
    }
    expect(node.connections.broadcast('news', bytes(1))).toBe(0)
    await world.advance(5_000)
    expect(node.connections.broadcast('news', new Uint8Array(1_000))).toBe(3)
    expect(node.connections.broadcast('news', new Uint8Array(5_000))).toBe(2)
    await world.advance(1_000)
    expect(got.toSorted()).toEqual([
      '10.0.0.2 1000',
      '10.0.0.2 5000',
      '10.0.0.3 1000',
      '10.0.0.4 1000',
      '10.0.0.4 5000',
    ])
  })
})
