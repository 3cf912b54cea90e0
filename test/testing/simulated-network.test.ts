import { describe, expect, test } from 'vitest'
import { SimulatedNetwork, type SimulatedNetworkOptions } from 'holdfast/testing'
import type { MemoryTransport } from 'holdfast/memory'
import { RecordedEnd, never } from '../support/connections.js'

const A = '10.0.0.1'
const B = '10.0.0.2'
const C = '10.0.0.3'
const address = { host: B, port: 24_100 }

interface Host {
  readonly transport: MemoryTransport
  /** What it accepted, in order. */
  readonly accepted: RecordedEnd[]
}

/** A dial and what has become of it. */
interface Attempt {
  end?: RecordedEnd
  error?: unknown
}

describe('seeds', () => {
  test('the same seed gives the same run, to the last event and the last byte', async () => {
    const [first, second, other] = [await noisyRun(1), await noisyRun(1), await noisyRun(2)]
    expect(second).toEqual(first)
    expect(other).not.toEqual(first)
  })
})

describe('streams', () => {
  test('bytes arrive in order however much latency varies from piece to piece', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const network = simulated({ seed, latencyMs: [0, 500] })
      const { dialler, acceptor } = await connected(network)
      const sent: number[] = []
      for (let count = 0; count < 200; count++) {
        const chunk = network.random.bytes(network.random.integer(0, 60))
        sent.push(...chunk)
        dialler.connection.write([chunk])
        await network.clock.advance(network.random.integer(0, 20))
      }
      await network.clock.runUntilIdle()
      expect(Buffer.concat(acceptor.chunks).equals(Buffer.from(sent)), `seed ${seed}`).toBe(true)
    }
  })

  test('whatever fails and heals in between, a reader has a prefix of what was written, and all of it in the end', async () => {
    for (let seed = 0; seed < 30; seed++) await survivesFaults(seed)
  })
})

describe('dials', () => {
  test('a refused dial rejects after a round trip, and the other direction is not affected', async () => {
    const network = simulated({ latencyMs: 20 })
    const [a] = [await host(network, A), await host(network, B)]
    network.faults.refuseDials({ from: A, to: B })
    const refused = dial(a.transport)
    const allowed = dial(network.transport({ host: B, listen: false }), { host: A, port: 24_100 })
    await network.clock.advance(39)
    expect(refused.error).toBeUndefined()
    await network.clock.advance(1)
    expect(refused.error).toMatchObject({ code: 'ECONNREFUSED' })
    expect(allowed.end).toBeDefined()
    expect(network.dials(A, B)).toEqual({ dialled: 1, refused: 1, established: 0 })
    expect(network.dials(B, A)).toEqual({ dialled: 1, refused: 0, established: 1 })
  })

  test('a held dial never settles by itself, and succeeds late when that is healed', async () => {
    const network = simulated()
    const [a, b] = [await host(network, A), await host(network, B)]
    const fault = network.faults.holdDials({ from: A })
    const attempt = dial(a.transport)
    await network.clock.advance(3_600_000)
    expect(attempt).toEqual({})
    expect(b.accepted).toHaveLength(0)
    fault.heal()
    await network.clock.advance(1_000)
    expect(attempt.end).toBeDefined()
    expect(b.accepted).toHaveLength(1)
  })

  test('a held dial that is aborted leaves nothing, not even after healing', async () => {
    const network = simulated()
    const [a, b] = [await host(network, A), await host(network, B)]
    const fault = network.faults.holdDials({ from: A })
    const controller = new AbortController()
    const attempt = dial(a.transport, address, controller.signal)
    await network.clock.advance(1_000)
    const reason = new Error('given up')
    controller.abort(reason)
    await network.clock.advance(0)
    expect(attempt.error).toBe(reason)
    fault.heal()
    await network.clock.advance(10_000)
    expect(b.accepted).toHaveLength(0)
    expect(network.connections()).toEqual([])
  })

  test('a delayed dial succeeds late, and its connection is as fast as any', async () => {
    const network = simulated({ latencyMs: 10 })
    const [a, b] = [await host(network, A), await host(network, B)]
    network.faults.delayDials({ to: B }, 5_000)
    const attempt = dial(a.transport)
    await network.clock.advance(5_009)
    expect(b.accepted).toHaveLength(0)
    await network.clock.advance(11)
    expect(attempt.end).toBeDefined()
    attempt.end?.connection.write([new Uint8Array(3)])
    await network.clock.advance(10)
    expect(b.accepted[0]?.receivedBytes).toBe(3)
  })

  test('a dial whose answer cannot come back is never accepted', async () => {
    const network = simulated()
    const [a, b] = [await host(network, A), await host(network, B)]
    network.faults.blackHole({ from: B, to: A })
    const attempt = dial(a.transport)
    await network.clock.advance(100_000)
    expect(attempt).toEqual({})
    expect(b.accepted).toHaveLength(0)
  })
})

