import type { ContestantName } from './contestants/contestant.js'

/** A chain of generated blocks, and who serves it. */
export interface ChainOrder {
  readonly contestant: 'raw' | 'holdfast'
  readonly blockBytes: number
  readonly count: number
  readonly peers: number
}

export interface SyncOrder extends Omit<ChainOrder, 'peers'> {
  readonly addresses: readonly string[]
  readonly store: 'memory' | 'level'
  /** What the store takes at most, where that is what is measured. */
  readonly storeBytesPerSecond?: number
  /** The sync is given up after so long, where what it took until then is enough. */
  readonly atMostMs?: number
}

export interface SyncFigures {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly loopP99Ms: number
  readonly peakBytes: number
  /** Without what is mapped of files. */
  readonly peakOwnBytes: number
  /** NaN where nobody pings. */
  readonly pingP99Ms: number
}

/** How a race looks from one end. */
export interface RaceEnd {
  readonly settledMs: number
  /** How often it was told that the peer is connected. */
  readonly events: number
  readonly local: string
  readonly remote: string
}

/** What a worker can be told, and what it answers. */
export interface Orders {
  /** Begins to serve; answers the address. */
  serve: { readonly order: { readonly contestant: ContestantName }; readonly answer: string }
  /** How many messages were counted, and how many were sent. */
  received: { readonly order: null; readonly answer: number }
  sent: { readonly order: null; readonly answer: number }
  /** From now on it pings every connection once a second. */
  startPings: { readonly order: null; readonly answer: null }
  /** Opens one link, which the orders below use. */
  link: {
    readonly order: { readonly contestant: ContestantName; readonly address: string }
    readonly answer: null
  }
  /** Sends messages for so long; answers how many per second arrived. */
  flood: {
    readonly order: { readonly messageBytes: number; readonly ms: number }
    readonly answer: number
  }
  /** Asks one by one for so long; answers the median time of a round trip in milliseconds. */
  roundTrips: {
    readonly order: { readonly messageBytes: number; readonly ms: number }
    readonly answer: number
  }
  /** Keeps so many requests in flight for so long; answers how many per second were answered. */
  inFlight: {
    readonly order: {
      readonly messageBytes: number
      readonly inFlight: number
      readonly ms: number
    }
    readonly answer: number
  }
  /** Makes clients, each with an address of its own, that do not dial yet. */
  prepare: {
    readonly order: { readonly contestant: ContestantName; readonly count: number }
    readonly answer: null
  }
  /** The clients dial, some at a time; each is ready at its first answer. Answers the seconds that it took. */
  dial: {
    readonly order: { readonly address: string; readonly count: number; readonly atOnce: number }
    readonly answer: number
  }
  serveChain: { readonly order: ChainOrder; readonly answer: readonly string[] }
  sync: { readonly order: SyncOrder; readonly answer: SyncFigures }
  /** Makes a node that races; answers its address. */
  raceNode: { readonly order: { readonly ip: string }; readonly answer: string }
  race: {
    readonly order: { readonly address: string; readonly atMs: number }
    readonly answer: RaceEnd
  }
  raceOver: { readonly order: null; readonly answer: null }
  /** After garbage collection, in bytes. */
  memory: {
    readonly order: null
    readonly answer: { readonly heapBytes: number; readonly externalBytes: number }
  }
  /** Processor time of the process so far, in milliseconds. */
  cpu: { readonly order: null; readonly answer: number }
}

export type OrderName = keyof Orders

export interface Request<Name extends OrderName = OrderName> {
  readonly id: number
  readonly name: Name
  readonly order: Orders[Name]['order']
}

export type Answer =
  | { readonly id: number; readonly value: Orders[OrderName]['answer'] }
  | { readonly id: number; readonly error: string }
