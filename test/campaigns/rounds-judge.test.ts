import { describe, expect, it } from 'vitest'
import { judge, noCloses, type ClosesAt } from './rounds/judge.js'
import type { EventKind, MemberEvent, MemberReport, SocketRecord } from './rounds/protocol.js'

const [a, b] = ['127.0.0.1', '127.0.0.2']
const event = (kind: EventKind, text = ''): MemberEvent => ({
  atMs: 0,
  ip: '',
  kind,
  peerIp: '',
  text,
})

/** Two members with the one connection that a dialled, and the refused one that b dialled. */
const kept = { local: `${a}:1`, remote: `${b}:2` }
const refused = { local: `${a}:3`, remote: `${b}:4` }
const report = (ip: string, changes: Partial<MemberReport> = {}): MemberReport => {
  const isA = ip === a
  const peerIp = isA ? b : a
  const seen = (socket: typeof kept): typeof kept =>
    isA ? socket : { local: socket.remote, remote: socket.local }
  const sockets: SocketRecord[] = [
    { peerIp, isDialled: isA, ...seen(kept), isOpen: true },
    { peerIp, isDialled: !isA, ...seen(refused), isOpen: false },
  ]
  const events = changes.events ?? [event('connected')]
  return {
    ip,
    peers: [{ ip: peerIp, isDialled: isA, ...seen(kept) }],
    sockets,
    duplicatesRefused: 1,
    ...changes,
    events: events.map((one) => ({ ...one, ip, peerIp })),
  }
}

const textsOf = (reports: readonly MemberReport[], closesAt: ClosesAt = () => noCloses): string =>
  judge(reports, closesAt, [])
    .findings.map(({ text }) => text)
    .join('\n')

describe('the judge of the rounds', () => {
  it('finds nothing where each end holds the same one connection', () => {
    const verdict = judge([report(a), report(b)], () => noCloses, [])
    expect(verdict).toEqual({
      findings: [],
      sockets: 2,
      duplicates: 1,
      closes: 0,
      dialledByLower: 1,
    })
  })

  it('sees an end without a connection', () => {
    expect(textsOf([report(a, { peers: [] }), report(b)])).toContain('0 established connections at')
  })

  it('sees two ends that hold different connections', () => {
    const other = { local: refused.remote, remote: refused.local }
    const peers = [{ ip: a, isDialled: true, ...other }]
    expect(textsOf([report(a), report(b, { peers })])).toContain('hold different connections')
  })

  it('sees a socket that nobody refused', () => {
    const sockets = report(b).sockets.map((socket) => ({ ...socket, isOpen: true }))
    expect(textsOf([report(a), report(b, { sockets })])).toContain('2 sockets open')
  })

  it('sees an established connection that was closed, though another took its place', () => {
    const events = [event('connected'), event('disconnected', 'ended: x'), event('connected')]
    expect(textsOf([report(a, { events }), report(b)])).toContain('closed at 127.0.0.1, not 0')
  })

  it('sees a peer that was announced twice', () => {
    const events = [event('connected'), event('connected')]
    expect(textsOf([report(a), report(b, { events })])).toContain('peerConnected came 2 times')
  })

  it('allows the closes of a disturbance for their reasons only', () => {
    const events = (text: string): readonly MemberEvent[] => [
      event('connected'),
      event('disconnected', text),
      event('connected'),
    ]
    const closesAt: ClosesAt = (ip) =>
      ip === a ? { least: 1, most: 1, kinds: ['ended'] } : noCloses
    expect(textsOf([report(a, { events: events('ended: x') }), report(b)], closesAt)).toBe('')
    const forDuplicate = report(a, { events: events('duplicate: x') })
    expect(textsOf([forDuplicate, report(b)], closesAt)).toContain('closed for duplicate')
  })

  it('sees a bug that the library reports of itself', () => {
    const events = [event('connected'), event('bug', 'a service threw')]
    expect(textsOf([report(a, { events }), report(b)])).toContain('a service threw')
  })
})
