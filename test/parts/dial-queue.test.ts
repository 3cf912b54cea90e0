import { expect, test } from 'vitest'
import { DialQueue, type DialTurn } from '../../src/connection/dial-queue.js'
import { PeerEntry } from '../../src/registry/peer-entry.js'
import { parsePeerAddress } from '../../src/rules/peer-ip.js'

function peer(ip: string, lastSeenUnixMs?: number): PeerEntry {
  const entry = new PeerEntry(ip, parsePeerAddress(ip), 'added', 0)
  entry.lastSeenUnixMs = lastSeenUnixMs
  return entry
}

/** A queue whose dials end when the test says so. */
class Bench {
  readonly left: string[] = []
  readonly #ends: (() => void)[] = []
  readonly queue: DialQueue

  constructor(maxConcurrentDials: number) {
    this.queue = new DialQueue(maxConcurrentDials, (turn) => this.#leave(turn))
  }

  async endOne(): Promise<void> {
    this.#ends.shift()?.()
    await settled()
  }

  async #leave(turn: DialTurn): Promise<void> {
    if (!this.queue.claim(turn)) return
    this.left.push(turn.entry.ip)
    await new Promise<void>((resolve) => this.#ends.push(resolve))
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('the more important leave first, at most so many at a time, equal ones as they came', async () => {
  const all = new Bench(1)
  all.queue.add(peer('10.0.0.1'), 'known')
  all.queue.add(peer('10.0.0.2'), 'known')
  all.queue.add(peer('10.0.0.3'), 'known')
  all.queue.add(peer('10.0.0.4', 1_000), 'known')
  all.queue.add(peer('10.0.0.5', 2_000), 'known')
  all.queue.add(peer('10.0.0.6'), 'kept')
  all.queue.add(peer('10.0.0.7'), 'user')
  expect(all.queue.size).toBe(6)
  for (let n = 0; n < 7; n += 1) await all.endOne()
  expect(all.left.map((ip) => ip.at(-1)).join('')).toBe('1765423')
})

test('a peer waits once, and moves forward only', async () => {
  const bench = new Bench(1)
  bench.queue.add(peer('10.0.0.1'), 'known')
  const [a, b] = [peer('10.0.0.2'), peer('10.0.0.3')]
  bench.queue.add(a, 'known')
  bench.queue.add(b, 'known')
  bench.queue.add(b, 'kept')
  bench.queue.add(b, 'known')
  expect([bench.queue.size, bench.queue.wishOf(b)]).toEqual([2, 'kept'])
  expect(bench.queue.inOrder.map(({ entry }) => entry)).toEqual([b, a])
  for (let n = 0; n < 4; n += 1) await bench.endOne()
  expect(bench.left).toEqual(['10.0.0.1', '10.0.0.3', '10.0.0.2'])
})

test('what was removed does not leave, and takes nobody’s turn', async () => {
  const bench = new Bench(1)
  bench.queue.add(peer('10.0.0.1'), 'known')
  const [a, b] = [peer('10.0.0.2'), peer('10.0.0.3')]
  bench.queue.add(a, 'kept')
  bench.queue.add(b, 'known')
  bench.queue.remove(a)
  expect(bench.queue.has(a)).toBe(false)
  await bench.endOne()
  expect(bench.left).toEqual(['10.0.0.1', '10.0.0.3'])
  bench.queue.add(a, 'known')
  bench.queue.clear()
  await bench.endOne()
  expect([bench.left.length, bench.queue.size]).toEqual([2, 0])
})

test('while it is paused only the user’s dials leave, also those that waited already', async () => {
  const bench = new Bench(1)
  bench.queue.add(peer('10.0.0.1'), 'known')
  bench.queue.add(peer('10.0.0.2'), 'kept')
  bench.queue.add(peer('10.0.0.3'), 'user')
  bench.queue.pause()
  expect(bench.left).toEqual(['10.0.0.1', '10.0.0.3'])
  bench.queue.add(peer('10.0.0.4'), 'user')
  for (let n = 0; n < 5; n += 1) await bench.endOne()
  expect(bench.left).toEqual(['10.0.0.1', '10.0.0.3', '10.0.0.4'])
  expect(bench.queue.size).toBe(1)
  bench.queue.resume()
  await settled()
  expect(bench.left.at(-1)).toBe('10.0.0.2')
})
