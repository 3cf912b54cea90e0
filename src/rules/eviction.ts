import type { ConnectionId } from './election.js'

/** An established inbound connection, as eviction sees it. */
export interface EvictionCandidate {
  readonly id: ConnectionId
  /** The network in which its peer lies: neighbours are easily had by one operator. */
  readonly subnet: string
  /** The shortest round trip; undefined before the first pong. */
  readonly roundTripMs: number | undefined
  readonly establishedAtMs: number
  /** When it was last of use; undefined when it never was. */
  readonly usefulAtMs: number | undefined
  /** A kept or allowed peer: never evicted. */
  readonly isReserved: boolean
}

/**
 * Which inbound connection makes room for a newcomer, or undefined: nobody.
 *
 * In the spirit of Bitcoin Core's SelectNodeToEvict. An attacker who wants all our inbound slots would
 * have to be better than others in several things of which each is hard to fake: protected are one
 * connection of some subnets that only we can foresee, those with the lowest round trip, those that were
 * last of use, and of the rest the half that is connected longest. Of what is left the youngest of the
 * largest subnet goes, but only for a newcomer whose own subnet is smaller: who is turned away for a
 * neighbour wins nothing for anybody, and diversity never falls.
 */
export function selectEviction(
  candidates: readonly EvictionCandidate[],
  newcomer: { readonly subnet: string },
  /** Secret of this node: orders subnets in a way that nobody outside can foresee. */
  salt: string,
): ConnectionId | undefined {
  let left = candidates.filter(({ isReserved }) => !isReserved)
  const share = Math.max(1, Math.floor(left.length / 16))
  left = without(left, firstOfSubnets(left, share, salt))
  left = without(
    left,
    lowest(left, share, ({ roundTripMs }) => roundTripMs ?? Infinity),
  )
  left = without(
    left,
    lowest(left, share, ({ usefulAtMs }) => -(usefulAtMs ?? -Infinity)),
  )
  left = without(
    left,
    lowest(left, left.length >> 1, ({ establishedAtMs }) => establishedAtMs),
  )
  const sizes = sizesBySubnet(candidates)
  const sizeOf = ({ subnet }: { readonly subnet: string }): number => sizes.get(subnet) ?? 0
  const largest = Math.max(0, ...left.map(sizeOf))
  if (largest <= sizeOf(newcomer)) return undefined
  return left
    .filter((candidate) => sizeOf(candidate) === largest)
    .reduce<EvictionCandidate | undefined>(younger, undefined)?.id
}

/** The oldest connection of each of `count` subnets. */
function firstOfSubnets(
  candidates: readonly EvictionCandidate[],
  count: number,
  salt: string,
): EvictionCandidate[] {
  const oldest = new Map<string, EvictionCandidate>()
  for (const candidate of candidates) {
    const known = oldest.get(candidate.subnet)
    if (known === undefined || candidate.establishedAtMs < known.establishedAtMs) {
      oldest.set(candidate.subnet, candidate)
    }
  }
  return lowest([...oldest.values()], count, ({ subnet }) => hash(salt + subnet))
}

/** At most `count` of them, those with the lowest finite number. */
function lowest(
  candidates: readonly EvictionCandidate[],
  count: number,
  numberOf: (candidate: EvictionCandidate) => number,
): EvictionCandidate[] {
  return candidates
    .filter((candidate) => Number.isFinite(numberOf(candidate)))
    .sort((a, b) => numberOf(a) - numberOf(b))
    .slice(0, count)
}

function without(
  candidates: readonly EvictionCandidate[],
  some: readonly EvictionCandidate[],
): EvictionCandidate[] {
  return candidates.filter((candidate) => !some.includes(candidate))
}

function sizesBySubnet(candidates: readonly EvictionCandidate[]): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const { subnet } of candidates) sizes.set(subnet, (sizes.get(subnet) ?? 0) + 1)
  return sizes
}

function younger(a: EvictionCandidate | undefined, b: EvictionCandidate): EvictionCandidate {
  return a === undefined || b.establishedAtMs >= a.establishedAtMs ? b : a
}

/** FNV-1a, 32 bits: with a secret salt its order cannot be foreseen. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0
  }
  return value
}
