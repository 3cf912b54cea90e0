import { describe, expect, test } from 'vitest'
import {
  arbiterOf,
  challengeDurationMs,
  emptySlot,
  maxBytesUnderChallenge,
  mayStartDial,
  stepElection,
  wasSilent,
  type SlotEvent,
} from '../../src/rules/election.js'
import { parsePeerIp } from '../../src/rules/peer-ip.js'
import {
  challengeOver,
  closed,
  connected,
  dial,
  expired,
  hello,
  play,
  playWith,
  pong,
  ready,
} from './support/play.js'

const ours = { on: 'dial', arbiter: 'us' } as const
const ourDialTheyDecide = { on: 'dial', arbiter: 'them' } as const
const theirs = { on: 'inbound', arbiter: 'them' } as const
const theirDialWeDecide = { on: 'inbound', arbiter: 'us' } as const

/** Connection 1, inbound and decided by the peer, is established with the process `peer`. */
const withIncumbent = play(hello(1, theirs), ready(1))

describe('a valid HELLO in a free slot', () => {
  test('on our own dial, of which we are the arbiter, is elected at once', () => {
    const played = play(dial(1), connected(1), hello(1, ours))
    expect(played.effects).toEqual(['cancelTimer handshake 1', 'sendReady 1', 'setTimer confirm 1'])
    expect(played.state.elected).toBe(1)
    expect(played.state.incumbent).toBeNull()
  })

  test('on an inbound, of which we are the arbiter, is elected at once when we do not dial', () => {
    const played = play(hello(1, theirDialWeDecide))
    expect(played.effects).toEqual(['cancelTimer handshake 1', 'sendReady 1', 'setTimer confirm 1'])
  })

  test.each([
    ['our dial', [dial(1), connected(1), hello(1, ourDialTheyDecide)]],
    ['their dial', [hello(1, theirs)]],
  ])('of which the other end is the arbiter waits for its READY: %s', (_, events) => {
    const played = play(...events)
    expect(played.effects).toEqual([])
    expect(played.state.candidates).toMatchObject([{ id: 1, stage: 'admitted', isReady: false }])
  })

  test('beyond the limit of inbound candidates is told busy', () => {
    const full = play(hello(1, theirs), hello(2, theirs))
    const played = full.then(hello(3, theirs))
    expect(played.effects).toEqual(['close 3: busy'])
    expect(played.state).toEqual(full.state)
    const one = { maxInboundCandidates: 1, challengePings: 3 }
    expect(playWith(one, hello(1, theirs), hello(2, theirs)).effects).toEqual(['close 2: busy'])
  })

  test('on our own dial is admitted beside inbound candidates up to their limit', () => {
    const played = play(
      dial(1),
      connected(1),
      hello(2, theirs),
      hello(3, theirs),
      hello(1, ourDialTheyDecide),
    )
    expect(played.state.candidates.map(({ id }) => id)).toEqual([1, 2, 3])
  })
})

