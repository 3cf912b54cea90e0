import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, test } from 'vitest'
import { AccessLists } from '../../src/access-lists.js'
import { IpRangeSet, subnetOf, tryParseIpRange } from '../../src/rules/ip-range.js'
import { parsePeerIp } from '../../src/rules/peer-ip.js'

const bits = { subnetBitsIpv4: 24, subnetBitsIpv6: 64 }

test.each([
  ['203.0.113.7', '203.0.113.7/32'],
  ['203.0.113.7/24', '203.0.113.0/24'],
  ['203.0.113.255/25', '203.0.113.128/25'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:DB8::1/32', '2001:db8::/32'],
  ['2001:db8::1', '2001:db8::1/128'],
  ['::/0', '::/0'],
  ['::ffff:203.0.113.7', '203.0.113.7/32'],
  ['::ffff:203.0.113.7/120', '203.0.113.0/24'],
  ['[2001:db8::1]', undefined],
  ['203.0.113.7/33', undefined],
  ['203.0.113.7/-1', undefined],
  ['203.0.113.7/08', undefined],
  ['203.0.113.7/', undefined],
  ['203.0.113.7/24/1', undefined],
  ['203.0.113/24', undefined],
  ['2001:db8::/129', undefined],
  ['::ffff:1.2.3.4/95', undefined],
  ['fe80::1%eth0/64', undefined],
  ['example.org', undefined],
  ['', undefined],
  [7, undefined],
])('the range %s is %s', (text, range) => {
  expect(tryParseIpRange(text)).toBe(range)
})

test('neighbours share a subnet, others do not', () => {
  const of = (ip: string): string => subnetOf(parsePeerIp(ip), bits)
  expect(of('203.0.113.7')).toBe(of('203.0.113.255'))
  expect(of('203.0.113.7')).not.toBe(of('203.0.112.7'))
  expect(of('2001:db8:0:1::1')).toBe(of('2001:db8:0:1:ffff::'))
  expect(of('2001:db8:0:1::1')).not.toBe(of('2001:db8:0:2::1'))
})

test('a set of ranges has what a range of it has, also after ranges were taken out', () => {
  const ip = fc.oneof(
    fc.tuple(fc.nat(3), fc.nat(3), fc.nat(255), fc.nat(255)).map((bytes) => bytes.join('.')),
    fc.tuple(fc.nat(3), fc.nat(9)).map(([a, b]) => `2001:db8:${a}::${b}`),
  )
  const change = fc.record({ ip, bits: fc.nat(32), isAdded: fc.boolean() })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), fc.array(ip), (changes, ips) => {
      const set = new IpRangeSet()
      const model = new Set<string>()
      for (const { ip, bits, isAdded } of changes) {
        const range = tryParseIpRange(`${ip}/${bits}`)!
        if (isAdded) set.add(range)
        else set.delete(range)
        if (isAdded) model.add(range)
        else model.delete(range)
      }
      expect(set.list).toEqual([...model])
      for (const text of ips) {
        const address = ipaddr.parse(text)
        const isIn = [...model].some((range) => {
          const [network, length] = ipaddr.parseCIDR(range)
          return network.kind() === address.kind() && address.match(network, length)
        })
        expect(set.has(parsePeerIp(text))).toBe(isIn)
      }
    }),
    { seed: 7, numRuns: 300 },
  )
})

describe('access lists', () => {
  const [inside, outside] = [parsePeerIp('10.1.2.3'), parsePeerIp('10.2.0.1')]

  test('an allowed range goes before a denied one, so that all but the allowed can be denied', () => {
    const lists = new AccessLists({ allow: ['10.1.0.0/16'], deny: ['0.0.0.0/0'] })
    expect([lists.isAllowed(inside), lists.isDenied(inside)]).toEqual([true, false])
    expect([lists.isAllowed(outside), lists.isDenied(outside)]).toEqual([false, true])
    expect(lists.remove('10.1.9.9/16')).toBe(true)
    expect(lists.remove('10.1.9.9/16')).toBe(false)
    expect(lists.isDenied(inside)).toBe(true)
    expect([lists.allowed, lists.denied]).toEqual([[], ['0.0.0.0/0']])
  })

  test('what is no range is refused at the door, by name, and nothing of its list is taken', () => {
    const lists = new AccessLists()
    const wrong = { allow: ['10.0.0.0/8'], deny: ['10.0.0.1', '10.0.0.0/33'] }
    expect(() => lists.add(wrong)).toThrow(
      new RangeError('deny: not an IP or a CIDR range: "10.0.0.0/33"'),
    )
    expect(() => lists.allow('host')).toThrow('allow: not an IP or a CIDR range: "host"')
    expect(() => lists.remove('host')).toThrow(RangeError)
    expect(() => new AccessLists({ deny: '10.0.0.1' as never })).toThrow(TypeError)
    expect([lists.allowed, lists.denied]).toEqual([[], []])
  })
})
