import type { Authorize } from '../contracts/authorize.js'
import type { Clock } from '../contracts/clock.js'
import type { Random } from '../contracts/random.js'
import type { Transport } from '../contracts/transport.js'
import { PeerRegistry } from '../peer-registry.js'
import { maxBanMs } from '../rules/bans.js'
import { tryParsePeerIp, type PeerIp } from '../rules/peer-ip.js'
import type { PeerIdentity } from '../rules/peer-key.js'
import { utf8 } from '../wire/binary.js'
import { maxAgentBytes, maxAppDataBytes, maxNetworkBytes } from '../wire/messages.js'

/** Every limit of a ConnectionManager, in milliseconds, bytes or numbers of things. */
export interface ConnectionManagerLimits {
  /** How long a dial may take until it has its connection. */
  readonly dialTimeoutMs: number
  /** From the first byte to the end of the election. */
  readonly handshakeTimeoutMs: number
  /** From READY sent to READY received: the other end may have an incumbent to challenge first. */
  readonly confirmTimeoutMs: number
  /**
   * How long the application may think about a peer. Below `confirmTimeoutMs`: meanwhile the other end
   * may wait for READY. It counts for itself, not for `handshakeTimeoutMs`. Default: 5,000, but at most
   * half of `confirmTimeoutMs`.
   */
  readonly authorizeTimeoutMs: number
  /** The shortest and the longest time in which a challenged incumbent must answer. */
  readonly challengeTimeoutMs: number
  readonly challengeTimeoutMaxMs: number
  /** How long an inbound candidate waits for our own dial to the same peer. */
  readonly electionHoldMs: number
  /** How long the higher IP waits for the lower one to dial. */
  readonly patienceMs: number
  /** How long the last bytes of a closed connection may take. */
  readonly closeFlushMs: number
  readonly maxConcurrentDials: number
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** A connection that lived so long resets the backoff. */
  readonly stableAfterMs: number
  /** How long a peer rests that belongs to another network or is this node itself. */
  readonly longRestMs: number
  /** While this node's own network is down one peer is dialled at a time, this long after the last. */
  readonly outageProbeMs: number
  readonly maxInbound: number
  readonly maxOutbound: number
  /** Inbound slots above `maxInbound` for allowed peers. Kept peers need none: they always come in. */
  readonly maxReservedInbound: number
  /**
   * Established connections with one subnet: inbound ones of strangers, and outbound ones to peers that
   * are neither kept nor asked for by the user. Private and loopback addresses are exempt.
   */
  readonly maxInboundPerSubnet: number
  readonly maxOutboundPerSubnet: number
  /** The prefix lengths that make a subnet: 1 to 32, and 1 to 128. */
  readonly subnetBitsIpv4: number
  readonly subnetBitsIpv6: number
  /**
   * Connections that one address may open at once, and the time after which it may open one more. Of IPv6
   * a subnet counts as one address; loopback, kept and allowed addresses are exempt.
   */
  readonly acceptBurst: number
  readonly acceptIntervalMs: number
  /** When a peer for which there was no room is told to come again. */
  readonly busyRetryMs: number
  /** Inbound connections in handshake, over all and per IP. */
  readonly maxPendingHandshakes: number
  readonly maxPendingHandshakesPerIp: number
  /** A known peer that is not kept and never was connected is left alone after so many failed dials in a row. */
  readonly maxDialFailures: number
  readonly maxFrameBytes: number
  /** The send queue: where `send` returns false, and where it refuses. */
  readonly sendHighWaterBytes: number
  readonly sendMaxBytes: number
  /** A peer that reads nothing for so long while its queue is above high water is closed as `slow`. */
  readonly slowPeerMs: number
  readonly requestTimeoutMs: number
  /** Without a connection for so long, while peers are wanted, the node's health is `isolated`. */
  readonly isolatedAfterMs: number
  /** Requests of ours that may await their answers, per connection. */
  readonly maxRequests: number
  /** Requests of a peer that may be unanswered; one more closes its connection as `flood`. */
  readonly maxReplies: number
  /** Bytes that a connection's handlers may hold before reading from it pauses. */
  readonly maxHandlerBytes: number
  /**
   * What a peer may send unasked on one connection, in messages and in bytes; it may send at once what
   * it may send in two seconds, and after a rest twice that. Above that reading from it pauses until the budget has refilled, and
   * nothing else happens. What this node asked for (answers, blocks, pongs) does not count. The defaults
   * are above what a link of one gigabit carries.
   */
  readonly maxMessagesPerSecond: number
  readonly maxBytesPerSecond: number
  /**
   * Frames that no peer has a reason to send: answers and pongs beyond what was asked, unknown kinds.
   * Ten times as many may come at once; one more closes the connection as `flood`.
   */
  readonly maxPointlessPerSecond: number
  /**
   * The score at which an IP is banned, the time in which a score halves, and how long a ban lasts. A
   * provable violation (malformed, out of place, senseless by the thousand) after a valid HELLO costs
   * 20 points; nothing else costs any.
   */
  readonly maxMisbehaviour: number
  readonly misbehaviourHalfLifeMs: number
  readonly misbehaviourBanMs: number
}

