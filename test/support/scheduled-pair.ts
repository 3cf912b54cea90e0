import { directRoute, type LinkView, type NetworkPolicy } from '../../src/adapters/memory.js'
import { MemoryNetwork } from '../../src/adapters/memory.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import { SimulatedNode, type NodeOptions } from './simulated-node.js'

/** Who dialled the connection on which the next thing arrives. */
export type Step = 'a' | 'b'

/** How long one step of a schedule takes. */
const stepMs = 10

/**
 * Two nodes whose network delivers in a prescribed order: the n-th step says on whose connection the
 * next item arrives (the dial itself, the acceptance, HELLO, HELLO, READY, READY). What comes after the
 * schedule takes one step.
 */
export class ScheduledPair {
  readonly clock = new SimulatedClock()
  readonly a: SimulatedNode
  readonly b: SimulatedNode
  /** Dials that left, by host. */
  readonly dials: string[] = []
  readonly #arrivals: Readonly<Record<Step, number[]>>
  readonly #dialler = new Map<number, { readonly step: Step; sent: number }>()

  constructor(
    hosts: { readonly a: string; readonly b: string },
    schedule: readonly Step[],
    options: { readonly a?: NodeOptions; readonly b?: NodeOptions } = {},
  ) {
    const arrivalsOf = (step: Step): number[] =>
      schedule.flatMap((other, index) => (other === step ? [(index + 1) * stepMs] : []))
    this.#arrivals = { a: arrivalsOf('a'), b: arrivalsOf('b') }
    const network = new MemoryNetwork({
      clock: this.clock,
      random: new SeededRandom(1),
      policy: this.#policy(hosts.a),
    })
    const node = (host: string, seed: number, own: NodeOptions = {}): SimulatedNode =>
      new SimulatedNode(
        host,
        {
          transport: network.transport({ host }),
          clock: this.clock,
          random: new SeededRandom(seed),
        },
        { patienceMs: 0, ...own },
      )
    this.a = node(hosts.a, 2, options.a)
    this.b = node(hosts.b, 3, options.b)
  }

  /** Both dials leave in the same tick. */
  async start(): Promise<void> {
    this.a.connections.keep(this.b.host)
    this.b.connections.keep(this.a.host)
    await Promise.all([this.a.connections.start(), this.b.connections.start()])
  }

  #policy(hostOfA: string): NetworkPolicy {
    return {
      route: directRoute,
      delayMs: (link) => this.#delayMs(link, hostOfA),
      passes: () => true,
      observe: (link, event) => {
        if (event.kind === 'dialled') this.dials.push(link.dialler.host)
      },
    }
  }

  #delayMs(link: LinkView, hostOfA: string): number {
    const known = this.#dialler.get(link.id)
    const progress = known ?? { step: link.dialler.host === hostOfA ? 'a' : 'b', sent: 0 }
    this.#dialler.set(link.id, progress)
    const atMs = this.#arrivals[progress.step][progress.sent]
    progress.sent += 1
    return atMs === undefined ? stepMs : atMs - this.clock.now()
  }
}

/** Every way to mix `a` steps of one with `b` steps of the other, each in its own order. */
export function interleavings(a: number, b: number): Step[][] {
  if (a === 0 && b === 0) return [[]]
  const rests = (step: Step, left: [number, number]): Step[][] =>
    interleavings(...left).map((rest) => [step, ...rest])
  return [...(a > 0 ? rests('a', [a - 1, b]) : []), ...(b > 0 ? rests('b', [a, b - 1]) : [])]
}
