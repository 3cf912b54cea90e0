import { expect, test } from 'vitest'
import { memoryNetwork } from '../../src/adapters/memory.js'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import { createNode } from '../../src/node.js'
import { testChain, testChainRules } from '../../src/testing/test-chain.js'

/** Keeps the processor for so long, as a slow validation does. */
function blockFor(ms: number): void {
  const untilMs = performance.now() + ms
  while (performance.now() < untilMs);
}

test('block work does not stop the pings (F59)', async () => {
  const chain = testChain({ length: 10_000, blockBytes: 64 })
  const network = memoryNetwork()
  const server = new MemoryBlockStore()
  await server.open()
  await server.append(chain.blocks, { expectTip: null })
  const slowHeights = new Set([1_000, 2_500, 5_000, 7_500, 9_999])
  // What happens between two turns of the event loop, counted and not timed.
  let slowInTurn = 0
  let mostSlowInTurn = 0
  let validatedInTurn = 0
  let mostValidatedInTurn = 0
  let turns = 0
  let isOver = false
  const turn = (): void => {
    mostSlowInTurn = Math.max(mostSlowInTurn, slowInTurn)
    mostValidatedInTurn = Math.max(mostValidatedInTurn, validatedInTurn)
    slowInTurn = 0
    validatedInTurn = 0
    turns += 1
    if (!isOver) setImmediate(turn)
  }
  const rules = testChainRules(chain)
  const node = (host: string, store: MemoryBlockStore, validate: typeof rules.validate) =>
    createNode({
      network: 'test',
      transport: network.transport({ host }),
      pingIntervalMs: 100,
      pongTimeoutMs: 1_000,
      stableAfterMs: 120_000,
      chain: { rules: { ...rules, ...(validate && { validate }) }, store },
    })
  const full = node('10.0.0.1', server, undefined)
  const fresh = node('10.0.0.9', new MemoryBlockStore(), ({ height }) => {
    validatedInTurn += 1
    if (slowHeights.has(height)) {
      slowInTurn += 1
      blockFor(200)
    }
    return { ok: true }
  })
  const closes: unknown[] = []
  let missed = 0
  for (const { connections, pings } of [full, fresh]) {
    connections.on('peerDisconnected', ({ reason }) => void closes.push(reason))
    pings.on('pongMissed', () => void (missed += 1))
  }
  try {
    await Promise.all([full.start(), fresh.start()])
    setImmediate(turn)
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
    // Never two slow calls, nor the work of many blocks, without a turn between them.
    expect(mostSlowInTurn).toBe(1)
    expect(mostValidatedInTurn).toBeLessThan(chain.blocks.length / 2)
    expect(turns).toBeGreaterThan(10)
  } finally {
    isOver = true
    await Promise.all([full.stop(), fresh.stop()])
  }
})