describe('the arbiter', () => {
  const dialUnderWay = play(dial(1), connected(1), hello(2, theirDialWeDecide))

  test('holds an inbound candidate while its own dial is under way (F10)', () => {
    expect(dialUnderWay.effects).toEqual(['setTimer hold 1'])
    expect(dialUnderWay.state.elected).toBeNull()
    expect(play(dial(1), hello(2, theirDialWeDecide)).effects).toEqual(['setTimer hold 1'])
  })

  test('elects its own dial when that arrives, and refuses nobody yet (F10)', () => {
    expect(dialUnderWay.then(hello(1, ours)).effects).toEqual([
      'cancelTimer hold 1',
      'cancelTimer handshake 1',
      'sendReady 1',
      'setTimer confirm 1',
    ])
  })

  test('elects the inbound one when its own dial fails (F12)', () => {
    expect(dialUnderWay.then(closed(1)).effects).toEqual([
      'cancelTimer hold 1',
      'cancelTimer handshake 2',
      'sendReady 2',
      'setTimer confirm 2',
    ])
  })

  test('elects the inbound one when the hold expires: a black-holed dial rejects nobody (F12)', () => {
    const played = dialUnderWay.then(expired('hold', 1))
    expect(played.effects).toEqual(['cancelTimer handshake 2', 'sendReady 2', 'setTimer confirm 2'])
    expect(played.then(ready(2)).effects).toEqual([
      'cancelTimer confirm 2',
      'cancelTimer handshake 2',
      'established 2',
      'close 1: duplicate',
    ])
  })

  test('aborts its own dial without a connection when the inbound one is established (F12)', () => {
    const played = play(dial(1), hello(2, theirDialWeDecide), expired('hold', 1), ready(2))
    expect(played.effects).toContain('abortDial 1')
    expect(played.state.candidates).toEqual([])
  })

  test('starts one hold only, from the first admitted candidate on', () => {
    const played = dialUnderWay.then(hello(3, theirDialWeDecide))
    expect(played.effects).toEqual([])
    expect(played.allEffects.filter((effect) => effect === 'setTimer hold 1')).toHaveLength(1)
  })

  test('elects whoever comes after the hold expired at once, while its dial still lasts', () => {
    const played = dialUnderWay.then(expired('hold', 1), closed(2), hello(3, theirDialWeDecide))
    expect(played.effects).toEqual(['cancelTimer handshake 3', 'sendReady 3', 'setTimer confirm 3'])
  })

  test('ignores the hold of a dial that is over', () => {
    const played = dialUnderWay.then(closed(1), closed(2), dial(3), hello(4, theirDialWeDecide))
    expect(played.effects).toEqual(['setTimer hold 3'])
    expect(played.then(expired('hold', 1)).effects).toEqual([])
  })

  test('elects the newest of several inbound candidates', () => {
    const played = play(
      dial(1),
      hello(2, theirDialWeDecide),
      hello(3, theirDialWeDecide),
      closed(1),
    )
    expect(played.effects).toContain('sendReady 3')
  })

  test('elects the next one when the elected closes', () => {
    const played = play(hello(1, theirDialWeDecide), hello(2, theirDialWeDecide), closed(1))
    expect(played.effects).toEqual([
      'cancelTimer confirm 1',
      'cancelTimer handshake 2',
      'sendReady 2',
      'setTimer confirm 2',
    ])
  })

  test('gives the elected up when its READY does not come, and elects the next one', () => {
    const played = play(
      hello(1, theirDialWeDecide),
      hello(2, theirDialWeDecide),
      expired('confirm', 1),
    )
    expect(played.effects).toEqual([
      'cancelTimer confirm 1',
      'close 1: confirm-timeout',
      'cancelTimer handshake 2',
      'sendReady 2',
      'setTimer confirm 2',
    ])
  })

  test('never elects twice at once', () => {
    const played = play(hello(1, theirDialWeDecide), hello(2, theirDialWeDecide))
    expect(played.effects).toEqual([])
    expect(played.state.elected).toBe(1)
  })

  test('establishes the elected when READY comes back, and closes the rest of the same peer (F11)', () => {
    const played = play(
      dial(1),
      connected(1),
      hello(2, theirDialWeDecide),
      hello(1, ours),
      ready(1),
    )
    expect(played.effects).toEqual([
      'cancelTimer confirm 1',
      'cancelTimer handshake 1',
      'established 1',
      'close 2: duplicate',
    ])
    expect(played.state).toEqual({ ...emptySlot, incumbent: { id: 1, instanceId: 'peer' } })
  })

  test('takes READY on a connection that it did not elect for a violation', () => {
    const played = play(hello(1, theirDialWeDecide), hello(2, theirDialWeDecide), ready(2))
    expect(played.effects).toEqual(['close 2: ready-unasked'])
    expect(played.state.elected).toBe(1)
  })
})

