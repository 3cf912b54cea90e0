import { expect, test } from 'vitest'
import { WaitingForRoom } from '../../src/connection/waiting-for-room.js'
import { PeerEntry } from '../../src/registry/peer-entry.js'
import { parsePeerAddress } from '../../src/rules/peer-ip.js'

function entry(host: string, lastSeenUnixMs?: number): PeerEntry {
  const made = new PeerEntry(host, parsePeerAddress(host), 'added', 0)
  made.lastSeenUnixMs = lastSeenUnixMs
  return made
}

const all = (): boolean => true

test('those seen last come first, and no more than there is room for', () => {
  const waiting = new WaitingForRoom()
  const [never, long, lately] = [
    entry('10.0.0.1'),
    entry('10.0.0.2', 1e12),
    entry('10.0.0.3', 2e12),
  ]
  for (const one of [never, long, lately]) waiting.add(one)
  expect(waiting.take(2, all)).toEqual([lately, long])
  expect(waiting.take(2, all)).toEqual([never])
  expect(waiting.take(2, all)).toEqual([])
})

test('however many there is no room for, they hide nobody for long, and cost a few looks each time', () => {
  const waiting = new WaitingForRoom()
  const crowd = Array.from({ length: 200 }, (_, n) => entry(`10.1.0.${n}`, 2e12))
  const alone = entry('10.2.0.1')
  for (const one of [...crowd, alone]) waiting.add(one)
  let turns = 0
  let looks = 0
  const isAlone = (one: PeerEntry): boolean => {
    looks += 1
    return one === alone
  }
  while (waiting.take(1, isAlone).length === 0) {
    expect(looks).toBeLessThanOrEqual(16)
    looks = 0
    turns += 1
  }
  expect(turns).toBeLessThanOrEqual(Math.ceil(200 / 16))
  // They still wait, in their order.
  expect(waiting.take(300, all)).toHaveLength(200)
})
