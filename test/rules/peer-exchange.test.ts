import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ToldPeer } from '../../src/contracts/exchange-messages.js'
import {
  chooseGiven,
  chooseHeard,
  defaultPeerExchangeLimits as limits,
  mayTell,
  type GivablePeer,
} from '../../src/rules/peer-exchange.js'
import { parsePeerIp } from '../../src/rules/peer-ip.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'

const publicIp = parsePeerIp('8.8.8.8')
const privateIp = parsePeerIp('10.0.0.1')
const nobody = (_ip: string): boolean => false

describe('whether an address can be told', () => {
  test.each([
    ['1.1.1.1', true, true, true],
    ['2606:4700::1111', true, true, true],
    ['10.1.2.3', false, true, false],
    ['192.168.1.1', false, true, false],
    ['172.16.0.1', false, true, false],
    ['fd00::1', false, true, false],
    ['100.64.0.1', false, false, false],
    ['127.0.0.1', false, false, true],
    ['::1', false, false, true],
    ['0.0.0.0', false, false, false],
    ['::', false, false, false],
    ['224.0.0.1', false, false, false],
    ['ff02::1', false, false, false],
    ['255.255.255.255', false, false, false],
    ['169.254.1.1', false, false, false],
    ['fe80::1', false, false, false],
    ['240.0.0.1', false, false, false],
    ['192.0.2.1', false, false, false],
    ['2001:db8::1', false, false, false],
    ['4000::1', false, false, false],
    ['::ffff:8.8.8.8', true, true, true],
  ])('%s to a public peer: %s, a private one: %s, one on this machine: %s', (text, ...expected) => {
    const ip = parsePeerIp(text)
    const partners = ['8.8.8.8', '10.0.0.1', '127.0.0.1'].map(parsePeerIp)
    expect(partners.map((partner) => mayTell(ip, partner))).toEqual(expected)
  })
})

const nowUnixMs = Date.UTC(2025, 0, 1)
const weekMs = 7 * 24 * 3_600_000
const good = (changes: Partial<GivablePeer> = {}): GivablePeer => ({
  ip: publicIp,
  port: 24_100,
  isUnwanted: false,
  isConnected: false,
  timesConnected: 1,
  hasFailed: false,
  seenUnixMs: nowUnixMs,
  ...changes,
})
const partner = parsePeerIp('9.9.9.9')
const give = (
  known: Iterable<GivablePeer>,
  asked = 1_000,
  isOwn = nobody,
  seed = 1,
): ToldPeer[] => {
  const random = new SeededRandom(seed)
  const dice = () => random.next()
  const isPartner = (ip: string): boolean => ip === partner
  return chooseGiven(known, { partner, isPartner, asked, isOwn, nowUnixMs, dice }, limits)
}