describe('READY of the arbiter', () => {
  test('is answered, and the connection is established', () => {
    expect(withIncumbent.effects).toEqual([
      'sendReady 1',
      'cancelTimer handshake 1',
      'established 1',
    ])
    expect(withIncumbent.state.incumbent).toEqual({ id: 1, instanceId: 'peer' })
  })

  test('twice on a connection that is not answered yet is a violation', () => {
    const waiting = play(hello(1, theirDialWeDecide), hello(2, theirs), ready(2))
    expect(waiting.effects).toEqual([])
    expect(waiting.then(ready(2)).effects).toEqual(['close 2: ready-unasked'])
  })

  test('is remembered while another one is elected here, and looked at before electing anew', () => {
    const roomy = { maxInboundCandidates: 3, challengePings: 3 }
    const elected = playWith(roomy, hello(1, theirDialWeDecide), hello(2, theirs), ready(2))
    expect(elected.effects).toEqual([])
    expect(elected.then(closed(1)).effects).toEqual([
      'cancelTimer confirm 1',
      'sendReady 2',
      'cancelTimer handshake 2',
      'established 2',
    ])
    expect(elected.then(hello(3, theirDialWeDecide), expired('confirm', 1)).effects).toEqual([
      'cancelTimer confirm 1',
      'close 1: confirm-timeout',
      'sendReady 2',
      'cancelTimer handshake 2',
      'established 2',
      'close 3: duplicate',
    ])
  })

  test('is of no use any more when the one elected here wins', () => {
    const played = play(hello(1, theirDialWeDecide), hello(2, theirs), ready(2), ready(1))
    expect(played.effects).toEqual([
      'cancelTimer confirm 1',
      'cancelTimer handshake 1',
      'established 1',
      'close 2: duplicate',
    ])
  })

  test('on a held candidate is remembered until it is admitted', () => {
    const held = withIncumbent.then(hello(2, theirs), ready(2))
    expect(held.effects).toEqual([])
    expect(held.then(closed(1)).effects).toEqual([
      'cancelTimer challenge 1',
      'lost 1',
      'cancelTimer held 2',
      'sendReady 2',
      'cancelTimer handshake 2',
      'established 2',
    ])
  })

  test('on a held candidate of which we are the arbiter is a violation', () => {
    expect(withIncumbent.then(hello(2, theirDialWeDecide), ready(2)).effects).toEqual([
      'cancelTimer held 2',
      'close 2: ready-unasked',
      'cancelTimer challenge 1',
    ])
  })

  test('wins against our own dial on its way, which is aborted without a failure (F16)', () => {
    expect(play(dial(1), hello(2, theirs), ready(2)).effects).toEqual([
      'sendReady 2',
      'cancelTimer handshake 2',
      'established 2',
      'abortDial 1',
    ])
    expect(play(dial(1), connected(1), hello(2, theirs), ready(2)).effects).toContain(
      'close 1: duplicate',
    )
  })
})

describe('a connection that becomes the incumbent', () => {
  test('puts candidates of another process behind the address on hold and is challenged for them', () => {
    const played = play(
      hello(1, { ...theirs, from: 'one' }),
      hello(2, { ...theirs, from: 'other' }),
      ready(1),
    )
    expect(played.effects).toEqual([
      'sendReady 1',
      'cancelTimer handshake 1',
      'established 1',
      'setTimer held 2',
      'challenge 1 with ping 1, a new round',
      'setTimer challenge 1',
    ])
    expect(played.then(pong(1, 1)).effects).toEqual([
      'cancelTimer held 2',
      'close 2: duplicate',
      'cancelTimer challenge 1',
    ])
  })

  test('is not replaced by a late READY on a candidate that was closed', () => {
    const played = play(hello(1, theirs), hello(2, theirs), ready(1))
    expect(played.then(ready(2)).effects).toEqual([])
    expect(played.then(ready(2)).state).toEqual(played.state)
  })
})