describe('black holes and partitions', () => {
  test('a black hole of one direction swallows it in silence, and the other goes on', async () => {
    const network = simulated()
    const { dialler, acceptor } = await connected(network)
    const fault = network.faults.blackHole({ from: A, to: B })
    dialler.connection.write([Buffer.from('ping')])
    acceptor.connection.write([Buffer.from('ping')])
    await network.clock.advance(3_600_000)
    expect(acceptor.receivedBytes).toBe(0)
    expect(dialler.receivedBytes).toBe(4)
    expect([...dialler.closes, ...acceptor.closes]).toEqual([])
    fault.heal()
    await network.clock.advance(1_000)
    expect(Buffer.concat(acceptor.chunks).toString()).toBe('ping')
  })

  test('a close into a black hole is seen by nobody, and a destroyed end leaves the other half open', async () => {
    const network = simulated()
    const { dialler, acceptor } = await connected(network)
    network.faults.blackHole({ from: A })
    network.faults.blackHole({ to: A })
    dialler.connection.close()
    await network.clock.advance(60_000)
    expect([...dialler.closes, ...acceptor.closes]).toEqual([])
    dialler.connection.destroy()
    await network.clock.advance(3_600_000)
    expect(dialler.closes).toEqual([undefined])
    expect(acceptor.closes).toEqual([])
    const [half] = network.connections(A, B)
    expect([half?.dialler.isOpen, half?.acceptor.isOpen]).toEqual([false, true])
  })

  test('a writer into a black hole is stopped by what may be in flight, and never drained', async () => {
    const network = simulated({ maxInFlightBytes: 100_000, highWaterBytes: 10_000 })
    const { dialler } = await connected(network)
    network.faults.blackHole({ from: A })
    let written = 0
    while (dialler.connection.write([new Uint8Array(1_000)])) written += 1_000
    expect(written).toBe(110_000)
    await network.clock.advance(3_600_000)
    expect(dialler.drainedCount).toBe(0)
    expect(dialler.connection.bufferedBytes).toBe(11_000)
  })

  test('where acknowledgements are lost, a sender whose bytes arrive is stopped too', async () => {
    const network = simulated({ maxInFlightBytes: 100_000, highWaterBytes: 10_000 })
    const { dialler, acceptor } = await connected(network)
    network.faults.blackHole({ from: B })
    while (dialler.connection.write([new Uint8Array(1_000)]));
    await network.clock.advance(3_600_000)
    expect(acceptor.receivedBytes).toBe(100_000)
    expect(dialler.drainedCount).toBe(0)
  })

  test('a connection can be dead while a new one between the same hosts works', async () => {
    const network = simulated()
    const { a, b, dialler, acceptor } = await connected(network)
    network.faults.blackHoleConnection(network.idOf(A, dialler.connection)!)
    const second = dial(a.transport)
    await network.clock.advance(1_000)
    second.end?.connection.write([Buffer.from('alive')])
    dialler.connection.write([Buffer.from('dead')])
    await network.clock.advance(60_000)
    expect(b.accepted[1]?.receivedBytes).toBe(5)
    expect(acceptor.receivedBytes).toBe(0)
  })

  test('what one end of a connection sends can be swallowed alone', async () => {
    const network = simulated()
    const { dialler, acceptor } = await connected(network)
    const id = network.idOf(A, dialler.connection)!
    const fault = network.faults.blackHoleConnection(id, 'acceptor')
    dialler.connection.write([Buffer.from('x')])
    acceptor.connection.write([Buffer.from('x')])
    await network.clock.advance(60_000)
    expect([dialler.receivedBytes, acceptor.receivedBytes]).toEqual([0, 1])
    fault.heal()
    await network.clock.advance(1_000)
    expect(dialler.receivedBytes).toBe(1)
  })

  test('a partition stops what is in flight, and healing sends it on, in order', async () => {
    const network = simulated({ latencyMs: 100 })
    const { dialler, acceptor } = await connected(network)
    dialler.connection.write([Buffer.from('one ')])
    await network.clock.advance(50)
    const partition = network.faults.partition([A], [B, C])
    dialler.connection.write([Buffer.from('two ')])
    await network.clock.advance(60_000)
    expect(acceptor.receivedBytes).toBe(0)
    partition.heal()
    dialler.connection.write([Buffer.from('three')])
    await network.clock.advance(1_000)
    expect(Buffer.concat(acceptor.chunks).toString()).toBe('one two three')
  })

  test('a partition separates its groups, and nobody else', async () => {
    const network = simulated()
    const [a, b, c] = [await host(network, A), await host(network, B), await host(network, C)]
    network.faults.partition([A], [B])
    const blocked = dial(a.transport)
    const open = [dial(c.transport), dial(a.transport, { host: C, port: 24_100 })]
    await network.clock.advance(10_000)
    expect(blocked).toEqual({})
    expect(open.every(({ end }) => end !== undefined)).toBe(true)
    expect([b.accepted.length, c.accepted.length]).toEqual([1, 1])
  })

  test('heal ends every fault', async () => {
    const network = simulated()
    const a = await host(network, A)
    await host(network, B)
    network.faults.partition([A], [B])
    network.faults.holdDials({})
    network.faults.blackHole({ to: B })
    const attempt = dial(a.transport)
    await network.clock.advance(10_000)
    network.faults.heal()
    await network.clock.advance(10_000)
    expect(attempt.end).toBeDefined()
  })
})