/** What a ConnectionManager needs, and each of its limits that is to differ from the default. */
export interface ConnectionManagerOptions extends Partial<ConnectionManagerLimits> {
  readonly registry: PeerRegistry
  readonly transport: Transport
  /** Names the network; peers of another one are refused. 1 to 128 bytes. */
  readonly network: string
  /** Who may come in: see `Authorize`. Default: everybody. */
  readonly authorize?: Authorize
  /** False: peers that misbehave are closed and scored, and never banned but by you. Default true. */
  readonly bansMisbehaviour?: boolean
  /**
   * Default false: when inbound is full a newcomer is refused as `busy`. With true an inbound connection
   * may be closed as `evicted` for it: the youngest of the largest subnet, and never one of a kept or an
   * allowed peer, or one that is protected by its round trip, its use or its age.
   */
  readonly evictsInbound?: boolean
  /** False for a node that only dials. */
  readonly listen?: boolean
  /**
   * The port that peers are told, where it differs from the one that this node listens on: that of a
   * port forwarding, or of the user's own server. 1 to 65,535.
   */
  readonly advertisedPort?: number
  /** This node's own IP, where it is known better than what peers say of it. */
  readonly localIp?: string
  /** Shown to peers; at most 128 bytes. */
  readonly agent?: string
  /** Shown to peers; at most 4 KiB. */
  readonly appData?: Uint8Array
  readonly clock?: Clock
  readonly random?: Random
}

/** The limits of a ConnectionManager where the user names none. */
export const defaultConnectionLimits: ConnectionManagerLimits = {
  dialTimeoutMs: 10_000,
  handshakeTimeoutMs: 25_000,
  confirmTimeoutMs: 11_000,
  authorizeTimeoutMs: 5_000,
  challengeTimeoutMs: 3_000,
  challengeTimeoutMaxMs: 5_000,
  electionHoldMs: 2_000,
  patienceMs: 5_000,
  closeFlushMs: 1_000,
  maxConcurrentDials: 64,
  backoffBaseMs: 1_000,
  backoffMaxMs: 300_000,
  stableAfterMs: 120_000,
  longRestMs: 3_600_000,
  outageProbeMs: 5_000,
  maxInbound: 125,
  maxOutbound: 125,
  maxReservedInbound: 32,
  maxInboundPerSubnet: 16,
  maxOutboundPerSubnet: 16,
  subnetBitsIpv4: 24,
  subnetBitsIpv6: 64,
  acceptBurst: 16,
  acceptIntervalMs: 1_000,
  busyRetryMs: 60_000,
  maxPendingHandshakes: 64,
  maxPendingHandshakesPerIp: 2,
  maxDialFailures: 10,
  maxFrameBytes: 8 * 1024 * 1024,
  sendHighWaterBytes: 4 * 1024 * 1024,
  sendMaxBytes: 16 * 1024 * 1024,
  slowPeerMs: 30_000,
  requestTimeoutMs: 30_000,
  isolatedAfterMs: 60_000,
  maxRequests: 1_024,
  maxReplies: 1_024,
  maxHandlerBytes: 4 * 1024 * 1024,
  maxMessagesPerSecond: 50_000,
  maxBytesPerSecond: 128 * 1024 * 1024,
  maxPointlessPerSecond: 1_000,
  maxMisbehaviour: 100,
  misbehaviourHalfLifeMs: 3_600_000,
  misbehaviourBanMs: 3_600_000,
}

