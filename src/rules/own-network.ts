/**
 * Whether our own network is down. Then every dial fails, whoever is dialled: dialling on would cost
 * peers failures that are none of theirs, and leave all of them in a long backoff when it is back.
 *
 * It is down when no connection is established and, since anybody was last heard of,
 *
 * - dials to three distinct peers have failed, every one of them here, in this host (no route, no
 *   address, interface down), or
 * - the connections to three distinct peers were lost in silence, and dials to three distinct peers
 *   have failed here or in silence.
 *
 * Peers are distinct by IP: several nodes on one machine, or several ports that lead to one node, go
 * down together without us.
 *
 * Whatever comes from anybody proves the contrary: a connection, a HELLO, also a refusal.
 *
 * Limits. A node that never had three peers never finds its own network down, nor does one whose dials
 * time out from its start on: for it, dead peers and a dead network look the same, and backoff is right
 * for both. The other way round, a node whose peers all vanish at once, for instance behind one router,
 * believes that it was itself; so whoever acts on this goes on dialling, one peer at a time, and not
 * only those that were lost.
 */
export interface OwnNetwork {
  readonly isDown: boolean
  /** When anybody was last heard of. */
  readonly heardMs: number
  /** IPs whose connection was lost in silence, and when. */
  readonly lost: ReadonlyMap<string, number>
  /** IPs to which a dial failed without a sign of anybody. */
  readonly failed: ReadonlyMap<string, { readonly atMs: number; readonly isLocal: boolean }>
  /** Families of addresses in which a dial once got out of this host. */
  readonly routable: ReadonlySet<IpFamily>
}

export type IpFamily = 'IPv4' | 'IPv6'

/** What a failed dial says of our own network: it left this host at least, or somebody answered. */
export type DialTrace = 'local' | 'silent' | 'answered' | 'unknown'

/** Distinct peers that it takes: fewer may as well be down themselves. */
export const outagePeers = 3

/** Peers that are remembered of each kind: more prove no more. */
const maxRemembered = 16

export const unprovenNetwork: OwnNetwork = {
  isDown: false,
  heardMs: Number.NEGATIVE_INFINITY,
  lost: new Map(),
  failed: new Map(),
  routable: new Set(),
}

/** Somebody was heard of at `atMs`, which may be in the past: what was before proves nothing any more. */
export function afterHeard(network: OwnNetwork, atMs: number): OwnNetwork {
  if (atMs <= network.heardMs) return network
  const lost = new Map([...network.lost].filter(([, lostMs]) => lostMs > atMs))
  const failed = new Map([...network.failed].filter(([, failure]) => failure.atMs > atMs))
  return judged({ ...network, heardMs: atMs, lost, failed }, 0)
}

/** A connection was lost in silence: its peer was last heard of at `heardMs`. */
export function afterSilentLoss(
  network: OwnNetwork,
  loss: { readonly ip: string; readonly atMs: number; readonly heardMs: number },
  connections: number,
): OwnNetwork {
  const heard = afterHeard(network, loss.heardMs)
  return judged({ ...heard, lost: remember(heard.lost, loss.ip, loss.atMs) }, connections)
}

/** A dial failed. `connections`: those that are established. */
export function afterFailedDial(
  network: OwnNetwork,
  dial: {
    readonly ip: string
    readonly family: IpFamily
    readonly trace: DialTrace
    readonly atMs: number
  },
  connections: number,
): OwnNetwork {
  const { ip, family, trace, atMs } = dial
  if (trace === 'answered') return afterHeard(withRoute(network, family), atMs)
  if (trace === 'unknown') return network
  const isLocal = trace === 'local'
  // A host without IPv6 fails every dial to an IPv6 address: that says nothing of its IPv4.
  if (isLocal && network.routable.size > 0 && !network.routable.has(family)) return network
  const known = isLocal ? network : withRoute(network, family)
  const failed = remember(known.failed, ip, { atMs, isLocal })
  return judged({ ...known, failed }, connections)
}

/** A connection of this family was established, or a dial got through. */
export function afterConnected(network: OwnNetwork, family: IpFamily, atMs: number): OwnNetwork {
  return afterHeard(withRoute(network, family), atMs)
}

/** What an error of a dial says, by the code of the system. */
export function traceOf(code: unknown): DialTrace {
  switch (code) {
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'ENETDOWN':
    case 'EADDRNOTAVAIL':
    case 'EAI_AGAIN':
      return 'local'
    case 'ETIMEDOUT':
    case 'DIAL_TIMEOUT':
      return 'silent'
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return 'answered'
    default:
      return 'unknown'
  }
}

/** Down by these proofs; once down, it stays so as long as they stand. */
function judged(network: OwnNetwork, connections: number): OwnNetwork {
  const needed = network.isDown ? 1 : outagePeers
  const isSilent = connections === 0 && network.failed.size >= needed
  const areAllLocal = [...network.failed.values()].every(({ isLocal }) => isLocal)
  const isDown = isSilent && (areAllLocal || network.lost.size >= outagePeers)
  return isDown === network.isDown ? network : { ...network, isDown }
}

function withRoute(network: OwnNetwork, family: IpFamily): OwnNetwork {
  if (network.routable.has(family)) return network
  return { ...network, routable: new Set([...network.routable, family]) }
}

function remember<Value>(
  map: ReadonlyMap<string, Value>,
  key: string,
  value: Value,
): ReadonlyMap<string, Value> {
  const next = new Map(map)
  next.delete(key)
  next.set(key, value)
  const oldest = next.keys().next()
  if (next.size > maxRemembered && !oldest.done) next.delete(oldest.value)
  return next
}
