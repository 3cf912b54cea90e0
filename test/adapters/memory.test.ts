import { describe, expect, test } from 'vitest'
import { memoryNetwork, type MemoryNetworkOptions } from 'holdfast/memory'
import {
  SeededRandom,
  SimulatedClock,
  transportSuite,
  type TransportUnderTest,
} from 'holdfast/testing'
import { HoldfastError } from '../../src/errors.js'
import { connectedPair, never } from '../support/connections.js'

function inVirtualTime(options: MemoryNetworkOptions): TransportUnderTest {
  const clock = new SimulatedClock()
  const network = memoryNetwork({ random: new SeededRandom(1), ...options, clock })
  return {
    acceptor: network.transport({ host: '10.0.0.2', port: 0 }),
    dialler: network.transport({ host: '10.0.0.1', port: 0 }),
    settle: () => clock.advance(7),
  }
}

describe('on the system clock', () => {
  transportSuite({
    test,
    factory: () => {
      const network = memoryNetwork()
      return {
        acceptor: network.transport({ host: '10.0.0.2', port: 0 }),
        dialler: network.transport({ host: '10.0.0.1', port: 0 }),
      }
    },
  })
})

describe('in virtual time, with latency', () => {
  transportSuite({ test, factory: () => inVirtualTime({ latencyMs: [10, 40] }) })
})

describe('cut at random', () => {
  transportSuite({ test, factory: () => inVirtualTime({ latencyMs: [0, 30], recut: true }) })
})

describe('with the smallest buffers', () => {
  transportSuite({
    test,
    factory: () => inVirtualTime({ latencyMs: 1, maxInFlightBytes: 5_000, highWaterBytes: 1 }),
  })
})

