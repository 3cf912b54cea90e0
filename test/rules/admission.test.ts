import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { admitInbound, type PendingInbound } from '../../src/rules/admission.js'

const limits = { maxPendingHandshakes: 4, maxPendingHandshakesPerIp: 2 }
const pending = (...of: readonly string[]): PendingInbound[] =>
  of.map((text, index) => {
    const [ip = '', said] = text.split(' ')
    return { id: index + 1, ip, hasHello: said === 'hello' }
  })
const admit = (ip: string, ...of: readonly string[]) => admitInbound(pending(...of), ip, limits)

describe('an inbound connection', () => {
  test('is admitted while there is room over all and for its IP', () => {
    expect(admit('a')).toEqual({ kind: 'admit' })
    expect(admit('a', 'a', 'b', 'c')).toEqual({ kind: 'admit' })
  })

  test('takes the place of the oldest silent one of its IP when that IP has too many (F42)', () => {
    expect(admit('a', 'b', 'a', 'a')).toEqual({ kind: 'admitInsteadOf', id: 2 })
    expect(admit('a', 'b', 'a hello', 'a')).toEqual({ kind: 'admitInsteadOf', id: 3 })
  })

  test('takes the place of the oldest silent one of all when there are too many (F42)', () => {
    expect(admit('x', 'a hello', 'b', 'c', 'd')).toEqual({ kind: 'admitInsteadOf', id: 2 })
  })

  test('displaces another IP by no flood of its own', () => {
    expect(admit('a', 'b', 'a hello', 'a hello')).toEqual({ kind: 'refuse' })
  })

  test('is refused when all the others have said a valid HELLO: these never make room', () => {
    expect(admit('x', 'a hello', 'b hello', 'c hello', 'd hello')).toEqual({ kind: 'refuse' })
  })

  test('never makes the pending ones more than the limits, and never displaces one with a HELLO', () => {
    const arrival = fc.record({ ip: fc.constantFrom('a', 'b', 'c', 'd'), hasHello: fc.boolean() })
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 40 }), (arrivals) => {
        let now: PendingInbound[] = []
        for (const [id, { ip, hasHello }] of arrivals.entries()) {
          const admission = admitInbound(now, ip, limits)
          if (admission.kind === 'admitInsteadOf') {
            expect(now.find((other) => other.id === admission.id)?.hasHello).toBe(false)
            now = now.filter((other) => other.id !== admission.id)
          }
          if (admission.kind !== 'refuse') now = [...now, { id, ip, hasHello }]
          expect(now.length).toBeLessThanOrEqual(limits.maxPendingHandshakes)
          const ofIp = now.filter((other) => other.ip === ip)
          expect(ofIp.length).toBeLessThanOrEqual(limits.maxPendingHandshakesPerIp)
        }
      }),
      { seed: 4, numRuns: 300 },
    )
  })
})
