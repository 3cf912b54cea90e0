import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/errors.js'
import { parseNamedPeer } from '../../src/rules/host-name.js'
import { tryParsePeerAddress } from '../../src/rules/peer-ip.js'

describe('a peer is named by', () => {
  test.each([
    ['localhost', 'localhost', undefined],
    ['seed.example.org', 'seed.example.org', undefined],
    ['Seed.Example.ORG:24100', 'seed.example.org', 24_100],
    ['my_node-1:1', 'my_node-1', 1],
    ['example.org.:65535', 'example.org.', 65_535],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example', undefined],
    ['3com.com', '3com.com', undefined],
    [`${'a'.repeat(63)}.b`, `${'a'.repeat(63)}.b`, undefined],
  ])('a host name: %s', (text, host, port) => {
    const named = port === undefined ? host : `${host}:${port}`
    expect(parseNamedPeer(text)).toEqual({ kind: 'name', name: { host, port, text: named } })
  })

  test.each(['1.2.3.4', '1.2.3.4:5', '2001:db8::7', '[2001:db8::7]:24100', 'fe80::1%eth0'])(
    'an address: %s',
    (text) => {
      expect(parseNamedPeer(text)).toEqual({ kind: 'address', address: tryParsePeerAddress(text) })
    },
  )

  test.each([
    ...['', '.', '..', 'a..b', '-a', 'a-', 'a.-b', 'a b', 'a.b:', 'a.b:0', 'a.b:01', 'a.b:65536'],
    ...[
      'a:b',
      ':1',
      '[a.b]:1',
      '[a.b]',
      'bücher.example',
      'http://a.b',
      'a/b',
      'a.b:1:2',
      'user@a',
    ],
    // What a system may read as an IPv4 address, or as a broken one.
    ...[
      '1.2.3',
      '1.2.3.4.5',
      '256.1.1.1',
      '01.2.3.4',
      '0x7f.1',
      '0x7f000001',
      '2130706433',
      'a.0x1f',
    ],
    ...['1.2.3.4:99999', '::g', `${'a'.repeat(64)}.b`, `${'a.'.repeat(126)}ab`, 'a\0', 'a\n'],
  ])('nothing else: %j', (text) => {
    expect(() => parseNamedPeer(text)).toThrow(HoldfastError)
    expect(() => parseNamedPeer(text)).toThrow(
      `not an IP address or a host name, each with an optional port: ${JSON.stringify(text).slice(0, 60)}`,
    )
  })

  test.each([undefined, null, 5, {}, []])('no text: %j', (given) => {
    expect(() => parseNamedPeer(given as string)).toThrow(HoldfastError)
  })

  test('one text, however it is written', () => {
    fc.assert(
      fc.property(fc.domain(), fc.option(fc.integer({ min: 1, max: 65_535 })), (domain, port) => {
        const text = port === null ? domain : `${domain}:${port}`
        const peer = parseNamedPeer(text)
        expect(peer).toEqual(parseNamedPeer(text.toUpperCase()))
        if (peer.kind !== 'name') throw new Error('not a name')
        expect(parseNamedPeer(peer.name.text)).toEqual(peer)
      }),
    )
  })
})