describe('resets', () => {
  test('each end sees a reset after its own latency, and what was in flight is lost', async () => {
    const network = simulated()
    const { dialler, acceptor } = await connected(network)
    network.faults.setLatency({ to: A }, 10)
    network.faults.setLatency({ to: B }, 200)
    dialler.connection.write([Buffer.from('lost')])
    network.reset(network.idOf(A, dialler.connection)!)
    await network.clock.advance(10)
    expect(dialler.closes).toHaveLength(1)
    expect(dialler.closes[0]).toMatchObject({ code: 'ECONNRESET' })
    expect(acceptor.closes).toHaveLength(0)
    await network.clock.advance(190)
    expect(acceptor.closes[0]).toMatchObject({ code: 'ECONNRESET' })
    expect(acceptor.receivedBytes).toBe(0)
  })

  test('an end can see the close as late as the test wants, and hears nothing until then', async () => {
    const network = simulated({ latencyMs: 10 })
    const { dialler, acceptor } = await connected(network)
    network.reset(network.idOf(A, dialler.connection)!, { acceptorAfterMs: 60_000 })
    await network.clock.advance(1_000)
    acceptor.connection.write([Buffer.from('to nobody')])
    await network.clock.advance(58_990)
    expect(dialler.closes).toHaveLength(1)
    expect(acceptor.closes).toHaveLength(0)
    await network.clock.advance(1_000)
    expect(acceptor.closes).toHaveLength(1)
    expect(network.connections()).toEqual([])
  })

  test('resetBetween resets all connections of a pair, and no other', async () => {
    const network = simulated()
    const [a, c] = [await host(network, A), await host(network, C)]
    await host(network, B)
    for (const { transport } of [a, a, c]) dial(transport)
    await network.clock.advance(1_000)
    expect(network.resetBetween(A, B)).toBe(2)
    await network.clock.advance(1_000)
    expect(network.connections().map(({ dialler }) => dialler.host)).toEqual([C])
  })

  test('there is no resetting a connection that does not exist', () => {
    expect(() => simulated().reset(7)).toThrow(/no connection #7/)
  })
})

describe('crashes', () => {
  test('a crash resets the other ends, ends its own, and nobody listens any more', async () => {
    const network = simulated()
    const { a, b, dialler, acceptor } = await connected(network)
    network.crash(B)
    await network.clock.advance(1_000)
    expect(acceptor.closes[0]?.message).toBe(`${B} crashed`)
    expect(dialler.closes[0]).toMatchObject({ code: 'ECONNRESET' })
    const refused = dial(a.transport)
    const fromTheDead = dial(b.transport, { host: A, port: 24_100 })
    await network.clock.advance(1_000)
    expect(refused.error).toMatchObject({ code: 'ECONNREFUSED' })
    expect(fromTheDead.error).toMatchObject({ code: 'ENETDOWN' })
    await expect(b.transport.listen?.(() => {})).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
  })

  test('a host that crashed can be started again at the same address and port', async () => {
    const network = simulated()
    const { a } = await connected(network)
    network.crash(B)
    const again = await host(network, B)
    const attempt = dial(a.transport)
    await network.clock.advance(1_000)
    expect(attempt.end).toBeDefined()
    expect(again.accepted).toHaveLength(1)
  })

  test('after a silent crash the others hear nothing, and dials hang', async () => {
    const network = simulated()
    const { a, dialler } = await connected(network)
    network.crash(B, { silently: true })
    dialler.connection.write([Buffer.from('anybody there?')])
    const attempt = dial(a.transport)
    await network.clock.advance(3_600_000)
    expect(dialler.closes).toEqual([])
    expect(attempt).toEqual({})
  })

  test('a host that came back answers old connections with a reset, once they send', async () => {
    const network = simulated()
    const { dialler, b } = await connected(network)
    network.crash(B, { silently: true })
    await network.clock.advance(1_000)
    const again = await host(network, B)
    await network.clock.advance(3_600_000)
    expect(dialler.closes).toEqual([])
    dialler.connection.write([Buffer.from('still there?')])
    await network.clock.advance(1_000)
    expect(dialler.closes[0]).toMatchObject({ code: 'ECONNRESET' })
    expect([b.accepted[0]?.receivedBytes, again.accepted.length]).toEqual([0, 0])
  })

  test('what had left before a silent crash still arrives', async () => {
    const network = simulated({ latencyMs: 100 })
    const { dialler, acceptor } = await connected(network)
    acceptor.connection.write([Buffer.from('last words')])
    network.crash(B, { silently: true })
    await network.clock.advance(1_000)
    expect(Buffer.concat(dialler.chunks).toString()).toBe('last words')
  })

  test('a dial of a host that crashes rejects, and the accepted end is reset', async () => {
    const network = simulated({ latencyMs: 100 })
    const [a, b] = [await host(network, A), await host(network, B)]
    const attempt = dial(a.transport)
    await network.clock.advance(150)
    expect(b.accepted).toHaveLength(1)
    network.crash(A)
    await network.clock.advance(1_000)
    expect(String(attempt.error)).toMatch(/crashed/)
    expect(b.accepted[0]?.closes).toHaveLength(1)
  })
})

describe('addresses', () => {
  test('hosts behind a NAT are seen under one address, with ports that tell them apart', async () => {
    const network = simulated()
    network.nat({ publicIp: '203.0.113.9', hosts: [A, C] })
    const [a, b, c] = [await host(network, A), await host(network, B), await host(network, C)]
    const attempts = [dial(a.transport), dial(c.transport)]
    await network.clock.advance(1_000)
    expect(b.accepted.map(({ connection }) => connection.remote.host)).toEqual([
      '203.0.113.9',
      '203.0.113.9',
    ])
    expect(new Set(b.accepted.map(({ connection }) => connection.remote.port)).size).toBe(2)
    expect(attempts.map(({ end }) => end?.connection.local?.host)).toEqual([A, C])
  })

  test('nobody gets in behind a NAT but through a forwarded port', async () => {
    const network = simulated()
    network.nat({
      publicIp: '203.0.113.9',
      hosts: [A, C],
      forward: [{ port: 7_000, to: A, toPort: 24_100 }],
    })
    const [a, b] = [await host(network, A), await host(network, B)]
    const direct = dial(b.transport, { host: A, port: 24_100 })
    const closed = dial(b.transport, { host: '203.0.113.9', port: 24_100 })
    const forwarded = dial(b.transport, { host: '203.0.113.9', port: 7_000 })
    await network.clock.advance(1_000)
    expect([direct.error, closed.error]).toEqual([
      expect.objectContaining({ code: 'ECONNREFUSED' }),
      expect.objectContaining({ code: 'ECONNREFUSED' }),
    ])
    expect(forwarded.end?.connection.remote).toEqual({ host: '203.0.113.9', port: 7_000 })
    expect(a.accepted[0]?.connection.local).toEqual({ host: A, port: 24_100 })
  })

  test('hosts behind the same NAT reach each other directly, and through its address as outsiders', async () => {
    const network = simulated()
    network.nat({ publicIp: '203.0.113.9', hosts: [A, B], forward: [{ port: 7_000, to: B }] })
    const a = await host(network, A)
    const b = await host(network, B, 7_000)
    dial(a.transport, { host: B, port: 7_000 })
    dial(a.transport, { host: '203.0.113.9', port: 7_000 })
    await network.clock.advance(1_000)
    expect(b.accepted.map(({ connection }) => connection.remote.host).sort()).toEqual([
      A,
      '203.0.113.9',
    ])
  })

  test('a host with two addresses is reached at both, and dials from the one that it is told', async () => {
    const network = simulated()
    network.extraAddress({ host: B, ip: '10.9.9.9', dialsFrom: (to) => to === C })
    const [a, b, c] = [await host(network, A), await host(network, B), await host(network, C)]
    const first = dial(a.transport)
    const second = dial(a.transport, { host: '10.9.9.9', port: 24_100 })
    dial(b.transport, { host: A, port: 24_100 })
    const viaExtra = dial(b.transport, { host: C, port: 24_100 })
    await network.clock.advance(1_000)
    expect([first.end, second.end].every((end) => end !== undefined)).toBe(true)
    expect(b.accepted.map(({ connection }) => connection.local?.host).sort()).toEqual([
      B,
      '10.9.9.9',
    ])
    expect(a.accepted[0]?.connection.remote.host).toBe(B)
    expect(c.accepted[0]?.connection.remote).toEqual(viaExtra.end?.connection.local)
    expect(c.accepted[0]?.connection.remote.host).toBe('10.9.9.9')
  })

  test('both ends of a physical connection have the same id, also through a NAT and when it has ended', async () => {
    const network = simulated()
    network.nat({ publicIp: '203.0.113.9', hosts: [A] })
    const [a, b] = [await host(network, A), await host(network, B)]
    const attempts = [dial(a.transport), dial(a.transport)]
    await network.clock.advance(1_000)
    const here = attempts.map(({ end }) => network.idOf(A, end!.connection))
    const there = b.accepted.map(({ connection }) => network.idOf(B, connection))
    expect(new Set(here).size).toBe(2)
    expect([...there].sort()).toEqual([...here].sort())
    network.resetBetween(A, B)
    await network.clock.advance(1_000)
    expect(network.connections(A)).toEqual([])
    expect(network.idOf(A, attempts[0]!.end!.connection)).toBe(here[0])
    expect(network.idOf(B, attempts[0]!.end!.connection)).toBeUndefined()
  })
})

describe('speed', () => {
  test('a limited flow takes as long as its bytes need, one connection with another', async () => {
    const network = simulated({ latencyMs: 0 })
    const { a, b, dialler, acceptor } = await connected(network)
    const second = dial(a.transport)
    await network.clock.advance(100)
    network.faults.limitBandwidth({ from: A, to: B }, 100_000)
    const startMs = network.clock.now()
    for (const end of [dialler, second.end!]) end.connection.write([new Uint8Array(500_000)])
    const total = (): number => b.accepted.reduce((sum, end) => sum + end.receivedBytes, 0)
    await network.clock.advance(5_000)
    expect(total()).toBeGreaterThan(300_000)
    expect(total()).toBeLessThanOrEqual(500_000)
    await network.clock.runUntil(() => total() === 1_000_000)
    expect(network.clock.now() - startMs).toBeCloseTo(10_000, 3)
    acceptor.connection.write([new Uint8Array(1_000_000)])
    await network.clock.advance(1)
    expect(dialler.receivedBytes).toBe(1_000_000)
  })

  test('a frozen process is told late, and in order, of what arrived meanwhile', async () => {
    const network = simulated()
    const process = network.clock.process()
    const a = await host(network, A)
    const accepted: RecordedEnd[] = []
    await network
      .transport({ host: B, clock: process })
      .listen?.((connection) => accepted.push(new RecordedEnd(connection)))
    const attempt = dial(a.transport)
    await network.clock.advance(1_000)
    process.freeze(60_000)
    attempt.end?.connection.write([Buffer.from('while you slept')])
    attempt.end?.connection.close()
    await network.clock.advance(59_999)
    expect(accepted[0]?.receivedBytes).toBe(0)
    await network.clock.advance(1_000)
    expect(Buffer.concat(accepted[0]!.chunks).toString()).toBe('while you slept')
    expect(accepted[0]?.closes).toEqual([undefined])
  })
})

describe('reports', () => {
  test('the timeline tells in words what happened when', async () => {
    const network = simulated({ latencyMs: 10 })
    const { dialler } = await connected(network)
    network.faults.partition([A], [B]).heal()
    dialler.connection.close()
    await network.clock.runUntilIdle()
    network.timeline.note('the test is over')
    expect(network.timeline.events.map(({ text }) => text)).toEqual([
      `#1 ${A}:49152 → ${B}:24100 dialled`,
      `#1 ${A}:49152 → ${B}:24100 established`,
      `partition: ${A} | ${B}`,
      `healed: partition: ${A} | ${B}`,
      `#1 ${A}:49152 → ${B}:24100 ended at its acceptor`,
      `#1 ${A}:49152 → ${B}:24100 ended at its dialler`,
      'the test is over',
    ])
    expect(network.timeline.report(1)).toMatch(/6 earlier events left out\)\n +\S+s {2}the test/)
  })

  test('a timeline that is full drops its older half and says so', () => {
    const network = simulated({ maxTimelineEvents: 10 })
    for (let count = 1; count <= 11; count++) network.timeline.note(`event ${count}`)
    expect(network.timeline.events.map(({ text }) => text)).toEqual(
      [7, 8, 9, 10, 11].map((count) => `event ${count}`),
    )
    expect(network.timeline.report()).toMatch(/^\(6 earlier events left out\)/)
  })
})

