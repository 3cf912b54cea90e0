import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  afterConnected,
  afterFailedDial,
  afterHeard,
  afterSilentLoss,
  outagePeers,
  traceOf,
  unprovenNetwork,
  type DialTrace,
  type IpFamily,
  type OwnNetwork,
} from '../../src/rules/own-network.js'

type Sign =
  | readonly ['fails', string, DialTrace, number, IpFamily?]
  /** Peer, when it was last heard of, when that was noticed. */
  | readonly ['lost', string, number, number]
  | readonly ['heard', number, IpFamily?]

/** The signs one after the other, with so many connections left at the end. */
function after(signs: readonly Sign[], connections = 0, from = unprovenNetwork): OwnNetwork {
  return signs.reduce((network, sign) => {
    switch (sign[0]) {
      case 'fails': {
        const [, ip, trace, atMs, family = 'IPv4'] = sign
        return afterFailedDial(network, { ip, trace, atMs, family }, connections)
      }
      case 'lost': {
        const [, ip, heardMs, atMs] = sign
        return afterSilentLoss(network, { ip, heardMs, atMs }, connections)
      }
      case 'heard':
        return sign[2] === undefined
          ? afterHeard(network, sign[1])
          : afterConnected(network, sign[2], sign[1])
    }
  }, from)
}

const threeLost: Sign[] = [
  ['lost', 'a', 100, 200],
  ['lost', 'b', 100, 210],
  ['lost', 'c', 100, 220],
]
const threeSilent: Sign[] = [
  ['fails', 'a', 'silent', 230],
  ['fails', 'b', 'silent', 240],
  ['fails', 'd', 'silent', 250],
]
const threeLocal: Sign[] = [
  ['fails', 'a', 'local', 230],
  ['fails', 'b', 'local', 240],
  ['fails', 'd', 'local', 250],
]

