import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  judgeBytes,
  judgeSame,
  judgeWorld,
  Margins,
  pokeAtRandom,
  reachTip,
  worldOf,
} from './judge.js'
import type { SimWorld } from './sim-world.js'
import { worldProperties } from './properties.js'
import { boundMs, worldWords, type WorldWords } from './world-kinds.js'

describe('in simulated worlds', () => {
  test.each(worldProperties(new Margins()))('$name', ({ flaw }) => {
    expect(flaw({ seed: 1, numRuns: 30 })).toBeUndefined()
  })

  test('the same words give the same run, effect by effect', () => {
    fc.assert(
      fc.property(worldWords(), (words) => judgeSame(words)),
      { seed: 2, numRuns: 10 },
    )
  })
})

/** A world that is woken when nothing is due. */
function poked(words: WorldWords): SimWorld {
  const world = worldOf(words)
  pokeAtRandom(world)
  reachTip(world, boundMs(words, world.options.chain))
  return world
}

const line = { rate: 100, roundTripMs: 5 }

const found: Record<string, WorldWords> = {
  'two peers that are always busy do not hide a third': {
    seed: 0,
    blocks: 1,
    blockBytes: [0],
    anchor: { rate: 100, roundTripMs: 52 },
    honest: [],
    bad: [
      { rate: 20, roundTripMs: 48, kind: 'alwaysBusy', n: 0, joinsAtMs: 0 },
      { rate: 20, roundTripMs: 48, kind: 'alwaysBusy', n: 0, joinsAtMs: 0 },
    ],
  },
  'the next fork attempt begins in the step in which one ends': {
    seed: 0,
    blocks: 314,
    blockBytes: [0, 40_000],
    anchor: { rate: 100, roundTripMs: 1 },
    honest: [],
    bad: [
      { rate: 20, roundTripMs: 109, kind: 'otherFork', n: 8, joinsAtMs: 0 },
      { rate: 189, roundTripMs: 1, kind: 'wrongIds', n: 0, joinsAtMs: 370 },
      { rate: 3_023, roundTripMs: 171, kind: 'duplicates', n: 7, joinsAtMs: 0 },
      { rate: 3_206, roundTripMs: 238, kind: 'stopsAtNinetyPercent', n: 0, joinsAtMs: 0 },
    ],
  },
  'a peer that sends one block now and then does not hold a fork attempt': {
    seed: 0,
    blocks: 636,
    blockBytes: [40_000],
    anchor: { rate: 3_401, roundTripMs: 1 },
    honest: [],
    bad: [
      { ...line, kind: 'dripping', n: 13, joinsAtMs: 2_553 },
      { ...line, rate: 1_572, kind: 'otherFork', n: 28, joinsAtMs: 2_912 },
    ],
  },
  'who does not link to what a liar brought is not left alone longer and longer': {
    seed: 0,
    blocks: 84,
    blockBytes: [40_000],
    anchor: { rate: 1_208, roundTripMs: 55 },
    honest: [],
    bad: [
      { rate: 187, roundTripMs: 1, kind: 'wrongOrder', n: 0, joinsAtMs: 576 },
      { rate: 1_275, roundTripMs: 231, kind: 'otherFork', n: 2, joinsAtMs: 0 },
      { rate: 779, roundTripMs: 134, kind: 'otherFork', n: 0, joinsAtMs: 2_924 },
    ],
  },
}

describe('worlds that once went wrong', () => {
  test.each(Object.entries(found))('%s', (_, words) => {
    expect(judgeWorld(words).isDone).toBe(true)
  })
  test.each<{ what: string; words: WorldWords }>([
    {
      what: 'a slow peer that is late with all that it is asked for',
      words: {
        seed: 1_936_017_730,
        blocks: 269,
        blockBytes: [2_747, 40_000, 3_819],
        anchor: { rate: 104, roundTripMs: 27 },
        honest: [{ rate: 20, roundTripMs: 145, kind: 'steady', n: 5 }],
        bad: [],
      },
    },
    {
      what: 'a slow peer that comes late',
      words: {
        seed: 2_118_833_059,
        blocks: 1_691,
        blockBytes: [3_791, 2_893],
        anchor: { rate: 110, roundTripMs: 8 },
        honest: [{ rate: 22, roundTripMs: 127, kind: 'late', n: 20 }],
        bad: [],
      },
    },
    {
      what: 'blocks that are larger than a span',
      words: {
        seed: 1_341_214_452,
        blocks: 1_128,
        blockBytes: [100, 1_547, 3_348, 40_000, 40_000],
        anchor: { rate: 102, roundTripMs: 7 },
        honest: [{ rate: 104, roundTripMs: 243, kind: 'steady', n: 5 }],
        bad: [],
      },
    },
  ])('little comes twice: $what', ({ words }) => {
    judgeBytes(judgeWorld(words), words)
  })

  test('who was asked for the front twice is free for another late span in the same step', () => {
    const slow = { rate: 20, roundTripMs: 1, n: 0 }
    const words: WorldWords = {
      seed: 0,
      blocks: 129,
      blockBytes: [179],
      anchor: { rate: 100, roundTripMs: 1 },
      honest: [
        { ...slow, kind: 'steady' },
        { ...slow, kind: 'steady' },
      ],
      bad: [
        { ...slow, kind: 'silent', joinsAtMs: 0 },
        { ...slow, kind: 'silent', joinsAtMs: 0 },
        { ...slow, kind: 'silent', joinsAtMs: 313 },
        { ...slow, kind: 'silent', joinsAtMs: 0 },
        { ...slow, roundTripMs: 205, kind: 'otherFork', joinsAtMs: 0 },
        { ...slow, kind: 'silent', joinsAtMs: 0 },
      ],
    }
    expect(poked(words).isDone).toBe(true)
  })

  test('what is split off the end of the plan is for a new peer in the same step', () => {
    const words: WorldWords = {
      seed: 1,
      blocks: 39,
      blockBytes: [40_000],
      anchor: { rate: 110, roundTripMs: 1 },
      honest: [],
      bad: [
        { rate: 20, roundTripMs: 1, kind: 'silent', n: 0, joinsAtMs: 0 },
        { rate: 20, roundTripMs: 1, kind: 'stopsAtNine', n: 0, joinsAtMs: 0 },
      ],
    }
    expect(poked(words).isDone).toBe(true)
  })

  test('a span is hedged again when one of those who were asked is past hope', () => {
    const words: WorldWords = {
      seed: 0,
      blocks: 826,
      blockBytes: [40_000, 2_452, 40_000],
      anchor: { rate: 3_088, roundTripMs: 173 },
      honest: [
        { rate: 24, roundTripMs: 160, kind: 'steady', n: 0 },
        { rate: 21, roundTripMs: 180, kind: 'restarting', n: 95 },
      ],
      bad: [],
    }
    expect(poked(words).isDone).toBe(true)
  })

  test('a sync without progress is told when its timer fires, not at the next heartbeat', () => {
    const words: WorldWords = {
      seed: 0,
      blocks: 1_953,
      blockBytes: [40_000, 0],
      anchor: { rate: 104, roundTripMs: 89 },
      honest: [],
      bad: [{ rate: 631, roundTripMs: 231, kind: 'otherFork', n: 37, joinsAtMs: 0 }],
    }
    expect(poked(words).node.notices).toContainEqual(
      expect.objectContaining({ phase: { kind: 'stalled', reason: 'no-progress' } }),
    )
  })
})