describe('what is given', () => {
  test.each([
    { who: 'a peer that was connected', peer: good(), isGiven: true },
    { who: 'one seen a week ago', peer: good({ seenUnixMs: nowUnixMs - weekMs }), isGiven: true },
    { who: 'one seen before', peer: good({ seenUnixMs: nowUnixMs - weekMs - 1 }), isGiven: false },
    { who: 'one that was never connected', peer: good({ timesConnected: 0 }), isGiven: false },
    { who: 'one that failed since', peer: good({ hasFailed: true }), isGiven: false },
    {
      who: 'one that is connected',
      peer: good({ isConnected: true, seenUnixMs: 0 }),
      isGiven: true,
    },
    { who: 'a banned one', peer: good({ isUnwanted: true, isConnected: true }), isGiven: false },
    { who: 'one that does not listen', peer: good({ port: undefined }), isGiven: false },
    { who: 'the partner itself', peer: good({ ip: partner }), isGiven: false },
    { who: 'a private one, to a public partner', peer: good({ ip: privateIp }), isGiven: false },
  ])('$who: $isGiven (F30)', ({ peer, isGiven }) => {
    expect(give([peer])).toEqual(isGiven ? [{ ip: peer.ip, port: 24_100 }] : [])
  })

  test('our own address never is, whatever it is taken for (F09)', () => {
    for (const text of ['0.0.0.0', '::', '127.0.0.1', '10.0.0.1', '8.8.8.8']) {
      const own = parsePeerIp(text)
      const isOwn = (ip: string): boolean => ip === own
      const known = [good({ ip: own, isConnected: true })]
      for (const to of ['9.9.9.9', '10.0.0.9', '127.0.0.9'].map(parsePeerIp)) {
        const facts = { partner: to, isPartner: nobody, asked: 10, isOwn, nowUnixMs, dice: () => 0 }
        expect(chooseGiven(known, facts, limits)).toEqual([])
      }
    }
  })

  const many = (count: number): GivablePeer[] =>
    Array.from({ length: count }, (_, index) =>
      good({ ip: parsePeerIp(`8.${index >> 16}.${(index >> 8) & 255}.${index & 255}`) }),
    )

  test.each([
    [3, 1_000, 3],
    [16, 1_000, 16],
    [17, 1_000, 16],
    [100, 1_000, 23],
    [1_000, 1_000, 230],
    [10_000, 1_000, 250],
    [10_000, 7, 7],
  ])('of %i known ones, asked for %i, are %i', (known, asked, given) => {
    const answer = give(many(known), asked)
    expect(answer).toHaveLength(given)
    expect(new Set(answer.map(({ ip }) => ip)).size).toBe(given)
  })

  test('is another part each time, and every peer has the same chance', () => {
    const counts = new Map<string, number>()
    for (let seed = 0; seed < 2_000; seed++) {
      for (const { ip } of give(many(100), 1_000, nobody, seed)) {
        counts.set(ip, (counts.get(ip) ?? 0) + 1)
      }
    }
    expect(counts.size).toBe(100)
    expect(Math.min(...counts.values())).toBeGreaterThan(460 * 0.75)
    expect(Math.max(...counts.values())).toBeLessThan(460 * 1.25)
  })
})

describe('what is heard', () => {
  const hear = (told: readonly ToldPeer[], isOwn = nobody, from = '8.8.8.8') =>
    chooseHeard(told, { partner: parsePeerIp(from), isOwn }, limits)

  test('is what the partner can speak of, each once, and nothing of ourselves', () => {
    const told = [
      { ip: '1.1.1.1', port: 1 },
      { ip: '1.1.1.1', port: 1 },
      { ip: '10.0.0.7', port: 24_100 },
      { ip: '0.0.0.0', port: 24_100 },
      { ip: '224.0.0.1', port: 24_100 },
      { ip: '127.0.0.1', port: 24_100 },
      { ip: '1.1.1.2', port: 0 },
      { ip: '1.1.1.2', port: 65_536 },
      { ip: '1.1.1.2', port: 1.5 },
      { ip: '5.5.5.5', port: 24_100 },
      { ip: '1.1.1.3', port: 65_535 },
    ]
    expect(hear(told, (ip) => ip === '5.5.5.5')).toEqual([
      { ip: '1.1.1.1', port: 1 },
      { ip: '1.1.1.3', port: 65_535 },
    ])
  })

  test('of a million entries 250 are looked at (F32)', () => {
    let looked = 0
    const told = Array.from({ length: 1_000_000 }, (_, index) => ({
      get ip() {
        looked += 1
        return `8.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
      },
      port: 24_100,
    }))
    const heard = hear(told)
    expect(heard).toHaveLength(250)
    expect(looked).toBeLessThanOrEqual(250 * 2)
  })

  const anyIp = fc.oneof(fc.ipV4(), fc.ipV6()).map(parsePeerIp)
  test('is always permitted, never our own, never twice, never more than is asked for (F32)', () => {
    let kept = 0
    fc.assert(
      fc.property(
        fc.array(fc.record({ ip: anyIp, port: fc.integer({ min: -1, max: 70_000 }) }), {
          maxLength: 600,
        }),
        anyIp,
        anyIp,
        (told, from, own) => {
          const list = [...told, { ip: own, port: 24_100 }, ...told]
          const heard = hear(list, (ip) => ip === own, from)
          kept += heard.length
          expect(heard.length).toBeLessThanOrEqual(limits.maxAsked)
          expect(new Set(heard.map(({ ip, port }) => `${ip} ${port}`)).size).toBe(heard.length)
          for (const { ip, port } of heard) {
            expect(ip).not.toBe(own)
            expect(mayTell(ip, from)).toBe(true)
            expect(port >= 1 && port <= 65_535).toBe(true)
          }
        },
      ),
      { seed: 32 },
    )
    expect(kept).toBeGreaterThan(100)
  })
})