describe('our own network is down', () => {
  test('when three peers were lost in silence and dials to three then failed in silence', () => {
    expect(after([...threeLost, ...threeSilent]).isDown).toBe(true)
  })

  test('when dials to three peers failed in this host, whatever was before', () => {
    expect(after(threeLocal).isDown).toBe(true)
    expect(after([['heard', 5, 'IPv4'], ...threeLocal]).isDown).toBe(true)
  })

  test.each<{ why: string; signs: Sign[]; connections?: number }>([
    { why: 'a connection is left', signs: [...threeLost, ...threeSilent], connections: 1 },
    { why: 'a connection is left, although nothing leaves', signs: threeLocal, connections: 1 },
    { why: 'only two were lost', signs: [...threeLost.slice(1), ...threeSilent] },
    { why: 'only two dials failed', signs: [...threeLost, ...threeSilent.slice(1)] },
    { why: 'only two dials failed here', signs: threeLocal.slice(1) },
    {
      why: 'the only peer fails over and over again',
      signs: Array.from({ length: 50 }, (_, n): Sign => ['fails', 'a', 'local', n]),
    },
    {
      why: 'the only peer is lost over and over again, and its dials fail',
      signs: [...threeLost, ...threeSilent].map(
        ([kind, , ...rest]) => [kind, 'a', ...rest] as Sign,
      ),
    },
    { why: 'nobody ever was there and all dials time out', signs: threeSilent },
    {
      why: 'a dial was refused, so somebody answers',
      signs: [...threeLost, ...threeSilent.slice(1), ['fails', 'e', 'answered', 260]],
    },
    {
      why: 'one dial left this host',
      signs: [...threeLocal.slice(1), ['fails', 'e', 'silent', 260], ['fails', 'f', 'local', 270]],
    },
    {
      why: 'an error says nothing',
      signs: [...threeLost, ...threeSilent.slice(1), ['fails', 'e', 'unknown', 260]],
    },
    {
      why: 'somebody was heard of after the first was lost',
      signs: [...threeLost, ['heard', 205], ...threeSilent],
    },
    {
      why: 'the last one to be lost spoke after the others were lost',
      signs: [
        ['lost', 'a', 100, 200],
        ['lost', 'b', 100, 210],
        ['lost', 'c', 215, 220],
        ...threeSilent,
      ],
    },
    {
      why: 'only IPv6 fails here, and this host has IPv4',
      signs: [
        ['heard', 5, 'IPv4'],
        ...threeLocal.map((sign) => [...sign, 'IPv6'] as unknown as Sign),
      ],
    },
  ])('not when $why', ({ signs, connections }) => {
    expect(after(signs, connections).isDown).toBe(false)
  })

  test('also in IPv6, once a dial of that family got out', () => {
    const inIpv6 = threeLocal.map((sign) => [...sign, 'IPv6'] as unknown as Sign)
    expect(after([['heard', 5, 'IPv6'], ...inIpv6]).isDown).toBe(true)
    expect(after(inIpv6).isDown).toBe(true)
  })

  test('until anybody is heard of', () => {
    const down = after([...threeLost, ...threeSilent])
    expect(after([['fails', 'e', 'silent', 300]], 0, down).isDown).toBe(true)
    expect(after([['fails', 'e', 'unknown', 300]], 0, down).isDown).toBe(true)
    expect(after([['heard', 300]], 0, down).isDown).toBe(false)
    expect(after([['heard', 300, 'IPv4']], 0, down).isDown).toBe(false)
    expect(after([['fails', 'e', 'answered', 300]], 0, down).isDown).toBe(false)
    // What was heard before is no news.
    expect(after([['heard', 150]], 0, down).isDown).toBe(true)
  })

  test('until a dial leaves this host, when only that was missing', () => {
    const down = after(threeLocal)
    expect(after([['fails', 'e', 'local', 300]], 0, down).isDown).toBe(true)
    expect(after([['fails', 'e', 'silent', 300]], 0, down).isDown).toBe(false)
  })

  test('never while a connection is left, never for fewer than three peers, and what is remembered is bounded', () => {
    const sign: fc.Arbitrary<{ ip: string; kind: 'lost' | 'heard' | DialTrace; stepMs: number }> =
      fc.record({
        ip: fc.nat({ max: 30 }).map(String),
        kind: fc.constantFrom(
          ...(['lost', 'lost', 'lost', 'lost', 'silent', 'silent', 'silent', 'silent'] as const),
          ...(['local', 'local', 'heard', 'answered', 'unknown'] as const),
        ),
        stepMs: fc.nat({ max: 100 }),
      })
    let downs = 0
    fc.assert(
      fc.property(
        fc.array(sign, { minLength: 20, maxLength: 80 }),
        fc.nat({ max: 2 }),
        (signs, connections) => {
          let network = unprovenNetwork
          let nowMs = 0
          const failedSinceHeard = new Set<string>()
          for (const { ip, kind, stepMs } of signs) {
            nowMs += stepMs + 1
            if (kind === 'heard' || kind === 'answered') failedSinceHeard.clear()
            if (kind === 'local' || kind === 'silent') failedSinceHeard.add(ip)
            const [next] = [
              kind === 'lost'
                ? after([['lost', ip, network.heardMs, nowMs]], connections, network)
                : kind === 'heard'
                  ? after([['heard', nowMs]], connections, network)
                  : after([['fails', ip, kind, nowMs]], connections, network),
            ]
            network = next!
            if (network.isDown) {
              downs += 1
              expect(connections).toBe(0)
              expect(failedSinceHeard.size).toBeGreaterThanOrEqual(outagePeers)
            }
            if (kind === 'heard') expect(network.isDown).toBe(false)
            expect(network.lost.size).toBeLessThanOrEqual(16)
            expect(network.failed.size).toBeLessThanOrEqual(16)
          }
        },
      ),
      { seed: 40, numRuns: 500 },
    )
    expect(downs).toBeGreaterThan(100)
  })
})

test.each<[unknown, DialTrace]>([
  ['ENETUNREACH', 'local'],
  ['EHOSTUNREACH', 'local'],
  ['ENETDOWN', 'local'],
  ['EADDRNOTAVAIL', 'local'],
  ['EAI_AGAIN', 'local'],
  ['ETIMEDOUT', 'silent'],
  ['DIAL_TIMEOUT', 'silent'],
  ['ECONNREFUSED', 'answered'],
  ['ECONNRESET', 'answered'],
  ['EACCES', 'unknown'],
  [undefined, 'unknown'],
])('a dial that fails with %s is %s', (code, trace) => {
  expect(traceOf(code)).toBe(trace)
})
