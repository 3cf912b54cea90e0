/** Messages in flight on one link: up to six of five bits in a word, the oldest lowest. */
export const message = {
  hello: 1,
  ready: 2,
  /** The end of the connection, with or without a BYE before it. */
  fin: 3,
  /** A liar's HELLO: it names an address that makes the receiver believe the opposite arbiter. */
  helloOfLiar: 4,
  ping: 5,
  pong: 18,
} as const

/** Pings of a challenge are numbered from 1; 0 stands for one of a challenge that is over. */
export const maxPing = 12

const bits = 5
const mask = 31
const capacity = 6

export const isPing = (kind: number): boolean => kind >= message.ping && kind < message.pong
export const isPong = (kind: number): boolean => kind >= message.pong

export const headOf = (link: number): number => link & mask
export const withoutHead = (link: number): number => link >>> bits

export function lengthOf(link: number): number {
  let length = 0
  for (let rest = link; rest !== 0; rest >>>= bits) length++
  return length
}

export function lastOf(link: number): number {
  let last = 0
  for (let rest = link; rest !== 0; rest >>>= bits) last = rest & mask
  return last
}

export function append(link: number, kind: number): number {
  const length = lengthOf(link)
  if (length === capacity) throw new Error(`more than ${capacity} messages in flight on one link`)
  return link | (kind << (bits * length))
}

/** Whether any message in flight is of a kind. */
export function some(link: number, test: (kind: number) => boolean): boolean {
  for (let rest = link; rest !== 0; rest >>>= bits) if (test(rest & mask)) return true
  return false
}

/** A challenge is over: its pings or pongs in flight mean nothing more than that bytes arrive. */
export function withStale(link: number, first: number): number {
  let result = 0
  let before = 0
  for (let rest = link; rest !== 0; rest >>>= bits) {
    let kind = rest & mask
    if (kind >= first && kind <= first + maxPing) kind = first
    if (kind !== first || before !== first) result = append(result, kind)
    before = kind
  }
  return result
}

/** What is left when everything in flight is lost but the end itself. */
export const onlyFin = (link: number): number => (lastOf(link) === message.fin ? message.fin : 0)
