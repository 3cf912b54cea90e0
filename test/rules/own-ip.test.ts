import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { afterVote, majorityIp, type OwnIpVotes } from '../../src/rules/own-ip.js'
import { parsePeerIp } from '../../src/rules/peer-ip.js'

const [one, two] = [parsePeerIp('203.0.113.1'), parsePeerIp('203.0.113.2')]
const none: OwnIpVotes = new Map()
const vote = (votes: OwnIpVotes, ...words: [string, typeof one][]): OwnIpVotes =>
  words.reduce((before, [peer, ip]) => afterVote(before, peer, ip), votes)

describe('our own IP', () => {
  test('is unknown while nobody has said anything (F72)', () => {
    expect(majorityIp(none)).toBeUndefined()
  })

  test('is what more than half of the peers see', () => {
    expect(majorityIp(vote(none, ['a', one]))).toBe(one)
    expect(majorityIp(vote(none, ['a', one], ['b', two]))).toBeUndefined()
    expect(majorityIp(vote(none, ['a', one], ['b', two], ['c', two]))).toBe(two)
    expect(majorityIp(vote(none, ['a', one], ['b', two], ['c', two], ['d', one]))).toBeUndefined()
  })

  test('is not moved by one peer that says it often', () => {
    const votes = vote(none, ['a', one], ['b', one], ['c', two], ['c', two], ['c', two])
    expect(majorityIp(votes)).toBe(one)
    expect(votes.size).toBe(3)
  })

  test('follows the newest word of each peer', () => {
    expect(majorityIp(vote(none, ['a', one], ['a', two]))).toBe(two)
  })

  test('rests on the last 64 peers that spoke', () => {
    const words = Array.from({ length: 64 }, (_, n): [string, typeof one] => [`old ${n}`, one])
    let votes = vote(none, ...words)
    for (let n = 0; n < 33; n++) votes = afterVote(votes, `new ${n}`, two)
    expect(votes.size).toBe(64)
    expect(majorityIp(votes)).toBe(two)
    // Who spoke again is not the oldest any more.
    const again = afterVote(vote(none, ...words), 'old 0', one)
    expect(afterVote(again, 'another', two).has('old 0')).toBe(true)
    expect(afterVote(again, 'another', two).has('old 1')).toBe(false)
  })

  test('is counted, with any votes, as a strict majority of distinct peers', () => {
    const words = fc.array(
      fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.constantFrom(one, two)),
    )
    fc.assert(
      fc.property(words, (words) => {
        const last = new Map(words)
        const count = [...last.values()].filter((ip) => ip === one).length
        const votes = vote(none, ...words)
        expect(majorityIp(votes) === one).toBe(count * 2 > last.size)
        expect(none.size).toBe(0)
      }),
      { seed: 2, numRuns: 300 },
    )
  })
})
