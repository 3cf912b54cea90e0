/** How much is measured: a figure is worth what its rounds are worth. */
export interface Effort {
  readonly name: 'full' | 'quick' | 'smoke'
  readonly rounds: number
  /** How long each load of a stream lasts. */
  readonly loadMs: number
  readonly crowd: number
  /** Connections before the crowd, so that what is compiled late is compiled. */
  readonly crowdBefore: number
  readonly pingMs: number
  /** Connections on which there is nothing but pings. */
  readonly largeCrowd: number
  /** Whether those that take long to connect take part in the crowd. */
  readonly crowdOfSlow: boolean
  readonly syncRounds: number
  /** Of each chain, unless that were too many blocks. */
  readonly syncBytes: number
  /** Of the chain of which no more than the window may be in memory. */
  readonly memoryBytes: number
  readonly races: number
  /** Events among many peers, in virtual time. */
  readonly scaleEvents: number
}

export const efforts: Readonly<Record<Effort['name'], Effort>> = {
  full: {
    name: 'full',
    rounds: 7,
    loadMs: 700,
    crowd: 1_000,
    crowdBefore: 300,
    pingMs: 4_000,
    largeCrowd: 2_000,
    crowdOfSlow: true,
    syncRounds: 3,
    syncBytes: 128_000_000,
    memoryBytes: 400_000_000,
    races: 200,
    scaleEvents: 20_000,
  },
  quick: {
    name: 'quick',
    rounds: 5,
    loadMs: 250,
    crowd: 1_000,
    crowdBefore: 200,
    pingMs: 1_500,
    largeCrowd: 2_000,
    crowdOfSlow: false,
    syncRounds: 1,
    syncBytes: 16_000_000,
    memoryBytes: 100_000_000,
    races: 50,
    scaleEvents: 5_000,
  },
  smoke: {
    name: 'smoke',
    rounds: 1,
    loadMs: 30,
    crowd: 50,
    crowdBefore: 10,
    pingMs: 200,
    largeCrowd: 100,
    crowdOfSlow: false,
    syncRounds: 1,
    syncBytes: 100_000,
    memoryBytes: 1_000_000,
    races: 5,
    scaleEvents: 500,
  },
}
