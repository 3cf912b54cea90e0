/** What may go wrong in a world; each one happens at most as often as the world allows. */
export type FaultKind = 'crash' | 'vanish' | 'reset' | 'hole' | 'halfHole' | 'early' | 'dialFail'

export const faultKinds: readonly FaultKind[] = [
  'crash',
  'vanish',
  'reset',
  'hole',
  'halfHole',
  'early',
  'dialFail',
]

export interface WorldHost {
  readonly name: string
  /** Sends what it likes, when it likes, and runs no election. */
  readonly isLiar?: boolean
  /** Says in its HELLOs that it sees the other end at this address, whatever it sees. */
  readonly tellsIp?: string
}

/** The slot of one peer IP at one host. */
export interface WorldSlot {
  readonly host: number
  readonly peerIp: string
  /** Dials that this host starts by itself, and those that a restart of it adds. */
  readonly dials: number
  readonly dialsAfterRestart?: number
}

/** A way in which one host can dial another. */
export interface WorldRoute {
  /** The slot of the dialer, and the slot in which the acceptor puts it. */
  readonly from: number
  readonly to: number
  /** False: the dial gets nowhere, and fails at some time. */
  readonly isReachable: boolean
  /** At which addresses the two see each other this way, where these are not those of the slots. */
  readonly seen?: { readonly dialer: string; readonly acceptor: string }
  /** How many connections of this route may exist at the same time. */
  readonly width: number
}

/** A small world, to be explored to its end. */
export interface World {
  readonly name: string
  readonly hosts: readonly WorldHost[]
  readonly slots: readonly WorldSlot[]
  readonly routes: readonly WorldRoute[]
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>
  /** Of all faults together; the sum of them when it is left out. */
  readonly maxFaults?: number
  /** More than about 50,000 states. */
  readonly isLarge?: boolean
  /** Only in the long run. */
  readonly isDeep?: boolean
}

/** Whether nothing that this host says can be relied on. */
export function isUntrue(host: WorldHost): boolean {
  return host.isLiar === true || host.tellsIp !== undefined
}
