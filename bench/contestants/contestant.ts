/** The first byte of each message says what becomes of it at the service. */
export const oneWayMark = 0
export const requestMark = 1

/** What one process serves: it counts messages that begin with `oneWayMark`, and echoes the others. */
export interface Service {
  /** Whatever `connect` needs to find it, as JSON. */
  readonly address: string
  /** How many messages it counted. */
  received(): number
  /** Pings every connection once a second from now on, spread over the second. */
  startPings(): void
  close(): Promise<void>
}

/** One connection to a service. */
export interface Link {
  /** False: wait for `drained` before more is sent. */
  send(bytes: Uint8Array): boolean
  drained(): Promise<void>
  /** Calls `answered` when the echo is there; echoes come in the order of their requests. */
  request(bytes: Uint8Array, answered: () => void): void
  close(): void
}

/** A node at the other end, made beforehand: only its dialling is measured. */
export interface Client {
  connect(address: string): Promise<Link>
  close(): Promise<void>
}

/** Everything that a kind of connection must show to be measured. */
export interface Contestant {
  serve(): Promise<Service>
  /** `from`: the loopback address that it dials from, where the contestant can choose it. */
  client(from: string): Promise<Client>
}

export const contestantNames = [
  'raw',
  'holdfast',
  'ws',
  'libp2p-noise',
  'libp2p-plaintext',
  'hyperdht',
] as const
export type ContestantName = (typeof contestantNames)[number]

export function isContestantName(name: string): name is ContestantName {
  return (contestantNames as readonly string[]).includes(name)
}

/** A promise and its end, for what tells itself by events. */
export function once<T>(
  begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise(begin)
}
