/** What is known of the ports of a peer. */
export interface KnownPorts {
  /** Named by a user who waits, and not tried yet; the oldest first. */
  readonly asked: readonly number[]
  /** Told by the peer in its last HELLO. */
  readonly told: number | undefined
  /** Written down by a user, or heard of. */
  readonly configured: number | undefined
  /** Dials that failed in a row. */
  readonly failures: number
}

/**
 * The port that the next dial uses. What a user asked for comes first. Of the other two the told one is
 * newer; but the peer may be back with its old settings, so after a failure they take turns.
 */
export function portToDial(ports: KnownPorts, defaultPort: number): number {
  const { asked, told, configured, failures } = ports
  if (asked[0] !== undefined) return asked[0]
  const isToldInVain = failures % 2 === 1
  return (isToldInVain ? (configured ?? told) : (told ?? configured)) ?? defaultPort
}
