import { describe, expect, test } from 'vitest'
import { parsePeerIp } from '../../src/rules/peer-ip.js'
import { peerKey } from '../../src/rules/peer-key.js'
import { afterRefusal, maxInstanceIds, noRefusals } from '../../src/rules/shared-address.js'
import { dialsFirst } from '../../src/rules/dial-policy.js'

const v4 = parsePeerIp('10.0.0.1')
const v6 = parsePeerIp('2001:db8::1')

describe('the key of a peer', () => {
  test.each([
    ['ip', v4, { listeningPort: 7_000, instanceId: 'aa' }, '10.0.0.1'],
    ['ip', v4, { listeningPort: undefined, instanceId: 'aa' }, '10.0.0.1'],
    ['endpoint', v4, { listeningPort: 7_000, instanceId: 'aa' }, '10.0.0.1:7000'],
    ['endpoint', v4, { listeningPort: undefined, instanceId: 'aa' }, '10.0.0.1#aa'],
    ['endpoint', v6, { listeningPort: 7_000 }, '[2001:db8::1]:7000'],
    ['endpoint', v6, { listeningPort: undefined, instanceId: 'bb' }, '2001:db8::1#bb'],
  ] as const)('with identity %s of %s and %j is %s', (identity, ip, hello, key) => {
    expect(peerKey(identity, ip, hello)).toBe(key)
  })
})

test('with equal IPs nobody can tell who is lower before the HELLOs: both dial at once', () => {
  expect(dialsFirst(v4, v4)).toBe(true)
})

test('refusals count all, and tell a bounded number of nodes apart', () => {
  let refusals = noRefusals
  for (let index = 0; index < 1_000; index += 1) refusals = afterRefusal(refusals, String(index))
  expect(refusals.count).toBe(1_000)
  expect(refusals.instanceIds.size).toBe(maxInstanceIds)
})
