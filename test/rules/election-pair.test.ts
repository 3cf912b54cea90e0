import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ElectionPair, type DialFate } from './support/election-pair.js'

const seed = 11

/** Plays until nothing can happen any more; `choices` picks, over and over, what happens next. */
function playOut(
  pair: ElectionPair,
  picks: readonly number[],
  options: { readonly early: readonly string[] },
): void {
  for (let turn = 0; ; turn++) {
    if (turn > 1_000) throw new Error(`never quiet:\n${pair.story.join('\n')}`)
    const soon = pair.choices()
    // Time passes when all is quiet; the timers named in `early` fire whenever the dice say so.
    const choices =
      soon.length > 0
        ? [...soon, ...pair.timers(options.early)]
        : pair.timers(['hold', 'challenge', 'held'])
    if (choices.length === 0) return
    pair.run(choices[(picks[turn % picks.length] ?? 0) % choices.length]!)
  }
}

const picks = fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 60 })
const fate = fc.constantFrom<DialFate>('arrives', 'fails', 'vanishes')

/** What must hold of any pair when it is quiet. */
function checkQuiet(pair: ElectionPair): void {
  const story = pair.story.join('\n')
  expect(pair.heldBy('A'), story).toBe(pair.heldBy('B'))
  expect(pair.lost, story).toEqual([])
  expect(pair.forgotten, story).toEqual([])
}

describe('two nodes that dial each other', () => {
  test('at the same instant hold the same connection, the one of the lower IP (F10)', () => {
    fc.assert(
      fc.property(picks, (picks) => {
        const pair = new ElectionPair({ A: 'arrives', B: 'arrives' })
        pair.startDial('A')
        pair.startDial('B')
        playOut(pair, picks, { early: [] })
        checkQuiet(pair)
        expect(pair.isHoldExpired).toBe(false)
        expect(pair.heldBy('A'), pair.story.join('\n')).toBe('A')
        expect([...pair.established].sort()).toEqual(['A', 'B'])
      }),
      { seed, numRuns: 1_500 },
    )
  })

  test('one after the other hold the same connection, and each is told once (F10, F11)', () => {
    fc.assert(
      fc.property(picks, (picks) => {
        const pair = new ElectionPair({ A: 'arrives', B: 'arrives' })
        playOut(pair, picks, { early: [] })
        checkQuiet(pair)
        expect([...pair.established].sort(), pair.story.join('\n')).toEqual(['A', 'B'])
      }),
      { seed, numRuns: 1_500 },
    )
  })

  test('hold the one connection that arrives when the other dial fails or vanishes (F12, F16)', () => {
    fc.assert(
      fc.property(picks, fate, fate, fc.boolean(), (picks, a, b, atOnce) => {
        const pair = new ElectionPair({ A: a, B: b })
        if (atOnce) {
          pair.startDial('A')
          pair.startDial('B')
        }
        playOut(pair, picks, { early: [] })
        checkQuiet(pair)
        const isPossible = a === 'arrives' || b === 'arrives'
        expect(pair.heldBy('A') !== undefined, pair.story.join('\n')).toBe(isPossible)
      }),
      { seed, numRuns: 1_500 },
    )
  })

  test('agree also when the hold and the challenges end too early', () => {
    fc.assert(
      fc.property(picks, fate, fate, (picks, a, b) => {
        const pair = new ElectionPair({ A: a, B: b })
        playOut(pair, picks, { early: ['hold', 'held', 'challenge'] })
        checkQuiet(pair)
        const isPossible = a === 'arrives' || b === 'arrives'
        expect(pair.heldBy('A') !== undefined, pair.story.join('\n')).toBe(isPossible)
      }),
      { seed, numRuns: 1_500 },
    )
  })
})
