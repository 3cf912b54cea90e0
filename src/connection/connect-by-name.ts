import type { Peer } from '../contracts/peer-service.js'
import { HoldfastError } from '../errors.js'
import type { HostName } from '../rules/host-name.js'
import type { PeerAddress } from '../rules/peer-ip.js'

/** What it takes to connect to a host name. */
export interface ConnectByNameHost {
  lookup(name: HostName, signal: AbortSignal | undefined): Promise<readonly PeerAddress[]>
  isOurs(address: PeerAddress): boolean
  /** The established connection to that peer, if there is one. */
  connected(address: PeerAddress): Peer | undefined
  connect(address: PeerAddress, signal: AbortSignal | undefined): Promise<Peer>
}

/**
 * Resolves with a connection that is there already to one of the addresses that `name` stands for, or with
 * that to the first one that works, tried one after the other. Rejects with RESOLVE_FAILED, with what its
 * one address failed with, or with CONNECT_FAILED and an AggregateError of all as the cause.
 */
export async function connectByName(
  host: ConnectByNameHost,
  name: HostName,
  signal: AbortSignal | undefined,
): Promise<Peer> {
  const addresses = await host.lookup(name, signal)
  for (const address of addresses) {
    const peer = host.connected(address)
    if (peer !== undefined) return peer
  }
  const errors: Error[] = []
  for (const address of addresses) {
    try {
      if (host.isOurs(address)) throw new HoldfastError('SELF', `${address.ip} is this node itself`)
      return await host.connect(address, signal)
    } catch (error) {
      signal?.throwIfAborted()
      if (!HoldfastError.is(error) || error.code === 'NOT_RUNNING') throw error
      errors.push(error)
    }
  }
  const [only] = errors
  if (only !== undefined && errors.length === 1) throw only
  const texts = errors.map(({ message }) => message).join('; ')
  throw new HoldfastError('CONNECT_FAILED', `${name.text}: no address works: ${texts}`, {
    cause: new AggregateError(errors, texts),
  })
}
