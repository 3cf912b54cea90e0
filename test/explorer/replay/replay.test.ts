import { afterEach, describe, expect, test, vi } from 'vitest'
import { Dialer } from '../../../src/connection/dialer.js'
import { Greeting } from '../../../src/connection/greeting.js'
import { PeerConnection } from '../../../src/connection/peer-connection.js'
import { TimerTable } from '../../../src/connection/timer-table.js'
import { slotEffectKinds, slotEventKinds } from '../events.js'
import { moveKinds } from '../moves.js'
import { multihomed, pair, shared } from '../shapes.js'
import { worlds } from '../worlds.js'
import { replayWorld, sumOf, type ReplayReport } from './replay-worlds.js'

const shortWorlds = worlds.filter(({ isDeep }) => isDeep !== true)

describe('real nodes do in every step what the model of the explorer says', () => {
  const reports: ReplayReport[] = []

  test.each(shortWorlds)('$name', async (world) => {
    const report = await replayWorld(world, { count: 2, seed: 7 })
    reports.push(report)
    expect(report.mismatch).toBeUndefined()
    expect(report.paths).toBe(2)
  })

  test('and that in each kind of move, event and effect', () => {
    const { kinds } = sumOf(reports)
    const met = [...kinds].map((kind) => kind.split(' ').slice(0, 2).join(' '))
    expect(new Set(met)).toEqual(
      new Set([
        ...moveKinds.map((kind) => `move ${kind}`),
        ...slotEventKinds.map((kind) => `event ${kind}`),
        ...slotEffectKinds.map((kind) => `effect ${kind}`),
      ]),
    )
  })
})

describe('a replay fails on nodes that', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  const twoPerSide = pair('two dials per side, a reset', { dials: [2, 2], faults: { reset: 1 } })
  const behind = shared('two behind one address', { peer: '10.0.0.10', dials: [1, 1, 1] })
  const { sendHandshake } = PeerConnection.prototype
  const { cancel } = TimerTable.prototype

  test.each([
    {
      flaw: 'send no READY',
      world: twoPerSide,
      breakIt: () =>
        vi.spyOn(PeerConnection.prototype, 'sendHandshake').mockImplementation(function (
          this: PeerConnection,
          message,
        ) {
          if (message.kind !== 'ready') sendHandshake.call(this, message)
        }),
      what: /in flight on connection \d+ from its \w+: the model has .*READY/,
    },
    {
      flaw: 'do not answer a HELLO',
      world: twoPerSide,
      breakIt: () => vi.spyOn(Greeting.prototype, 'answer').mockReturnValue(undefined),
      what: /from its acceptor: the model has HELLO/,
    },
    {
      flaw: 'let a dial go on that was to be aborted',
      world: twoPerSide,
      breakIt: () => vi.spyOn(Dialer.prototype, 'abort').mockReturnValue(undefined),
      what: /end of connection \d+: the model has nothing; the nodes dialing/,
    },
    {
      flaw: 'forget to cancel a challenge',
      world: behind,
      breakIt: () =>
        vi.spyOn(TimerTable.prototype, 'cancel').mockImplementation(function (
          this: TimerTable,
          name,
        ) {
          if (!name.startsWith('challenge')) cancel.call(this, name)
        }),
      what: /the nodes open, timers: challenge/,
    },
    {
      flaw: 'say who decides by their own view of the addresses',
      world: multihomed('one host with two addresses', { dials: [1, 1, 1] }),
      breakIt: () => vi.spyOn(Greeting.prototype, 'arbiterWith').mockReturnValue('us'),
      what: /arbiter=/,
    },
  ])('$flaw', async ({ world, breakIt, what }) => {
    breakIt()
    const { mismatch } = await replayWorld(world, { count: 20, seed: 1 })
    expect(mismatch?.what.join('\n')).toMatch(what)
    expect(mismatch?.story.length).toBeGreaterThan(0)
  })
})