/** Where one IP may stand for many peers, many may shake hands at once. */
export function limitsFor(identity: PeerIdentity): Partial<ConnectionManagerLimits> {
  return identity === 'endpoint' ? { maxPendingHandshakesPerIp: 16 } : {}
}

/** Limits for which 0 makes sense. */
const mayBeZero: ReadonlySet<string> = new Set([
  'electionHoldMs',
  'patienceMs',
  'maxInbound',
  'maxOutbound',
  'maxReservedInbound',
])

/** Limits that count things. */
const isCount = (name: string): boolean =>
  (name.startsWith('max') && !name.endsWith('Ms')) ||
  name.startsWith('subnetBits') ||
  name === 'acceptBurst'

/** The limits of `options` with the defaults filled in. Throws RangeError that names what is wrong. */
export function checkLimits(options: Partial<ConnectionManagerLimits>): ConnectionManagerLimits {
  const limits = { ...defaultConnectionLimits }
  for (const name of Object.keys(limits) as (keyof ConnectionManagerLimits)[]) {
    const value = options[name] ?? limits[name]
    const isWhole = !isCount(name) || Number.isSafeInteger(value)
    const isLargeEnough = mayBeZero.has(name) ? value >= 0 : value > 0
    if (!Number.isFinite(value) || !isWhole || !isLargeEnough) {
      const floor = mayBeZero.has(name) ? 'at least' : 'above'
      throw new RangeError(
        `${name} must be a ${isCount(name) ? 'whole ' : ''}number ${floor} 0, not ${value}`,
      )
    }
    limits[name] = value
  }
  if (options.authorizeTimeoutMs === undefined) {
    const half = limits.confirmTimeoutMs / 2
    limits.authorizeTimeoutMs = Math.min(limits.authorizeTimeoutMs, half)
  }
  const electionMs =
    2 * limits.challengeTimeoutMaxMs + limits.electionHoldMs + limits.confirmTimeoutMs
  check(
    limits.handshakeTimeoutMs > electionMs,
    `handshakeTimeoutMs (${limits.handshakeTimeoutMs}) must be above 2 × challengeTimeoutMaxMs + ` +
      `electionHoldMs + confirmTimeoutMs (${electionMs}): a handshake may take that long`,
  )
  check(
    limits.challengeTimeoutMaxMs >= limits.challengeTimeoutMs,
    `challengeTimeoutMaxMs (${limits.challengeTimeoutMaxMs}) must not be below challengeTimeoutMs (${limits.challengeTimeoutMs})`,
  )
  const heldMs = 2 * limits.challengeTimeoutMaxMs
  check(
    limits.confirmTimeoutMs > heldMs,
    `confirmTimeoutMs (${limits.confirmTimeoutMs}) must be above 2 × challengeTimeoutMaxMs (${heldMs}): ` +
      `the other end answers READY when its challenge is over`,
  )
  check(
    limits.authorizeTimeoutMs < limits.confirmTimeoutMs,
    `authorizeTimeoutMs (${limits.authorizeTimeoutMs}) must be below confirmTimeoutMs (${limits.confirmTimeoutMs}): ` +
      `meanwhile the other end may wait for READY`,
  )
  check(
    limits.sendMaxBytes >= limits.maxFrameBytes,
    `sendMaxBytes (${limits.sendMaxBytes}) must not be below maxFrameBytes (${limits.maxFrameBytes}): the largest frame must fit`,
  )
  check(
    limits.sendMaxBytes >= limits.sendHighWaterBytes,
    `sendMaxBytes (${limits.sendMaxBytes}) must not be below sendHighWaterBytes (${limits.sendHighWaterBytes})`,
  )
  check(
    limits.maxFrameBytes >= 1_024,
    `maxFrameBytes (${limits.maxFrameBytes}) must be at least 1024`,
  )
  check(
    limits.maxFrameBytes < 2 ** 32,
    `maxFrameBytes (${limits.maxFrameBytes}) must be below 2^32`,
  )
  check(
    limits.subnetBitsIpv4 <= 32,
    `subnetBitsIpv4 must be at most 32, not ${limits.subnetBitsIpv4}`,
  )
  check(
    limits.subnetBitsIpv6 <= 128,
    `subnetBitsIpv6 must be at most 128, not ${limits.subnetBitsIpv6}`,
  )
  check(
    limits.backoffMaxMs >= limits.backoffBaseMs,
    `backoffMaxMs (${limits.backoffMaxMs}) must not be below backoffBaseMs (${limits.backoffBaseMs})`,
  )
  check(
    limits.misbehaviourBanMs <= maxBanMs,
    `misbehaviourBanMs (${limits.misbehaviourBanMs}) must be at most 365 days (${maxBanMs})`,
  )
  return limits
}

