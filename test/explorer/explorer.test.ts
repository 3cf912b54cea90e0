import { describe, expect, test } from 'vitest'
import { stepElection } from '../../src/rules/election.js'
import { explore } from './explore.js'
import { multihomed, pair, shared } from './shapes.js'
import type { StepElection } from './slot-table.js'
import { tell } from './story.js'

const onePerSide = pair('one dial per side', { dials: [1, 1] })

describe('every interleaving of a small world', () => {
  test.each([
    onePerSide,
    pair('only the higher can dial', { dials: [1, 1], unreachable: 'high' }),
    pair('two dials per side, an early timer', { dials: [2, 2], faults: { early: 1 } }),
    pair('two dials per side, a reset', { dials: [2, 2], faults: { reset: 1 } }),
    pair('two dials per side, a crash', {
      dials: [2, 2],
      dialsAfterRestart: 1,
      faults: { crash: 1 },
    }),
    shared('two hosts behind one address', { peer: '10.0.0.10', dials: [1, 1, 1] }),
    multihomed('one host with two addresses', { dials: [1, 1, 1] }),
  ])('$name: one connection, the same at both ends (F10)', (world) => {
    const { violation } = explore(world)
    expect(violation === undefined ? [] : tell(world, violation.moves), violation?.what).toEqual([])
  })

  test('the same world has the same states, transitions and depth in every run', () => {
    const { states, transitions, depth } = explore(onePerSide)
    const again = explore(onePerSide)
    expect(again).toMatchObject({ states, transitions, depth })
    expect(states).toBeGreaterThan(90)
  })
})

describe('the explorer itself can fail', () => {
  const broken: readonly { what: RegExp; text: string; step: StepElection }[] = [
    {
      text: 'an election that never sends READY connects nobody',
      what: /nobody is connected although a dial was left/,
      step: (state, event, limits) => {
        const { state: next, effects } = stepElection(state, event, limits)
        return { state: next, effects: effects.filter(({ kind }) => kind !== 'sendReady') }
      },
    },
    {
      text: 'an election that closes nothing leaves losers open',
      what: /is open, and nobody holds it/,
      step: (state, event, limits) => {
        const { state: next, effects } = stepElection(state, event, limits)
        return { state: next, effects: effects.filter(({ kind }) => kind !== 'close') }
      },
    },
    {
      text: 'an election that tells nobody of a new incumbent',
      what: /the incumbent changed and nobody was told/,
      step: (state, event, limits) => {
        const { state: next, effects } = stepElection(state, event, limits)
        return { state: next, effects: effects.filter(({ kind }) => kind !== 'established') }
      },
    },
    {
      text: 'an election without patience for its own dial',
      what: /the preferred dial was under way, and another connection won/,
      step: (state, event, limits) => {
        const first = stepElection(state, event, limits)
        const { hold } = first.state
        if (hold === null || hold.isExpired) return first
        const second = stepElection(first.state, { kind: 'holdExpired', id: hold.dialId }, limits)
        return { state: second.state, effects: [...first.effects, ...second.effects] }
      },
    },
  ]

  test.each(broken.map((row) => [row.text, row] as const))('%s', (_text, { what, step }) => {
    const { violation } = explore(onePerSide, { step })
    expect(violation?.what).toMatch(what)
  })

  test('a violation comes with its shortest story, in words', () => {
    const { violation } = explore(onePerSide, { step: broken[3]!.step })
    expect(tell(onePerSide, violation!.moves, { step: broken[3]!.step })).toMatchInlineSnapshot(`
      [
        "10.0.0.9 dials 10.0.0.10 (connection 1)",
        "10.0.0.10 dials 10.0.0.9 (connection 2)",
        "connection 2 reaches 10.0.0.9, 10.0.0.10 sends HELLO",
        "HELLO of connection 2 reaches 10.0.0.9",
        "HELLO of connection 2 reaches 10.0.0.10",
        "READY of connection 2 reaches 10.0.0.10: 10.0.0.10 has established connection 2",
        "READY of connection 2 reaches 10.0.0.9: 10.0.0.9 has established connection 2",
      ]
    `)
  })
})
