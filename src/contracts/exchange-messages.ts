/** Where a peer listens, as another peer tells it. */
export interface ToldPeer {
  /** In canonical form. */
  readonly ip: string
  readonly port: number
}

/** Asks for peers that the other end knows to be good. */
export interface GetPeersMessage {
  readonly kind: 'getPeers'
  /** At most so many: 1 to 1,000. */
  readonly count: number
}

/** The answer to `getPeers`. What it says is hearsay. */
export interface PeersMessage {
  readonly kind: 'peers'
  readonly peers: readonly ToldPeer[]
}

/** The messages of peer exchange. */
export type ExchangeMessage = GetPeersMessage | PeersMessage
