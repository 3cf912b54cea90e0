import { describe, expect, test } from 'vitest'
import type { PeerHello } from '../../src/contracts/peer-service.js'
import { judgeHello, protocolVersion, type HandshakeFacts } from '../../src/rules/handshake.js'

const hello: PeerHello = {
  version: protocolVersion,
  network: 'main',
  instanceId: 'b'.repeat(32),
  yourIp: '10.0.0.1',
  listeningPort: 24_100,
  agent: 'test',
  maxFrameBytes: 1_024,
  appData: new Uint8Array(0),
}
const facts: HandshakeFacts = {
  network: 'main',
  instanceId: 'a'.repeat(32),
  isOwnNonce: false,
  isBanned: false,
}
const judge = (more: Partial<PeerHello>, moreFacts: Partial<HandshakeFacts> = {}) =>
  judgeHello({ ...hello, ...more }, { ...facts, ...moreFacts })

describe('a HELLO', () => {
  test('of a peer of our network and version is fine', () => {
    expect(judge({})).toBeUndefined()
    expect(judge({ listeningPort: undefined, agent: '' })).toBeUndefined()
  })

  test.each([0, 2, 65_535])(
    'of version %i is wrong-version, and the text names both (F43)',
    (version) => {
      const reason = judge({ version })
      expect(reason).toMatchObject({ kind: 'wrong-version', by: 'us' })
      expect(reason?.text).toContain(`${version}`)
      expect(reason?.text).toContain(`${protocolVersion}`)
    },
  )

  test.each(['test', 'Main', 'main ', ''])('of network %j is wrong-network (F43)', (network) => {
    expect(judge({ network })).toMatchObject({ kind: 'wrong-network', by: 'us' })
    expect(judge({ network })?.text).toContain(`'${network}'`)
  })

  test('with the nonce of our own dial comes from ourselves, whatever else it says (F06)', () => {
    expect(judge({}, { isOwnNonce: true })).toEqual({ kind: 'self', by: 'us' })
  })

  test('with our own instance id is closed as self (F06)', () => {
    expect(judge({ instanceId: facts.instanceId })).toEqual({ kind: 'self', by: 'us' })
  })

  test('of a banned peer is refused', () => {
    expect(judge({}, { isBanned: true })).toEqual({ kind: 'banned', by: 'us' })
  })

  test('that does not say at which IP it sees us is a violation: no arbiter could be found (F08)', () => {
    expect(judge({ yourIp: undefined })).toMatchObject({ kind: 'misbehaved', by: 'us' })
  })

  test('is judged by version first, then network, then self, so that both ends tell the same reason', () => {
    const all = { version: 9, network: 'other', instanceId: facts.instanceId, yourIp: undefined }
    const allFacts = { isOwnNonce: true, isBanned: true }
    expect(judge(all, allFacts)?.kind).toBe('wrong-version')
    expect(judge({ ...all, version: protocolVersion }, allFacts)?.kind).toBe('wrong-network')
    const match = { ...all, version: protocolVersion, network: 'main' }
    expect(judge(match, allFacts)?.kind).toBe('self')
    expect(judge({ yourIp: undefined }, { isBanned: true })?.kind).toBe('banned')
  })
})
