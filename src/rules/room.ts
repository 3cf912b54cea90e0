export interface RoomLimits {
  readonly maxInbound: number
  readonly maxReservedInbound: number
  readonly maxInboundPerSubnet: number
}

export type RoomVerdict = 'admit' | 'full' | 'subnet-full'

/**
 * Whether an inbound connection whose HELLO is valid may become one of the established ones.
 *
 * A kept peer always may: its user said so, and there is one slot for each. Neither does one who comes
 * for the place of its own connection take anybody's. Allowed peers have `maxReservedInbound` slots of
 * their own above `maxInbound`.
 */
export function judgeRoom(
  facts: {
    readonly isKept: boolean
    readonly isAllowed: boolean
    /** The peer is connected: it comes for the place of that connection. */
    readonly isConnected: boolean
    /** Inbound connections that are established, and those of others that are on their way to it. */
    readonly inbound: number
    /** Of these, those from the same subnet. */
    readonly inSubnet: number
  },
  limits: RoomLimits,
): RoomVerdict {
  if (facts.isKept || facts.isConnected) return 'admit'
  if (facts.isAllowed) {
    return facts.inbound < limits.maxInbound + limits.maxReservedInbound ? 'admit' : 'full'
  }
  if (facts.inSubnet >= limits.maxInboundPerSubnet) return 'subnet-full'
  return facts.inbound < limits.maxInbound ? 'admit' : 'full'
}
