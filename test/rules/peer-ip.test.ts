import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/errors.js'
import {
  comparePeerIps,
  formatEndpoint,
  parsePeerAddress,
  parsePeerIp,
  scopeOf,
  tryParsePeerAddress,
  tryParsePeerIp,
} from '../../src/rules/peer-ip.js'
import { dialsFirst } from '../../src/rules/dial-policy.js'
import { arbiterOf } from '../../src/rules/election.js'

const seed = 1
const order = (a: string, b: string): number =>
  Math.sign(comparePeerIps(parsePeerIp(a), parsePeerIp(b)))

/** An address as the number that it is, worked out without the library under test. */
const ipv4 = fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((value) => ({
  version: 4,
  value: BigInt(value),
  text: [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.'),
}))
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  .filter((groups) => groups.slice(0, 5).some((group) => group !== 0) || groups[5] !== 0xffff)
  .map((groups) => ({
    version: 6,
    value: groups.reduce((value, group) => value * 0x10000n + BigInt(group), 0n),
    text: groups.map((group) => group.toString(16)).join(':'),
  }))
const anyIp = fc.oneof(ipv4, ipv6)

describe('the order of addresses', () => {
  test.each([
    ['9.255.255.255', '10.0.0.0'],
    ['2.0.0.1', '100.0.0.1'],
    ['50.28.104.50', '165.84.215.117'],
    ['9.9.9.9', '9.9.9.10'],
    ['::2', '::10'],
    ['2001:db8::9', '2001:db8::a'],
    ['2001:db8::ffff', '2001:db8::1:0'],
    ['255.255.255.255', '::'],
    ['200.1.1.1', '::1'],
  ])('%s is below %s: addresses are ordered as numbers, never as text (F01)', (low, high) => {
    expect(order(low, high)).toBe(-1)
    expect(order(high, low)).toBe(1)
  })

  test('any two addresses are ordered as numbers, IPv4 before IPv6 (F01)', () => {
    fc.assert(
      fc.property(anyIp, anyIp, (a, b) => {
        const expected =
          a.version === b.version
            ? Number(a.value > b.value) - Number(a.value < b.value)
            : a.version - b.version
        expect(order(a.text, b.text)).toBe(Math.sign(expected))
      }),
      { seed, numRuns: 2_000 },
    )
  })

  test('addresses that differ in one bit only are told apart (F01)', () => {
    fc.assert(
      fc.property(ipv6, fc.integer({ min: 0, max: 127 }), ({ text, value }, bit) => {
        const other = value ^ (1n << BigInt(bit))
        if (other >> 32n === 0xffffn) return
        const digits = other.toString(16).padStart(32, '0')
        const otherText = digits.match(/.{4}/g)!.join(':')
        expect(order(text, otherText)).toBe(value < other ? -1 : 1)
      }),
      { seed, numRuns: 500 },
    )
  })

  test('the order is total, irreflexive and transitive (F03)', () => {
    fc.assert(
      fc.property(anyIp, anyIp, anyIp, (a, b, c) => {
        expect(order(a.text, a.text)).toBe(0)
        expect(order(a.text, b.text) + order(b.text, a.text)).toBe(0)
        if (order(a.text, b.text) <= 0 && order(b.text, c.text) <= 0) {
          expect(order(a.text, c.text)).toBeLessThanOrEqual(0)
        }
      }),
      { seed, numRuns: 1_000 },
    )
  })

  test('who dials first and who decides follow from the one order (F03)', () => {
    fc.assert(
      fc.property(anyIp, anyIp, (a, b) => {
        const [one, other] = [parsePeerIp(a.text), parsePeerIp(b.text)]
        const facts = { ourInstanceId: '1', theirInstanceId: '2' }
        const arbiter = arbiterOf({ ourIp: one, theirIp: other, ...facts })
        expect(arbiter === 'us').toBe(comparePeerIps(one, other) <= 0)
        if (scopeOf(one) === scopeOf(other) && scopeOf(one) !== 'unspecified') {
          expect(dialsFirst(one, other)).toBe(comparePeerIps(one, other) < 0)
        }
      }),
      { seed, numRuns: 1_000 },
    )
  })

  test('a mapped IPv6 address is equal to its IPv4 address (F01)', () => {
    for (const text of ['::ffff:10.0.0.1', '::ffff:a00:1', '0:0:0:0:0:FFFF:0A00:0001']) {
      expect(parsePeerIp(text)).toBe('10.0.0.1')
      expect(order(text, '10.0.0.1')).toBe(0)
    }
    fc.assert(
      fc.property(ipv4, ({ text }) => parsePeerIp(`::ffff:${text}`) === text),
      { seed },
    )
  })
})

describe('one IP', () => {
  test('is one peer, whatever the port or the notation (F04)', () => {
    for (const text of [
      '1.2.3.4',
      '1.2.3.4:24100',
      '1.2.3.4:50001',
      '::ffff:1.2.3.4',
      '::FFFF:102:304',
      '[::ffff:1.2.3.4]',
      '[::ffff:1.2.3.4]:24100',
    ]) {
      expect(parsePeerAddress(text).ip, text).toBe('1.2.3.4')
    }
    for (const text of [
      '2001:db8::1',
      '2001:DB8::1',
      '2001:0db8:0:0:0:0:0:1',
      '2001:db8::0.0.0.1',
      '2001:db8::1%eth0',
      '[2001:db8::1]',
      '[2001:db8::1]:24100',
      '[2001:db8::1%7]:24100',
    ]) {
      expect(parsePeerAddress(text).ip, text).toBe('2001:db8::1')
    }
  })

  test.each([
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::1.2.3.4', '::102:304'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ])('%s is written %s, as RFC 5952 says (F04)', (text, canonical) => {
    expect(parsePeerIp(text)).toBe(canonical)
  })

  test('is the same text for the same number, and is read back as itself (F04)', () => {
    fc.assert(
      fc.property(anyIp, ({ text }) => {
        const ip = parsePeerIp(text)
        expect(parsePeerIp(ip)).toBe(ip)
        expect(parsePeerIp(text.toUpperCase())).toBe(ip)
        expect(parsePeerAddress(ip)).toEqual({ ip, host: ip, port: undefined })
      }),
      { seed, numRuns: 1_000 },
    )
  })

  test('goes through `formatEndpoint` and back with its port (F04)', () => {
    fc.assert(
      fc.property(anyIp, fc.integer({ min: 1, max: 65_535 }), ({ text }, port) => {
        const ip = parsePeerIp(text)
        expect(parsePeerAddress(formatEndpoint({ host: ip, port }))).toEqual({ ip, host: ip, port })
      }),
      { seed, numRuns: 1_000 },
    )
  })
})

describe('a zone', () => {
  test('is kept for dialling and is no part of the identity (F04)', () => {
    const address = parsePeerAddress('[fe80::1%eth0]:24100')
    expect(address).toEqual({ ip: 'fe80::1', host: 'fe80::1%eth0', port: 24_100 })
    expect(parsePeerIp('fe80::1%eth1')).toBe(address.ip)
    const { host, port = 0 } = address
    expect(parsePeerAddress(formatEndpoint({ host, port }))).toEqual(address)
  })

  test('of a mapped address is dropped: IPv4 has none (F04)', () => {
    expect(parsePeerAddress('::ffff:1.2.3.4%eth0').host).toBe('1.2.3.4')
  })

  test.each([
    'fe80::1%',
    'fe80::1%a%b',
    'fe80::1%eth 0',
    'fe80::1%a]',
    'fe80::1%\0',
    'fe80::1%a:80',
  ])('%j is no address (F02)', (text) => {
    expect(tryParsePeerIp(text)).toBeUndefined()
  })
})

describe('what is not an address', () => {
  const refused = [
    '',
    ' ',
    'localhost',
    'example.org:24100',
    '1.2.3',
    '1.2',
    '1',
    '16909060',
    '0x7f.0.0.1',
    '0x7f000001',
    '010.0.0.1',
    '1.2.3.04',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.-4',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '1.2.3.4%eth0',
    '1.2.3.4/8',
    '１.2.3.4',
    '[1.2.3.4]',
    '[1.2.3.4]:80',
    '1.2.3.4:',
    '1.2.3.4:0',
    '1.2.3.4:65536',
    '1.2.3.4:080',
    '1.2.3.4:+80',
    '1.2.3.4:8e1',
    '1.2.3.4:123456',
    '[::1]:0',
    '[::1]:65536',
    '[::1]:080',
    '[::1]:',
    '[::1',
    '::1]',
    '[::1]80',
    '[[::1]]:80',
    ':::',
    '1::2::3',
    '::g',
    '12345::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::1/64',
    '::ffff:1.2.3',
    '::ffff:1.2.3.256',
    '::ffff:010.0.0.1',
    '::ffff:0x7f.0.0.1',
    '::ffff:1.2.3.4:80',
    '2001:db8::1.2.3.08',
  ]

  test.each(refused)('%j is refused with a typed error (F02)', (text) => {
    expect(tryParsePeerAddress(text)).toBeUndefined()
    expect(tryParsePeerIp(text)).toBeUndefined()
    for (const parse of [parsePeerAddress, parsePeerIp]) {
      expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'INVALID_ADDRESS' }))
    }
  })

  test.each([undefined, null, 5, {}, ['1.2.3.4'], new String('1.2.3.4')])(
    '%j is refused though it is no string at all (F02)',
    (value) => {
      expect(tryParsePeerAddress(value)).toBeUndefined()
      expect(tryParsePeerIp(value)).toBeUndefined()
      expect(() => parsePeerAddress(value as string)).toThrow(HoldfastError)
      expect(() => parsePeerIp(value as string)).toThrow(HoldfastError)
    },
  )

  test('a bare IP has no port and no brackets (F02)', () => {
    for (const text of ['1.2.3.4:80', '[::1]', '[::1]:80']) {
      expect(tryParsePeerIp(text)).toBeUndefined()
    }
  })

  test('text of any length and content is read or refused, and never throws anything else (F02)', () => {
    const likely = fc.string({
      unit: fc.constantFrom(...'0123456789abcdefABCDEFx.:%[]/ -'.split('')),
      maxLength: 40,
    })
    fc.assert(
      fc.property(fc.oneof(likely, fc.string({ unit: 'binary' })), (text) => {
        const address = tryParsePeerAddress(text)
        if (address === undefined) return
        expect(tryParsePeerIp(address.ip)).toBe(address.ip)
        expect(tryParsePeerIp(address.host)).toBe(address.ip)
      }),
      { seed, numRuns: 2_000 },
    )
    expect(tryParsePeerAddress(`${'1'.repeat(1e6)}.2.3.4`)).toBeUndefined()
    expect(tryParsePeerIp(`fe80::1%${'e'.repeat(1e6)}`)).toBeUndefined()
    expect(() => parsePeerAddress('x'.repeat(1e6))).toThrow(/^.{1,200}$/)
  })
})

test('an address that was not parsed does not compile as an identity (F02)', () => {
  // @ts-expect-error only the parser makes a PeerIp
  expect(comparePeerIps('10.0.0.1', parsePeerIp('10.0.0.1'))).toBe(0)
})

describe('the scope of an address', () => {
  test.each([
    ['0.0.0.0', 'unspecified'],
    ['::', 'unspecified'],
    ['127.0.0.1', 'loopback'],
    ['127.255.0.9', 'loopback'],
    ['::1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.16.0.1', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['169.254.1.1', 'private'],
    ['224.0.0.1', 'private'],
    ['fe80::1', 'private'],
    ['fd00::1', 'private'],
    ['203.0.114.1', 'public'],
    ['8.8.8.8', 'public'],
    ['2a00:1450::1', 'public'],
  ])('of %s is %s', (text, scope) => {
    expect(scopeOf(parsePeerIp(text))).toBe(scope)
  })
})
