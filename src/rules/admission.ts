import type { ConnectionId } from './election.js'

/** An inbound connection that is not established yet. Listed in the order in which they came. */
export interface PendingInbound {
  readonly id: ConnectionId
  readonly ip: string
  /** Its HELLO was valid: it never makes room. */
  readonly hasHello: boolean
}

export type Admission =
  | { readonly kind: 'admit' }
  /** Admitted in place of this one, the oldest that has said nothing yet. */
  | { readonly kind: 'admitInsteadOf'; readonly id: ConnectionId }
  | { readonly kind: 'refuse' }

/** Whether another inbound connection from `ip` may begin its handshake. */
export function admitInbound(
  pending: readonly PendingInbound[],
  ip: string,
  limits: {
    readonly maxPendingHandshakes: number
    readonly maxPendingHandshakesPerIp: number
  },
): Admission {
  const sameIp = pending.filter((other) => other.ip === ip)
  const isFullForIp = sameIp.length >= limits.maxPendingHandshakesPerIp
  if (!isFullForIp && pending.length < limits.maxPendingHandshakes) return { kind: 'admit' }
  const oldestSilent = (isFullForIp ? sameIp : pending).find((other) => !other.hasHello)
  return oldestSilent === undefined
    ? { kind: 'refuse' }
    : { kind: 'admitInsteadOf', id: oldestSilent.id }
}
