import { expect, test } from 'vitest'
import { banAt } from '../../src/rules/bans.js'

const ban = { reason: 'test', sinceUnixMs: 1_000, untilUnixMs: 1_500 }

test.each([
  { nowMs: 1_000, left: ban },
  { nowMs: 1_499, left: ban },
  { nowMs: 1_500, left: undefined },
  { nowMs: 9_000, left: undefined },
])('at $nowMs a ban from 1000 to 1500 holds, or does not', ({ nowMs, left }) => {
  expect(banAt(ban, nowMs)).toEqual(left)
})

test('a clock that went back makes no ban longer', () => {
  expect(banAt(ban, 10)).toEqual({ reason: 'test', sinceUnixMs: 10, untilUnixMs: 510 })
})