describe('a newcomer while there is an incumbent', () => {
  const challenged = withIncumbent.then(hello(2, theirs))

  test('is held, and the incumbent is challenged (F18)', () => {
    expect(challenged.effects).toEqual([
      'setTimer held 2',
      'challenge 1 with ping 1, a new round',
      'setTimer challenge 1',
    ])
    expect(challenged.state.incumbent?.id).toBe(1)
  })

  test('is told duplicate when the incumbent answers, which stays as it was (F19)', () => {
    const played = challenged.then(pong(1, 1))
    expect(played.effects).toEqual([
      'cancelTimer held 2',
      'close 2: duplicate',
      'cancelTimer challenge 1',
    ])
    expect(played.state).toEqual(withIncumbent.state)
  })

  test('takes the place of an incumbent that is silent for a whole round (F18)', () => {
    const twoSteps = challenged.then(challengeOver(1, 'silent'), challengeOver(1, 'silent'))
    expect(twoSteps.allEffects.slice(-4)).toEqual([
      'challenge 1 with ping 2',
      'setTimer challenge 1',
      'challenge 1 with ping 3',
      'setTimer challenge 1',
    ])
    const dropped = twoSteps.then(challengeOver(1, 'silent'))
    expect(dropped.effects).toEqual([
      'close 1: silent',
      'cancelTimer challenge 1',
      'lost 1',
      'cancelTimer held 2',
    ])
    expect(dropped.state.candidates).toMatchObject([{ id: 2, stage: 'admitted' }])
    expect(dropped.then(ready(2)).effects).toContain('established 2')
  })

  test('does not take the place of an incumbent that was heard: another round begins', () => {
    const played = challenged.then(
      challengeOver(1, 'silent'),
      challengeOver(1, 'silent'),
      challengeOver(1, 'heard'),
    )
    expect(played.effects).toEqual(['challenge 1 with ping 4, a new round', 'setTimer challenge 1'])
    expect(played.state.incumbent?.id).toBe(1)
  })

  test('is told duplicate at its own deadline when the incumbent could not be judged', () => {
    expect(challenged.then(expired('held', 2)).effects).toEqual([
      'cancelTimer held 2',
      'close 2: duplicate',
      'cancelTimer challenge 1',
    ])
  })

  const inLastStep = challenged.then(
    challengeOver(1, 'silent'),
    challengeOver(1, 'silent'),
    challengeOver(1, 'heard'),
    challengeOver(1, 'silent'),
    challengeOver(1, 'silent'),
  )

  test('whose deadline ties with the end of the second round waits for its verdict: silent', () => {
    const tied = inLastStep.then(expired('held', 2))
    expect(tied.effects).toEqual([])
    const dropped = tied.then(challengeOver(1, 'silent'))
    expect(dropped.effects).toContain('close 1: silent')
    expect(dropped.state.candidates).toMatchObject([{ id: 2, stage: 'admitted' }])
  })

  test('is refused at the end of the second round when the incumbent was heard, whichever timer is first', () => {
    for (const before of [inLastStep, inLastStep.then(expired('held', 2))]) {
      const refused = before.then(challengeOver(1, 'heard'))
      expect(refused.effects).toEqual([
        'cancelTimer held 2',
        'close 2: duplicate',
        'cancelTimer challenge 1',
      ])
      expect(refused.state.incumbent?.id).toBe(1)
    }
  })

  test('that came in the middle of a challenge is decided at its own deadline', () => {
    const later = challenged.then(hello(3, theirs), challengeOver(1, 'silent'))
    const atDeadline = later.then(
      challengeOver(1, 'silent'),
      challengeOver(1, 'heard'),
      challengeOver(1, 'silent'),
      challengeOver(1, 'silent'),
      expired('held', 3),
    )
    expect(atDeadline.effects).toEqual(['cancelTimer held 3', 'close 3: duplicate'])
    const others = atDeadline.then(challengeOver(1, 'heard'))
    expect(others.effects).toContain('close 2: duplicate')
  })

  test('is admitted when the incumbent closes (F18)', () => {
    const played = withIncumbent.then(hello(2, theirDialWeDecide), closed(1))
    expect(played.effects).toEqual([
      'cancelTimer challenge 1',
      'lost 1',
      'cancelTimer held 2',
      'cancelTimer handshake 2',
      'sendReady 2',
      'setTimer confirm 2',
    ])
  })

  test('is not closed by a pong of a ping that left before it came', () => {
    const played = challenged.then(hello(3, theirs))
    expect(played.effects).toEqual(['setTimer held 3'])
    const answered = played.then(pong(1, 1))
    expect(answered.effects).toEqual(['cancelTimer held 2', 'close 2: duplicate'])
    expect(answered.then(challengeOver(1, 'heard'), pong(1, 2)).effects).toEqual([
      'cancelTimer held 3',
      'close 3: duplicate',
      'cancelTimer challenge 1',
    ])
  })

  test('that leaves ends the challenge when it was the last', () => {
    expect(challenged.then(closed(2)).effects).toEqual([
      'cancelTimer held 2',
      'cancelTimer challenge 1',
    ])
    expect(challenged.then(hello(3, theirs), closed(2)).effects).toEqual(['cancelTimer held 2'])
  })

  test('whose handshake expires is closed, and the incumbent stays', () => {
    const played = challenged.then(expired('handshake', 2))
    expect(played.effects).toContain('close 2: handshake-timeout')
    expect(played.state).toEqual(withIncumbent.state)
  })

  test('is counted against the limit of inbound candidates while it is held', () => {
    const played = challenged.then(hello(3, theirs), hello(4, theirs))
    expect(played.effects).toEqual(['close 4: busy'])
  })
})

