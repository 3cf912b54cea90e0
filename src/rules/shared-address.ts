import type { PeerIdentity } from './peer-key.js'

/** What to do when several nodes that run at the same time go by one key. */
export function sharedAddressHint(identity: PeerIdentity): string {
  return identity === 'ip'
    ? "another node at this IP is connected; several nodes behind one address need identity: 'endpoint'"
    : 'another node at this IP that tells the same port is connected; set advertisedPort to the port at which each is reached'
}

/** What was refused at one key since users were told last. */
export interface Refusals {
  readonly count: number
  /** The different processes that were refused; some of them, when there are many. */
  readonly instanceIds: ReadonlySet<string>
}

export const noRefusals: Refusals = { count: 0, instanceIds: new Set() }

/** Instance ids that are told apart. */
export const maxInstanceIds = 64

export function afterRefusal(refusals: Refusals, instanceId: string): Refusals {
  const isFull = refusals.instanceIds.size >= maxInstanceIds
  return {
    count: refusals.count + 1,
    instanceIds: isFull ? refusals.instanceIds : new Set([...refusals.instanceIds, instanceId]),
  }
}