function simulated(options: Partial<SimulatedNetworkOptions> = {}): SimulatedNetwork {
  return new SimulatedNetwork({ seed: 1, ...options })
}

async function host(network: SimulatedNetwork, ip: string, port = 24_100): Promise<Host> {
  const transport = network.transport({ host: ip, port })
  const accepted: RecordedEnd[] = []
  await transport.listen?.((connection) => accepted.push(new RecordedEnd(connection)))
  return { transport, accepted }
}

function dial(transport: MemoryTransport, to = address, signal = never): Attempt {
  const attempt: Attempt = {}
  transport.dial(to, { signal }).then(
    (connection) => (attempt.end = new RecordedEnd(connection)),
    (error: unknown) => (attempt.error = error),
  )
  return attempt
}

/** A has dialled B. */
async function connected(network: SimulatedNetwork): Promise<{
  readonly a: Host
  readonly b: Host
  readonly dialler: RecordedEnd
  readonly acceptor: RecordedEnd
}> {
  const [a, b] = [await host(network, A), await host(network, B)]
  const attempt = dial(a.transport)
  await network.clock.advance(2_000)
  return { a, b, dialler: attempt.end!, acceptor: b.accepted[0]! }
}

async function noisyRun(seed: number): Promise<unknown> {
  const network = simulated({ seed, latencyMs: [1, 90] })
  const { dialler, acceptor } = await connected(network)
  for (let count = 0; count < 100; count++) {
    dialler.connection.write([network.random.bytes(network.random.integer(1, 300))])
    await network.clock.advance(network.random.integer(0, 30))
  }
  network.reset(network.idOf(A, dialler.connection)!)
  await network.clock.runUntilIdle()
  return {
    events: network.timeline.events,
    chunks: acceptor.chunks.map((chunk) => Buffer.from(chunk).toString('hex')),
  }
}

