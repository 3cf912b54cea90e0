/**
 * How a state of the world is packed into 32-bit words: one per slot (the number of its interned state),
 * two for what is left to happen, and three per connection: its two ends, and the two links between them.
 * Side 0 of a connection is its dialer's end, side 1 its acceptor's; link 0 leads from side 0 to side 1.
 */
export const wordsPerConnection = 3

/** Status of an end. */
export const over = 0
export const dialing = 1
export const open = 2

export const timerKinds = ['handshake', 'confirm', 'hold', 'held', 'challenge'] as const
export const timer = { handshake: 0, confirm: 1, hold: 2, held: 3, challenge: 4 } as const

const timersAt = 4
const incarnationAt = 14
const holeAt = 18
const losableAt = 20
const touchedAt = 22
const heardAt = 23
const saidAt = 25

export const touchedBit = 1 << touchedAt

export const statusOf = (ends: number, side: number): number => (ends >> (2 * side)) & 3
export const withStatus = (ends: number, side: number, status: number): number =>
  (ends & ~(3 << (2 * side))) | (status << (2 * side))

/** A dial that goes on, or a connection that is open at both ends. */
export const isUnderWay = (ends: number): boolean =>
  (ends & 15) === dialing || (ends & 15) === (open | (open << 2))

export const timersOf = (ends: number, side: number): number => (ends >> (timersAt + 5 * side)) & 31
export const timerBit = (side: number, kind: number): number => 1 << (timersAt + 5 * side + kind)
export const allTimers = (side: number): number => 31 << (timersAt + 5 * side)

/** Which life of its host an end belongs to. */
export const incarnationOf = (ends: number, side: number): number =>
  (ends >> (incarnationAt + 2 * side)) & 3
export const incarnationBits = (side: number, incarnation: number): number =>
  incarnation << (incarnationAt + 2 * side)

/** Nothing that enters the link arrives. */
export const holeBit = (link: number): number => 1 << (holeAt + link)
/** Both hole bits of an end word, link 0 lowest. */
export const holesOf = (ends: number): number => (ends >> holeAt) & 3
/** What is in the link may be lost at any time: a reset overtakes it. */
export const losableBit = (link: number): number => 1 << (losableAt + link)
/** Bytes arrived at this end since the round of its challenge began. */
export const heardBit = (side: number): number => 1 << (heardAt + side)
/** What a liar has said: HELLO, READY. */
export const saidBit = (message: 'hello' | 'ready'): number =>
  1 << (saidAt + (message === 'hello' ? 0 : 1))

/** This end is held for an incumbent that was dead already when it came. */
export const waitsForDeadBit = (side: number): number => 1 << (27 + side)

/** Fields of two or three bits in the two words of what is left. */
export const field = {
  dials: (slot: number): number => 2 * slot,
  incarnation: (host: number): number => 16 + 2 * host,
  fault: (kind: number): number => 2 * kind,
  faults: 14,
  race: (slot: number): number => 17 + slot,
  mustConnect: 25,
} as const

export const read = (word: number, at: number, mask: number): number => (word >> at) & mask
export const write = (word: number, at: number, mask: number, value: number): number =>
  (word & ~(mask << at)) | (value << at)
