import type { Clock } from '../../src/contracts/clock.js'
import type { CloseReason } from '../../src/contracts/close-reason.js'
import type { PeerService, ServicePeer } from '../../src/contracts/peer-service.js'
import type { SyncMessage } from '../../src/contracts/sync-messages.js'

/** What happens to one message on its way: it arrives, or it is lost. */
export type Interceptor = (message: SyncMessage, to: string) => SyncMessage | undefined

export interface LinkOptions {
  readonly latencyMs?: number
  /** Bytes per millisecond in each direction. */
  readonly rate?: number
  readonly intercept?: Interceptor
}

export interface SyncNode {
  readonly name: string
  readonly service: PeerService
}

export interface Link {
  readonly isUp: boolean
  /** Every message that was posted, in order. */
  readonly posted: readonly { readonly from: string; readonly message: SyncMessage }[]
  readonly closes: readonly CloseReason[]
  /** Ends the connection; each end hears of it one latency later. */
  cut(): void
}

const arrives: Interceptor = (message) => message

let nextConnectionId = 1

/** Joins two nodes by a connection with latency and a rate, in order, as an established one is. */
export function link(clock: Clock, a: SyncNode, b: SyncNode, options: LinkOptions = {}): Link {
  const { latencyMs = 5, rate = Infinity, intercept = arrives } = options
  const posted: { from: string; message: SyncMessage }[] = []
  const closes: CloseReason[] = []
  let isUp = true

  const end = (self: SyncNode, other: SyncNode) => {
    let sendsUntilMs = 0
    let receivedAtMs = clock.now()
    let remote: FakePeer | undefined
    const peer: FakePeer = {
      ...fakePeer(clock, other.name),
      get lastReceivedAtMs() {
        // Bytes of a long message arrive all the while.
        if (clock.now() < arrivesUntilMs()) receivedAtMs = clock.now()
        return receivedAtMs
      },
      set lastReceivedAtMs(atMs) {
        receivedAtMs = atMs
      },
      get queuedBytes() {
        return rate === Infinity ? 0 : Math.max(0, sendsUntilMs - clock.now()) * rate
      },
      post(message) {
        if (!isUp) return false
        if (message.kind === 'getPeers' || message.kind === 'peers') return false
        posted.push({ from: self.name, message })
        const size = sizeOf(message)
        sendsUntilMs = Math.max(sendsUntilMs, clock.now()) + (rate === Infinity ? 0 : size / rate)
        clock.setTimer(sendsUntilMs - clock.now() + latencyMs, () => {
          const arrived = intercept(message, other.name)
          if (remote === undefined || !remote.isConnected || arrived === undefined) return
          remote.lastReceivedAtMs = clock.now()
          other.service.peerMessage?.(remote, arrived)
        })
        return true
      },
      closeFor(reason) {
        closes.push(reason)
        cut()
      },
    }
    let arrivesUntilMs = (): number => 0
    return {
      self,
      peer,
      sendsUntilMs: () => sendsUntilMs,
      join: (to: FakePeer, untilMs: () => number) => {
        remote = to
        arrivesUntilMs = untilMs
      },
    }
  }
  const ends = [end(a, b), end(b, a)] as const
  ends[0].join(ends[1].peer, ends[1].sendsUntilMs)
  ends[1].join(ends[0].peer, ends[0].sendsUntilMs)
  const cut = (): void => {
    if (!isUp) return
    isUp = false
    for (const { self, peer } of ends) {
      clock.setTimer(latencyMs, () => {
        peer.isConnected = false
        self.service.peerDisconnected?.(peer, { kind: 'ended', by: 'network' })
      })
    }
  }
  for (const { self, peer } of ends) self.service.peerConnected?.(peer)
  return {
    get isUp() {
      return isUp
    },
    posted,
    closes,
    cut,
  }
}

type FakePeer = { -readonly [Key in keyof ServicePeer]: ServicePeer[Key] }

function fakePeer(clock: Clock, name: string): FakePeer {
  const connectionId = nextConnectionId++
  const endpoint = { host: name, port: 1 }
  const notForSync = (): never => {
    throw new Error('sync has no business here')
  }
  return {
    key: name,
    ip: name,
    direction: 'outbound',
    connectionId,
    remote: endpoint,
    local: endpoint,
    security: undefined,
    listeningPort: 1,
    hello: {
      version: 1,
      network: 'test',
      instanceId: '0'.repeat(32),
      yourIp: undefined,
      listeningPort: 1,
      agent: 'test',
      maxFrameBytes: 8 * 1024 * 1024,
      appData: new Uint8Array(0),
    },
    establishedAtMs: clock.now(),
    isConnected: true,
    useful: notForSync,
    roundTrip: {
      lastMs: 10,
      smoothedMs: 10,
      jitterMs: 0,
      minMs: 10,
      pingsSent: 0,
      pongsReceived: 0,
    },
    bytesReceived: 0,
    bytesSent: 0,
    queuedBytes: 0,
    lastReceivedAtMs: clock.now(),
    readPausedMs: 0,
    send: notForSync,
    drained: notForSync,
    request: notForSync,
    close: notForSync,
    ping: notForSync,
    post: () => false,
    closeFor: () => {},
  }
}

function sizeOf(message: SyncMessage): number {
  if (message.kind !== 'blocks') return 100
  return message.blocks.reduce((sum, { payload }) => sum + payload.length + 40, 100)
}