async function survivesFaults(seed: number): Promise<void> {
  const network = simulated({
    seed,
    latencyMs: [0, 100],
    maxInFlightBytes: 2_000,
    highWaterBytes: 500,
  })
  const { dialler, acceptor } = await connected(network)
  const { random, faults, clock } = network
  const written: Buffer[] = []
  for (let step = 0; step < 300; step++) {
    switch (random.integer(0, 7)) {
      case 0:
        random.pick([
          () => faults.blackHole({ from: A }),
          () => faults.blackHole({ to: A }),
          () => faults.partition([A], [B]),
          () => faults.blackHoleConnection(1, random.pick(['dialler', 'acceptor'])),
          () => faults.limitBandwidth({ from: A }, 10_000),
        ])()
        break
      case 1:
        faults.heal()
        break
      case 2:
        acceptor.connection.pause()
        break
      case 3:
        acceptor.connection.resume()
        break
      default: {
        const chunk = Buffer.from(random.bytes(random.integer(1, 400)))
        written.push(chunk)
        dialler.connection.write([chunk])
      }
    }
    await clock.advance(random.integer(0, 50))
    const [all, received] = [Buffer.concat(written), Buffer.concat(acceptor.chunks)]
    expect(all.subarray(0, received.length).equals(received), `seed ${seed}, step ${step}`).toBe(
      true,
    )
  }
  faults.heal()
  acceptor.connection.resume()
  dialler.connection.close()
  await clock.runUntilIdle()
  const isWhole = Buffer.concat(acceptor.chunks).equals(Buffer.concat(written))
  expect(isWhole, `seed ${seed}\n${network.timeline.report(50)}`).toBe(true)
  expect([dialler.closes, acceptor.closes]).toEqual([[undefined], [undefined]])
}