describe('our own dial', () => {
  test('starts only in a slot with neither a connection nor another dial (F25)', () => {
    expect(mayStartDial(emptySlot)).toBe(true)
    expect(mayStartDial(play(hello(1, theirs)).state)).toBe(true)
    expect(mayStartDial(play(dial(1)).state)).toBe(false)
    expect(mayStartDial(play(dial(1), connected(1), hello(1, ours)).state)).toBe(false)
    expect(mayStartDial(withIncumbent.state)).toBe(false)
    expect(mayStartDial(withIncumbent.then(closed(1)).state)).toBe(true)
  })

  test('is aborted when it starts in a slot that is taken (F24)', () => {
    for (const taken of [withIncumbent, play(dial(1))]) {
      const played = taken.then(dial(9))
      expect(played.effects).toEqual(['abortDial 9'])
      expect(played.state).toEqual(taken.state)
    }
  })

  test('that fails late does not undo an inbound that was established meanwhile (F16)', () => {
    const established = play(dial(1), hello(2, theirs), ready(2))
    const played = established.then(closed(1))
    expect(played.effects).toEqual([])
    expect(played.state).toEqual(established.state)
  })

  test('that connects after it was given up is closed (F23)', () => {
    const established = play(dial(1), hello(2, theirs), ready(2))
    const played = established.then(connected(1))
    expect(played.effects).toEqual(['close 1: duplicate'])
    expect(played.state).toEqual(established.state)
  })

  test('whose HELLO comes after it was given up is closed', () => {
    const established = play(dial(1), connected(1), hello(2, theirs), ready(2))
    expect(established.then(hello(1, ours)).effects).toEqual(['close 1: duplicate'])
  })

  test('that hears nothing until its handshake expires is closed, and the slot is free for another', () => {
    const played = play(dial(1), connected(1), expired('handshake', 1))
    expect(played.effects).toEqual(['close 1: handshake-timeout'])
    expect(played.state).toEqual(emptySlot)
  })
})

describe('the end of the incumbent', () => {
  test('frees the slot and is told once', () => {
    const played = withIncumbent.then(closed(1))
    expect(played.effects).toEqual(['lost 1'])
    expect(played.state).toEqual(emptySlot)
    expect(played.then(closed(1)).effects).toEqual([])
  })

  test('seen late changes nothing of its successor (F15)', () => {
    const successor = withIncumbent.then(
      hello(2, theirs),
      challengeOver(1, 'silent'),
      challengeOver(1, 'silent'),
      challengeOver(1, 'silent'),
      ready(2),
    )
    expect(successor.state.incumbent?.id).toBe(2)
    const late: SlotEvent[] = [
      closed(1),
      pong(1, 1),
      ready(1),
      challengeOver(1, 'silent'),
      expired('handshake', 1),
      expired('confirm', 1),
      expired('held', 1),
      expired('hold', 1),
    ]
    for (const event of late) {
      const played = successor.then(event)
      expect(played.effects, event.kind).toEqual([])
      expect(played.state).toEqual(successor.state)
    }
  })
})

