import { expect, test } from 'vitest'
import { memoryNetwork } from '../../src/adapters/memory.js'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import { systemClock } from '../../src/defaults.js'
import type { Clock, Timer } from '../../src/contracts/clock.js'
import { createNode, type NodeOptions } from '../../src/node.js'
import { testChain, testChainRules } from '../../src/testing/test-chain.js'

/**
 * A clock on which work takes as long as the test says, and no longer: so how much is done between two
 * turns of the event loop does not depend on the machine.
 */
class WorkClock implements Clock {
  #workedMs = 0

  /** Keeps the processor for so long. */
  work(ms: number): void {
    this.#workedMs += ms
  }

  get workedMs(): number {
    return this.#workedMs
  }

  now(): number {
    return systemClock.now() + this.#workedMs
  }

  unixMs(): number {
    return systemClock.unixMs()
  }

  /** Fires in the first turn in which it is due. */
  setTimer(delayMs: number, callback: () => void): Timer {
    const dueMs = this.now() + delayMs
    const look = (): void => {
      if (this.now() >= dueMs) callback()
      else timer = systemClock.setTimer(0, look)
    }
    let timer = systemClock.setTimer(0, look)
    return {
      cancel: () => {
        timer.cancel()
      },
    }
  }
}

test('block work does not stop the pings (F59)', async () => {
  const chain = testChain({ length: 10_000, blockBytes: 64 })
  const network = memoryNetwork()
  const server = new MemoryBlockStore()
  await server.open()
  await server.append(chain.blocks, { expectTip: null })
  const slowHeights = new Set([1_000, 2_500, 5_000, 7_500, 9_999])
  const clock = new WorkClock()
  // What is done between two turns of the event loop, and the longest call of the user's in it.
  let longestCallMs = 0
  let tickedAtWorkMs = 0
  const excessesMs: number[] = []
  let isOver = false
  const tick = (): void => {
    excessesMs.push(clock.workedMs - tickedAtWorkMs - longestCallMs)
    tickedAtWorkMs = clock.workedMs
    longestCallMs = 0
    if (!isOver) setImmediate(tick)
  }
  const call = (ms: number): void => {
    clock.work(ms)
    longestCallMs = Math.max(longestCallMs, ms)
  }
  const rules = testChainRules(chain)
  const node = (
    host: string,
    plugs: Pick<NodeOptions, 'clock'> & Required<Pick<NodeOptions, 'chain'>>,
  ) =>
    createNode({
      network: 'test',
      transport: network.transport({ host }),
      pingIntervalMs: 100,
      pongTimeoutMs: 1_000,
      stableAfterMs: 120_000,
      ...plugs,
    })
  const full = node('10.0.0.1', { chain: { rules, store: server } })
  const store = new MemoryBlockStore()
  const append = store.append.bind(store)
  // Synchronous: what it takes for a run of blocks keeps the processor.
  store.append = (blocks, options) => {
    call(blocks.length / 10)
    return append(blocks, options)
  }
  const fresh = node('10.0.0.9', {
    clock,
    chain: {
      store,
      rules: {
        ...rules,
        checkIntegrity: (block) => {
          call(0.5)
          return rules.checkIntegrity(block)
        },
        validate: ({ height }) => {
          call(slowHeights.has(height) ? 200 : 0.5)
          return { ok: true }
        },
      },
    },
  })
  const closes: unknown[] = []
  let missed = 0
  for (const { connections, pings } of [full, fresh]) {
    connections.on('peerDisconnected', ({ reason }) => void closes.push(reason))
    pings.on('pongMissed', () => void (missed += 1))
  }
  try {
    await Promise.all([full.start(), fresh.start()])
    tick()
    const peer = await fresh.connections.connect('10.0.0.1')
    const synced = fresh.sync.waitForSynced()
    let pongs = 0
    while (fresh.sync.tip?.hash !== chain.tip.hash) {
      await fresh.pings.ping(peer)
      pongs += 1
    }
    await synced
    expect(fresh.sync.tip).toEqual(chain.tip)
    // Pings were answered in the midst of it, not only before and after.
    expect(pongs).toBeGreaterThan(5)
    expect(closes).toEqual([])
    expect(missed).toBe(0)
    // Some 10,000 ms of work, and never more than 50 ms of it besides the longest single call.
    expect(clock.workedMs).toBeGreaterThan(10_000)
    expect(excessesMs.length).toBeGreaterThan(40)
    expect(Math.max(...excessesMs)).toBeLessThanOrEqual(50)
  } finally {
    isOver = true
    await Promise.all([full.stop(), fresh.stop()])
  }
})