describe('memoryNetwork', () => {
  test('a host can dial itself', async () => {
    const clock = new SimulatedClock()
    const network = memoryNetwork({ clock })
    const transport = network.transport({ host: '10.0.0.1' })
    const { dialler, acceptor } = await connectedPair(clock, transport, transport)
    expect(acceptor.connection.remote).toEqual(dialler.connection.local)
  })

  test('addresses are told in canonical form', async () => {
    const clock = new SimulatedClock()
    const network = memoryNetwork({ clock })
    const a = network.transport({ host: '::ffff:10.0.0.1' })
    const b = network.transport({ host: '2001:DB8:0::2' })
    const { dialler, acceptor } = await connectedPair(clock, a, b)
    expect(acceptor.connection.remote.host).toBe('10.0.0.1')
    expect(dialler.connection.remote.host).toBe('2001:db8::2')
  })

  test('latency by sender and receiver is the time that bytes take', async () => {
    const clock = new SimulatedClock()
    const network = memoryNetwork({
      clock,
      latencyMs: (from) => (from === '10.0.0.1' ? 100 : [250, 250]),
    })
    const a = network.transport({ host: '10.0.0.1' })
    const b = network.transport({ host: '10.0.0.2' })
    const { dialler, acceptor } = await connectedPair(clock, a, b)
    const startMs = clock.now()
    dialler.connection.write([new Uint8Array(3)])
    await clock.runUntil(() => acceptor.receivedBytes === 3)
    expect(clock.now() - startMs).toBe(100)
    acceptor.connection.write([new Uint8Array(3)])
    await clock.runUntil(() => dialler.receivedBytes === 3)
    expect(clock.now() - startMs).toBe(350)
  })

  test('without recut nothing is copied', async () => {
    const clock = new SimulatedClock()
    const network = memoryNetwork({ clock })
    const { dialler, acceptor } = await connectedPair(
      clock,
      network.transport({ host: '10.0.0.1' }),
      network.transport({ host: '10.0.0.2' }),
    )
    const chunk = new Uint8Array(100)
    dialler.connection.write([chunk])
    await clock.runUntilIdle()
    expect(acceptor.chunks[0]).toBe(chunk)
  })

  test('with recut one write comes in several chunks, and several writes in one', async () => {
    const clock = new SimulatedClock()
    const network = memoryNetwork({ clock, recut: true, random: new SeededRandom(3) })
    const { dialler, acceptor } = await connectedPair(
      clock,
      network.transport({ host: '10.0.0.1' }),
      network.transport({ host: '10.0.0.2' }),
    )
    const lengths = new Set<number>()
    for (let count = 0; count < 50; count++) {
      for (let write = 0; write < 5; write++) dialler.connection.write([new Uint8Array(20)])
      await clock.runUntilIdle()
    }
    for (const { length } of acceptor.chunks) lengths.add(length)
    expect(acceptor.receivedBytes).toBe(5_000)
    expect(Math.min(...lengths)).toBeLessThan(20)
    expect(Math.max(...lengths)).toBeGreaterThan(20)
  })

  test('an endpoint that is taken is LISTEN_FAILED, and is free again after close', async () => {
    const network = memoryNetwork()
    const first = await network.transport({ host: '10.0.0.1' }).listen?.(() => undefined)
    const second = network.transport({ host: '10.0.0.1' })
    const refused = second.listen?.(() => undefined)
    await expect(refused).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
    await refused?.catch((error: unknown) => {
      expect(HoldfastError.is(error)).toBe(true)
      expect((error as Error).cause).toMatchObject({ code: 'EADDRINUSE' })
    })
    await first?.close()
    await expect(second.listen?.(() => undefined)).resolves.toBeDefined()
  })

  test('a listener of a host that was unplugged does not free what its successor holds', async () => {
    const clock = new SimulatedClock()
    const network = memoryNetwork({ clock })
    const old = await network.transport({ host: '10.0.0.2' }).listen?.(() => undefined)
    network.unplug('10.0.0.2')
    const successor = network.transport({ host: '10.0.0.2' })
    let accepted = 0
    await successor.listen?.((connection) => {
      accepted += 1
      connection.destroy()
    })
    await old?.close()
    const dialled = network
      .transport({ host: '10.0.0.1' })
      .dial({ host: '10.0.0.2', port: 24_100 }, { signal: never })
      .catch(() => undefined)
    await clock.runUntilIdle()
    await dialled
    expect(accepted).toBe(1)
  })

  test('nothing is left in the network when connections are over', async () => {
    const clock = new SimulatedClock()
    const network = memoryNetwork({ clock, latencyMs: 10 })
    const a = network.transport({ host: '10.0.0.1' })
    const b = network.transport({ host: '10.0.0.2' })
    const { dialler } = await connectedPair(clock, a, b)
    dialler.connection.write([new Uint8Array(2 ** 22)])
    dialler.connection.destroy()
    await clock.runUntilIdle()
    expect(network.links.size).toBe(0)
    expect(clock.pendingTimers).toBe(0)
  })

  test('a connection that is over frees its port', async () => {
    const clock = new SimulatedClock()
    const network = memoryNetwork({ clock })
    const transport = network.transport({ host: '10.0.0.1' })
    const codes = new Set<unknown>()
    for (let count = 0; count < 17_000; count++) {
      transport
        .dial({ host: '10.0.0.2', port: 24_100 }, { signal: new AbortController().signal })
        .catch((error: unknown) => codes.add((error as { code: unknown }).code))
      if (count % 1_000 === 0) await clock.runUntilIdle()
    }
    await clock.runUntilIdle()
    expect([...codes]).toEqual(['ECONNREFUSED'])
  })

  test('a transport that does not listen has no method listen', () => {
    const transport = memoryNetwork().transport({ host: '10.0.0.1', listen: false })
    expect(transport.listen).toBeUndefined()
  })

  test('options outside their range are refused, and the value is named', () => {
    const network = memoryNetwork()
    expect(() => network.transport({ host: 'example.org' })).toThrow(/"example.org"/)
    expect(() => network.transport({ host: '10.0.0.1', port: 65_536 })).toThrow(/65536/)
    expect(() => network.transport({ host: '10.0.0.1', defaultPort: -1 })).toThrow(RangeError)
    expect(() => memoryNetwork({ maxInFlightBytes: 0 })).toThrow(RangeError)
    expect(() => memoryNetwork({ highWaterBytes: 1.5 })).toThrow(RangeError)
  })

  test('the default port is the listening port, and 24100 where that is any', () => {
    const network = memoryNetwork()
    expect(network.transport({ host: '10.0.0.1' }).defaultPort).toBe(24_100)
    expect(network.transport({ host: '10.0.0.1', port: 0 }).defaultPort).toBe(24_100)
    expect(network.transport({ host: '10.0.0.1', port: 7_000 }).defaultPort).toBe(7_000)
    expect(network.transport({ host: '10.0.0.1', port: 0, defaultPort: 9 }).defaultPort).toBe(9)
  })
})