describe('a timer that is not due for its subject', () => {
  test.each([
    ['confirm of a candidate that is not elected', play(hello(1, theirs)), expired('confirm', 1)],
    ['handshake of the elected', play(hello(1, theirDialWeDecide)), expired('handshake', 1)],
    ['handshake of the incumbent', withIncumbent, expired('handshake', 1)],
    ['held of an admitted candidate', play(hello(1, theirs)), expired('held', 1)],
    ['hold without one', play(dial(1)), expired('hold', 1)],
    ['challenge without one', withIncumbent, challengeOver(1, 'silent')],
  ])('changes nothing: %s', (_, before, event) => {
    const played = before.then(event)
    expect(played.effects).toEqual([])
    expect(played.state).toEqual(before.state)
  })
})

test('an event about a connection that the slot does not hold changes nothing (F15)', () => {
  const states = [
    emptySlot,
    withIncumbent.state,
    withIncumbent.then(hello(2, theirs)).state,
    play(dial(1), connected(1), hello(2, theirDialWeDecide)).state,
    play(hello(1, theirDialWeDecide)).state,
  ]
  const events: SlotEvent[] = [
    ready(99),
    pong(99, 1),
    closed(99),
    challengeOver(99, 'silent'),
    ...(['handshake', 'confirm', 'hold', 'held'] as const).map((timer) => expired(timer, 99)),
  ]
  for (const state of states) {
    for (const event of events) {
      expect(stepElection(state, event)).toEqual({ state, effects: [] })
    }
  }
})

describe('the arbiter of a connection', () => {
  const facts = (ourIp: string, theirIp: string, ourInstanceId = 'a', theirInstanceId = 'b') => ({
    ourIp: parsePeerIp(ourIp),
    theirIp: parsePeerIp(theirIp),
    ourInstanceId,
    theirInstanceId,
  })

  test.each([
    ['9.0.0.1', '10.0.0.1', 'us'],
    ['10.0.0.1', '9.0.0.1', 'them'],
    ['50.28.104.50', '165.84.215.117', 'us'],
    ['200.0.0.1', '::1', 'us'],
    ['::ffff:9.0.0.1', '10.0.0.1', 'us'],
  ] as const)('between %s (us) and %s is %s: the lower IP (F03)', (ourIp, theirIp, arbiter) => {
    expect(arbiterOf(facts(ourIp, theirIp))).toBe(arbiter)
  })

  test('is the lower instance id between equal IPs', () => {
    expect(arbiterOf(facts('10.0.0.1', '10.0.0.1', 'a', 'b'))).toBe('us')
    expect(arbiterOf(facts('10.0.0.1', '10.0.0.1', 'b', 'a'))).toBe('them')
  })
})

describe('an incumbent under challenge', () => {
  const silent = {
    bytesReceivedSinceStart: 0,
    bytesSentSinceLastPong: 0,
    isReadPaused: false,
  }

  test('is silent when no byte came and little was on its way to it', () => {
    expect(wasSilent(silent)).toBe(true)
    const sent = (bytesSentSinceLastPong: number) =>
      wasSilent({ ...silent, bytesSentSinceLastPong })
    expect(sent(maxBytesUnderChallenge - 1)).toBe(true)
    expect(sent(maxBytesUnderChallenge)).toBe(false)
    expect(wasSilent({ ...silent, bytesReceivedSinceStart: 1 })).toBe(false)
    expect(wasSilent({ ...silent, isReadPaused: true })).toBe(false)
    expect(maxBytesUnderChallenge).toBe(64 * 1024)
  })

  test('has four smoothed round trips to answer, within the limits', () => {
    const limits = { challengeTimeoutMs: 3_000, challengeTimeoutMaxMs: 5_000 }
    expect(challengeDurationMs(undefined, limits)).toBe(3_000)
    expect(challengeDurationMs(10, limits)).toBe(3_000)
    expect(challengeDurationMs(1_000, limits)).toBe(4_000)
    expect(challengeDurationMs(60_000, limits)).toBe(5_000)
  })
})
