import type { CloseReason } from '../contracts/close-reason.js'
import type { PeerHello } from '../contracts/peer-service.js'
import type { Random } from '../contracts/random.js'
import type { PeerRegistry } from '../peer-registry.js'
import { arbiterOf, type Arbiter } from '../rules/election.js'
import { judgeHello, protocolVersion } from '../rules/handshake.js'
import { afterVote, majorityIp, type OwnIpVotes } from '../rules/own-ip.js'
import type { PeerIp } from '../rules/peer-ip.js'
import { toHex } from '../wire/binary.js'
import type { ConnectionManagerLimits, NodeIdentity } from './connection-options.js'
import type { PeerConnection } from './peer-connection.js'

/** What this node says of itself in a HELLO, and what it makes of the HELLOs of others. */
export class Greeting {
  /** 16 random bytes per process. */
  readonly instanceId: string
  readonly #identity: NodeIdentity
  readonly #limits: ConnectionManagerLimits
  readonly #random: Random
  readonly #registry: PeerRegistry
  readonly #listeningPort: () => number | undefined
  #ownIpVotes: OwnIpVotes = new Map()

  constructor(options: {
    readonly identity: NodeIdentity
    readonly limits: ConnectionManagerLimits
    readonly random: Random
    readonly registry: PeerRegistry
    readonly listeningPort: () => number | undefined
  }) {
    this.#identity = options.identity
    this.#limits = options.limits
    this.#random = options.random
    this.#registry = options.registry
    this.#listeningPort = options.listeningPort
    this.instanceId = toHex(options.random.bytes(16))
  }

  /** This node's IP as configured, or as most peers see it. */
  get ourIp(): PeerIp | undefined {
    return this.#identity.localIp ?? majorityIp(this.#ownIpVotes)
  }

  /** Says HELLO on a connection that we dialled. */
  send(connection: PeerConnection, nonce: string): void {
    const hello: PeerHello = {
      version: protocolVersion,
      network: this.#identity.network,
      instanceId: this.instanceId,
      yourIp: connection.ip,
      listeningPort: this.#listeningPort(),
      agent: this.#identity.agent,
      maxFrameBytes: this.#limits.maxFrameBytes,
      appData: this.#identity.appData,
    }
    connection.sendHandshake({ kind: 'hello', hello, nonce })
  }

  /** Answers the HELLO of a connection that we accepted. */
  answer(connection: PeerConnection): void {
    this.send(connection, toHex(this.#random.bytes(8)))
  }

  /** Why a connection with this HELLO cannot be. */
  judge(
    connection: PeerConnection,
    hello: PeerHello,
    isOwnNonce: boolean,
  ): CloseReason | undefined {
    return judgeHello(hello, {
      network: this.#identity.network,
      instanceId: this.instanceId,
      isOwnNonce,
      isBanned: !this.#registry.isWelcome(connection.ip),
    })
  }

  /** Who decides about the connection, from what both ends know. */
  arbiterWith(connection: PeerConnection, hello: PeerHello): Arbiter {
    return arbiterOf({
      ourIp: seenIp(hello),
      theirIp: connection.ip,
      ourInstanceId: this.instanceId,
      theirInstanceId: hello.instanceId,
    })
  }

  /** An established peer has a say in what our own IP is. */
  ownIpSeen(connection: PeerConnection): void {
    this.#ownIpVotes = afterVote(this.#ownIpVotes, connection.key, seenIp(connection.hello))
  }
}

/** `judgeHello` refuses a HELLO without it, and the decoder made it canonical. */
function seenIp(hello: PeerHello): PeerIp {
  return hello.yourIp as PeerIp
}
