import { formatEndpoint, type PeerIp } from './peer-ip.js'

/**
 * What makes a peer the same peer. `ip`: its IP alone, whatever the port. `endpoint`: its IP and its
 * listening port, for several nodes behind one address.
 */
export type PeerIdentity = 'ip' | 'endpoint'

export const peerIdentities: readonly PeerIdentity[] = ['ip', 'endpoint']

/**
 * The one function that names a peer's slot, from its IP and its HELLO (or from the address that is
 * dialled, until its HELLO has come).
 *
 * With `endpoint` that is `IP:port`, by the listening port that the peer tells; a peer that tells none
 * goes by its IP and its instance id, `IP#id`, so that two of them do not share a slot. All connections
 * of one process say the same in their HELLOs, so that they meet in one slot, whichever end dialled, and
 * at whichever port.
 */
export function peerKey(
  identity: PeerIdentity,
  ip: PeerIp,
  hello: { readonly listeningPort: number | undefined; readonly instanceId?: string },
): string {
  if (identity === 'ip') return ip
  const { listeningPort: port, instanceId = '' } = hello
  return port === undefined ? `${ip}#${instanceId}` : formatEndpoint({ host: ip, port })
}
