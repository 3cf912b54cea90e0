import type { CloseReason, CloseReasonKind } from '../../src/contracts/close-reason.js'
import type { SimulatedNetwork } from '../../src/testing/simulated-network.js'

/** Ends that a fault of the network or of a process explains. Nothing explains the others. */
const endsByFault: ReadonlySet<CloseReasonKind> = new Set([
  'ended',
  'transport-error',
  'ping-timeout',
  'confirm-timeout',
])

/** Something that is wrong for a while with all connections between some hosts. */
export interface Trouble {
  readonly between: (a: string, b: string) => boolean
}

/** Which physical connections may end, because something happened to them (G3). */
export class Touched {
  readonly #network: SimulatedNetwork
  readonly #why = new Map<number, 'fault' | 'user'>()
  readonly #troubles = new Set<Trouble>()

  constructor(network: SimulatedNetwork) {
    this.#network = network
  }

  connection(id: number): void {
    if (this.#why.get(id) !== 'user') this.#why.set(id, 'fault')
  }

  between(a: string, b: string | undefined, why: 'fault' | 'user'): void {
    for (const { id } of this.#network.connections(a, b)) {
      if (why === 'user') this.#why.set(id, 'user')
      else this.connection(id)
    }
  }

  begin(trouble: Trouble): void {
    this.#troubles.add(trouble)
    this.look()
  }

  end(trouble: Trouble): void {
    this.look()
    this.#troubles.delete(trouble)
  }

  /** What is there while something is wrong is touched by it. To be called after every event. */
  look(): void {
    if (this.#troubles.size === 0) return
    for (const { id, dialler, acceptor } of this.#network.connections()) {
      for (const { between } of this.#troubles)
        if (between(dialler.host, acceptor.host)) this.connection(id)
    }
  }

  /** Undefined when the end is explained; otherwise what was done to the connection. */
  unexplained(id: number, { kind }: CloseReason): string | undefined {
    const why = this.#why.get(id)
    const isExplained =
      why !== undefined && (endsByFault.has(kind) || (why === 'user' && kind === 'disconnected'))
    return isExplained ? undefined : (why ?? 'nothing')
  }
}