/** What the node says of itself, checked. */
export interface NodeIdentity {
  readonly network: string
  readonly agent: string
  readonly appData: Uint8Array
  readonly localIp: PeerIp | undefined
}

/** Throws TypeError or RangeError that names what is wrong. */
export function checkIdentity(options: ConnectionManagerOptions): NodeIdentity {
  const { network, agent = 'holdfast', appData = new Uint8Array(0), localIp } = options
  if (!((options.registry as unknown) instanceof PeerRegistry)) {
    throw new TypeError('registry must be a PeerRegistry')
  }
  if (typeof (options.transport as Partial<Transport> | undefined)?.dial !== 'function') {
    throw new TypeError('transport must be a Transport, for instance tcpTransport({ … })')
  }
  if (options.authorize !== undefined && typeof options.authorize !== 'function') {
    throw new TypeError(`authorize must be a function, not ${typeof options.authorize}`)
  }
  if (typeof network !== 'string')
    throw new TypeError(`network must be a string, not ${typeof network}`)
  const networkBytes = utf8(network).length
  check(
    networkBytes >= 1 && networkBytes <= maxNetworkBytes,
    `network must have 1 to ${maxNetworkBytes} bytes, not ${networkBytes}`,
  )
  if (typeof agent !== 'string') throw new TypeError(`agent must be a string, not ${typeof agent}`)
  check(
    utf8(agent).length <= maxAgentBytes,
    `agent must have at most ${maxAgentBytes} bytes: '${agent}'`,
  )
  if (!(appData instanceof Uint8Array)) throw new TypeError('appData must be a Uint8Array')
  check(
    appData.length <= maxAppDataBytes,
    `appData must have at most ${maxAppDataBytes} bytes, not ${appData.length}`,
  )
  const { evictsInbound } = options
  if (evictsInbound !== undefined && typeof evictsInbound !== 'boolean') {
    throw new TypeError(`evictsInbound must be true or false, not ${String(evictsInbound)}`)
  }
  const ip = localIp === undefined ? undefined : tryParsePeerIp(localIp)
  check(
    localIp === undefined || ip !== undefined,
    `localIp is not an IP address: '${String(localIp)}'`,
  )
  const { advertisedPort } = options
  check(
    advertisedPort === undefined ||
      (Number.isInteger(advertisedPort) && advertisedPort >= 1 && advertisedPort <= 65_535),
    `advertisedPort must be 1 to 65535, not ${String(advertisedPort)}`,
  )
  return { network, agent, appData, localIp: ip }
}

function check(isFulfilled: boolean, text: string): void {
  if (!isFulfilled) throw new RangeError(text)
}
