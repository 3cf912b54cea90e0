import { describe, expect, test } from 'vitest'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import type { BlockRef } from '../../src/contracts/block-store.js'
import type { Clock } from '../../src/contracts/clock.js'
import type { SyncInput } from '../../src/rules/sync/inputs.js'
import { SyncWork } from '../../src/sync/sync-work.js'
import { refOf, testChain, testChainRules } from '../../src/testing/test-chain.js'

const chain = testChain({ length: 100 })

/** Time that passes only by work; timers are run by hand. */
class BusyClock implements Clock {
  timeMs = 0
  readonly timers: (() => void)[] = []
  now = () => this.timeMs
  unixMs = () => this.timeMs
  setTimer(_: number, callback: () => void) {
    this.timers.push(callback)
    return { cancel: () => void this.timers.splice(this.timers.indexOf(callback), 1) }
  }
}

function work(costMs: number, validate = false) {
  const clock = new BusyClock()
  const inputs: SyncInput[] = []
  const check = () => {
    clock.timeMs += costMs
    return { ok: true } as const
  }
  const rules = testChainRules(chain, validate ? { validate: check } : { checkIntegrity: check })
  const store = new MemoryBlockStore()
  const done = new SyncWork(rules, store, clock, (input) => inputs.push(input))
  return { clock, inputs, done, store }
}

describe('checks', () => {
  test('hold the event loop no longer than 20 ms at a time', () => {
    const { clock, inputs, done } = work(4)
    done.start({ kind: 'check', token: 1, blocks: chain.blocks })
    done.start({ kind: 'check', token: 2, blocks: chain.blocks.slice(0, 3) })
    let slices = 0
    for (let run = clock.timers.shift(); run !== undefined; run = clock.timers.shift()) {
      const before = clock.timeMs
      run()
      slices += 1
      expect(clock.timeMs - before).toBeLessThanOrEqual(20)
    }
    expect(slices).toBeGreaterThan(20)
    expect(inputs).toEqual([
      { kind: 'checked', token: 1, result: { kind: 'passed' } },
      { kind: 'checked', token: 2, result: { kind: 'passed' } },
    ])
  })

  test('that were waiting when work was stopped are dropped', () => {
    const { clock, inputs, done } = work(4)
    done.start({ kind: 'check', token: 1, blocks: chain.blocks })
    clock.timers.shift()?.()
    done.stop()
    expect(clock.timers).toEqual([])
    done.start({ kind: 'check', token: 2, blocks: chain.blocks.slice(0, 2) })
    clock.timers.shift()?.()
    expect(inputs).toEqual([{ kind: 'checked', token: 2, result: { kind: 'passed' } }])
  })
})

describe('validation', () => {
  test('lets the event loop run every 20 ms, although it is synchronous', async () => {
    const { clock, inputs, done } = work(4, true)
    const { blocks } = chain
    done.start({ kind: 'validate', token: 1, previous: null, blocks, work: 'extend' })
    let slices = 0
    while (inputs.length === 0) {
      const before = clock.timeMs
      for (let turn = 0; turn < 500; turn++) await Promise.resolve()
      expect(clock.timeMs - before).toBeLessThanOrEqual(20)
      clock.timers.shift()?.()
      slices += 1
    }
    expect(slices).toBeGreaterThan(20)
    expect(inputs).toEqual([{ kind: 'validated', token: 1, result: { kind: 'passed' } }])
  })
})

describe('writes', () => {
  test('a reorganisation is one call of the store, and nothing is taken back before it', async () => {
    const { inputs, done, store } = work(0)
    await store.open()
    await store.append(chain.blocks, { expectTip: null })
    const calls: string[] = []
    for (const name of ['append', 'replace'] as const) {
      const call = store[name].bind(store) as (...parameters: unknown[]) => Promise<BlockRef | null>
      store[name] = (...parameters: unknown[]) => {
        calls.push(name)
        return call(...parameters)
      }
    }
    const branch = chain.fork(90, 20, 7)
    const [ancestor, expectTip] = [refOf(chain.at(90)), chain.tip]
    const blocks = branch.blocks.slice(91)
    done.start({ kind: 'replace', token: 1, ancestor, expectTip, blocks })
    await ended(inputs)
    expect(calls).toEqual(['replace'])
    const { tip } = branch
    expect(inputs).toEqual([{ kind: 'written', token: 1, result: { kind: 'written', tip } }])
  })

  test('of a store that keeps the processor are told in the next turn of the event loop', async () => {
    const { clock, inputs, done, store } = work(0)
    await store.open()
    const append = store.append.bind(store)
    store.append = (...parameters) => {
      clock.timeMs += 100
      return append(...parameters)
    }
    done.start({ kind: 'append', token: 1, expectTip: null, blocks: chain.blocks })
    for (let turn = 0; turn < 500; turn++) await Promise.resolve()
    expect(inputs).toEqual([])
    clock.timers.shift()!()
    await ended(inputs)
    expect(inputs).toMatchObject([{ kind: 'written', token: 1, result: { kind: 'written' } }])
  })
})

async function ended(inputs: readonly SyncInput[]): Promise<void> {
  for (let turn = 0; turn < 500 && inputs.length === 0; turn++) await Promise.resolve()
}
