import type { CloseReason } from '../contracts/close-reason.js'
import type { PeerHello } from '../contracts/peer-service.js'

/** The version of the protocol that this library speaks: docs/PROTOCOL.md. */
export const protocolVersion = 1

/** What a HELLO is judged against. */
export interface HandshakeFacts {
  readonly network: string
  readonly instanceId: string
  /** The nonce in it is that of a dial of our own: the socket leads back to this process. */
  readonly isOwnNonce: boolean
  readonly isBanned: boolean
}

/**
 * Why a connection with this HELLO cannot be; undefined when it can. Both ends judge, so that each
 * closes with the exact reason. An own instance id without our own nonce proves nothing (anyone can
 * echo it), but such a connection is of no use either.
 */
export function judgeHello(hello: PeerHello, facts: HandshakeFacts): CloseReason | undefined {
  if (hello.version !== protocolVersion) {
    const text = `this node speaks version ${protocolVersion}, not ${hello.version}`
    return { kind: 'wrong-version', by: 'us', text }
  }
  if (hello.network !== facts.network) {
    const text = `this node is on network '${facts.network}', not '${hello.network}'`
    return { kind: 'wrong-network', by: 'us', text }
  }
  if (facts.isOwnNonce || hello.instanceId === facts.instanceId) return { kind: 'self', by: 'us' }
  if (facts.isBanned) return { kind: 'banned', by: 'us' }
  if (hello.yourIp === undefined) {
    return {
      kind: 'misbehaved',
      by: 'us',
      what: 'HELLO does not say at which IP it sees this node',
    }
  }
  return undefined
}
